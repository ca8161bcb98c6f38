/**
 * Event ids: UUIDv7 (RFC 9562) that carry their partition, so that a look-up by id needs no index.
 *
 *   48 bits  milliseconds since the epoch
 *    4 bits  version 7
 *   12 bits  random
 *    2 bits  variant
 *   10 bits  partition
 *   52 bits  random
 */
import { createHash, randomFillSync } from 'node:crypto';
import { stringify, v7 } from 'uuid';

/** Ten bits of the id name the partition. */
export const PARTITIONS_MAX = 1024;

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

// Randomness is fetched for many ids at once: a call into the kernel for each would cost more than the id itself.
const pool = Buffer.allocUnsafe(16 * 256);
let used = pool.length;

function randomBytes16(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return pool.subarray(used - 16, used);
}

/** A new id of `partition`, whose time part is `nowMs`. */
export function makeEventId(nowMs: number, partition: number): string {
  return idOf(nowMs, partition, randomBytes16());
}

/** Of 16 random bytes. */
function idOf(nowMs: number, partition: number, random: Uint8Array): string {
  const bytes = v7({ msecs: nowMs, seq: 0, random }, new Uint8Array(16));
  bytes[6] = 0x70 | (random[0]! & 0x0f);
  bytes[7] = random[1]!;
  bytes[8] = 0x80 | (partition >>> 4);
  bytes[9] = ((partition & 0x0f) << 4) | (random[2]! & 0x0f);
  bytes[10] = random[3]!;
  return stringify(bytes);
}

/** The id that follows from `seed`: with the same time and partition the same one, every time. */
export function deriveEventId(timeMs: number, partition: number, seed: string): string {
  return idOf(timeMs, partition, createHash('sha256').update(seed).digest().subarray(0, 16));
}

/** The partition that `id` carries, or null when it is not an id of ours (lower case, version 7). */
export function partitionOfId(id: string): number | null {
  if (!UUID_V7.test(id)) return null;
  return Number.parseInt(id.slice(19, 22), 16) & 0x3ff;
}

/** Milliseconds since the epoch at which `id` was made. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
