/** What of the log a redrive looks at: records that may have been the end of an event that it is to send again. */
import { comparePositions, type LogRecord, type Position } from '../event/record.js';
import type { RedriveWish } from '../event/redrive-job.js';
import type { PastEnd, RedriveState } from '../event/state.js';
import type { Segment } from '../log/segment.js';

export interface Candidate {
  /** Its place among the records of the segment. */
  readonly index: number;
  readonly id: string;
  readonly pos: Position;
  /** As far as the record alone can tell, its event is wanted. */
  readonly isLikely: boolean;
}

/** A segment as a job sees it. */
export interface Scan {
  readonly slot: number;
  /** How many of its records the job is about: those before the one that made it. */
  readonly count: number;
  /** The job is about nothing behind it. */
  readonly isLast: boolean;
  readonly candidates: readonly Candidate[];
  /** When the first of its records was made; null: it has none. */
  readonly beginsAt: number | null;
}

export function scan({ header, records }: Segment, { type, until, wish }: RedriveState): Scan {
  const behind = records.findIndex(({ pos }) => comparePositions(pos, until) >= 0);
  const count = behind < 0 ? records.length : behind;
  const candidates: Candidate[] = [];
  for (let index = 0; index < count; index += 1) {
    const record = records[index]!;
    if (record.type !== type || !('id' in record) || !mayMatch(record, wish)) continue;
    candidates.push({ index, id: record.id, pos: record.pos, isLikely: isLikely(record, wish) });
  }
  return {
    slot: header.slot,
    count,
    isLast: behind >= 0,
    candidates,
    beginsAt: records[0]?.at ?? null,
  };
}

function mayMatch(record: LogRecord, wish: RedriveWish): boolean {
  const { from, to } = wish;
  if ((from !== null && record.at < from) || (to !== null && record.at >= to)) return false;
  const listener = deliveriesOf(wish);
  if (listener === null) return endsEvents(record);
  if (record.op === 'dead') return record.listener === listener;
  if (record.op !== 'completed' || wish.filter === 'dead') return false;
  return record.listener === listener && record.outcome === 'fail';
}

function isLikely(record: LogRecord, { filter }: RedriveWish): boolean {
  if (filter === 'any' || record.op === 'dead') return true;
  if (filter === 'dead') return false;
  return record.op === 'completed' ? record.outcome === 'fail' : record.op !== 'cancelled';
}

/** The listener of whose deliveries the filter speaks; null: it speaks of events. */
export function deliveriesOf({ listener, filter }: RedriveWish): number | null {
  return listener === null || filter === 'any' ? null : listener.ordinal;
}

/** Whether events may end with it; of those with several listeners not each such record was the end. */
function endsEvents(record: LogRecord): boolean {
  switch (record.op) {
    case 'completed':
    case 'dead':
    case 'cancelled':
    case 'deadlinePassed':
      return true;
    case 'unsubscribed':
      return record.responder !== undefined;
    case 'accepted':
      return record.listeners?.length === 0;
    default:
      return false;
  }
}

/** Whether the event, as it ended, is one that is wanted; `pos` is that of the record that was found. */
export function matches({ pos }: Candidate, end: PastEnd, wish: RedriveWish): boolean {
  // It was a delivery's end, and each delivery has one.
  if (deliveriesOf(wish) !== null) return true;
  const { ended, outcome, reason } = end;
  if (ended === null || comparePositions(ended, pos) !== 0) return false;
  if (wish.filter === 'dead') return reason === 'attempts_exhausted';
  return wish.filter === 'any' || (outcome === 'fail' && reason !== 'cancelled');
}
