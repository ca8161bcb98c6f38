/**
 * Cutting the log: data segments that are old enough go, from the old end on, once a checkpoint that has just been read
 * again has all that is alive of them. Fences stay: they hold the slots that no writer of before may take. What is left
 * of the two checkpoints that are kept is the older one's: so a newest that turns out damaged costs nothing.
 */
import type { BlobInfo, BlobStore } from '../blob/blob.js';
import { listCheckpoints, type Manifest, readManifest, readParts } from './checkpoint.js';
import { CHECKPOINTS_KEPT, deleteAll } from './checkpoint-maker.js';
import { floorOf, raiseFloor } from './floor.js';
import { indexFolder, indexNameOf } from './index-object.js';
import type { LogIdentity, LogReader } from './reader.js';
import { slotFolder, slotKey, slotOfKey } from './slot.js';

/** A fence is two short lines: what is larger holds records. */
const FENCE_BYTES_MAX = 2_048;
const PAGE = 1_000;

export interface CutOptions {
  readonly blobs: BlobStore;
  readonly reader: LogReader;
  readonly identity: LogIdentity;
  readonly partition: number;
  /** Segments that were written before may go; ms since the epoch, by the clock of where they are kept. */
  readonly writtenBefore: number;
}

export interface Cut {
  /** The first slot from which on everything is there. */
  readonly floor: number;
  readonly segments: number;
  readonly bytes: number;
  /** A sentence for each object that could not be deleted. */
  readonly problems: readonly string[];
}

/** Throws BlobError; CheckpointDamagedError when what should cover the segments does not: then nothing has gone. */
export async function cutLog(options: CutOptions): Promise<Cut> {
  const { blobs, identity, partition } = options;
  const floor = await floorOf(blobs, partition);
  const covered = await coveredTo(options);
  const old = covered === null ? [] : await oldSegments(options, floor, covered.slot);
  if (covered === null || old.length === 0) return { floor, segments: 0, bytes: 0, problems: [] };
  for await (const _records of readParts(blobs, covered));
  const highest = Math.max(...old.map(({ slot }) => slot));
  const risen = Math.max(floor, highest + 1);
  if (risen > floor) await raiseFloor(blobs, { logId: identity.logId, partition }, risen);
  const keys = old.map(({ slot }) => slotKey(partition, slot));
  const problems = await deleteAll(blobs, [...keys, ...(await oldIndexes(blobs, partition, risen))]);
  const bytes = old.reduce((sum, each) => sum + each.bytes, 0);
  return { floor: risen, segments: old.length, bytes, problems };
}

/** The older of the checkpoints that are kept; null while there is but one. */
async function coveredTo({ blobs, identity, partition }: CutOptions): Promise<Manifest | null> {
  const finished = (await listCheckpoints(blobs, partition)).filter((each) => each.finished);
  const older = finished.length < CHECKPOINTS_KEPT ? undefined : finished.at(-CHECKPOINTS_KEPT);
  return older === undefined ? null : readManifest(blobs, identity, partition, older.slot);
}

interface Old {
  readonly slot: number;
  readonly bytes: number;
}

/** Up to the first that is too young, or not covered; with those that a cut before has left. */
async function oldSegments(options: CutOptions, floor: number, covered: number): Promise<Old[]> {
  const { blobs, partition, writtenBefore } = options;
  const old: Old[] = [];
  let after = slotKey(partition, 0);
  for (;;) {
    const page = await blobs.list(slotFolder(partition), { after, limit: PAGE });
    for (const info of page) {
      const slot = slotOfKey(info.key);
      if (slot === null) continue;
      if (slot > covered || info.modifiedAt >= writtenBefore) return old;
      if (await isData(options, info, slot, floor)) old.push({ slot, bytes: info.bytes });
    }
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return old;
    after = last.key;
  }
}

async function isData(
  { reader, partition }: CutOptions,
  { bytes }: BlobInfo,
  slot: number,
  floor: number,
): Promise<boolean> {
  if (bytes > FENCE_BYTES_MAX) return true;
  // A small one that a cut before has left is not worth a look each time.
  if (slot < floor) return false;
  return (await reader.read(partition, slot))?.header.kind === 'data';
}

/** Parts of the index that name nothing but segments that are gone. */
async function oldIndexes(blobs: BlobStore, partition: number, floor: number): Promise<string[]> {
  const page = await blobs.list(indexFolder(partition), { limit: PAGE });
  return page.flatMap(({ key }) => {
    const name = indexNameOf(key);
    return name !== null && name.slot < floor ? [key] : [];
  });
}
