/**
 * Segments: runs of consecutive records as gzip NDJSON, with a header line, a footer line and a hash chain.
 * `FORMAT.md` is the description for readers; this file writes and reads it, and refuses what is not whole.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { comparePositions, formatPosition, type LogRecord, type Position } from '../event/record.js';
import { decodeRecord, encodeRecord } from './record-line.js';
import {
  decodeHeader,
  encodeHeader,
  parseObject,
  SEGMENT_VERSION,
  type SegmentHeader,
  type SegmentPlace,
} from './segment-header.js';

export const SEGMENT_RECORDS_MAX = 10_000;
/** Of lines before compression. One record alone may be longer. */
export const SEGMENT_RAW_BYTES_MAX = 4 * 1024 * 1024;
/** Of the object. */
export const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;

/** What a reader inflates at most: the longest record there can be, with room. Guards against a planted bomb. */
const INFLATED_BYTES_MAX = 64 * 1024 * 1024;

/** Lines are made and read in runs of this size, with the event loop let go between them. */
const RUN_BYTES = 64 * 1024;

export interface EncodedSegment {
  readonly header: SegmentHeader;
  readonly bytes: Buffer;
  readonly sha256: string;
}

export interface Segment {
  readonly header: SegmentHeader;
  readonly records: readonly LogRecord[];
  /** Of everything before the footer, hex. */
  readonly sha256: string;
}

/** The object is not the segment that was written: a reader stops here and names it, and never skips it. */
export class CorruptSegmentError extends Error {
  constructor(
    readonly key: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`segment ${key} is corrupt: ${reason}`, cause === undefined ? undefined : { cause });
    this.name = 'CorruptSegmentError';
  }
}

const deflate = promisify(gzip);
const inflate = promisify(gunzip);

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

/** Throws CorruptSegmentError, naming `key`, unless `bytes` are a whole segment. */
export async function decodeSegment(key: string, bytes: Uint8Array): Promise<Segment> {
  const { content, sha256, count } = checkFooter(key, await unpack(key, bytes));
  const lines = readLines(content);
  const header = readHeader(key, lines.next().value);
  const records = await decodeRecords(key, lines);
  if (count !== records.length || header.count !== records.length) {
    throw new CorruptSegmentError(
      key,
      `it holds ${records.length} records, header and footer say ${header.count} and ${count}`,
    );
  }
  checkPositions(key, header, records);
  return { header, records, sha256 };
}

/** The one record at `position`, without reading the others; null when the segment has none there. */
export async function findRecord(
  key: string,
  bytes: Uint8Array,
  position: Position,
): Promise<LogRecord | null> {
  const { content } = checkFooter(key, await unpack(key, bytes));
  // A line feed stands in no JSON string, so this is the beginning of a line.
  const start = content.indexOf(`\n{"pos":"${formatPosition(position)}",`) + 1;
  if (start === 0) return null;
  return decodeRecord(content.toString('utf8', start, content.indexOf(10, start)));
}

function unpack(key: string, bytes: Uint8Array): Promise<Buffer> {
  return inflate(bytes, { maxOutputLength: INFLATED_BYTES_MAX }).catch((error: unknown) => {
    throw new CorruptSegmentError(key, `it does not unpack: ${messageOf(error)}`, error);
  });
}

async function encodeLines(records: readonly LogRecord[]): Promise<{ runs: string[]; count: number }> {
  const runs: string[] = [];
  let run: string[] = [];
  let runBytes = 0;
  let rawBytes = 0;
  let count = 0;
  let before: Position | null = null;
  for (const record of records.slice(0, SEGMENT_RECORDS_MAX)) {
    if (before !== null && comparePositions(before, record.pos) >= 0) {
      throw new RangeError(`${formatPosition(record.pos)} comes after ${formatPosition(before)}`);
    }
    before = record.pos;
    const line = `${encodeRecord(record)}\n`;
    const bytes = Buffer.byteLength(line);
    if (count > 0 && rawBytes + bytes > SEGMENT_RAW_BYTES_MAX) break;
    run.push(line);
    rawBytes += bytes;
    runBytes += bytes;
    count++;
    if (runBytes >= RUN_BYTES) {
      runs.push(run.join(''));
      run = [];
      runBytes = 0;
      await setImmediate();
    }
  }
  runs.push(run.join(''));
  return { runs, count };
}

/** Puts header and footer around the lines, hashes, and compresses off the event loop. */
async function seal(header: SegmentHeader, runs: readonly string[]): Promise<EncodedSegment> {
  const hash = createHash('sha256');
  const chunks = [hashed(hash, `${encodeHeader(header)}\n`)];
  for (const run of runs) {
    chunks.push(hashed(hash, run));
    await setImmediate();
  }
  const sha256 = hash.digest('hex');
  chunks.push(Buffer.from(`${JSON.stringify({ end: true, count: header.count, sha256 })}\n`));
  const bytes = await deflate(Buffer.concat(chunks), { level: constants.Z_BEST_SPEED });
  if (bytes.byteLength > SEGMENT_BYTES_MAX) {
    throw new RangeError(`a segment of ${bytes.byteLength} bytes; the most is ${SEGMENT_BYTES_MAX}`);
  }
  return { header, bytes, sha256 };
}

function hashed(hash: Hash, text: string): Buffer {
  const bytes = Buffer.from(text);
  hash.update(bytes);
  return bytes;
}

/** The last line, checked against everything before it. */
function checkFooter(key: string, raw: Buffer): { content: Buffer; sha256: string; count: number } {
  if (raw.at(-1) !== 10) throw new CorruptSegmentError(key, 'its last line does not end');
  const start = raw.lastIndexOf(10, -2) + 1;
  const footer = parseObject(raw.toString('utf8', start));
  if (footer?.['end'] !== true) throw new CorruptSegmentError(key, 'it has no footer');
  const content = raw.subarray(0, start);
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (footer['sha256'] !== sha256) {
    throw new CorruptSegmentError(
      key,
      `its content has SHA-256 ${sha256}, its footer says ${footer['sha256']}`,
    );
  }
  if (typeof footer['count'] !== 'number') throw new CorruptSegmentError(key, 'its footer has no count');
  return { content, sha256, count: footer['count'] };
}

/** Past the hash a strange header is not damage but another writer; it is named all the same. */
function readHeader(key: string, line: string | undefined): SegmentHeader {
  try {
    return decodeHeader(line ?? '');
  } catch (error) {
    throw new CorruptSegmentError(key, messageOf(error), error);
  }
}

async function decodeRecords(key: string, lines: Iterable<string>): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  let runBytes = 0;
  for (const line of lines) {
    try {
      records.push(decodeRecord(line));
    } catch (error) {
      throw new CorruptSegmentError(key, `its record ${records.length + 1} is ${messageOf(error)}`, error);
    }
    runBytes += line.length;
    if (runBytes < RUN_BYTES) continue;
    runBytes = 0;
    await setImmediate();
  }
  return records;
}

function* readLines(content: Buffer): Generator<string, undefined> {
  let start = 0;
  while (start < content.byteLength) {
    const end = content.indexOf(10, start);
    yield content.toString('utf8', start, end);
    start = end + 1;
  }
  return undefined;
}

function checkPositions(key: string, header: SegmentHeader, records: readonly LogRecord[]): void {
  let before: Position | null = null;
  for (const { pos } of records) {
    if (before !== null && comparePositions(before, pos) >= 0) {
      throw new CorruptSegmentError(key, `${formatPosition(pos)} comes after ${formatPosition(before)}`);
    }
    before = pos;
  }
  if (header.kind === 'fence') return;
  if (!samePosition(header.from, records[0]?.pos ?? null) || !samePosition(header.to, before)) {
    throw new CorruptSegmentError(key, 'its header names other positions than its records have');
  }
}

function samePosition(a: Position | null, b: Position | null): boolean {
  return a === null || b === null ? a === b : comparePositions(a, b) === 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
