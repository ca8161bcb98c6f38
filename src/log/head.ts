/** Where the log ends, as its writer knows it, and whether the store belongs to a log that ends there. */
import { BlobError, type BlobStore } from '../blob/blob.js';
import { comparePositions, formatPosition, type Position } from '../event/record.js';
import { LogMismatchError } from './archiver-status.js';
import { floorOf } from './floor.js';
import type { LogReader } from './reader.js';
import type { Segment } from './segment.js';
import { findHeadSlot, slotKey } from './slot.js';

/** Slot 0: nothing has been written. */
export interface Head {
  readonly slot: number;
  /** Of the segment in that slot; the next one names it. */
  readonly sha256: string | null;
  /** Position of the last record in the log: the cursor into the outbox. */
  readonly to: Position | null;
  /** The writer's own: one above that of the segment it found. */
  readonly epoch: number;
  /** Of the store as it was opened; null when it was not, and each segment has the view of its last record. */
  readonly view: number | null;
}

/** What the store has noted of its own archiving. */
export interface Archived {
  readonly pos: Position;
  readonly slot: number;
}

/**
 * The segment at the log's end, sought from `knownSlot` up, a slot that is known to be taken; null when the log is
 * empty. Throws LogMismatchError when the log lacks what the store has archived: it is another one, or has lost its
 * end.
 */
export async function findHead(
  blobs: BlobStore,
  reader: LogReader,
  partition: number,
  archived: Archived | null,
  knownSlot: number,
): Promise<Segment | null> {
  const slot = await findHeadSlot(blobs, partition, Math.max(knownSlot, archived?.slot ?? 0));
  const segment = slot === 0 ? null : await reader.read(partition, slot);
  if (segment === null && slot > 0) {
    const key = slotKey(partition, slot);
    // The log has gone on since the look, and was cut.
    if ((await floorOf(blobs, partition)) > slot)
      throw new BlobError('unavailable', 'get', key, new Error('it was deleted meanwhile'));
    throw new LogMismatchError(`the store has archived up to slot ${slot}, and ${key} is not there`);
  }
  const to = segment?.header.to ?? null;
  if (archived !== null && (to === null || comparePositions(to, archived.pos) < 0)) {
    const end = to === null ? 'nothing' : formatPosition(to);
    throw new LogMismatchError(
      `the store has archived up to ${formatPosition(archived.pos)}, the log has ${end}`,
    );
  }
  return segment;
}
