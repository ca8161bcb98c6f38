/** How the events of a type stand, without a look at each: for operators, and for clients that wonder whether anybody is there. */
import type { LeaseCommand, TypeStats } from './command.js';
import { consumersOf, ordinalFor } from './listeners.js';
import { countsOf } from './place.js';
import { peekReady } from './schedule.js';
import type { PartitionState, TypeState } from './state.js';

/** Notes that the listener has asked for leases of the types. */
export function noteAsked(state: PartitionState, command: LeaseCommand, now: number): void {
  for (const name of command.types) {
    const type = state.types.get(name);
    const ordinal = type ? ordinalFor(type.listeners, command.listener) : null;
    if (type && ordinal !== null) type.asked[ordinal] = now;
  }
}

/** `now` is the store's time. Drops entries of the ready queues that are stale. */
export function viewStats(type: TypeState, now: number): TypeStats {
  const listeners = consumersOf(type.listeners).map(({ name, ordinal }) => {
    const { ready, delayed, leased } = countsOf(type, ordinal);
    const oldestAt = peekReady(type, ordinal)?.event.createdAt ?? null;
    return { name, ready, delayed, leased, oldestAt, askedAt: type.asked[ordinal] ?? null };
  });
  return { type: type.name, paused: type.paused, open: type.open, now, listeners };
}
