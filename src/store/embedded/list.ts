/** A page of events, newest first. The cursor is the sequence number of the oldest event that was looked at. */
import type { ListQuery, ListResult } from '../../event/command.js';
import type { EventState, PartitionState } from '../../event/state.js';
import { viewOf } from '../../event/view.js';

const CURSOR = /^[1-9]\d{0,14}$/;

type Page = Extract<ListResult, { kind: 'page' }>;

export function listEvents({ history }: PartitionState, query: ListQuery): ListResult {
  if (query.cursor !== null && !CURSOR.test(query.cursor)) return { kind: 'bad_cursor' };
  const events: Page['events'][number][] = [];
  const from = query.cursor === null ? null : Number(query.cursor);
  let last: EventState | null = null;
  let scanned = 0;
  for (const event of history.before(from)) {
    // There is one more, so the page before it is not the last.
    if (last !== null && (scanned >= query.scanMax || events.length >= query.limit))
      return { kind: 'page', events, cursor: String(last.sequence) };
    last = event;
    scanned += 1;
    if (!matches(event, query)) continue;
    const { result: _, ...shown } = viewOf(event);
    events.push(shown);
  }
  return { kind: 'page', events, cursor: null };
}

function matches(event: EventState, { type, status, outcome }: ListQuery): boolean {
  return (
    (type === null || event.type.name === type) &&
    (status === null || event.status === status) &&
    (outcome === null || event.outcome === outcome)
  );
}
