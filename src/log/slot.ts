/** Slots: the log's own order. A partition's slots count from 1, each won by one conditional put, none skipped. */
import type { BlobStore } from '../blob/blob.js';

const SLOT_DIGITS = 20;
const SLOT_KEY = /^log\/(\d+)\/(\d{20})\.ndjson\.gz$/;

export function slotFolder(partition: number): string {
  return `log/${partition}/`;
}

export function slotKey(partition: number, slot: number): string {
  if (!Number.isSafeInteger(partition) || partition < 0)
    throw new RangeError(`not a partition: ${partition}`);
  if (!Number.isSafeInteger(slot) || slot < 0) throw new RangeError(`not a slot: ${slot}`);
  return `${slotFolder(partition)}${String(slot).padStart(SLOT_DIGITS, '0')}.ndjson.gz`;
}

/** The slot that a key names, or null when it is no segment's. */
export function slotOfKey(key: string): number | null {
  const match = SLOT_KEY.exec(key);
  return match ? Number(match[2]) : null;
}

/** The lowest slot from `slot` on, or null when there is none. */
export async function firstSlotFrom(
  blobs: BlobStore,
  partition: number,
  slot: number,
): Promise<number | null> {
  const [info] = await blobs.list(slotFolder(partition), { after: slotKey(partition, slot - 1), limit: 1 });
  return info === undefined ? null : slotOfKey(info.key);
}

/**
 * The highest slot from `known` on, or `known` when there is nothing above. Doubles its steps and then halves them:
 * one list when `known` is the head, some fifty when a million slots lie above it.
 */
export async function findHeadSlot(blobs: BlobStore, partition: number, known: number): Promise<number> {
  let low = known;
  let step = 1;
  for (;;) {
    const next = await firstSlotFrom(blobs, partition, low + step);
    if (next === null) break;
    low = next;
    step *= 2;
  }
  // Nothing lies at `above` or higher, and `low` is there (or is `known`).
  let above = low + step;
  while (above - low > 1) {
    const middle = low + Math.floor((above - low) / 2);
    const next = await firstSlotFrom(blobs, partition, middle);
    if (next === null) above = middle;
    else low = next;
  }
  return low;
}
