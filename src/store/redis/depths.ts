/** How much a partition holds, for metrics. */
import { DEPTHS_TYPES_MAX, type Depths } from '../store.js';
import type { Partition } from './partition.js';

export async function depths(partition: Partition): Promise<Depths> {
  await partition.learnTypes();
  const types = partition.typesKnown;
  const few = types <= DEPTHS_TYPES_MAX;
  const queues = Array.from({ length: few ? types : 0 }, (_, ordinal) => queuesOf(partition, ordinal)).flat();
  const counts = (await partition.run('depths', [], queues)) as number[];
  const [events, leased, delayed, outbox, ready] = counts as [number, number, number, number, number];
  return { events, ready: few ? ready : null, delayed, leased, outbox };
}

/** Of all listeners that the type is known to have had, and of the vacant ordinal. */
function queuesOf(partition: Partition, type: number): string[] {
  const { keys } = partition;
  const listeners = [...partition.listenersOf(type).keys(), partition.listenersOf(type).length];
  return listeners.flatMap((listener) => [keys.fresh(type, listener), keys.again(type, listener)]);
}
