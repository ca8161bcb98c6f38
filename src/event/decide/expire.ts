/** Expire: leases whose time is up end, whether or not their holders know; and events whose deadline has passed. */
import type { ExpireResult } from '../command.js';
import { forgetIdempotent } from '../idempotency.js';
import type { Volatile } from '../record.js';
import { leaseEntryHolds } from '../schedule.js';
import { type Delivery, leaseExpired, type PartitionState } from '../state.js';
import { recordExpiry } from './attempt.js';
import { decideDeadlines } from './deadline.js';
import { type Decision, Recorder } from './decision.js';

/** Takes the entries of what it ends out of the index, so its records must be applied. */
export function decideExpire(state: PartitionState, limit: number, now: number): Decision<ExpireResult> {
  const deadlines = decideDeadlines(state, limit, now);
  // Leases are looked at once there are none of those: they end with their events.
  if (deadlines.result > 0)
    return { records: deadlines.records, result: { expired: 0, deadlines: deadlines.result, more: true } };
  const orphaned =
    state.leasedUntil - now > state.limits.leaseMsMax ? resortAfterStepBack(state, now) : NONE_ORPHANED;
  const expired = takeExpired(state, limit, now);
  const recorder = new Recorder(state, now);
  for (const delivery of expired) recordExpiry(recorder, delivery, now);
  const records = [...newEnds(orphaned, expired, now), ...recorder.records];
  return { records, result: { expired: expired.size, deadlines: 0, more: expired.size === limit } };
}

const NONE_ORPHANED: ReadonlySet<Delivery> = new Set();

function takeExpired(state: PartitionState, limit: number, now: number): Set<Delivery> {
  const expired = new Set<Delivery>();
  while (expired.size < limit) {
    const entry = state.leased.peek();
    if (!entry || entry.at > now) break;
    state.leased.pop();
    if (leaseEntryHolds(entry)) expired.add(entry.delivery);
  }
  return expired;
}

/**
 * The clock has stepped back, so leases may end further away than any lease may last. Those are over (invariant
 * L2), but stand at the far end of the heap: each is given the present as its end. Rare, hence the whole scan.
 */
function resortAfterStepBack(state: PartitionState, now: number): Set<Delivery> {
  const orphaned = new Set<Delivery>();
  state.leased.retain((entry) => {
    if (!leaseEntryHolds(entry)) return false;
    if (!leaseExpired(entry.delivery, now, state.limits)) return true;
    orphaned.add(entry.delivery);
    return false;
  });
  state.leasedUntil = now + state.limits.leaseMsMax;
  for (const delivery of orphaned) {
    delivery.expiresAt = now;
    state.leased.push({ at: now, delivery });
  }
  return orphaned;
}

/** Those that this call does not come to keep their new end, also when the state is folded from records. */
function newEnds(orphaned: ReadonlySet<Delivery>, expired: ReadonlySet<Delivery>, now: number): Volatile[] {
  return [...orphaned]
    .filter((delivery) => !expired.has(delivery))
    .map(({ event, listener, grants: grant }) => ({
      op: 'extended',
      id: event.id,
      listener,
      grant,
      expiresAt: now,
    }));
}

/** Forgets idempotency keys and lease calls whose time is up. Nothing that anybody may still ask for. */
export function forgetPast(state: PartitionState, now: number): void {
  forgetIdempotent(state, now);
  for (let due = state.callsDue.peek(); due && due.at <= now; due = state.callsDue.peek()) {
    state.callsDue.pop();
    const call = state.calls.get(due.call);
    if (call && call.expiresAt <= now) state.calls.delete(due.call);
  }
}
