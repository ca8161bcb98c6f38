/**
 * Prune: events that ended long ago leave the store once the log has all of their records. What may leave is looked at
 * first, so that it can be put into the log's index; an event to which something has happened meanwhile stays.
 */
import type { PruneCommand, SettledEvent } from '../command.js';
import { comparePositions } from '../record.js';
import type { EventState, PartitionState } from '../state.js';
import { attemptsOf, summaryOf, viewOf } from '../view.js';
import { type Decision, Recorder } from './decision.js';

/**
 * Those that settled long enough ago and are archived, the longest settled first; behind them those of types that have a
 * retention of their own, type by type.
 */
export function findSettled(
  state: PartitionState,
  retentionMs: number,
  limit: number,
  now: number,
): SettledEvent[] {
  const found = oldOf(state, state.settled, limit, now - retentionMs);
  for (const { settled, declared } of state.typesByOrdinal) {
    if (settled === null || found.length >= limit) continue;
    const until = now - (declared?.retentionMs ?? retentionMs);
    found.push(...oldOf(state, settled, limit - found.length, until));
  }
  return found.map(settledView);
}

function oldOf(
  state: PartitionState,
  settled: PartitionState['settled'],
  limit: number,
  until: number,
): EventState[] {
  return settled.find(limit, {
    isKept: (event) => state.events.get(event.id) === event,
    isYoung: (event) => event.settledAt! > until,
    mayLeave: (event) => isArchived(state, event),
  });
}

export function decidePrune(state: PartitionState, command: PruneCommand, now: number): Decision<number> {
  const recorder = new Recorder(state, now);
  const pruned = new Set<string>();
  for (const { id, version } of command.events) {
    const event = state.events.get(id);
    if (!event || event.version !== version || pruned.has(id)) continue;
    if (event.settledAt === null || !isArchived(state, event)) continue;
    recorder.add({ op: 'pruned', id, index: command.index });
    pruned.add(id);
  }
  return { records: recorder.records, result: pruned.size };
}

/** All that there is of it; while something that it emitted is on its way, there is more to come. */
function isArchived({ archived }: PartitionState, { last, tree }: EventState): boolean {
  if (tree && tree.relaying > 0) return false;
  return archived !== null && last !== null && comparePositions(last, archived.pos) <= 0;
}

function settledView(event: EventState): SettledEvent {
  const { result } = event;
  const attempts = attemptsOf(event).map((attempt) => {
    const own = result !== null && attempt.result === result;
    return { ...attempt, own, result: own ? null : attempt.result };
  });
  return { event: summaryOf(viewOf(event)), ended: event.ended!, attempts };
}
