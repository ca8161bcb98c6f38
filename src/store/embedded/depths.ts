/** How much a state holds, for metrics. */
import type { PartitionState, TypeState } from '../../event/state.js';
import { DEPTHS_TYPES_MAX, type Depths } from '../store.js';

export function depthsOf(state: PartitionState): Depths {
  const { events, typesByOrdinal, held, leasedCount: leased, outbox } = state;
  const delayed = state.delayed.size + held.size;
  const few = typesByOrdinal.length <= DEPTHS_TYPES_MAX;
  const ready = few ? typesByOrdinal.reduce((sum, type) => sum + readyIn(type), 0) : null;
  return { events: events.size, ready, delayed, leased, outbox: outbox.length };
}

function readyIn(type: TypeState): number {
  return type.ready.reduce((sum, queue) => sum + (queue?.size ?? 0), 0);
}
