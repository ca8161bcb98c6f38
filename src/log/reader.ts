/** Reads the log: one segment by its slot, or all in order, each checked against its place and the one before. */
import type { BlobStore } from '../blob/blob.js';
import { comparePositions, formatPosition, type Position } from '../event/record.js';
import type { QuickRead } from './decoder.js';
import { CorruptSegmentError, decodeSegment, type Segment } from './segment.js';
import { firstSlotFrom, slotKey } from './slot.js';

/** Looked at with every segment: a store that is still empty may learn its log later. */
export interface LogIdentity {
  readonly logId: string;
  readonly partitions: number;
}

/** The log is whole but not this store's: another `logId` or another count of partitions. */
export class ForeignLogError extends Error {
  constructor(
    readonly key: string,
    reason: string,
  ) {
    super(`segment ${key} is of another log: ${reason}`);
    this.name = 'ForeignLogError';
  }
}

/** A slot is empty, and others above it are not. */
export class MissingSegmentError extends CorruptSegmentError {
  constructor(
    key: string,
    readonly slot: number,
    above: number,
  ) {
    super(key, `it is missing, and slot ${above} is there`);
    this.name = 'MissingSegmentError';
  }
}

/** What must be known of a segment to see that the next one follows it. */
export interface Link {
  readonly sha256: string;
  /** Position of the last record up to there. */
  readonly to: Position | null;
}

export class LogReader {
  readonly #blobs: BlobStore;
  readonly #identity: LogIdentity;

  /** Who reads much may give it a quicker way to read what is whole. */
  constructor(
    blobs: BlobStore,
    identity: LogIdentity,
    private readonly quickRead?: QuickRead,
  ) {
    this.#blobs = blobs;
    this.#identity = identity;
  }

  /** Null when the slot is empty. Throws BlobError, CorruptSegmentError, ForeignLogError. */
  async read(partition: number, slot: number): Promise<Segment | null> {
    const key = slotKey(partition, slot);
    const bytes = await this.#blobs.get(key);
    if (bytes === null) return null;
    const segment = await decodeSegment(key, bytes, this.quickRead);
    const { header } = segment;
    if (header.logId !== this.#identity.logId) {
      throw new ForeignLogError(key, `its logId is ${header.logId}, not ${this.#identity.logId}`);
    }
    if (header.partitions !== this.#identity.partitions) {
      throw new ForeignLogError(
        key,
        `it has ${header.partitions} partitions, not ${this.#identity.partitions}`,
      );
    }
    if (header.slot !== slot || header.partition !== partition) {
      throw new CorruptSegmentError(
        key,
        `it is slot ${header.slot} of partition ${header.partition} by its header`,
      );
    }
    return segment;
  }

  /**
   * The segments from slot `from` on, up to the first empty slot; the first must follow `link`. Throws
   * CorruptSegmentError also when the chain of hashes breaks, or when positions go back or leave one out, and
   * MissingSegmentError when a slot is missing below another.
   */
  async *segments(partition: number, from = 1, link: Link | null = null): AsyncGenerator<Segment> {
    let before = link;
    for (let slot = from; ; slot++) {
      const segment = await this.read(partition, slot);
      if (segment === null) {
        const above = await firstSlotFrom(this.#blobs, partition, slot);
        if (above === null) return;
        // It may have been won between the two looks; what was won is there for good.
        if (above === slot) {
          slot--;
          continue;
        }
        throw new MissingSegmentError(slotKey(partition, slot), slot, above);
      }
      checkLink(slotKey(partition, slot), before, segment);
      yield segment;
      before = { sha256: segment.sha256, to: segment.header.to };
    }
  }
}

function checkLink(key: string, before: Link | null, segment: Segment): void {
  if (before === null) {
    if (segment.header.slot === 1 && segment.header.previous !== null) {
      throw new CorruptSegmentError(key, 'it names one before it, and it is the first');
    }
    return;
  }
  if (segment.header.previous !== before.sha256) {
    throw new CorruptSegmentError(
      key,
      `it follows a segment with SHA-256 ${segment.header.previous}, the one before it has ${before.sha256}`,
    );
  }
  const { from } = segment.header;
  const cursor = before.to;
  if (from !== null && !followsOn(cursor, from)) {
    throw new CorruptSegmentError(
      key,
      `it begins at ${formatPosition(from)} after ${cursor && formatPosition(cursor)}`,
    );
  }
}

/** Whether no record is missing between the two: the next of the same view, or one of a later view. */
export function followsOn(cursor: Position | null, next: Position): boolean {
  if (cursor === null) return true;
  return cursor.view === next.view ? next.n === cursor.n + 1 : comparePositions(cursor, next) < 0;
}
