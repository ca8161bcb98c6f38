/**
 * Verifying a log: whether every segment is whole and in its place, whether the chain of hashes, epochs, views and
 * positions goes through without a gap, and whether the records fold. Reads only, so it may be done while others write:
 * what is there when the end is reached is what is judged.
 */
import type { BlobStore } from '../blob/blob.js';
import { partitionOfId } from '../event/id.js';
import { formatPosition, type LogOp, type LogRecord } from '../event/record.js';
import { partitionOfType } from '../store/store.js';
import { CheckpointDamagedError, listCheckpoints, readManifest, readParts } from './checkpoint.js';
import { objectsUnder } from './discovery.js';
import { floorOf } from './floor.js';
import { type EventCounts, LogFold } from './fold.js';
import { ForeignLogError, type LogIdentity, LogReader } from './reader.js';
import { isLogRecord } from './record-line.js';
import { CorruptSegmentError, type Segment } from './segment.js';
import { slotFolder, slotKey, slotOfKey } from './slot.js';

/** The first thing that is wrong; what comes after it was not looked at. */
export interface Fault {
  readonly key: string;
  readonly reason: string;
}

export interface PartitionReport {
  readonly partition: number;
  /** Null: the partition is empty. */
  readonly firstSlot: number | null;
  readonly lastSlot: number | null;
  readonly segments: number;
  readonly fences: number;
  /** Of the objects, compressed. */
  readonly bytes: number;
  readonly records: number;
  readonly recordsByOp: Partial<Record<LogOp, number>>;
  /** Positions of the first and the last record. */
  readonly from: string | null;
  readonly to: string | null;
  /** When the first and the last record happened, ms since the epoch. */
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  readonly epoch: number | null;
  readonly view: number | null;
  /** Null, with the digest, when the fold has no beginning (retention took it) or a fault stopped it. */
  readonly events: EventCounts | null;
  readonly digest: string | null;
  /** The first slot from which on everything is there; 1: nothing was ever deleted. */
  readonly floor: number;
  /** Slots of the checkpoints, each of which was read. */
  readonly checkpoints: readonly number[];
  readonly fault: Fault | null;
  /** Objects that lie in the partition's folder and are no segments. */
  readonly strangers: readonly string[];
}

/** Called after each segment with how many are done, of how many there were at the beginning. */
export type Progress = (done: number, total: number) => void;

const STRANGERS_TOLD_MAX = 10;

/** Throws BlobError; whatever is wrong with the log itself is in the report. */
export async function verifyPartition(
  blobs: BlobStore,
  identity: LogIdentity,
  partition: number,
  progress: Progress,
): Promise<PartitionReport> {
  const floor = await floorOf(blobs, partition);
  const { first, count, sizes, strangers } = await inventory(blobs, partition, floor);
  const walk = new Walk(identity, partition, first, floor);
  try {
    await walk.readCheckpoints(blobs);
    if (first !== null) {
      for await (const segment of new LogReader(blobs, identity).segments(partition, first)) {
        walk.take(segment);
        progress(walk.report.segments, Math.max(count, walk.report.segments));
      }
    }
  } catch (error) {
    if (error instanceof ForeignLogError) walk.fail(error.key, error.message);
    else if (error instanceof CorruptSegmentError || error instanceof CheckpointDamagedError)
      walk.fail(error.key, error.reason);
    else throw error;
  }
  return { ...walk.finish(), bytes: sizes, strangers };
}

/** From the floor on: what is below it is what deleting has left. */
async function inventory(blobs: BlobStore, partition: number, floor: number) {
  let first: number | null = null;
  let count = 0;
  let sizes = 0;
  const strangers: string[] = [];
  for await (const { key, bytes } of objectsUnder(blobs, slotFolder(partition))) {
    const slot = slotOfKey(key);
    if (slot === null) {
      if (strangers.length < STRANGERS_TOLD_MAX) strangers.push(key);
      continue;
    }
    if (slot < floor) continue;
    first ??= slot;
    count += 1;
    sizes += bytes;
  }
  return { first, count, sizes, strangers };
}

type Draft = { -readonly [Field in keyof PartitionReport]: PartitionReport[Field] };

/** One partition from its first segment to its last. */
class Walk {
  readonly report: Draft;
  /** Null when the log's beginning is gone, and no checkpoint stands in for it: nothing can be folded then. */
  #fold: LogFold | null;
  /** Up to there the fold comes from a checkpoint. */
  #foldedTo = 0;

  constructor(
    private readonly identity: LogIdentity,
    private readonly partition: number,
    firstSlot: number | null,
    floor: number,
  ) {
    this.#fold = firstSlot === null || firstSlot === 1 ? new LogFold() : null;
    this.report = {
      partition,
      firstSlot,
      lastSlot: null,
      segments: 0,
      fences: 0,
      bytes: 0,
      records: 0,
      recordsByOp: {},
      from: null,
      to: null,
      firstAt: null,
      lastAt: null,
      epoch: null,
      view: null,
      events: null,
      digest: null,
      floor,
      checkpoints: [],
      fault: null,
      strangers: [],
    };
  }

  /** Reads each; where the log was cut, its fold begins with the oldest. */
  async readCheckpoints(blobs: BlobStore): Promise<void> {
    const { report, identity, partition } = this;
    const read: number[] = [];
    report.checkpoints = read;
    for (const { slot, finished } of await listCheckpoints(blobs, partition)) {
      const manifest = finished ? await readManifest(blobs, identity, partition, slot) : null;
      if (manifest === null) continue;
      const begins = this.#fold === null && slot >= report.floor - 1;
      if (begins) [this.#fold, this.#foldedTo] = [new LogFold(), slot];
      for await (const records of readParts(blobs, manifest)) {
        for (const record of begins ? records : []) if (isLogRecord(record)) this.#fold?.add(record);
      }
      read.push(slot);
    }
  }

  take({ header, records }: Segment): void {
    const { report } = this;
    const key = slotKey(this.partition, header.slot);
    for (const what of ['epoch', 'view'] as const) {
      const before = report[what];
      if (before !== null && header[what] < before) {
        throw new CorruptSegmentError(key, `its ${what} is ${header[what]}, after ${before}`);
      }
      report[what] = header[what];
    }
    report.lastSlot = header.slot;
    report.segments += 1;
    if (header.kind === 'fence') report.fences += 1;
    for (const record of records) this.#takeRecord(key, record, header.slot > this.#foldedTo);
  }

  fail(key: string, reason: string): void {
    this.report.fault = { key, reason };
    this.#fold = null;
  }

  finish(): PartitionReport {
    // Counts and digest are of all that ever was.
    return { ...this.report, ...(this.#foldedTo === 0 ? this.#fold?.finish() : {}) };
  }

  #takeRecord(key: string, record: LogRecord, isNew: boolean): void {
    const { report } = this;
    const position = formatPosition(record.pos);
    const misplaced = misplacedBy(record, this.identity.partitions, this.partition);
    if (misplaced !== null) throw new CorruptSegmentError(key, `its record ${position} is of ${misplaced}`);
    try {
      if (isNew) this.#fold?.add(record);
    } catch (error) {
      throw new CorruptSegmentError(
        key,
        `its record ${position} does not fold: ${(error as Error).message}`,
        error,
      );
    }
    report.records += 1;
    report.recordsByOp[record.op] = (report.recordsByOp[record.op] ?? 0) + 1;
    report.from ??= position;
    report.to = position;
    report.firstAt ??= record.at;
    report.lastAt = record.at;
  }
}

/** What of the record belongs into another partition, in words; null when nothing does. */
function misplacedBy(record: LogRecord, partitions: number, partition: number): string | null {
  const byId = 'id' in record ? partitionOfId(record.id) : partition;
  if (byId !== partition)
    return `an event whose id names ${byId === null ? 'no partition' : `partition ${byId}`}`;
  const byType = partitionOfType(record.type, partitions);
  return byType === partition
    ? null
    : `the type ${JSON.stringify(record.type)}, whose partition is ${byType}`;
}
