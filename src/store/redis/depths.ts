/** How much a partition holds, for metrics. */
import { DEPTHS_TYPES_MAX, type Depths } from '../store.js';
import type { Partition } from './partition.js';

/** Of the one listener that every type has. */
const LISTENER = 0;

export async function depths(partition: Partition): Promise<Depths> {
  await partition.learnTypes();
  const types = partition.typesKnown;
  const few = types <= DEPTHS_TYPES_MAX;
  const queues = Array.from({ length: few ? types : 0 }, (_, ordinal) => [
    partition.keys.fresh(ordinal, LISTENER),
    partition.keys.again(ordinal, LISTENER),
  ]).flat();
  const counts = (await partition.run('depths', [], queues)) as number[];
  const [events, leased, delayed, outbox, ready] = counts as [number, number, number, number, number];
  return { events, ready: few ? ready : null, delayed, leased, outbox };
}
