/**
 * Segments: runs of consecutive records as gzip NDJSON, with a header line, a footer line and a hash chain.
 * `FORMAT.md` is the description for readers; this file writes and reads it, and refuses what is not whole.
 */
import { setImmediate } from 'node:timers/promises';
import { comparePositions, formatPosition, type LogRecord, type Position } from '../event/record.js';
import type { Sheet } from '../event/sheet.js';
import type { QuickRead } from './decoder.js';
import { CorruptSegmentError, decodeLines, LineRuns, messageOf, packLines, unpackLines } from './lines.js';
import { decodeRecord, encodeRecord, isLogRecord } from './record-line.js';
import {
  decodeHeader,
  encodeHeader,
  SEGMENT_VERSION,
  type SegmentHeader,
  type SegmentPlace,
} from './segment-header.js';
import { stepLength } from './step.js';

export { CorruptSegmentError } from './lines.js';

export const SEGMENT_RECORDS_MAX = 10_000;
/** Of lines before compression. One record alone may be longer, and one completion with what it emits. */
export const SEGMENT_RAW_BYTES_MAX = 4 * 1024 * 1024;
/** Of the object. */
export const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;

export interface EncodedSegment {
  readonly header: SegmentHeader;
  readonly bytes: Buffer;
  readonly sha256: string;
}

export interface Segment {
  readonly header: SegmentHeader;
  readonly records: readonly LogRecord[];
  /** The same, where it was read that way. */
  readonly sheet?: Sheet;
  /** Of everything before the footer, hex. */
  readonly sha256: string;
}

/** As many of `records`, from the first on, as one segment may hold; `header.count` says how many. */
export async function encodeSegment(
  place: SegmentPlace,
  records: readonly LogRecord[],
): Promise<EncodedSegment> {
  if (place.kind !== 'data' || records.length === 0)
    throw new RangeError('a data segment holds a record at least');
  const { runs, count } = await encodeLines(records);
  const from = records[0]?.pos ?? null;
  const to = records[count - 1]?.pos ?? null;
  return seal({ v: SEGMENT_VERSION, ...place, from, to, count }, runs);
}

/** A segment without records. `to` is the position of the last record below, so that the log's end tells it by itself. */
export function encodeFence(place: SegmentPlace, to: Position | null): Promise<EncodedSegment> {
  if (place.kind !== 'fence') throw new RangeError('a fence is of the kind fence');
  const { kind, logId, partition, partitions, slot, epoch, view, writer, putId, previous } = place;
  const at = { kind, logId, partition, partitions, slot, epoch, view, writer, putId, previous };
  return seal({ v: SEGMENT_VERSION, ...at, from: null, to, count: 0 }, []);
}

/** Throws CorruptSegmentError, naming `key`, unless `bytes` are a whole segment. It tries to `read` it, if it is given that. */
export async function decodeSegment(key: string, bytes: Uint8Array, read?: QuickRead): Promise<Segment> {
  const lines = (await read?.(bytes)) ?? null;
  if (lines !== null) {
    const header = readHeader(key, lines.header);
    const { records, sheet, sha256 } = lines;
    if (records.every(isLogRecord)) return checked(key, { header, records, sheet, sha256 });
  }
  const unpacked = await unpackLines(key, bytes);
  const header = readHeader(key, unpacked.header);
  const records = await decodeLines(key, unpacked, decodeRecord);
  return checked(key, { header, records, sha256: unpacked.sha256 });
}

/** The records are as many as its footer says; whether they are what its header says. */
function checked(key: string, segment: Segment): Segment {
  const { header, records } = segment;
  if (header.count !== records.length) {
    throw new CorruptSegmentError(key, `it holds ${records.length} records, its header says ${header.count}`);
  }
  checkPositions(key, header, records);
  return segment;
}

/** The one record at `position`, without reading the others; null when the segment has none there. */
export async function findRecord(
  key: string,
  bytes: Uint8Array,
  position: Position,
): Promise<LogRecord | null> {
  const { content } = await unpackLines(key, bytes);
  // A line feed stands in no JSON string, so this is the beginning of a line.
  const start = content.indexOf(`\n{"pos":"${formatPosition(position)}",`) + 1;
  if (start === 0) return null;
  return decodeRecord(content.toString('utf8', start, content.indexOf(10, start)));
}

async function encodeLines(
  records: readonly LogRecord[],
): Promise<{ runs: readonly string[]; count: number }> {
  const lines = new LineRuns({ lines: SEGMENT_RECORDS_MAX, rawBytes: SEGMENT_RAW_BYTES_MAX });
  let before: Position | null = null;
  for (let first = 0; first < records.length; ) {
    const step = records.slice(first, first + (stepLength(records, first) ?? 1));
    for (const { pos } of step) {
      if (before !== null && comparePositions(before, pos) >= 0)
        throw new RangeError(`${formatPosition(pos)} comes after ${formatPosition(before)}`);
      before = pos;
    }
    if (!lines.add(...step.map(encodeRecord))) break;
    first += step.length;
    if (lines.betweenRuns) await setImmediate();
  }
  return { runs: lines.finish(), count: lines.count };
}

async function seal(header: SegmentHeader, runs: readonly string[]): Promise<EncodedSegment> {
  const { bytes, sha256 } = await packLines(encodeHeader(header), runs, header.count);
  if (bytes.byteLength > SEGMENT_BYTES_MAX) {
    throw new RangeError(`a segment of ${bytes.byteLength} bytes; the most is ${SEGMENT_BYTES_MAX}`);
  }
  return { header, bytes, sha256 };
}

/** Past the hash a strange header is not damage but another writer; it is named all the same. */
function readHeader(key: string, line: string): SegmentHeader {
  try {
    return decodeHeader(line);
  } catch (error) {
    throw new CorruptSegmentError(key, messageOf(error), error);
  }
}

function checkPositions(key: string, header: SegmentHeader, records: readonly LogRecord[]): void {
  const last = checkOrder(key, records);
  if (header.kind === 'fence') return;
  if (!samePosition(header.from, records[0]?.pos ?? null) || !samePosition(header.to, last)) {
    throw new CorruptSegmentError(key, 'its header names other positions than its records have');
  }
}

/** The last position; throws when they do not go up. */
export function checkOrder(key: string, records: readonly { readonly pos: Position }[]): Position | null {
  let before: Position | null = null;
  for (const { pos } of records) {
    if (before !== null && comparePositions(before, pos) >= 0) {
      throw new CorruptSegmentError(key, `${formatPosition(pos)} comes after ${formatPosition(before)}`);
    }
    before = pos;
  }
  return before;
}

function samePosition(a: Position | null, b: Position | null): boolean {
  return a === null || b === null ? a === b : comparePositions(a, b) === 0;
}
