/**
 * What of an event is not archived yet. An event with `archive` durability keeps a note of each of its records until
 * the record is in the log: nothing of it may be shown, or answered, that a failover could take back.
 */
import { comparePositions, type LogOp, type Position } from './record.js';

/** What promises the answers about an event make: as durable as the store is, or archived. */
export type Durability = 'store' | 'archive';

/** What a read answers about an event whose acceptance is not archived yet: neither known nor unknown. */
export const NOT_ARCHIVED = 'not_archived';
export type NotArchived = typeof NOT_ARCHIVED;

export interface Unarchived {
  readonly pos: Position;
  readonly op: LogOp;
  /** Of the attempt that the record is about; 0: of none. */
  readonly grant: number;
  /** Of the delivery that it is about; left out: 0. */
  readonly listener?: number;
  /** With `unsubscribed`, of a responder: its listener, which was the responder's until then. */
  readonly responder?: number;
}

/** Notes a record; those that have been archived since are let go. */
export function noteUnarchived(notes: Unarchived[], record: Unarchived, archived: Position | null): void {
  const first = notes.findIndex(({ pos }) => isBeyond(pos, archived));
  notes.splice(0, first < 0 ? notes.length : first);
  notes.push(record);
}

/** The notes of what is not archived, oldest first. */
export function unarchivedOf(
  notes: readonly Unarchived[] | null,
  archived: Position | null,
): readonly Unarchived[] {
  return notes === null ? NONE : notes.filter(({ pos }) => isBeyond(pos, archived));
}

/** What must be archived before anything may be answered that depends on all of the event; null: nothing. */
export function newestUnarchived(
  notes: readonly Unarchived[] | null,
  archived: Position | null,
): Position | null {
  const newest = notes?.at(-1)?.pos;
  return newest !== undefined && isBeyond(newest, archived) ? newest : null;
}

const NONE: readonly Unarchived[] = Object.freeze([]);

export function isBeyond(pos: Position, archived: Position | null): boolean {
  return archived === null || comparePositions(pos, archived) > 0;
}
