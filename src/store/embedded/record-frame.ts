/** Records as frames: everything but the payload as JSON, the payload as it is. */
import type { StoreRecord } from '../../event/record.js';
import { type Frame, frameHead } from './frame.js';

export function payloadOf(record: StoreRecord): Uint8Array | null {
  return 'payload' in record ? record.payload : null;
}

/** The bytes of `record`, in pieces: the payload is not copied. */
export function encodeRecord(record: StoreRecord): Uint8Array[] {
  if (!('payload' in record)) return [frameHead(JSON.stringify(record), null)];
  const { payload, ...meta } = record;
  const head = frameHead(JSON.stringify(meta), payload);
  return payload && payload.byteLength > 0 ? [head, payload] : [head];
}

/** `payload` is what stands for the frame's own, which is a view of a buffer that will go. */
export function decodeRecord(frame: Frame, payload: Uint8Array | null): StoreRecord {
  return withPayload(JSON.parse(frame.meta) as StoreRecord, payload);
}

/** Gives a record that was parsed its payload, when it is of those that have one. */
export function withPayload<R extends StoreRecord>(parsed: R, payload: Uint8Array | null): R {
  return OPS_WITH_PAYLOAD.has(parsed.op) ? Object.assign(parsed, { payload }) : parsed;
}

const OPS_WITH_PAYLOAD: ReadonlySet<string> = new Set<StoreRecord['op']>([
  'accepted',
  'retried',
  'completed',
  'emitted',
  'dead',
  'late',
]);
