/** Records as frames: everything but the payload as JSON, the payload as it is. Those of a recovery are many in a frame. */
import type { KeptRecord, StoreRecord } from '../../event/record.js';
import { recordText } from '../../event/record-text.js';
import { type Sheet, withPayloads } from '../../event/sheet.js';
import type { Frame } from './frame.js';

export function payloadOf(record: StoreRecord): Uint8Array | null {
  return 'payload' in record ? record.payload : null;
}

/** The meta of the record's frame. */
export function metaOf(record: StoreRecord): string {
  // What is volatile has no place in the log, or names one that is not its own.
  return 'at' in record ? recordText(record) : JSON.stringify(record);
}

/** What the meta of a frame with many records is; in a journal of format 1 there is none. */
interface SheetMeta {
  readonly op: 'sheet';
  readonly ends: readonly number[];
  readonly records: KeptRecord[];
}

const SHEET_END = Buffer.from('}');

/** The meta, in pieces, of the frame whose payload is the sheet's payloads. */
export function metaOfSheet({ fields, ends }: Sheet): Uint8Array[] {
  return [Buffer.from(`{"op":"sheet","ends":[${ends.join()}],"records":`), fields, SHEET_END];
}

/** `payload` is what stands for the frame's own, which is a view of a buffer that will go. */
export function decodeRecords(frame: Frame, payload: Uint8Array | null): readonly StoreRecord[] {
  const meta = JSON.parse(frame.meta) as StoreRecord | SheetMeta;
  if (meta.op === 'sheet') return withPayloads(meta.records, payload!, meta.ends);
  return [withPayload(meta, payload)];
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
