/** The story of a delivery: its leases, one after another, and how each ended. */
import { completeAs, completeEvent, end, endDelivery, settle } from '../ending.js';
import { countLease, moveTo } from '../place.js';
import type {
  Completed,
  Dead,
  DeliveryRef,
  Granted,
  HandedBack,
  Late,
  LogRecord,
  Retried,
  Unsubscribed,
} from '../record.js';
import { enqueue, setLease } from '../schedule.js';
import {
  ATTEMPT_OVERHEAD_BYTES,
  ATTEMPTS_KEPT_MAX,
  type Attempt,
  type AttemptEnd,
  type Delivery,
  EMITTED_BYTES,
  findAttempt,
  isResponder,
  type PartitionState,
} from '../state.js';
import { deliveryOf } from './find.js';

export function applyGranted(state: PartitionState, record: Granted): void {
  const delivery = deliveryOf(state, record);
  const { event } = delivery;
  delivery.state = 'leased';
  moveTo(delivery, 'none');
  countLease(delivery, 1);
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

export function weightOf({ result, late, emitted }: Attempt): number {
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

export function applyHandedBack(state: PartitionState, record: HandedBack): void {
  const delivery = deliveryOf(state, record);
  endAttempt(state, delivery, record, 'handed_back');
  delivery.attempt -= 1;
  waitUntil(state, delivery, record.at, record);
}

export function applyRetried(state: PartitionState, record: Retried): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'retried');
  attempt.retryAt = record.dueAt;
  keepResult(state, attempt, record);
  waitUntil(state, delivery, record.dueAt, record);
}

export function applyCompleted(state: PartitionState, record: Completed): void {
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

export function applyDead(state: PartitionState, record: Dead): void {
  const delivery = deliveryOf(state, record);
  const attempt = endAttempt(state, delivery, record, record.why === 'expired' ? 'expired' : 'dead');
  keepResult(state, attempt, record);
  endDelivery(state, delivery, record);
}

export function applyUnsubscribed(state: PartitionState, record: Unsubscribed): void {
  const delivery = deliveryOf(state, record);
  const { event } = delivery;
  if (delivery.state === 'leased') {
    endAttempt(state, delivery, record, 'unsubscribed');
  } else {
    event.version += 1;
  }
  end(state, delivery);
  if (record.responder === null) completeEvent(event, record, 'fail', 'unmatched');
  else if (record.responder !== undefined) {
    const next = deliveryOf(state, { id: record.id, listener: record.responder });
    event.deliveries.splice(event.deliveries.indexOf(next), 1);
    event.deliveries.unshift(next);
    if (next.state === 'ended') completeAs(next, record);
  }
  settle(state, event, record);
}

export function applyLate(state: PartitionState, record: Late): void {
  const delivery = deliveryOf(state, record);
  const attempt = findAttempt(delivery, record.grant);
  delivery.event.version += 1;
  if (!attempt) return;
  attempt.late = { at: record.at, fingerprint: record.fingerprint, payload: record.payload };
  state.bytes += record.payload.byteLength;
}

function endAttempt(
  state: PartitionState,
  delivery: Delivery,
  record: LogRecord & DeliveryRef,
  how: AttemptEnd,
): Attempt {
  const attempt = findAttempt(delivery, record.grant);
  if (!attempt) throw new Error(`${record.op} without its grant: ${record.id}`);
  attempt.end = how;
  attempt.endedAt = record.at;
  if (!isResponder(delivery)) attempt.aside = delivery.event.status === 'complete' ? 'complete' : 'open';
  delivery.event.version += 1;
  state.leasedCount -= 1;
  countLease(delivery, -1);
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
  end(state, delivery);
  settle(state, delivery.event, record);
}
