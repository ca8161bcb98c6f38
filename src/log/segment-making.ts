/** What the next segment is made of: records left from the one before it, and those that the outbox has behind them. */
import type { LogRecord, Position } from '../event/record.js';
import { followsOn } from './reader.js';
import { type EncodedSegment, SEGMENT_RAW_BYTES_MAX, SEGMENT_RECORDS_MAX } from './segment.js';
import { endsWithinStep } from './step.js';

/** A segment, and what was read for it that is for those behind it. */
export interface Made {
  readonly segment: EncodedSegment;
  readonly left: readonly LogRecord[];
  /** Besides what it holds something waits. */
  readonly more: boolean;
}

/** The outbox does not go on where the log ends, but with this. */
export interface Gap {
  readonly first: Position;
}

export interface Making {
  /** The last record in the log, by the time that the segment is put. */
  readonly after: Position | null;
  readonly left: readonly LogRecord[];
  readonly read: (after: Position | null) => Promise<readonly LogRecord[]>;
  /** Of as many as a segment holds; at least one is given. */
  readonly make: (records: readonly LogRecord[]) => Promise<EncodedSegment>;
}

/** `trimmed`: another archiver has archived what was in the outbox, and trimmed it. */
export async function makeSegment({
  after,
  left,
  read,
  make,
}: Making): Promise<Made | Gap | 'nothing' | 'trimmed'> {
  const records = [...left];
  const isPlenty = fillsSegment(records);
  if (!isPlenty) records.push(...(await read(records.at(-1)?.pos ?? after)));
  while (endsWithinStep(records)) {
    const more = await read(records.at(-1)!.pos);
    if (more.length === 0) return 'trimmed';
    records.push(...more);
  }
  const first = records[0];
  if (first === undefined) return 'nothing';
  if (!followsOn(after, first.pos)) return { first: first.pos };
  const segment = await make(records);
  const rest = records.slice(segment.header.count);
  return { segment, left: rest, more: rest.length > 0 || isPlenty || records.length >= SEGMENT_RECORDS_MAX };
}

function fillsSegment(records: readonly LogRecord[]): boolean {
  if (records.length >= SEGMENT_RECORDS_MAX) return true;
  let bytes = 0;
  for (const record of records) bytes += 'payload' in record ? (record.payload?.byteLength ?? 0) : 0;
  return bytes >= SEGMENT_RAW_BYTES_MAX;
}
