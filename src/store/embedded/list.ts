/**
 * A page of events, newest first: the cursor is the sequence number of the oldest event that was looked at. A page of
 * types in the order of their ordinals: the cursor is the next one.
 */
import type {
  EventView,
  ListQuery,
  ListResult,
  ListTypesQuery,
  ListTypesResult,
} from '../../event/command.js';
import { typeView } from '../../event/decide/set-type.js';
import type { EventState, PartitionState } from '../../event/state.js';
import { NOT_ARCHIVED } from '../../event/unarchived.js';
import { shownView, summaryOf } from '../../event/view.js';

const CURSOR = /^[1-9]\d{0,14}$/;

type Page = Extract<ListResult, { kind: 'page' }>;

export function listEvents(state: PartitionState, query: ListQuery): ListResult {
  if (query.cursor !== null && !CURSOR.test(query.cursor)) return { kind: 'bad_cursor' };
  const events: Page['events'][number][] = [];
  const from = query.cursor === null ? null : Number(query.cursor);
  let last: EventState | null = null;
  let scanned = 0;
  for (const event of state.history.before(from)) {
    // There is one more, so the page before it is not the last.
    if (last !== null && (scanned >= query.scanMax || events.length >= query.limit))
      return { kind: 'page', events, cursor: String(last.sequence) };
    last = event;
    scanned += 1;
    const shown = shownView(state, event);
    if (shown !== NOT_ARCHIVED && matches(shown, query)) events.push(summaryOf(shown));
  }
  return { kind: 'page', events, cursor: null };
}

function matches(event: EventView, { type, status, outcome }: ListQuery): boolean {
  return (
    (type === null || event.type === type) &&
    (status === null || event.status === status) &&
    (outcome === null || event.outcome === outcome)
  );
}

export function listTypes({ typesByOrdinal }: PartitionState, query: ListTypesQuery): ListTypesResult {
  if (query.cursor !== null && !CURSOR.test(query.cursor)) return { kind: 'bad_cursor' };
  const from = query.cursor === null ? 0 : Number(query.cursor);
  const to = from + query.limit;
  const types = typesByOrdinal.slice(from, to).map(typeView);
  return { kind: 'page', types, cursor: to < typesByOrdinal.length ? String(to) : null };
}
