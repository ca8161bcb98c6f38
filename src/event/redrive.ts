/**
 * Redrives: jobs that send past events of a type again, as new events. What a job wants and how far it is are records like
 * all else, so that it survives whoever works on it; the work itself is done outside of the store, which only makes sure
 * that of two that work on one job at the same time one goes on.
 */
import type { RedriveSet } from './record.js';
import type { EventState, PartitionState, PastEnd, RedriveState } from './state.js';

/** Jobs of a partition that are remembered; those that have ended make way, the oldest first. */
export const REDRIVES_KEPT_MAX = 100;
/** Jobs of a partition that are under way at one time. */
export const REDRIVES_RUNNING_MAX = 10;

export function applyRedriveSet(state: PartitionState, record: RedriveSet): void {
  const { type, redrive: id, step, status, startedAt, endedAt, until, wish, progress } = record;
  if (record.forgets !== undefined) state.redrives.delete(record.forgets);
  const idempotency = record.idempotency ?? null;
  state.redrives.set(id, {
    id,
    type,
    step,
    status,
    startedAt,
    endedAt,
    until,
    wish,
    progress,
    idempotency,
  });
}

function pastEnd({ ended, outcome, reason, unarchived, key }: EventState): PastEnd {
  return { ended, outcome, reason, durability: unarchived === null ? 'store' : 'archive', key };
}

/** Null for those that are not known. */
export function findEnds({ events }: PartitionState, ids: readonly string[]): (PastEnd | null)[] {
  return ids.map((id) => {
    const event = events.get(id);
    return event ? pastEnd(event) : null;
  });
}

export function findRedrives({ redrives }: PartitionState, which: 'all' | 'running'): RedriveState[] {
  return [...redrives.values()].filter(({ status }) => which === 'all' || status === 'running');
}
