/**
 * Objects of lines: gzip NDJSON whose first line says what it is and whose last line proves that it is whole. Segments
 * are such, and the parts of checkpoints.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { parseObject } from './segment-header.js';

/** The object is not what was written: a reader stops here and names it, and never skips it. */
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

/** Lines are made and read in runs of this size, with the event loop let go between them. */
export const RUN_BYTES = 64 * 1024;

/** What a reader inflates at most: the longest record there can be, with room. Guards against a planted bomb. */
const INFLATED_BYTES_MAX = 64 * 1024 * 1024;

/** Each piece is a way to another thread and back. */
const INFLATED_AT_ONCE_BYTES = 1 << 20;

export interface Unpacked {
  /** The first line. */
  readonly header: string;
  /** The lines between the first and the last. */
  readonly lines: Iterable<string>;
  /** Everything before the last line. */
  readonly content: Buffer;
  /** The same without the first. */
  readonly rest: Buffer;
  readonly sha256: string;
  /** How many lines there are between, as the last line says. */
  readonly count: number;
}

const deflate = promisify(gzip);
const inflate = promisify(gunzip);

/** Gathers lines into runs, as many as the limits let in. */
export class LineRuns {
  readonly runs: string[] = [];
  count = 0;
  #run: string[] = [];
  #runBytes = 0;
  #rawBytes = 0;

  constructor(private readonly max: { readonly lines: number; readonly rawBytes: number }) {}

  /** False when there is no room for all of the lines; the first ones are taken whatever they weigh. */
  add(...lines: readonly string[]): boolean {
    const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    const { lines: linesMax, rawBytes: rawBytesMax } = this.max;
    const full = this.count + lines.length > linesMax || this.#rawBytes + bytes > rawBytesMax;
    if (full && this.count > 0) return false;
    this.#run.push(...lines);
    this.#rawBytes += bytes;
    this.#runBytes += bytes;
    this.count += lines.length;
    if (this.#runBytes >= RUN_BYTES) this.#endRun();
    return true;
  }

  /** Whether a run has just ended: the time to let go of the event loop. */
  get betweenRuns(): boolean {
    return this.#run.length === 0;
  }

  finish(): readonly string[] {
    if (this.#run.length > 0) this.#endRun();
    return this.runs;
  }

  #endRun(): void {
    this.runs.push(`${this.#run.join('\n')}\n`);
    this.#run = [];
    this.#runBytes = 0;
  }
}

/** Puts header and footer around the lines, hashes, and compresses off the event loop. */
export async function packLines(
  header: string,
  runs: readonly string[],
  count: number,
): Promise<{ bytes: Buffer; sha256: string }> {
  const hash = createHash('sha256');
  const chunks = [hashed(hash, `${header}\n`)];
  for (const run of runs) {
    chunks.push(hashed(hash, run));
    await setImmediate();
  }
  const sha256 = hash.digest('hex');
  chunks.push(Buffer.from(`${JSON.stringify({ end: true, count, sha256 })}\n`));
  return { bytes: await deflate(Buffer.concat(chunks), { level: constants.Z_BEST_SPEED }), sha256 };
}

/** Throws CorruptSegmentError, naming `key`, unless `bytes` are whole. */
export async function unpackLines(key: string, bytes: Uint8Array): Promise<Unpacked> {
  const raw = await inflate(bytes, {
    maxOutputLength: INFLATED_BYTES_MAX,
    chunkSize: INFLATED_AT_ONCE_BYTES,
  }).catch((error: unknown) => {
    throw new CorruptSegmentError(key, `it does not unpack: ${messageOf(error)}`, error);
  });
  const { content, sha256, count } = checkFooter(key, raw);
  const lines = linesOf(content);
  const rest = content.subarray(content.indexOf(10) + 1);
  return { header: lines.next().value ?? '', lines, content, rest, sha256, count };
}

/** What the lines stand for, with the event loop let go from time to time. */
export async function decodeLines<Value>(
  key: string,
  { lines, count }: Unpacked,
  decode: (line: string) => Value,
): Promise<Value[]> {
  const values: Value[] = [];
  let runBytes = 0;
  for (const line of lines) {
    try {
      values.push(decode(line));
    } catch (error) {
      throw new CorruptSegmentError(key, `its record ${values.length + 1} is ${messageOf(error)}`, error);
    }
    runBytes += line.length;
    if (runBytes < RUN_BYTES) continue;
    runBytes = 0;
    await setImmediate();
  }
  if (count === values.length) return values;
  throw new CorruptSegmentError(key, `it holds ${values.length} records, its footer says ${count}`);
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

/** Text is made of a run at a time: of each line by itself it takes longer. */
function* linesOf(content: Buffer): Generator<string, undefined> {
  for (let start = 0; start < content.byteLength; ) {
    const text = content.toString('utf8', start, endOfRun(content, start));
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from);
      yield text.slice(from, to);
      from = to + 1;
    }
    start = endOfRun(content, start);
  }
  return undefined;
}

/** Behind the last line that ends within the run, or the first when that is longer. */
function endOfRun(content: Buffer, start: number): number {
  const end = content.lastIndexOf(10, start + RUN_BYTES) + 1;
  return end > start ? end : content.indexOf(10, start) + 1;
}

function hashed(hash: Hash, text: string): Buffer {
  const bytes = Buffer.from(text);
  hash.update(bytes);
  return bytes;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
