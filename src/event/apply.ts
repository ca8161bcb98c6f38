/**
 * `apply(state, record)`: the fold. Every change of a partition's state is a record applied here, whether it was
 * decided just now, read from the journal or read from the log. It checks nothing: records are facts.
 *
 * The state is changed in place: a copy a record would make the queue's cost grow with its depth.
 */

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
  type LogRecord,
  type Pruned,
  type Retried,
  type StoreRecord,
  type TypeSet,
  type Volatile,
} from './record.js';
import { enqueue, hold, setLease } from './schedule.js';
import {
  ATTEMPT_OVERHEAD_BYTES,
  ATTEMPTS_KEPT_MAX,
  type Attempt,
  type AttemptEnd,
  type Delivery,
  EMITTED_BYTES,
  EVENT_OVERHEAD_BYTES,
  type EventState,
  emptyState,
  findAttempt,
  KEY_OVERHEAD_BYTES,
  type PartitionState,
  readyHeap,
  type TypeState,
} from './state.js';
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
  state.outbox.push(record);
  applyLogged(state, record);
  if (record.op !== 'typeSet') noteWhatIsUnarchived(state, record);
}

/** Nothing with `store` durability, nor of an event that is gone. */
function noteWhatIsUnarchived(state: PartitionState, record: Exclude<LogRecord, TypeSet>): void {
  const notes = state.events.get(record.id)?.unarchived;
  if (!notes) return;
  const { pos, op } = record;
  const grant = 'grant' in record ? record.grant : 0;
  noteUnarchived(notes, { pos, op, grant }, state.archived?.pos ?? null);
}

/** The change that `record` makes, without its place in the outbox. */
function applyLogged(state: PartitionState, record: LogRecord): void {
  switch (record.op) {
    case 'typeSet':
      return applyTypeSet(state, record);
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
    case 'dead':
      return applyDead(state, record);
    case 'cancelRequested': {
      const event = eventOf(state, record.id);
      event.cancelRequested = true;
      event.version += 1;
      return;
    }
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
  const type: TypeState = {
    name: record.type,
    ordinal: record.ordinal,
    ...rules,
    open: 0,
    ready: [readyHeap()],
  };
  state.types.set(record.type, type);
  state.typesByOrdinal[record.ordinal] = type;
}

function applyAccepted(state: PartitionState, record: Accepted): void {
  const type = state.types.get(record.type);
  if (!type) throw new Error(`accepted before its type: ${record.id}`);
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
    version: 1,
    result: null,
    unarchived: record.durability === 'archive' ? [] : null,
    tree: record.parent === undefined ? null : { parent: record.parent, root: record.root ?? null },
    deliveries: [],
  };
  const delivery: Delivery = {
    event,
    listener: 0,
    state: 'waiting',
    dueAt: record.dueAt,
    expiresAt: 0,
    grants: 0,
    attempt: 0,
    attempts: [],
    place: 'none',
  };
  event.deliveries.push(delivery);
  if (event.deadlineAt !== null) state.deadlines.push({ at: event.deadlineAt, event });
  type.open += 1;
  state.events.set(record.id, event);
  state.history.push(event);
  state.bytes += EVENT_OVERHEAD_BYTES + record.payload.byteLength;
  if (record.idempotency) rememberKey(state, record, record.idempotency);
  if (event.unarchived) hold(state, delivery);
  else enqueue(state, delivery, record.at);
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
  waitUntil(state, delivery, record.at, record.at);
}

function applyRetried(state: PartitionState, record: Retried): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'retried');
  attempt.retryAt = record.dueAt;
  keepResult(state, attempt, record);
  waitUntil(state, delivery, record.dueAt, record.at);
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
  delivery.state = 'ended';
  completeEvent(state, delivery.event, record, record.outcome, record.reason);
  delivery.event.result = record.payload;
}

function applyDead(state: PartitionState, record: Dead): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'dead');
  keepResult(state, attempt, record);
  delivery.state = 'ended';
  completeEvent(state, delivery.event, record, 'fail', 'attempts_exhausted');
  delivery.event.result = record.payload;
}

/** Nobody holds it any more. */
function endUnworked(
  state: PartitionState,
  record: Cancelled | DeadlinePassed,
  reason: 'cancelled' | 'deadline',
): void {
  const event = eventOf(state, record.id);
  for (const delivery of event.deliveries) delivery.state = 'ended';
  event.version += 1;
  completeEvent(state, event, record, 'fail', reason);
}

function applyLate(state: PartitionState, record: Late): void {
  const delivery = deliveryOf(state, record);
  const attempt = findAttempt(delivery, record.grant);
  delivery.event.version += 1;
  if (delivery.event.status === 'complete') delivery.event.last = record.pos;
  if (!attempt) return;
  attempt.late = { at: record.at, fingerprint: record.fingerprint, payload: record.payload };
  state.bytes += record.payload.byteLength;
}

/** The event goes; its idempotency key has a life of its own. */
function applyPruned(state: PartitionState, record: Pruned): void {
  const event = eventOf(state, record.id);
  state.events.delete(event.id);
  state.history.forget(event);
  state.bytes -= EVENT_OVERHEAD_BYTES + event.envelope.byteLength;
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
  delivery.event.version += 1;
  state.leasedCount -= 1;
  return attempt;
}

function keepResult(state: PartitionState, attempt: Attempt, record: Retried | Completed | Dead): void {
  attempt.fingerprint = record.fingerprint;
  attempt.result = record.payload;
  if (record.payload) state.bytes += record.payload.byteLength;
}

function waitUntil(state: PartitionState, delivery: Delivery, dueAt: number, now: number): void {
  delivery.state = 'waiting';
  delivery.dueAt = dueAt;
  enqueue(state, delivery, now);
}

function completeEvent(
  state: PartitionState,
  event: EventState,
  { at, pos }: LogRecord,
  outcome: EventState['outcome'],
  reason: EventState['reason'],
): void {
  event.status = 'complete';
  event.type.open -= 1;
  event.outcome = outcome;
  event.reason = reason;
  event.completedAt = at;
  event.ended = pos;
  event.last = pos;
  state.settled.push(event);
}

function eventOf(state: PartitionState, id: string): EventState {
  const event = state.events.get(id);
  if (!event) throw new Error(`record of an event that is not there: ${id}`);
  return event;
}

function deliveryOf(state: PartitionState, ref: DeliveryRef): Delivery {
  const delivery = eventOf(state, ref.id).deliveries[ref.listener];
  if (!delivery) throw new Error(`record of a delivery that is not there: ${ref.id} ${ref.listener}`);
  return delivery;
}
