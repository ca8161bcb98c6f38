/**
 * Index objects: where the log has the events that left the store, and what is not worth a look at the log. Gzip NDJSON
 * like segments, sorted by id, immutable; `FORMAT.md` describes them.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import type { AttemptView, EventSummary, SettledEvent } from '../event/command.js';
import { timeOfId } from '../event/id.js';
import { formatPosition, type Position, parsePosition } from '../event/record.js';
import { CorruptSegmentError } from './segment.js';
import { parseObject } from './segment-header.js';

export const INDEX_VERSION = 1;
/** Of one object. */
export const INDEX_EVENTS_MAX = 10_000;
const INFLATED_BYTES_MAX = 256 * 1024 * 1024;

const SLOT_DIGITS = 20;
const TIME_DIGITS = 15;
const INDEX_KEY = /^index\/(\d+)\/(\d{20})-(\d{15})-(\d{15})\.gz$/;

/** What the name of an index object tells. */
export interface IndexName {
  /** How far the log was written when it was made: names go up. */
  readonly slot: number;
  /** Times of the first and the last id, ms since the epoch. */
  readonly from: number;
  readonly to: number;
}

export interface IndexEntry {
  readonly event: EventSummary;
  /** Slot of the segment that has its request. */
  readonly accepted: number;
  readonly ended: Position;
  /** Slot of the segment that has its result. */
  readonly endedSlot: number;
  readonly attempts: SettledEvent['attempts'];
}

export function indexFolder(partition: number): string {
  return `index/${partition}/`;
}

export function indexKey(partition: number, { slot, from, to }: IndexName): string {
  const digits = (value: number, count: number) => String(value).padStart(count, '0');
  const times = `${digits(from, TIME_DIGITS)}-${digits(to, TIME_DIGITS)}`;
  return `${indexFolder(partition)}${digits(slot, SLOT_DIGITS)}-${times}.gz`;
}

/** Null when the key is no index object's. */
export function indexNameOf(key: string): IndexName | null {
  const match = INDEX_KEY.exec(key);
  return match ? { slot: Number(match[2]), from: Number(match[3]), to: Number(match[4]) } : null;
}

export interface IndexPlace {
  readonly logId: string;
  readonly partition: number;
  readonly partitions: number;
  readonly slot: number;
}

const deflate = promisify(gzip);
const inflate = promisify(gunzip);

export async function encodeIndex(
  place: IndexPlace,
  entries: readonly IndexEntry[],
): Promise<{ key: string; bytes: Buffer }> {
  const sorted = [...entries].sort((a, b) => (a.event.id < b.event.id ? -1 : 1));
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (!first || !last) throw new RangeError('an index object holds an event at least');
  const name = { slot: place.slot, from: timeOfId(first.event.id), to: timeOfId(last.event.id) };
  const header = { v: INDEX_VERSION, kind: 'index', ...place, ...name, count: sorted.length };
  const content = Buffer.from([JSON.stringify(header), ...sorted.map(encodeEntry), ''].join('\n'));
  return { key: indexKey(place.partition, name), bytes: await sealIndex(content, sorted.length) };
}

function sealIndex(content: Buffer, count: number): Promise<Buffer> {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const footer = Buffer.from(`${JSON.stringify({ end: true, count, sha256 })}\n`);
  return deflate(Buffer.concat([content, footer]), { level: constants.Z_BEST_SPEED });
}

/** An index object in memory: its lines, found by halving. */
export class IndexObject {
  private constructor(
    private readonly key: string,
    /** The entries' lines. */
    private readonly lines: Buffer,
  ) {}

  get bytes(): number {
    return this.lines.byteLength;
  }

  /** The same object for another log that has the same slots. Throws as `decode`. */
  static async renamed(key: string, bytes: Uint8Array, logId: string, newLogId: string): Promise<Buffer> {
    const { lines } = await IndexObject.decode(key, bytes, logId);
    const raw = await inflate(bytes, { maxOutputLength: INFLATED_BYTES_MAX });
    const header = parseObject(raw.toString('utf8', 0, raw.indexOf(10)));
    const first = Buffer.from(`${JSON.stringify({ ...header, logId: newLogId })}\n`);
    return sealIndex(Buffer.concat([first, lines]), Number(header?.['count']));
  }

  /** Throws CorruptSegmentError unless `bytes` are a whole index object of the log `logId`. */
  static async decode(key: string, bytes: Uint8Array, logId: string): Promise<IndexObject> {
    const raw = await inflate(bytes, { maxOutputLength: INFLATED_BYTES_MAX }).catch((error: unknown) => {
      throw new CorruptSegmentError(key, 'it does not unpack', error);
    });
    const start = raw.lastIndexOf(10, -2) + 1;
    const footer = parseObject(raw.toString('utf8', start));
    const content = raw.subarray(0, start);
    const sha256 = createHash('sha256').update(content).digest('hex');
    if (footer?.['end'] !== true || footer['sha256'] !== sha256)
      throw new CorruptSegmentError(key, `its footer does not fit its content`);
    const end = content.indexOf(10);
    const header = parseObject(content.toString('utf8', 0, end));
    if (header?.['v'] !== INDEX_VERSION || header['logId'] !== logId)
      throw new CorruptSegmentError(key, `it is of log ${header?.['logId']}, version ${header?.['v']}`);
    return new IndexObject(key, content.subarray(end + 1));
  }

  find(id: string): IndexEntry | null {
    const { lines } = this;
    let low = 0;
    let high = lines.byteLength;
    // The first line that begins at or after `low`; an id stands at the same place in every line.
    while (low < high) {
      const middle = (low + high) >> 1;
      const start = lines.lastIndexOf(10, middle - 1) + 1;
      const lineStart = middle === 0 ? 0 : start;
      const found = lines.toString('latin1', lineStart + ID_AT, lineStart + ID_AT + ID_LENGTH);
      const end = lines.indexOf(10, lineStart);
      if (found === id) return decodeEntry(this.key, lines.toString('utf8', lineStart, end));
      if (found < id) low = end + 1;
      else high = lineStart;
    }
    return null;
  }
}

const ID_AT = '{"id":"'.length;
const ID_LENGTH = 36;

function encodeEntry({ event, accepted, ended, endedSlot, attempts }: IndexEntry): string {
  const { id, position, ...view } = event;
  return JSON.stringify({
    id,
    ...view,
    position: formatPosition(position),
    acceptedSlot: accepted,
    ended: formatPosition(ended),
    endedSlot,
    leases: attempts.map(({ result, late, ...attempt }) => ({
      ...attempt,
      resultBase64: base64(result),
      late: late && { at: late.at, resultBase64: base64(late.result) },
    })),
  });
}

interface StoredAttempt extends Omit<AttemptView, 'result' | 'late'> {
  readonly own: boolean;
  readonly resultBase64: string | null;
  readonly late: { readonly at: number; readonly resultBase64: string } | null;
}

interface StoredEntry extends Omit<EventSummary, 'position' | 'settled'> {
  /** Entries of before there were several listeners do not say it. */
  readonly settled?: boolean;
  readonly position: string;
  readonly acceptedSlot: number;
  readonly ended: string;
  readonly endedSlot: number;
  readonly leases: readonly StoredAttempt[];
}

function decodeEntry(key: string, line: string): IndexEntry {
  const { acceptedSlot, ended, endedSlot, leases, position, ...view } = JSON.parse(line) as StoredEntry;
  const [at, end] = [parsePosition(position), parsePosition(ended)];
  if (!at || !end) throw new CorruptSegmentError(key, `the entry of ${view.id} lacks a position`);
  return {
    // Entries from before there were cascades, several listeners, or deadlines shown, do not tell of them.
    event: {
      ...view,
      settled: true,
      parent: view.parent ?? null,
      root: view.root ?? null,
      key: view.key ?? null,
      deadlineAt: view.deadlineAt ?? null,
      redriveOf: view.redriveOf ?? null,
      redrivenBy: view.redrivenBy ?? null,
      position: at,
    },
    accepted: acceptedSlot,
    ended: end,
    endedSlot,
    attempts: leases.map(({ resultBase64, late, ...attempt }) => ({
      ...attempt,
      result: bytesOf(resultBase64),
      late: late && { at: late.at, result: Buffer.from(late.resultBase64, 'base64') },
    })),
  };
}

function base64(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes).toString('base64');
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64');
}
