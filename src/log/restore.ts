/**
 * Restoring a store from the log by hand: what there is to read, and reading it. The store must be empty. The log is only
 * read; the service that is started on the store afterwards takes the log's end and brings the store up to it.
 */
import type { BlobStore } from '../blob/blob.js';
import { formatPosition } from '../event/record.js';
import type { Recoverable, Store } from '../store/store.js';
import { type CheckpointDamagedError, newestCheckpoint } from './checkpoint.js';
import { Decoder } from './decoder.js';
import { objectsUnder } from './discovery.js';
import { floorOf } from './floor.js';
import { type LogIdentity, LogReader } from './reader.js';
import { type Fence, fill, type Replayed } from './recovery.js';
import { CorruptSegmentError } from './segment.js';
import { findHeadSlot, slotFolder, slotKey, slotOfKey } from './slot.js';

export interface PartitionPlan {
  readonly partition: number;
  /** Where it begins; null: at the log's first segment. */
  readonly checkpoint: {
    readonly slot: number;
    readonly records: number;
    readonly bytes: number;
    readonly madeAt: number;
  } | null;
  /** Those after it; null when there is none. */
  readonly slots: { readonly from: number; readonly to: number } | null;
  readonly segments: number;
  readonly bytes: number;
  /** Position of the last record; null: the log has none in this partition. */
  readonly to: string | null;
}

export interface RestoreOptions {
  readonly blobs: BlobStore;
  readonly identity: LogIdentity;
  readonly partition: number;
  /** Told of checkpoints that cannot be used. */
  readonly warn: (error: CheckpointDamagedError) => void;
}

interface Planned {
  readonly plan: PartitionPlan;
  /** What is just above the log's end; null: there is no log. */
  readonly end: Fence | null;
}

/** Throws BlobError, CorruptSegmentError. */
export async function planRestore(options: RestoreOptions): Promise<Planned> {
  const { blobs, identity, partition, warn } = options;
  const head = await findHeadSlot(blobs, partition, 0);
  const empty = { partition, checkpoint: null, slots: null, segments: 0, bytes: 0, to: null };
  if (head === 0) return { plan: empty, end: null };
  const last = await new LogReader(blobs, identity).read(partition, head);
  if (last === null)
    throw new CorruptSegmentError(slotKey(partition, head), 'it was listed, and is not there');
  const floor = await floorOf(blobs, partition);
  const manifest = await newestCheckpoint(blobs, identity, partition, { from: floor - 1, to: head }, warn);
  const from = (manifest?.slot ?? 0) + 1;
  let segments = 0;
  let bytes = 0;
  for await (const object of objectsUnder(blobs, slotFolder(partition))) {
    const slot = slotOfKey(object.key);
    if (slot === null || slot < from || slot > head) continue;
    segments += 1;
    bytes += object.bytes;
  }
  const checkpoint = manifest && {
    slot: manifest.slot,
    records: manifest.records,
    bytes: manifest.parts.reduce((sum, part) => sum + part.bytes, 0),
    madeAt: manifest.madeAt,
  };
  const { epoch, view, to } = last.header;
  const slots = from > head ? null : { from, to: head };
  const plan = { ...empty, checkpoint, slots, segments, bytes, to: to && formatPosition(to) };
  return { plan, end: { slot: head + 1, epoch, view, to } };
}

/** Why nothing may be restored into the partition of the store; null when it may. */
export async function occupiedBy(store: Store & Recoverable, partition: number): Promise<string | null> {
  const { open, logId, last } = await store.standing(partition);
  if (last !== null) return `it holds what happened up to ${formatPosition(last)} in log ${logId}`;
  if (open) return 'it is open: a service uses it';
  return null;
}

/** False: the store was taken by somebody else meanwhile. Throws BlobError, StoreError, CorruptSegmentError. */
export async function restore(
  options: RestoreOptions,
  store: Recoverable,
  end: Fence,
  progress: (done: Replayed) => void,
): Promise<boolean> {
  const decoder = new Decoder();
  try {
    const { read } = decoder;
    const reader = new LogReader(options.blobs, options.identity, read);
    return await fill({ ...options, store, reader, quickRead: read, progress }, end);
  } finally {
    await decoder.close();
  }
}
