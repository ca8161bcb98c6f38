/** What a state says of events, types, keys and index, apart from how it came to be so. */
import type { PartitionState } from '../../src/event/state.js';
import { attemptsOf, viewOf } from '../../src/event/view.js';

/** Without what has ended by `now` and may be forgotten at any time. */
export function factsOf(state: PartitionState, now: number): unknown {
  const keys = [...state.idempotency].filter(([expiresAt]) => expiresAt > now).sort(([a], [b]) => a - b);
  const events = [...state.events.values()].map((event) => [
    viewOf(event),
    attemptsOf(event).map(({ expiresAt: _, ...attempt }) => attempt),
  ]);
  const types = state.typesByOrdinal.map(
    ({ name, version, declared, policy, paused, open, listeners, leased }) => [
      ...[name, version, declared, policy, paused, open],
      ...[listeners, leased],
    ],
  );
  const relays = [...state.relays.values()];
  const trees = [...state.trees]
    .map(([root, { changed: _, promised: __, ...counts }]) => [root, counts])
    .sort();
  const { leaving } = state;
  return { events, types, leaving, indexed: state.indexed, keys, relays, trees };
}
