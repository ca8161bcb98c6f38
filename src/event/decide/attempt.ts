/** What the operations on an attempt share: finding it, judging its lease, and ending it. */
import { formatAttemptId, parseAttemptId } from '../attempt-id.js';
import { backoffMs } from '../policy.js';
import {
  type Attempt,
  type Delivery,
  deadlineHasPassed,
  findAttempt,
  findDelivery,
  isResponder,
  leaseExpired,
  type PartitionState,
} from '../state.js';
import { recordDeadline } from './deadline.js';
import type { Recorder } from './decision.js';

export interface Found {
  readonly delivery: Delivery;
  readonly attempt: Attempt;
}

/** Its delivery is known and it is not: it is one of very many, or its grant was lost with what was not archived. */
type Forgotten = 'forgotten';

/** The attempt that `attemptId` names, or null when there is no such event or delivery. */
export function findByAttemptId(state: PartitionState, attemptId: string): Found | Forgotten | null {
  const ref = parseAttemptId(attemptId);
  if (!ref) return null;
  const event = state.events.get(ref.id);
  if (!event || event.type.ordinal !== ref.typeOrdinal) return null;
  const delivery = findDelivery(event, ref.listener);
  if (!delivery) return null;
  const attempt = findAttempt(delivery, ref.grant);
  return attempt ? { delivery, attempt } : 'forgotten';
}

/** The caller holds the lease: the attempt is the live one, the token is its own, the time is not up. */
export function holdsLease(
  state: PartitionState,
  { delivery, attempt }: Found,
  token: string,
  now: number,
): boolean {
  return attempt.end === null && attempt.token === token && !isOver(state, delivery, now);
}

/** A lease nobody noticed has ended. */
export function isOverdue(state: PartitionState, { delivery, attempt }: Found, now: number): boolean {
  return attempt.end === null && isOver(state, delivery, now);
}

function isOver({ limits }: PartitionState, delivery: Delivery, now: number): boolean {
  return leaseExpired(delivery, now, limits) || deadlineHasPassed(delivery.event, now);
}

/** Ends a lease that is overdue: with its event, when that is overdue too. */
export function recordOverdue(recorder: Recorder, delivery: Delivery, now: number): void {
  if (deadlineHasPassed(delivery.event, now)) recordDeadline(recorder, delivery.event, now);
  else recordExpiry(recorder, delivery, now);
}

/**
 * Ends an expired lease: it counts as an attempt, so the delivery is retried after its backoff or dead. `cancelling`:
 * somebody asked to cancel the event, and the next attempt is the one it will not have.
 */
export function recordExpiry(
  recorder: Recorder,
  delivery: Delivery,
  now: number,
  cancelling = delivery.event.cancelRequested,
): void {
  const { event, listener, grants: grant, attempt } = delivery;
  const ref = { id: event.id, listener, grant };
  const nothing = { fingerprint: null, payload: null };
  if (cancelling) {
    recorder.add({ op: 'retried', ...ref, why: 'expired', dueAt: now, ...nothing });
    recordCancelled(recorder, delivery);
  } else if (attempt >= event.type.policy.attemptsMax) {
    recorder.add({ op: 'dead', ...ref, why: 'expired', ...nothing });
  } else {
    const dueAt = now + backoffMs(event.type.policy, attempt, attemptIdOf(delivery));
    recorder.add({ op: 'retried', ...ref, why: 'expired', dueAt, ...nothing });
  }
}

/** Somebody asked to cancel the event, and nobody works on its responder's delivery any more. */
export function recordCancelled(recorder: Recorder, delivery: Delivery): void {
  const { event } = delivery;
  if (isResponder(delivery) && event.status !== 'complete') recorder.add({ op: 'cancelled', id: event.id });
}

export function attemptIdOf({ event, listener, grants }: Delivery): string {
  return formatAttemptId(event.id, event.type.ordinal, listener, grants);
}
