/** Relay: events that were emitted here for other partitions, until they are known to be there for good. */
import type { Relay } from '../command.js';
import type { PartitionState } from '../state.js';
import { type Decision, Recorder } from './decision.js';

/** Those that are still to be relayed, the oldest first, from the place `skip` on. */
export function findRelays({ relays }: PartitionState, skip: number, limit: number): Relay[] {
  const ordered = [...relays.values()].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  return ordered.slice(skip, skip + limit).map(({ at: _, ...relay }) => relay);
}

/** Notes that they are there; those that are noted already are passed over. Results in how many were not. */
export function decideRelayed(
  state: PartitionState,
  children: readonly string[],
  now: number,
): Decision<number> {
  const recorder = new Recorder(state, now);
  for (const child of new Set(children)) {
    const relay = state.relays.get(child);
    if (relay) recorder.add({ op: 'relayed', id: relay.parent, child });
  }
  return { records: recorder.records, result: recorder.records.length };
}
