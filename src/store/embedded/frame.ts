/**
 * Frames: how one record, or one part of a snapshot, lies in a file.
 *
 *   u32  CRC-32 of all that follows
 *   u32  bytes of meta
 *   u32  bytes of payload, or 2^32 - 1 for none
 *        meta: JSON in UTF-8
 *        payload: bytes as they came
 *
 * Numbers are little-endian.
 */
import { crc32 } from 'node:zlib';

export const FRAME_HEAD_BYTES = 12;
const NO_PAYLOAD = 0xffff_ffff;

export interface Frame {
  readonly meta: string;
  /** A view of the bytes that were decoded, not a copy. */
  readonly payload: Buffer | null;
  /** Where in the decoded bytes the payload begins, and the next frame. */
  readonly payloadAt: number;
  readonly end: number;
}

/** The head with the meta; the payload is to follow it as it is. */
export function frameHead(meta: string, payload: Uint8Array | null): Buffer {
  const metaBytes = Buffer.byteLength(meta);
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES + metaBytes);
  head.writeUInt32LE(metaBytes, 4);
  head.writeUInt32LE(payload ? payload.byteLength : NO_PAYLOAD, 8);
  head.write(meta, FRAME_HEAD_BYTES);
  const crc = crc32(head.subarray(4));
  head.writeUInt32LE(payload ? crc32(payload, crc) : crc, 0);
  return head;
}

/** Room enough for the frame of these. */
export function frameBytesMax(meta: string, payload: Uint8Array | null): number {
  // A character of a string is three bytes of UTF-8 at most.
  return FRAME_HEAD_BYTES + 3 * meta.length + (payload?.byteLength ?? 0);
}

/** Writes the frame at `at`, where there is room enough for it. Returns where it ends. */
export function writeFrame(into: Buffer, at: number, meta: string, payload: Uint8Array | null): number {
  const metaBytes = into.write(meta, at + FRAME_HEAD_BYTES);
  const payloadAt = at + FRAME_HEAD_BYTES + metaBytes;
  if (payload) into.set(payload, payloadAt);
  const end = payloadAt + (payload?.byteLength ?? 0);
  into.writeUInt32LE(metaBytes, at + 4);
  into.writeUInt32LE(payload ? payload.byteLength : NO_PAYLOAD, at + 8);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end)), at);
  return end;
}

/** The same with the meta in pieces. */
export function writeFrameOf(
  into: Buffer,
  at: number,
  meta: readonly Uint8Array[],
  payload: Uint8Array,
): number {
  let end = at + FRAME_HEAD_BYTES;
  for (const piece of [...meta, payload]) {
    into.set(piece, end);
    end += piece.byteLength;
  }
  into.writeUInt32LE(end - payload.byteLength - at - FRAME_HEAD_BYTES, at + 4);
  into.writeUInt32LE(payload.byteLength, at + 8);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end)), at);
  return end;
}

/** How long the frame at `at` says it is, or null when its head is not all there. */
export function frameBytes(bytes: Buffer, at: number): number | null {
  if (at + FRAME_HEAD_BYTES > bytes.byteLength) return null;
  const payloadBytes = bytes.readUInt32LE(at + 8);
  return FRAME_HEAD_BYTES + bytes.readUInt32LE(at + 4) + (payloadBytes === NO_PAYLOAD ? 0 : payloadBytes);
}

/** The frame at `at`, or null when there is no whole and sound one before `limit`. */
export function decodeFrame(bytes: Buffer, at: number, limit: number): Frame | null {
  const length = frameBytes(bytes.subarray(0, limit), at);
  if (length === null || at + length > limit) return null;
  const end = at + length;
  if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32LE(at)) return null;
  const payloadAt = at + FRAME_HEAD_BYTES + bytes.readUInt32LE(at + 4);
  const hasPayload = bytes.readUInt32LE(at + 8) !== NO_PAYLOAD;
  return {
    meta: bytes.toString('utf8', at + FRAME_HEAD_BYTES, payloadAt),
    payload: hasPayload ? bytes.subarray(payloadAt, end) : null,
    payloadAt,
    end,
  };
}
