/**
 * Recovery: a store is brought up to the log, to exactly the fence that was won for it, while its gate is closed.
 *
 * A store whose records the log goes on from gets what it lacks, and keeps what it has beyond the log in its outbox.
 * When the log has data of a view that the store never had, the store is an old copy that went its own way: it is
 * emptied and rebuilt, from the newest checkpoint that is whole, or from the first segment on.
 */
import { BlobError, type BlobStore } from '../blob/blob.js';
import { comparePositions, type KeptRecord } from '../event/record.js';
import type { Recoverable, Standing } from '../store/store.js';
import { LogMismatchError } from './archiver-status.js';
import { CheckpointDamagedError, type Manifest, newestCheckpoint, readParts } from './checkpoint.js';
import type { QuickRead } from './decoder.js';
import { floorOf } from './floor.js';
import { type Link, type LogIdentity, type LogReader, MissingSegmentError } from './reader.js';
import { CorruptSegmentError, type Segment } from './segment.js';
import type { SegmentHeader } from './segment-header.js';
import { slotKey } from './slot.js';

/** What one call of `replay` is given at most; one record at least. */
const CHUNK = { records: 10_000, bytes: 8 << 20 };

/** So many segments are read before they are needed. */
const AHEAD = 2;

export interface RecoveryTools {
  readonly store: Recoverable;
  readonly blobs: BlobStore;
  readonly reader: LogReader;
  readonly identity: LogIdentity;
  readonly partition: number;
  /** A quicker way to read what is whole of a checkpoint. */
  readonly quickRead?: QuickRead;
  /** Told of checkpoints that cannot be used. */
  readonly warn: (error: CheckpointDamagedError) => void;
  /** Told how far it is. */
  readonly progress?: (done: Replayed) => void;
}

export interface Replayed {
  /** The last slot that was read, also as part of a checkpoint. */
  readonly slot: number;
  /** Since the last call. */
  readonly records: number;
}

/** What the store is brought up to: everything below the slot. */
export type Fence = Pick<SegmentHeader, 'slot' | 'epoch' | 'view' | 'to'>;

/** False when another recovery has begun, or the store is no longer the one in which this one began. */
export async function recover(tools: RecoveryTools, fence: Fence): Promise<boolean> {
  const { store, identity, partition } = tools;
  const { logId } = identity;
  const { epoch, view } = fence;
  if (!(await store.beginRecovery(partition, epoch))) return false;
  // Only behind the closed gate does it stand still.
  const standing = await store.standing(partition);
  // Behind the store's address another server may stand by now, in which this recovery has not begun.
  if (standing.recovering !== epoch) return false;
  if (standing.logId !== null && standing.logId !== logId)
    throw new LogMismatchError(`the store belongs to log ${standing.logId}, and this is log ${logId}`);
  try {
    if (!(await bringUp(tools, standing, fence))) return false;
  } catch (error) {
    throw await asCutMeanwhile(tools, error);
  }
  return store.finishRecovery(partition, epoch, logId, view);
}

/**
 * Fills an empty store with all that the log has below `end`, and leaves its gate closed: it stands as a copy of the
 * log's view, which whoever opens it next brings up to the log's end. Writes nothing to the log. False as `recover`.
 */
export async function fill(tools: RecoveryTools, end: Fence): Promise<boolean> {
  const { store, identity, partition } = tools;
  if (!(await store.beginRecovery(partition, end.epoch))) return false;
  if ((await store.standing(partition)).recovering !== end.epoch) return false;
  if (!(await rebuild(tools, end))) return false;
  return store.finishRecovery(partition, end.epoch, identity.logId, end.view, { stayClosed: true });
}

async function bringUp(tools: RecoveryTools, standing: Standing, fence: Fence): Promise<boolean> {
  const { store, blobs, partition } = tools;
  if (standing.logId === null) return rebuild(tools, fence);
  const floor = await floorOf(blobs, partition);
  if (floor > fence.slot) return false;
  const from = (standing.archived?.slot ?? 0) + 1;
  const newest = await newestView(tools, Math.max(from, floor), fence);
  if (newest !== null && newest > standing.view) return rebuild(tools, fence);
  if (from >= floor) return replayFrom(tools, from, null, fence);
  // Some of what comes next was deleted, so it is old: if the store lacks any of the log, it is too old itself.
  const { to } = fence;
  if (to !== null && (standing.last === null || comparePositions(standing.last, to) < 0))
    return rebuild(tools, fence);
  return to === null || store.replay(partition, fence.epoch, [], { pos: to, slot: fence.slot - 1 });
}

/** A slot of the log that is below its floor by now: who begins again begins further up. */
async function asCutMeanwhile({ blobs, partition }: RecoveryTools, error: unknown): Promise<unknown> {
  if (!(error instanceof MissingSegmentError) || (await floorOf(blobs, partition)) <= error.slot)
    return error;
  return new BlobError('unavailable', 'get', slotKey(partition, error.slot), error);
}

/**
 * The view of the last segment with records below the fence; null when there is none from `from` on. Views go up along
 * the slots, and what the store has noted as archived is of its own: so the last is enough to see.
 */
async function newestView(tools: RecoveryTools, from: number, fence: Fence): Promise<number | null> {
  const { blobs, identity, reader, partition, warn } = tools;
  for (let slot = fence.slot - 1; slot >= from; slot -= 1) {
    const segment = await reader.read(partition, slot);
    if (segment === null) throw new MissingSegmentError(slotKey(partition, slot), slot, fence.slot);
    if (segment.header.kind === 'data') return segment.header.view;
  }
  // All that there were are deleted, so a checkpoint has them.
  const range = { from, to: fence.slot };
  return (await newestCheckpoint(blobs, identity, partition, range, warn))?.view ?? null;
}

/** From nothing: from the newest checkpoint that is whole, else from the first segment, if that is still there. */
async function rebuild(tools: RecoveryTools, fence: Fence): Promise<boolean> {
  const { store, blobs, identity, partition, warn } = tools;
  const without = new Set<number>();
  for (;;) {
    const floor = await floorOf(blobs, partition);
    // Others have gone on with the log, so far that it was cut above the fence.
    if (floor > fence.slot) return false;
    // One of the fence's own slot has all that is below it.
    const range = { from: floor - 1, to: fence.slot, without };
    const checkpoint = await newestCheckpoint(blobs, identity, partition, range, warn);
    if (!(await store.empty(partition, fence.epoch))) return false;
    if (checkpoint === null) {
      if (floor === 1) return replayFrom(tools, 1, null, fence);
      if (await isSurpassed(tools, fence)) return false;
      throw new CorruptSegmentError(
        slotKey(partition, floor - 1),
        `what is below slot ${floor} was deleted, and no checkpoint that has it is whole`,
      );
    }
    try {
      if (!(await replayCheckpoint(tools, checkpoint, fence))) return false;
    } catch (error) {
      if (!(error instanceof CheckpointDamagedError)) throw error;
      warn(error);
      without.add(checkpoint.slot);
      continue;
    }
    const { slot, segment: sha256, to } = checkpoint;
    return replayFrom(tools, slot + 1, { sha256, to }, fence);
  }
}

/** Others have gone on with the log for so long that no checkpoint is kept from before the fence. */
async function isSurpassed(tools: RecoveryTools, { slot }: Fence): Promise<boolean> {
  const { blobs, identity, partition, warn } = tools;
  const above = { from: slot + 1, to: Number.MAX_SAFE_INTEGER };
  return (await newestCheckpoint(blobs, identity, partition, above, warn)) !== null;
}

async function replayCheckpoint(tools: RecoveryTools, checkpoint: Manifest, fence: Fence): Promise<boolean> {
  const { store, blobs, partition, progress, quickRead } = tools;
  const { slot, to } = checkpoint;
  for await (const records of ahead(readParts(blobs, checkpoint, quickRead))) {
    for (const chunk of chunksOf(records)) {
      const archived = { pos: chunk.at(-1)!.pos, slot };
      if (!(await store.replay(partition, fence.epoch, chunk, archived))) return false;
    }
    progress?.({ slot, records: records.length });
  }
  // What came last may be left out.
  return store.replay(partition, fence.epoch, [], { pos: to, slot });
}

async function replayFrom(
  tools: RecoveryTools,
  from: number,
  link: Link | null,
  fence: Fence,
): Promise<boolean> {
  const { store, partition, progress } = tools;
  // The store makes one lot ready while it takes in the one before.
  let before = Promise.resolve(true);
  for await (const { header, records, sheet } of ahead(segmentsBelow(tools, from, link, fence))) {
    let taken = 0;
    for (const chunk of chunksOf(records)) {
      taken += chunk.length;
      // With a part of a segment the one before it is the last that is wholly there.
      const slot = taken === records.length ? header.slot : header.slot - 1;
      const archived = { pos: chunk.at(-1)!.pos, slot };
      const whole = chunk.length === records.length ? sheet : undefined;
      const running = unheard(store.replay(partition, fence.epoch, chunk, archived, whole));
      if (!(await before)) return false;
      before = running;
    }
    progress?.({ slot: header.slot, records: records.length });
  }
  return before;
}

/** The next ones are fetched and decoded while the one before them is worked on. */
async function* ahead<Value>(values: AsyncGenerator<Value>): AsyncGenerator<Value> {
  const next: Promise<IteratorResult<Value>>[] = [];
  try {
    for (;;) {
      while (next.length < AHEAD) next.push(unheard(values.next()));
      const { done, value } = await next.shift()!;
      if (done) return;
      next.push(unheard(values.next()));
      yield value;
    }
  } finally {
    await values.return(undefined);
  }
}

/** What goes wrong is met by the wait for it, unless nobody waits any more. */
function unheard<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined);
  return promise;
}

/** Up to the fence and no further: what comes above it is not this recovery's. */
async function* segmentsBelow(
  { reader, partition }: RecoveryTools,
  from: number,
  link: Link | null,
  fence: Fence,
): AsyncGenerator<Segment> {
  if (from >= fence.slot) return;
  for await (const segment of reader.segments(partition, from, link)) {
    if (segment.header.slot < fence.slot) yield segment;
    if (segment.header.slot >= fence.slot - 1) return;
  }
  throw new LogMismatchError(`the log ends below the fence in slot ${fence.slot}`);
}

function* chunksOf(records: readonly KeptRecord[]): IterableIterator<KeptRecord[]> {
  let chunk: KeptRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    bytes += 'payload' in record ? (record.payload?.byteLength ?? 0) : 0;
    if (chunk.length > 0 && (bytes > CHUNK.bytes || chunk.length >= CHUNK.records)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(record);
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * Opens a store beside a place that cannot hold a log: nothing is archived, and what the store has is all there is.
 * False when the store has archived before, so that the log may have what it lacks.
 */
export async function openWithoutLog(store: Recoverable, partition: number, logId: string): Promise<boolean> {
  const { archived, view, recovering } = await store.standing(partition);
  if (archived !== null) return false;
  const epoch = recovering + 1;
  if (!(await store.beginRecovery(partition, epoch))) return false;
  return store.finishRecovery(partition, epoch, logId, view + 1);
}
