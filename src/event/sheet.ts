/**
 * Sheets: many records in three pieces of memory. They go from thread to thread and into files without being taken apart, which
 * costs far less than records that are written, copied and read one by one.
 */
import { asBuffer } from './packed.js';
import type { KeptRecord } from './record.js';

export interface Sheet {
  /** The records as a JSON array, in UTF-8; a record with a payload has null in its place. */
  readonly fields: Uint8Array;
  /** The payloads, one behind the other. */
  readonly payloads: Uint8Array;
  /** Of each record where its payload ends; -1: it has none. */
  readonly ends: Int32Array;
}

/** Their payloads are views of the sheet's. Throws when the fields are no JSON. */
export function recordsOf({ fields, payloads, ends }: Sheet): KeptRecord[] {
  const records: unknown = JSON.parse(asBuffer(fields).toString());
  return withPayloads(records as KeptRecord[], asBuffer(payloads), ends);
}

/** Gives records that were parsed the payloads that belong to them. */
export function withPayloads(
  records: KeptRecord[],
  payloads: Uint8Array,
  ends: ArrayLike<number>,
): KeptRecord[] {
  if (records.length !== ends.length) throw new Error('records that are not as many as they should be');
  let start = 0;
  for (let index = 0; index < records.length; index += 1) {
    const end = ends[index]!;
    if (end < 0) continue;
    (records[index] as { payload: Uint8Array }).payload = payloads.subarray(start, end);
    start = end;
  }
  return records;
}
