/**
 * A snapshot: everything that a partition's state holds, as a file of frames. The first tells which journal comes
 * next, the last how many frames there are; in between come types, events (each with its bytes in one piece),
 * idempotency keys, lease calls and the outbox, whose records share their bytes with the events.
 */

import { noteSettled } from '../../event/ending.js';
import { joinKey } from '../../event/keyed.js';
import type { Listener } from '../../event/listeners.js';
import { countLease, moveTo } from '../../event/place.js';
import { type DeclaredPolicy, effectivePolicy } from '../../event/policy.js';
import type { LogRecord, Position } from '../../event/record.js';
import { hold, makeReady, setLease } from '../../event/schedule.js';
import {
  type Attempt,
  type Delivery,
  type EventState,
  findAttempt,
  findDelivery,
  newType,
  type PartitionState,
  type RedrivenBy,
  type RedriveState,
  type RelayState,
  type Tree,
  type TreeState,
} from '../../event/state.js';
import type { Unarchived } from '../../event/unarchived.js';
import { payloadOf, withPayload } from './record-frame.js';

export const SNAPSHOT_FORMAT = 1;

export interface SnapshotHead {
  readonly part: 'head';
  readonly format: number;
  readonly logId: string;
  /** The journal that goes on from here, and the number of its first group. */
  readonly journal: number;
  readonly group: number;
  /** The log that the state was opened for; `logId` is the folder's own. */
  readonly log: string | null;
  readonly view: number;
  readonly n: number;
  readonly last: Position | null;
  readonly sequence: number;
  readonly bytes: number;
  readonly archived: { readonly pos: Position; readonly slot: number } | null;
  readonly indexed: number;
}

interface TypePart {
  readonly part: 'type';
  readonly name: string;
  readonly ordinal: number;
  readonly version: number;
  /** Left out where nothing is declared. */
  readonly policy?: DeclaredPolicy;
  /** Left out unless it is. */
  readonly paused?: true;
  /** Left out: none were declared. */
  readonly listeners?: readonly Listener[];
  readonly leased?: boolean;
}

type AttemptPart = Omit<Attempt, 'result' | 'late' | 'emitted'> & {
  /** Left out when it emitted nothing. */
  readonly emitted?: readonly string[];
  readonly resultBytes: number | null;
  readonly late: { readonly at: number; readonly fingerprint: string; readonly bytes: number } | null;
};

type DeliveryPart = Omit<Delivery, 'event' | 'attempts' | 'links'> & {
  readonly attempts: readonly AttemptPart[];
};

/** Its payload: the envelope, then of each attempt of each delivery the result and the late result. */
interface EventPart
  extends Omit<
    EventState,
    | 'type'
    | 'envelope'
    | 'result'
    | 'unarchived'
    | 'tree'
    | 'redriveOf'
    | 'redrivenBy'
    | 'deadlineAt'
    | 'key'
    | 'deliveries'
    | 'settledAt'
    | 'settledBy'
  > {
  readonly settledAt?: number | null;
  readonly settledBy?: Position | null;
  readonly part: 'event';
  /** Left out with `store` durability. */
  readonly unarchived?: Unarchived[];
  /** Left out outside of cascades. */
  readonly tree?: Tree;
  /** Left out where there is none. */
  readonly redriveOf?: string;
  readonly redrivenBy?: RedrivenBy;
  /** Left out without one. */
  readonly deadlineAt?: number;
  /** Left out without one. */
  readonly key?: string;
  readonly type: number;
  readonly envelopeBytes: number;
  /** Whose result is the event's: delivery and attempt by place. */
  readonly resultOf: readonly [number, number] | null;
  readonly deliveries: readonly DeliveryPart[];
}

interface KeysPart {
  readonly part: 'keys';
  readonly expiresAt: number;
  readonly keys: readonly (readonly [scope: string, id: string, fingerprint: string, createdAt: number])[];
}

interface CallPart {
  readonly part: 'call';
  readonly call: string;
  readonly claim: number;
  readonly expiresAt: number;
  readonly grants: readonly (readonly [id: string, listener: number, grant: number])[];
}

/** Its payload: the envelope. */
interface RelayPart extends Omit<RelayState, 'envelope' | 'key'> {
  readonly part: 'relay';
  /** Left out by those from before there were keys. */
  readonly key?: string | null;
}

interface RedrivePart {
  readonly part: 'redrive';
  readonly redrive: RedriveState;
}

interface TreePart {
  readonly part: 'tree';
  readonly root: string;
  readonly tree: TreeState;
}

/** Its payload is the frame's own, unless an event has the same bytes. */
interface RecordPart {
  readonly part: 'record';
  readonly record: Omit<LogRecord, 'payload'>;
  readonly shared: 'envelope' | 'result' | 'late' | null;
}

interface EndPart {
  readonly part: 'end';
  readonly frames: number;
}

export type SnapshotPart =
  | SnapshotHead
  | TypePart
  | EventPart
  | KeysPart
  | CallPart
  | RelayPart
  | TreePart
  | RedrivePart
  | RecordPart
  | EndPart;

export interface EncodedPart {
  readonly part: SnapshotPart;
  /** To be joined to the frame's payload. */
  readonly payload: readonly Uint8Array[] | null;
}

const KEYS_A_FRAME = 1_000;

export type Origin = Pick<SnapshotHead, 'logId' | 'journal' | 'group'>;

/** All parts of the snapshot of `state`, one after the other. */
export function* encodeState(state: PartitionState, origin: Origin): IterableIterator<EncodedPart> {
  let frames = 0;
  for (const encoded of partsOf(state, origin)) {
    frames += 1;
    yield encoded;
  }
  yield { part: { part: 'end', frames }, payload: null };
}

function* partsOf(state: PartitionState, origin: Origin): IterableIterator<EncodedPart> {
  const { logId: log, view, n, last, sequence, bytes, archived, indexed } = state;
  const format = SNAPSHOT_FORMAT;
  const facts = { log, view, n, last, sequence, bytes, archived, indexed };
  yield { part: { part: 'head', format, ...origin, ...facts }, payload: null };
  for (const { name, ordinal, version, declared, paused, listeners, leased } of state.typesByOrdinal) {
    const policy = declared === null ? {} : { policy: declared };
    const pause = paused ? { paused } : {};
    const known = listeners.length === 0 ? {} : { listeners };
    yield {
      part: { part: 'type', name, ordinal, version, ...policy, ...pause, ...known, leased },
      payload: null,
    };
  }
  for (const event of state.history) yield encodeEvent(event);
  yield* encodeKeys(state);
  for (const [call, { claim, expiresAt, grants }] of state.calls) {
    const parts = grants.map(({ delivery, grant }) => [delivery.event.id, delivery.listener, grant] as const);
    yield { part: { part: 'call', call, claim, expiresAt, grants: parts }, payload: null };
  }
  for (const { envelope, ...relay } of state.relays.values())
    yield { part: { part: 'relay', ...relay }, payload: [envelope] };
  for (const [root, tree] of state.trees) yield { part: { part: 'tree', root, tree }, payload: null };
  for (const redrive of state.redrives.values()) yield { part: { part: 'redrive', redrive }, payload: null };
  for (const record of state.outbox) yield encodeOutboxRecord(state, record);
}

function encodeEvent(event: EventState): EncodedPart {
  const { type, envelope, result, deliveries, unarchived, tree, deadlineAt, key, ...more } = event;
  const { redriveOf, redrivenBy, ...rest } = more;
  const notes = {
    ...(unarchived && { unarchived }),
    ...(tree && { tree }),
    ...(redriveOf !== null && { redriveOf }),
    ...(redrivenBy && { redrivenBy }),
    ...(deadlineAt !== null && { deadlineAt }),
    ...(key !== null && { key }),
  };
  const payload = [envelope];
  let resultOf: readonly [number, number] | null = null;
  const parts = deliveries.map((delivery, d): DeliveryPart => {
    const { event: _, links: __, attempts, ...fields } = delivery;
    const attemptParts = attempts.map((attempt, a): AttemptPart => {
      const { result: own, late, emitted, ...kept } = attempt;
      if (own) payload.push(own);
      if (own && own === result) resultOf = [d, a];
      if (late) payload.push(late.payload);
      return {
        ...kept,
        ...(emitted && { emitted }),
        resultBytes: own ? own.byteLength : null,
        late: late && { at: late.at, fingerprint: late.fingerprint, bytes: late.payload.byteLength },
      };
    });
    return { ...fields, attempts: attemptParts };
  });
  const envelopeBytes = envelope.byteLength;
  return {
    part: {
      part: 'event',
      ...rest,
      ...notes,
      type: type.ordinal,
      envelopeBytes,
      resultOf,
      deliveries: parts,
    },
    payload,
  };
}

function* encodeKeys(state: PartitionState): IterableIterator<EncodedPart> {
  for (const [expiresAt, entries] of state.idempotency) {
    let keys: [string, string, string, number][] = [];
    for (const [scope, { id, fingerprint, createdAt }] of entries) {
      keys.push([scope, id, fingerprint, createdAt]);
      if (keys.length < KEYS_A_FRAME) continue;
      yield { part: { part: 'keys', expiresAt, keys }, payload: null };
      keys = [];
    }
    if (keys.length > 0) yield { part: { part: 'keys', expiresAt, keys }, payload: null };
  }
}

function encodeOutboxRecord(state: PartitionState, record: LogRecord): EncodedPart {
  const { payload, ...rest } = { payload: null, ...record };
  const shared = payload && sharedOf(state, record);
  const own = payload && !shared ? [payload] : null;
  return {
    part: { part: 'record', record: rest as RecordPart['record'], shared: shared || null },
    payload: own,
  };
}

/** Which bytes of its event are those of `record`; null when the event has forgotten them. */
function sharedOf(state: PartitionState, record: LogRecord): RecordPart['shared'] {
  for (const kind of ['envelope', 'result', 'late'] as const) {
    if (bytesOfEvent(state, record, kind) === payloadOf(record)) return kind;
  }
  return null;
}

function bytesOfEvent(
  state: PartitionState,
  record: Omit<LogRecord, 'payload'>,
  kind: 'envelope' | 'result' | 'late',
): Uint8Array | null {
  const { id, listener, grant } = record as { id?: string; listener?: number; grant?: number };
  const event = id === undefined ? undefined : state.events.get(id);
  if (!event) return null;
  if (kind === 'envelope') return event.envelope;
  const delivery = listener === undefined ? undefined : findDelivery(event, listener);
  const attempt = delivery && grant !== undefined ? findAttempt(delivery, grant) : null;
  return (kind === 'result' ? attempt?.result : attempt?.late?.payload) ?? null;
}

/** Puts `part` into `state`, which begins empty and gets the parts in their order. */
export function decodePart(state: PartitionState, part: SnapshotPart, payload: Uint8Array | null): void {
  switch (part.part) {
    case 'head':
      state.logId = part.log;
      state.view = part.view;
      state.n = part.n;
      state.last = part.last;
      state.sequence = part.sequence;
      state.bytes = part.bytes;
      state.archived = part.archived;
      state.indexed = part.indexed;
      return;
    case 'type': {
      const { name, ordinal, version, policy: declared = null, paused = false, leased = false } = part;
      const policy = effectivePolicy(state.policy, declared);
      const listeners = [...(part.listeners ?? [])];
      const rules = { version, declared, policy, paused };
      const type = { ...newType({ name, ordinal, ...rules }), listeners, leased };
      state.leaving += listeners.filter((listener) => listener.state === 'leaving').length;
      state.types.set(name, type);
      state.typesByOrdinal[ordinal] = type;
      return;
    }
    case 'event':
      return decodeEvent(state, part, payload!);
    case 'keys':
      return decodeKeys(state, part);
    case 'call':
      return decodeCall(state, part);
    case 'relay': {
      const { part: _, key = null, ...relay } = part;
      state.relays.set(relay.id, { ...relay, key, envelope: payload! });
      return;
    }
    case 'tree':
      state.trees.set(part.root, part.tree);
      return;
    case 'redrive':
      state.redrives.set(part.redrive.id, part.redrive);
      return;
    case 'record': {
      const bytes = part.shared ? bytesOfEvent(state, part.record, part.shared) : payload;
      state.outbox.push(withPayload(part.record as LogRecord, bytes));
      return;
    }
    case 'end':
      return;
  }
}

/** Written out field by field: millions of objects are made here, and those that are spread together are slow. */
function decodeEvent(state: PartitionState, part: EventPart, payload: Uint8Array): void {
  const type = state.typesByOrdinal[part.type];
  if (!type) throw new Error(`event before its type: ${part.id}`);
  const pieces = new Pieces(payload);
  const event: EventState = {
    id: part.id,
    type,
    sequence: part.sequence,
    position: part.position,
    createdAt: part.createdAt,
    envelope: pieces.next(part.envelopeBytes),
    status: part.status,
    outcome: part.outcome,
    reason: part.reason,
    startedAt: part.startedAt,
    completedAt: part.completedAt,
    cancelRequested: part.cancelRequested,
    ended: part.ended,
    last: part.last,
    // Those of before there were several listeners were settled when they were complete.
    settledAt: part.settledAt === undefined ? part.completedAt : part.settledAt,
    settledBy: part.settledBy === undefined ? part.ended : part.settledBy,
    version: part.version,
    result: null,
    unarchived: part.unarchived ?? null,
    tree: part.tree ?? null,
    redriveOf: part.redriveOf ?? null,
    redrivenBy: part.redrivenBy ?? null,
    deadlineAt: part.deadlineAt ?? null,
    key: part.key ?? null,
    deliveries: [],
  };
  for (const each of part.deliveries) {
    const delivery = decodeDelivery(event, each, pieces);
    event.deliveries.push(delivery);
    if (event.key !== null && delivery.state !== 'ended') joinKey(delivery, event.key);
    schedule(state, delivery, each.place);
  }
  const { resultOf } = part;
  if (resultOf) event.result = event.deliveries[resultOf[0]]!.attempts[resultOf[1]]!.result;
  state.events.set(event.id, event);
  state.history.push(event);
  if (event.settledAt !== null) noteSettled(state, event);
  if (event.status === 'complete') return;
  type.open += 1;
  if (event.deadlineAt !== null) state.deadlines.push({ at: event.deadlineAt, event });
}

function decodeDelivery(event: EventState, part: DeliveryPart, pieces: Pieces): Delivery {
  return {
    event,
    listener: part.listener,
    state: part.state,
    dueAt: part.dueAt,
    expiresAt: part.expiresAt,
    grants: part.grants,
    attempt: part.attempt,
    attempts: part.attempts.map((attempt) => decodeAttempt(attempt, pieces)),
    place: 'none',
    links: null,
  };
}

function decodeAttempt(part: AttemptPart, pieces: Pieces): Attempt {
  const { late } = part;
  return {
    grant: part.grant,
    attempt: part.attempt,
    token: part.token,
    worker: part.worker,
    grantedAt: part.grantedAt,
    endedAt: part.endedAt,
    end: part.end,
    outcome: part.outcome,
    reason: part.reason,
    retryAt: part.retryAt,
    fingerprint: part.fingerprint,
    result: part.resultBytes === null ? null : pieces.next(part.resultBytes),
    late: late && { at: late.at, fingerprint: late.fingerprint, payload: pieces.next(late.bytes) },
    emitted: part.emitted ?? null,
    aside: part.aside ?? null,
  };
}

/** The bytes of an event, taken off from the front. */
class Pieces {
  #at = 0;

  constructor(private readonly payload: Uint8Array) {}

  next(bytes: number): Uint8Array {
    this.#at += bytes;
    return this.payload.subarray(this.#at - bytes, this.#at);
  }
}

/** The entry that the delivery has in an index. */
function schedule(state: PartitionState, delivery: Delivery, place: Delivery['place']): void {
  if (delivery.state === 'leased') {
    state.leasedCount += 1;
    countLease(delivery, 1);
    setLease(state, delivery, delivery.expiresAt);
  } else if (delivery.state === 'waiting' && place === 'held') {
    hold(state, delivery);
  } else if (delivery.state === 'waiting' && place === 'delayed') {
    moveTo(delivery, place);
    state.delayed.push({ at: delivery.dueAt, delivery });
  } else if (delivery.state === 'waiting' && place === 'keyed') {
    moveTo(delivery, place);
  } else if (delivery.state === 'waiting') {
    makeReady(delivery);
  }
}

function decodeKeys(state: PartitionState, { expiresAt, keys }: KeysPart): void {
  let entries = state.idempotency.get(expiresAt);
  if (!entries) {
    entries = new Map();
    state.idempotency.set(expiresAt, entries);
  }
  for (const [scope, id, fingerprint, createdAt] of keys) entries.set(scope, { id, fingerprint, createdAt });
}

function decodeCall(state: PartitionState, { call, claim, expiresAt, grants }: CallPart): void {
  const found = grants.flatMap(([id, listener, grant]) => {
    const event = state.events.get(id);
    const delivery = event && findDelivery(event, listener);
    return delivery ? [{ delivery, grant }] : [];
  });
  state.calls.set(call, { claim, expiresAt, grants: found });
  state.callsDue.push({ at: expiresAt, call });
}
