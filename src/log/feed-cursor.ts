/**
 * A reader's place in the feed: for each partition the slot that it reads next and how many of that slot's records it
 * has had, and which partition's turn it is. Opaque to readers; it names its log and guards itself against being cut.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface Place {
  readonly slot: number;
  /** Records of the slot that have been read. */
  readonly index: number;
}

export interface FeedCursor {
  /** By partition. */
  readonly places: readonly Place[];
  /** The partition that is read first. */
  readonly turn: number;
}

export type ParsedCursor =
  | { readonly kind: 'cursor'; readonly cursor: FeedCursor }
  | { readonly kind: 'garbled' }
  /** Of another log, or of one with another number of partitions. */
  | { readonly kind: 'foreign' };

const VERSION = 1;
const TAG_BYTES = 4;
const CHECK_BYTES = 4;

export function formatCursor(cursor: FeedCursor, logId: string): string {
  const numbers = [VERSION, cursor.places.length, cursor.turn];
  for (const { slot, index } of cursor.places) numbers.push(slot, index);
  const content = Buffer.concat([tagOf(logId), Buffer.from(numbers.flatMap(varint))]);
  const check = Buffer.alloc(CHECK_BYTES);
  check.writeUInt32BE(crc32(content));
  return Buffer.concat([content, check]).toString('base64url');
}

export function parseCursor(text: string, logId: string, partitions: number): ParsedCursor {
  const bytes = Buffer.from(text, 'base64url');
  const content = bytes.subarray(0, -CHECK_BYTES);
  // Decoding is lenient; only what was written is read.
  const whole =
    content.byteLength > TAG_BYTES &&
    bytes.toString('base64url') === text &&
    bytes.readUInt32BE(content.byteLength) === crc32(content);
  if (!whole) return { kind: 'garbled' };
  const [version, count, turn = 0, ...rest] = readVarints(content.subarray(TAG_BYTES));
  if (version !== VERSION) return { kind: 'garbled' };
  if (!content.subarray(0, TAG_BYTES).equals(tagOf(logId)) || count !== partitions)
    return { kind: 'foreign' };
  const places = Array.from({ length: partitions }, (_, partition) => ({
    slot: rest[2 * partition] ?? 1,
    index: rest[2 * partition + 1] ?? 0,
  }));
  return { kind: 'cursor', cursor: { places, turn: turn % partitions } };
}

/** Enough of the log's name to tell another one by. */
function tagOf(logId: string): Buffer {
  return createHash('sha256').update(logId).digest().subarray(0, TAG_BYTES);
}

/** Seven bits a byte, the lowest first; slots go beyond 32 bits, so no bit operations. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}

function readVarints(bytes: Buffer): number[] {
  const values: number[] = [];
  let value = 0;
  let weight = 1;
  for (const byte of bytes) {
    value += (byte % 128) * weight;
    weight *= 128;
    if (byte >= 128) continue;
    values.push(value);
    value = 0;
    weight = 1;
  }
  return values;
}
