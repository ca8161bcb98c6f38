/**
 * The floor of a partition: the slot below which segments may have been deleted because they were old. It is written
 * before the first of them goes, so that what is missing below it is known to be gone, and what is missing above it is
 * damage. Fences are kept, so the lowest slot that is there does not tell.
 */
import type { BlobStore } from '../blob/blob.js';

const SLOT_DIGITS = 20;
const FLOOR_KEY = /^floor\/(\d+)\/(\d{20})\.json$/;
const PAGE = 1_000;

function floorFolder(partition: number): string {
  return `floor/${partition}/`;
}

function floorKey(partition: number, slot: number): string {
  return `${floorFolder(partition)}${String(slot).padStart(SLOT_DIGITS, '0')}.json`;
}

/** The first slot from which on everything is there; 1 when nothing was ever deleted. */
export async function floorOf(blobs: BlobStore, partition: number): Promise<number> {
  return (await floorsOf(blobs, partition)).at(-1) ?? 1;
}

/** From now on what is below `slot` may go. */
export async function raiseFloor(
  blobs: BlobStore,
  log: { readonly logId: string; readonly partition: number },
  slot: number,
): Promise<void> {
  const { logId, partition } = log;
  const text = `${JSON.stringify({ v: 1, logId, partition, slot })}\n`;
  await blobs.putIfAbsent(floorKey(partition, slot), Buffer.from(text));
  const lower = (await floorsOf(blobs, partition)).filter((each) => each < slot);
  // One that stays says nothing wrong: the highest counts.
  if (lower.length > 0) await blobs.delete(lower.map((each) => floorKey(partition, each)));
}

async function floorsOf(blobs: BlobStore, partition: number): Promise<number[]> {
  const found = await blobs.list(floorFolder(partition), { limit: PAGE });
  return found.flatMap(({ key }) => {
    const match = FLOOR_KEY.exec(key);
    return match ? [Number(match[2])] : [];
  });
}
