/** A page of events, newest first. The cursor is the sequence number of the oldest event that was looked at. */
import type { ListQuery, ListResult } from '../../event/command.js';
import type { EventState, PartitionState } from '../../event/state.js';
import { viewOf } from '../../event/view.js';

const CURSOR = /^[1-9]\d{0,14}$/;

type Page = Extract<ListResult, { kind: 'page' }>;

export function listEvents({ history }: PartitionState, query: ListQuery): ListResult {
  if (query.cursor !== null && !CURSOR.test(query.cursor)) return { kind: 'bad_cursor' };
  const events: Page['events'][number][] = [];
  let index = query.cursor === null ? history.length : placeOf(history, Number(query.cursor));
  const last = Math.max(0, index - query.scanMax);
  while (index > last && events.length < query.limit) {
    index -= 1;
    const event = history[index]!;
    if (!matches(event, query)) continue;
    const { result: _, ...shown } = viewOf(event);
    events.push(shown);
  }
  return { kind: 'page', events, cursor: index > 0 ? String(history[index]!.sequence) : null };
}

function matches(event: EventState, { type, status, outcome }: ListQuery): boolean {
  return (
    (type === null || event.type.name === type) &&
    (status === null || event.status === status) &&
    (outcome === null || event.outcome === outcome)
  );
}

/** The place of the first event whose sequence number is not below `sequence`. */
function placeOf(history: readonly EventState[], sequence: number): number {
  let low = 0;
  let high = history.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (history[middle]!.sequence < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
