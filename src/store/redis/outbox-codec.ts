/**
 * Reads records as lua/include/record.lua writes them, and writes them for lua/replay.lua: arrays that begin with a letter for the
 * operation.
 */
import { decodeMulti } from '@msgpack/msgpack';
import type { Filter } from '../../event/filter.js';
import { idempotencyExpiresAt } from '../../event/idempotency.js';
import { type DeclaredPolicy, policyText } from '../../event/policy.js';
import {
  type DefaultLeased,
  formatPosition,
  type KeptRecord,
  type ListenerGone,
  type ListenerSet,
  type ListenerSwept,
  type LogRecord,
  type Outcome,
  type Position,
  parsePosition,
  type RedriveSet,
} from '../../event/record.js';
import {
  progressText,
  type RedriveProgress,
  type RedriveStatus,
  type RedriveWish,
  wishText,
} from '../../event/redrive-job.js';
import { outcomeCode, outcomeOf, readKey, reasonCode, reasonOf, writeKey } from './state-codec.js';

export type Entry =
  | readonly [
      'T',
      at: number,
      type: string,
      ordinal: number,
      version?: number,
      /** What is declared, as text. */
      policy?: string | false,
      paused?: 0 | 1,
    ]
  | readonly [
      'A',
      at: number,
      id: string,
      ordinal: number,
      dueAt: number,
      scope?: string | false,
      fingerprint?: string | false,
      /** 1: with `archive` durability. */
      archive?: 0 | 1,
      parent?: string | false,
      root?: string | false,
      deadlineAt?: number | false,
      receivers?: readonly number[] | false,
      /** Percent-encoded. */
      key?: string | false,
      redriveOf?: string,
    ]
  | readonly [
      'S',
      at: number,
      id: '',
      ordinal: number,
      listener: number,
      name: string,
      responder: 0 | 1,
      filter: string | false,
    ]
  | readonly [
      'V',
      at: number,
      id: '',
      ordinal: number,
      redrive: string,
      step: number,
      status: RedriveStatus,
      startedAt: number,
      endedAt: number | false,
      until: string,
      wish: string,
      progress: string,
      scope: string | false,
      fingerprint: string | false,
      forgets: string | false,
    ]
  | readonly ['U' | 'W', at: number, id: '', ordinal: number, listener: number]
  | readonly [
      'N',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      /** False: there is none left. */
      responder?: number | false,
    ]
  | readonly [
      'G',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      attempt: number,
      token: string,
      worker: string | false,
      expiresAt: number,
      call: string,
      claim: number,
    ]
  | readonly ['H', at: number, id: string, ordinal: number, listener: number, grant: number]
  | readonly [
      'R',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      why: number,
      dueAt: number,
      fingerprint: string | false,
    ]
  | readonly [
      'C',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      outcome: number,
      reason: number,
      fingerprint: string,
      emitted?: readonly string[],
    ]
  | readonly [
      'D',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      why: number,
      fingerprint: string | false,
    ]
  | readonly [
      'L',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      fingerprint: string,
    ]
  | readonly [
      'M',
      at: number,
      id: string,
      ordinal: number,
      child: string,
      childType: string,
      dueAt: number,
      /** 1: with `archive` durability. */
      archive: 0 | 1,
      root: string,
      /** Percent-encoded. */
      key?: string,
    ]
  | readonly ['Y', at: number, id: string, ordinal: number, child: string]
  | readonly ['Q' | 'X' | 'E', at: number, id: string, ordinal: number]
  | readonly ['P', at: number, id: string, ordinal: number, index: number];

const PAUSED = { paused: true } as const;
const WHY = ['expired', 'failed'] as const;

/** Of records in MessagePack, one behind the other. */
export function parseEntries(packed: Buffer): Entry[] {
  return [...decodeMulti(packed)] as Entry[];
}

/** `typeName` gives the name of a type's ordinal. */
export function readRecord(
  pos: Position,
  entry: Entry,
  body: Buffer | null,
  typeName: (ordinal: number) => string,
): LogRecord {
  const at = entry[1];
  if (entry[0] === 'T') {
    const [, , type, ordinal, version = 0, policy = false, paused] = entry;
    const declared = policy === false ? {} : { policy: JSON.parse(policy) as DeclaredPolicy };
    return { op: 'typeSet', pos, at, type, ordinal, version, ...declared, ...(paused === 1 ? PAUSED : {}) };
  }
  const [, , id, ordinal] = entry;
  const type = typeName(ordinal);
  if (entry[0] === 'S') {
    const [, , , , listener, name, responder, text] = entry;
    const filter = text === false ? null : (JSON.parse(text) as Filter);
    return { op: 'listenerSet', pos, at, type, ordinal: listener, name, responder: responder === 1, filter };
  }
  if (entry[0] === 'V') return readRedriveSet(entry, { pos, at, type });
  if (entry[0] === 'U') return { op: 'listenerGone', pos, at, type, ordinal: entry[4] };
  if (entry[0] === 'W') return { op: 'listenerSwept', pos, at, type, ordinal: entry[4] };
  const of = { pos, at, id, type };
  switch (entry[0]) {
    case 'A': {
      const [, , , , dueAt, scope, fingerprint, archive, parent, root, deadlineAt, receivers, key, again] =
        entry;
      const hasClaim = typeof scope === 'string' && typeof fingerprint === 'string';
      const idempotency = hasClaim ? { scope, fingerprint, expiresAt: idempotencyExpiresAt(at) } : null;
      const durability = archive === 1 ? ({ durability: 'archive' } as const) : {};
      const tree = parent && root ? { parent, root } : {};
      const deadline = deadlineAt ? { deadlineAt } : {};
      const listeners = receivers ? { listeners: receivers } : {};
      const redrive = again === undefined ? {} : { redriveOf: again };
      const more = { ...tree, ...redrive };
      const facts = { ...listeners, dueAt, ...deadline, ...durability, ...keyOf(key), idempotency, ...more };
      return { op: 'accepted', ...of, ...facts, payload: need(body, pos) };
    }
    case 'G': {
      const [, , , , listener, grant, attempt, token, worker, expiresAt, call, claim] = entry;
      const lease = { token, worker: worker === false ? null : worker, expiresAt, call, claim };
      return { op: 'granted', ...of, listener, grant, attempt, ...lease };
    }
    case 'H':
      return { op: 'handedBack', ...of, listener: entry[4], grant: entry[5] };
    case 'R': {
      const [, , , , listener, grant, why, dueAt, print] = entry;
      const ended = { why: WHY[why]!, dueAt, ...completion(print, body, pos) };
      return { op: 'retried', ...of, listener, grant, ...ended };
    }
    case 'C': {
      const [, , , , listener, grant, outcome, reason, fingerprint, ids] = entry;
      const emitted = ids === undefined ? {} : { emitted: ids };
      const said = {
        outcome: outcomeOf(outcome) as Outcome,
        reason: reasonOf(reason),
        fingerprint,
        ...emitted,
      };
      return { op: 'completed', ...of, listener, grant, ...said, payload: need(body, pos) };
    }
    case 'M': {
      const [, , , , child, childType, dueAt, archive, root, key] = entry;
      const durability = archive === 1 ? ({ durability: 'archive' } as const) : {};
      const facts = { child, childType, root, dueAt, ...durability, ...keyOf(key) };
      return { op: 'emitted', ...of, ...facts, payload: need(body, pos) };
    }
    case 'Y':
      return { op: 'relayed', ...of, child: entry[4] };
    case 'D': {
      const [, , , , listener, grant, why, print] = entry;
      const ended = { why: WHY[why]!, ...completion(print, body, pos) };
      return { op: 'dead', ...of, listener, grant, ...ended };
    }
    case 'L': {
      const [, , , , listener, grant, fingerprint] = entry;
      return { op: 'late', ...of, listener, grant, fingerprint, payload: need(body, pos) };
    }
    case 'N': {
      const [, , , , listener, grant, next] = entry;
      const responder = next === undefined ? {} : { responder: next === false ? null : next };
      return { op: 'unsubscribed', ...of, listener, grant, ...responder };
    }
    case 'Q':
      return { op: 'cancelRequested', ...of };
    case 'X':
      return { op: 'cancelled', ...of };
    case 'E':
      return { op: 'deadlinePassed', ...of };
    case 'P':
      return { op: 'pruned', ...of, index: entry[4] };
  }
}

/** What stands in a checkpoint for records that matter no more: for lua/replay.lua only, never in the outbox. */
export type KeptEntry =
  | Entry
  | readonly ['K', at: number, id: string, ordinal: number, scope: string, fingerprint: string]
  | readonly ['I', at: number, index: number]
  | readonly ['F', at: number, id: '', ordinal: number];

/** For lua/replay.lua. `ordinal` is that of the record's type. */
export function writeRecord(record: KeptRecord, ordinal: number): { entry: KeptEntry; body: Buffer | null } {
  const bytes = 'payload' in record ? record.payload : null;
  const body = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { entry: entryOf(record, ordinal), body };
}

function entryOf(record: KeptRecord, ordinal: number): KeptEntry {
  if (record.op === 'typeSet') {
    const { type, ordinal, version, policy, paused } = record;
    if (version === 0 && policy === undefined && !paused) return ['T', record.at, type, ordinal];
    const declared = policy === undefined ? false : policyText(policy);
    return ['T', record.at, type, ordinal, version, declared, paused ? 1 : 0];
  }
  if (record.op === 'indexed') return ['I', record.at, record.index];
  if (!('id' in record)) return entryOfType(record, ordinal);
  const { at, id } = record;
  switch (record.op) {
    case 'accepted': {
      const { dueAt, idempotency, durability, parent, root, deadlineAt, listeners, key, redriveOf } = record;
      const { scope = false, fingerprint = false } = idempotency ?? {};
      const archive = durability === 'archive' ? 1 : 0;
      const tree = [parent ?? false, root ?? false] as const;
      const deadline = deadlineAt ?? false;
      if (redriveOf !== undefined) {
        const again = [deadline, listeners ?? false, writeKey(key) || false, redriveOf] as const;
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, ...tree, ...again];
      }
      if (key !== undefined) {
        const rest = [deadline, listeners ?? false, writeKey(key)] as const;
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, ...tree, ...rest];
      }
      if (listeners !== undefined)
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, ...tree, deadline, listeners];
      if (deadlineAt !== undefined) {
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, ...tree, deadlineAt];
      }
      if (durability === 'archive' || parent !== undefined) {
        if (parent === undefined || root === undefined)
          return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive];
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, parent, root];
      }
      if (!idempotency) return ['A', at, id, ordinal, dueAt];
      return ['A', at, id, ordinal, dueAt, idempotency.scope, idempotency.fingerprint];
    }
    case 'granted': {
      const { listener, grant, attempt, token, expiresAt, call, claim } = record;
      const worker = record.worker ?? false;
      return ['G', at, id, ordinal, listener, grant, attempt, token, worker, expiresAt, call, claim];
    }
    case 'handedBack':
      return ['H', at, id, ordinal, record.listener, record.grant];
    case 'retried': {
      const { listener, grant, why, dueAt, fingerprint } = record;
      return ['R', at, id, ordinal, listener, grant, WHY.indexOf(why), dueAt, fingerprint ?? false];
    }
    case 'completed': {
      const { listener, grant, outcome, reason, fingerprint, emitted } = record;
      const codes = [outcomeCode(outcome), reasonCode(reason)] as const;
      if (emitted === undefined) return ['C', at, id, ordinal, listener, grant, ...codes, fingerprint];
      return ['C', at, id, ordinal, listener, grant, ...codes, fingerprint, emitted];
    }
    case 'emitted': {
      const { child, childType, root, dueAt, durability, key } = record;
      const archive = durability === 'archive' ? 1 : 0;
      if (key === undefined) return ['M', at, id, ordinal, child, childType, dueAt, archive, root];
      return ['M', at, id, ordinal, child, childType, dueAt, archive, root, writeKey(key)];
    }
    case 'relayed':
      return ['Y', at, id, ordinal, record.child];
    case 'dead': {
      const { listener, grant, why, fingerprint } = record;
      return ['D', at, id, ordinal, listener, grant, WHY.indexOf(why), fingerprint ?? false];
    }
    case 'unsubscribed': {
      const { listener, grant, responder } = record;
      if (responder === undefined) return ['N', at, id, ordinal, listener, grant];
      return ['N', at, id, ordinal, listener, grant, responder ?? false];
    }
    case 'late':
      return ['L', at, id, ordinal, record.listener, record.grant, record.fingerprint];
    case 'cancelRequested':
      return ['Q', at, id, ordinal];
    case 'cancelled':
      return ['X', at, id, ordinal];
    case 'deadlinePassed':
      return ['E', at, id, ordinal];
    case 'pruned':
      return ['P', at, id, ordinal, record.index];
    case 'keyKept':
      return ['K', at, id, ordinal, record.idempotency.scope, record.idempotency.fingerprint];
  }
}

function entryOfType(
  record: ListenerSet | ListenerGone | ListenerSwept | RedriveSet | DefaultLeased,
  ordinal: number,
): KeptEntry {
  const { at } = record;
  switch (record.op) {
    case 'listenerSet': {
      const { name, filter } = record;
      const text = filter === null ? false : JSON.stringify(filter);
      return ['S', at, '', ordinal, record.ordinal, name, record.responder ? 1 : 0, text];
    }
    case 'redriveSet': {
      const { redrive, step, status, startedAt, endedAt, until, wish, progress, forgets } = record;
      const { scope = false, fingerprint = false } = record.idempotency ?? {};
      const times = [startedAt, endedAt ?? false, formatPosition(until)] as const;
      const texts = [wishText(wish), progressText(progress)] as const;
      const claim = [scope, fingerprint, forgets ?? false] as const;
      return ['V', at, '', ordinal, redrive, step, status, ...times, ...texts, ...claim];
    }
    case 'listenerGone':
      return ['U', at, '', ordinal, record.ordinal];
    case 'listenerSwept':
      return ['W', at, '', ordinal, record.ordinal];
    case 'defaultLeased':
      return ['F', at, '', ordinal];
  }
}

function keyOf(written: string | false | undefined): { readonly key?: string } {
  const key = readKey(written);
  return key === null ? {} : { key };
}

function readRedriveSet(
  entry: Extract<Entry, readonly ['V', ...unknown[]]>,
  base: Pick<RedriveSet, 'pos' | 'at' | 'type'>,
): RedriveSet {
  const [, , , , redrive, step, status, startedAt, endedAt, until, wish, progress] = entry;
  const [scope, fingerprint, forgets] = entry.slice(12) as [string | false, string | false, string | false];
  return {
    op: 'redriveSet',
    ...base,
    redrive,
    step,
    status,
    startedAt,
    endedAt: endedAt === false ? null : endedAt,
    until: parsePosition(until)!,
    wish: JSON.parse(wish) as RedriveWish,
    progress: JSON.parse(progress) as RedriveProgress,
    ...(scope === false || fingerprint === false ? {} : { idempotency: { scope, fingerprint } }),
    ...(forgets === false ? {} : { forgets }),
  };
}

function completion(print: string | false, body: Buffer | null, pos: Position) {
  if (print === false) return { fingerprint: null, payload: null };
  return { fingerprint: print, payload: need(body, pos) };
}

/** A record without its body must not reach the log, where it would stand for ever. */
function need(body: Buffer | null, pos: Position): Buffer {
  if (body === null) throw new Error(`the body of record ${formatPosition(pos)} is gone`);
  return body;
}
