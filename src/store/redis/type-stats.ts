/** How the events of a type stand, see lua/type-stats.lua. */
import type { ListenerStats, TypeStats } from '../../event/command.js';
import { consumersOf } from '../../event/listeners.js';
import { StoreError } from '../store.js';
import type { Partition } from './partition.js';

/** A script that asks for another look has dropped a thousand dead entries, or heard of new listeners. */
const ROUNDS_MAX = 1_000;
const FIELDS = 5;

export async function typeStats(partition: Partition, type: string): Promise<TypeStats | null> {
  if (partition.ordinalOf(type) === null) await partition.learnTypes();
  const ordinal = partition.ordinalOf(type);
  if (ordinal === null) return null;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const version = partition.listenersVersion;
    const consumers = consumersOf(partition.listenersOf(ordinal));
    const { keys } = partition;
    const queues = consumers.flatMap((each) => [
      keys.fresh(ordinal, each.ordinal),
      keys.again(ordinal, each.ordinal),
    ]);
    const args = [version, ordinal, ...consumers.map((each) => each.ordinal)];
    const [answer, ...rest] = (await partition.run('type-stats', args, queues)) as [Buffer, ...number[]];
    if (answer.toString() === 'stale') {
      if (partition.listenersVersion === version) await partition.learnListeners();
      continue;
    }
    if (answer.toString() === 'again') continue;
    const [now, paused, open, ...counts] = rest as [number, number, number, ...number[]];
    const listeners = consumers.map(({ name }, index) =>
      listenerStats(name, counts.slice(index * FIELDS, (index + 1) * FIELDS)),
    );
    return { type, paused: paused === 1, open: atLeastNone(open), now, listeners };
  }
  throw new StoreError('unavailable', 'type-stats', 'the queues do not come to rest');
}

function listenerStats(name: string, counts: readonly number[]): ListenerStats {
  const [ready, delayed, leased, oldestAt, askedAt] = counts as [number, number, number, number, number];
  return {
    name,
    ready: atLeastNone(ready),
    delayed: atLeastNone(delayed),
    leased: atLeastNone(leased),
    oldestAt: oldestAt || null,
    askedAt: askedAt || null,
  };
}

/** What was there before it was counted is missed when it goes. */
function atLeastNone(count: number): number {
  return Math.max(0, count);
}
