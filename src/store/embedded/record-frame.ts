/** Records as frames: everything but the payload as JSON, the payload as it is. */
import type { StoreRecord } from '../../event/record.js';
import { recordText } from '../../event/record-text.js';
import type { Frame } from './frame.js';

export function payloadOf(record: StoreRecord): Uint8Array | null {
  return 'payload' in record ? record.payload : null;
}

/** The meta of the record's frame. */
export function metaOf(record: StoreRecord): string {
  // What is volatile has no place in the log, or names one that is not its own.
  return 'at' in record ? recordText(record) : JSON.stringify(record);
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
