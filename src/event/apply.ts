/**
 * `apply(state, record)`: the fold. Every change of a partition's state is a record applied here, whether it was
 * decided just now, read from the journal or read from the log. It checks nothing: records are facts.
 *
 * The state is changed in place: a copy a record would make the queue's cost grow with its depth.
 */

import { completeAs, completeEvent, endDelivery, endWaiting, settle } from './ending.js';
import { effectivePolicy } from './policy.js';
import {
  type Accepted,
  type Cancelled,
  type Completed,
  comparePositions,
  type Dead,
  type DeadlinePassed,
  type DeliveryRef,
  type Granted,
  type HandedBack,
  type KeyKept,
  type Late,
  type ListenerSet,
  type LogRecord,
  type OfType,
  type Pruned,
  type Retried,
  type StoreRecord,
  type TypeSet,
  type Unsubscribed,
  type Volatile,
} from './record.js';
import { applyEmitted, applyRelayed } from './relaying.js';
import { enqueue, hold, setLease } from './schedule.js';
import {
  ATTEMPT_OVERHEAD_BYTES,
  ATTEMPTS_KEPT_MAX,
  type Attempt,
  type AttemptEnd,
  DELIVERY_OVERHEAD_BYTES,
  type Delivery,
  EMITTED_BYTES,
  EVENT_OVERHEAD_BYTES,
  type EventState,
  emptyState,
  findAttempt,
  findDelivery,
  isResponder,
  KEY_OVERHEAD_BYTES,
  type PartitionState,
  type TypeState,
} from './state.js';
import { recount, standingOf } from './tree.js';
import { noteUnarchived } from './unarchived.js';

export function apply(state: PartitionState, record: StoreRecord): void {
  if (!('pos' in record) || record.op === 'archived') {
    applyVolatile(state, record as Volatile);
    return;
  }
  state.view = record.pos.view;
  state.n = record.pos.n;
  state.last = record.pos;
  if (record.op === 'keyKept') return rememberKey(state, record, record.idempotency);
  if (record.op === 'indexed') return noteIndexed(state, record.index);
  if (record.op === 'defaultLeased') {
    typeOf(state, record.type).leased = true;
    return;
  }
  state.outbox.push(record);
  if (!('id' in record)) return applyOfType(state, record);
  // Before: a record that takes the responder away is noted with who that was.
  const event = state.events.get(record.id);
  if (event && isRelaying(record)) return applyLogged(state, record);
  if (event?.unarchived) note(state, event, record);
  const before = standingOf(event);
  applyLogged(state, record);
  if (event === undefined) noteAccepted(state, record);
  else if (event.status === 'complete') event.last = record.pos;
  const after = record.op === 'pruned' ? undefined : (event ?? state.events.get(record.id));
  recount(state, before, standingOf(after), record.pos);
}

/** What is emitted elsewhere is nothing that its parent shows. */
function isRelaying({ op }: OfEvent): boolean {
  return op === 'emitted' || op === 'relayed';
}

/** Of an event with `archive` durability, that the record is not archived yet. */
function note(state: PartitionState, event: EventState, record: OfEvent): void {
  const { pos, op } = record;
  const grant = 'grant' in record ? record.grant : 0;
  const listener = 'listener' in record && record.listener > 0 ? { listener: record.listener } : NOTHING;
  const takesResponder = op === 'unsubscribed' && record.responder !== undefined;
  const responder = takesResponder ? { responder: record.listener } : NOTHING;
  const archived = state.archived?.pos ?? null;
  noteUnarchived(event.unarchived!, { pos, op, grant, ...listener, ...responder }, archived);
}

function noteAccepted(state: PartitionState, record: OfEvent): void {
  const event = state.events.get(record.id);
  if (event?.unarchived) note(state, event, record);
}

type OfEvent = Extract<LogRecord, { readonly id: string }>;
const NOTHING = {};

function applyOfType(state: PartitionState, record: OfType): void {
  switch (record.op) {
    case 'typeSet':
      return applyTypeSet(state, record);
    case 'listenerSet':
      return applyListenerSet(state, record);
    case 'listenerGone':
    case 'listenerSwept': {
      const { listeners } = typeOf(state, record.type);
      const isGone = record.op === 'listenerGone';
      listeners[record.ordinal] = {
        ...listeners[record.ordinal]!,
        state: isGone ? 'leaving' : 'gone',
      };
      state.leaving += isGone ? 1 : -1;
      return;
    }
  }
}

/** The change that `record` makes, without its place in the outbox. */
function applyLogged(state: PartitionState, record: OfEvent): void {
  switch (record.op) {
    case 'accepted':
      return applyAccepted(state, record);
    case 'granted':
      return applyGranted(state, record);
    case 'handedBack':
      return applyHandedBack(state, record);
    case 'retried':
      return applyRetried(state, record);
    case 'completed':
      return applyCompleted(state, record);
    case 'emitted':
      return applyEmitted(state, eventOf(state, record.id), record);
    case 'relayed':
      return applyRelayed(state, eventOf(state, record.id), record);
    case 'dead':
      return applyDead(state, record);
    case 'cancelRequested': {
      const event = eventOf(state, record.id);
      event.cancelRequested = true;
      event.version += 1;
      // Who works on it is asked, and nobody begins.
      endWaiting(event);
      return;
    }
    case 'unsubscribed':
      return applyUnsubscribed(state, record);
    case 'cancelled':
      return endUnworked(state, record, 'cancelled');
    case 'deadlinePassed':
      return endUnworked(state, record, 'deadline');
    case 'late':
      return applyLate(state, record);
    case 'pruned':
      return applyPruned(state, record);
  }
}

function applyVolatile(state: PartitionState, record: Volatile): void {
  switch (record.op) {
    case 'extended':
      setLease(state, deliveryOf(state, record), record.expiresAt);
      return;
    case 'claimed': {
      const call = state.calls.get(record.call);
      if (call) call.claim = record.claim;
      return;
    }
    case 'opened':
      state.logId = record.logId;
      state.view = record.view;
      state.n = 0;
      return;
    case 'emptied':
      Object.assign(state, emptyState(state.policy, state.limits));
      return;
    case 'archived':
      applyArchived(state, record);
      return;
  }
}

function applyTypeSet(state: PartitionState, record: TypeSet): void {
  const { version, policy: declared = null, paused = false } = record;
  const known = state.types.get(record.type);
  const rules = { version, declared, policy: effectivePolicy(state.policy, declared), paused };
  if (known) {
    Object.assign(known, rules);
    return;
  }
  const { type: name, ordinal } = record;
  const type: TypeState = { name, ordinal, ...rules, open: 0, listeners: [], leased: false, ready: [] };
  state.types.set(record.type, type);
  state.typesByOrdinal[record.ordinal] = type;
}

function applyListenerSet(state: PartitionState, record: ListenerSet): void {
  const type = typeOf(state, record.type);
  const { ordinal, name, responder, filter } = record;
  if (ordinal === type.listeners.length) type.leased = false;
  type.listeners[ordinal] = { name, responder, filter, state: 'living' };
}

function typeOf(state: PartitionState, name: string): TypeState {
  const type = state.types.get(name);
  if (!type) throw new Error(`record of a type that is not there: ${name}`);
  return type;
}

function applyAccepted(state: PartitionState, record: Accepted): void {
  const type = typeOf(state, record.type);
  state.sequence += 1;
  const event: EventState = {
    id: record.id,
    type,
    sequence: state.sequence,
    position: record.pos,
    createdAt: record.at,
    envelope: record.payload,
    status: 'pending',
    outcome: null,
    reason: null,
    startedAt: null,
    completedAt: null,
    cancelRequested: false,
    deadlineAt: record.deadlineAt ?? null,
    ended: null,
    last: null,
    settledAt: null,
    settledBy: null,
    version: 1,
    result: null,
    unarchived: record.durability === 'archive' ? [] : null,
    tree:
      record.parent === undefined ? null : { parent: record.parent, root: record.root ?? null, relaying: 0 },
    deliveries: [],
  };
  if (event.deadlineAt !== null) state.deadlines.push({ at: event.deadlineAt, event });
  type.open += 1;
  state.events.set(record.id, event);
  state.history.push(event);
  for (const listener of record.listeners ?? FIRST_ONLY) addDelivery(state, event, listener, record);
  state.bytes += eventWeight(event);
  if (record.idempotency) rememberKey(state, record, record.idempotency);
  if (event.deliveries.length > 0) return;
  completeEvent(event, record, 'fail', 'unmatched');
  settle(state, event, record);
}

const FIRST_ONLY: readonly number[] = Object.freeze([0]);

function addDelivery(state: PartitionState, event: EventState, listener: number, record: Accepted): void {
  const delivery: Delivery = {
    event,
    listener,
    state: 'waiting',
    dueAt: record.dueAt,
    expiresAt: 0,
    grants: 0,
    attempt: 0,
    attempts: [],
    place: 'none',
  };
  event.deliveries.push(delivery);
  if (event.unarchived) hold(state, delivery);
  else enqueue(state, delivery, record.at);
}

/** Without its attempts and its key. */
function eventWeight({ envelope, deliveries }: EventState): number {
  const more = Math.max(0, deliveries.length - 1) * DELIVERY_OVERHEAD_BYTES;
  return EVENT_OVERHEAD_BYTES + envelope.byteLength + more;
}

function rememberKey(
  state: PartitionState,
  record: Accepted | KeyKept,
  { scope, fingerprint, expiresAt }: KeyKept['idempotency'],
): void {
  let day = state.idempotency.get(expiresAt);
  if (!day) {
    day = new Map();
    state.idempotency.set(expiresAt, day);
  }
  day.set(scope, { id: record.id, fingerprint, createdAt: record.at });
  state.bytes += KEY_OVERHEAD_BYTES;
}

function applyGranted(state: PartitionState, record: Granted): void {
  const delivery = deliveryOf(state, record);
  const { event } = delivery;
  delivery.state = 'leased';
  delivery.place = 'none';
  delivery.grants = record.grant;
  delivery.attempt = record.attempt;
  delivery.attempts.push({
    grant: record.grant,
    attempt: record.attempt,
    token: record.token,
    worker: record.worker,
    grantedAt: record.at,
    endedAt: null,
    end: null,
    outcome: null,
    reason: null,
    retryAt: null,
    fingerprint: null,
    result: null,
    late: null,
    emitted: null,
    aside: null,
  });
  state.bytes += ATTEMPT_OVERHEAD_BYTES;
  if (delivery.attempts.length > ATTEMPTS_KEPT_MAX) forgetOldest(state, delivery);
  state.leasedCount += 1;
  setLease(state, delivery, record.expiresAt);
  if (event.status === 'pending') {
    event.status = 'in_process';
    event.startedAt = record.at;
  }
  event.version += 1;
  if (record.listener === event.type.listeners.length) event.type.leased = true;
  rememberGrant(state, record, delivery);
}

function forgetOldest(state: PartitionState, delivery: Delivery): void {
  const oldest = delivery.attempts.shift()!;
  state.bytes -= weightOf(oldest);
}

function weightOf({ result, late, emitted }: Attempt): number {
  const bytes = (result?.byteLength ?? 0) + (late?.payload.byteLength ?? 0);
  return ATTEMPT_OVERHEAD_BYTES + bytes + (emitted?.length ?? 0) * EMITTED_BYTES;
}

function rememberGrant(state: PartitionState, record: Granted, delivery: Delivery): void {
  const grant = { delivery, grant: record.grant };
  const { call, claim, expiresAt } = record;
  const known = state.calls.get(call);
  // A call that was forgotten counts its claims anew, and a fold may not have forgotten it: the end tells them apart.
  if (known && known.claim === claim && known.expiresAt === expiresAt) {
    known.grants.push(grant);
    return;
  }
  state.calls.set(call, { claim, expiresAt, grants: [grant] });
  state.callsDue.push({ at: expiresAt, call });
}

function applyHandedBack(state: PartitionState, record: HandedBack): void {
  const delivery = deliveryOf(state, record);
  endAttempt(state, delivery, record, 'handed_back');
  delivery.attempt -= 1;
  waitUntil(state, delivery, record.at, record);
}

function applyRetried(state: PartitionState, record: Retried): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'retried');
  attempt.retryAt = record.dueAt;
  keepResult(state, attempt, record);
  waitUntil(state, delivery, record.dueAt, record);
}

function applyCompleted(state: PartitionState, record: Completed): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, 'completed');
  attempt.outcome = record.outcome;
  attempt.reason = record.reason;
  keepResult(state, attempt, record);
  if (record.emitted) {
    attempt.emitted = record.emitted;
    state.bytes += record.emitted.length * EMITTED_BYTES;
  }
  endDelivery(state, delivery, record);
}

function applyDead(state: PartitionState, record: Dead): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'dead');
  keepResult(state, attempt, record);
  endDelivery(state, delivery, record);
}

/** Nobody holds it any more. */
function endUnworked(
  state: PartitionState,
  record: Cancelled | DeadlinePassed,
  reason: 'cancelled' | 'deadline',
): void {
  const event = eventOf(state, record.id);
  endWaiting(event);
  event.version += 1;
  completeEvent(event, record, 'fail', reason);
  settle(state, event, record);
}

function applyUnsubscribed(state: PartitionState, record: Unsubscribed): void {
  const delivery = deliveryOf(state, record);
  const { event } = delivery;
  if (delivery.state === 'leased') {
    endAttempt(state, delivery, record, 'unsubscribed');
  } else {
    event.version += 1;
  }
  delivery.state = 'ended';
  if (record.responder === null) completeEvent(event, record, 'fail', 'unmatched');
  else if (record.responder !== undefined) {
    const next = deliveryOf(state, { id: record.id, listener: record.responder });
    event.deliveries.splice(event.deliveries.indexOf(next), 1);
    event.deliveries.unshift(next);
    if (next.state === 'ended') completeAs(next, record);
  }
  settle(state, event, record);
}

function applyLate(state: PartitionState, record: Late): void {
  const delivery = deliveryOf(state, record);
  const attempt = findAttempt(delivery, record.grant);
  delivery.event.version += 1;
  if (!attempt) return;
  attempt.late = { at: record.at, fingerprint: record.fingerprint, payload: record.payload };
  state.bytes += record.payload.byteLength;
}

/** The event goes; its idempotency key has a life of its own. */
function applyPruned(state: PartitionState, record: Pruned): void {
  const event = eventOf(state, record.id);
  state.events.delete(event.id);
  state.history.forget(event);
  state.bytes -= eventWeight(event);
  for (const { attempts } of event.deliveries) {
    for (const attempt of attempts) state.bytes -= weightOf(attempt);
  }
  noteIndexed(state, record.index);
}

function noteIndexed(state: PartitionState, index: number): void {
  state.indexed = Math.max(state.indexed, index);
}

function applyArchived(state: PartitionState, record: Extract<Volatile, { op: 'archived' }>): void {
  state.archived = { pos: record.pos, slot: record.slot };
  // A checkpoint leaves out what matters no more, also at its end.
  if (state.last === null || comparePositions(state.last, record.pos) < 0) state.last = record.pos;
  state.outbox.trim(record.pos);
}

function endAttempt(
  state: PartitionState,
  delivery: Delivery,
  record: LogRecord & DeliveryRef,
  end: AttemptEnd,
): Attempt {
  const attempt = findAttempt(delivery, record.grant);
  if (!attempt) throw new Error(`${record.op} without its grant: ${record.id}`);
  attempt.end = end;
  attempt.endedAt = record.at;
  if (!isResponder(delivery)) attempt.aside = delivery.event.status === 'complete' ? 'complete' : 'open';
  delivery.event.version += 1;
  state.leasedCount -= 1;
  return attempt;
}

function keepResult(state: PartitionState, attempt: Attempt, record: Retried | Completed | Dead): void {
  attempt.fingerprint = record.fingerprint;
  attempt.result = record.payload;
  if (record.payload) state.bytes += record.payload.byteLength;
}

function waitUntil(state: PartitionState, delivery: Delivery, dueAt: number, record: LogRecord): void {
  delivery.state = 'waiting';
  delivery.dueAt = dueAt;
  if (!delivery.event.cancelRequested) return enqueue(state, delivery, record.at);
  // Of the responder's, the record that cancels the event comes next.
  delivery.state = 'ended';
  settle(state, delivery.event, record);
}

function eventOf(state: PartitionState, id: string): EventState {
  const event = state.events.get(id);
  if (!event) throw new Error(`record of an event that is not there: ${id}`);
  return event;
}

function deliveryOf(state: PartitionState, ref: Pick<DeliveryRef, 'id' | 'listener'>): Delivery {
  const delivery = findDelivery(eventOf(state, ref.id), ref.listener);
  if (!delivery) throw new Error(`record of a delivery that is not there: ${ref.id} ${ref.listener}`);
  return delivery;
}
