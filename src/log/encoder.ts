/**
 * Making segments in a thread of its own. Lines, hash and compression take longer than much of what a request does; the
 * thread that serves requests only puts the records together for the other one, which took it from 16 µs a record to 3.
 */
import { Worker } from 'node:worker_threads';
import type { LogRecord } from '../event/record.js';
import type { Encoded, EncodeTask } from './encode-thread.js';
import { RUN_BYTES } from './lines.js';
import { type EncodedSegment, encodeSegment, SEGMENT_RAW_BYTES_MAX } from './segment.js';
import type { SegmentPlace } from './segment-header.js';
import { sheetFrom } from './sheet.js';
import { stepLength } from './step.js';

export class Encoder {
  /** Begun when there is something to do that is worth it. */
  #thread: Worker | null = null;
  readonly #waiting = new Map<number, (segment: Encoded['segment']) => void>();
  #number = 0;
  #ended = false;

  /** As `encodeSegment` does. What the thread could not do, and what is little, is done here. */
  readonly encode = async (place: SegmentPlace, records: readonly LogRecord[]): Promise<EncodedSegment> => {
    const { count, bytes } = thatMayFit(records);
    const made = bytes < RUN_BYTES || this.#ended ? null : await this.#ask(place, records.slice(0, count));
    if (made === null) return encodeSegment(place, records);
    const { buffer, byteOffset, byteLength } = made.bytes;
    return { ...made, bytes: Buffer.from(buffer, byteOffset, byteLength) };
  };

  async close(): Promise<void> {
    this.#ended = true;
    await this.#thread?.terminate();
  }

  async #ask(place: SegmentPlace, records: readonly LogRecord[]): Promise<Encoded['segment']> {
    const sheet = await sheetFrom(records);
    if (this.#ended) return null;
    const thread = this.#begun();
    this.#number += 1;
    const number = this.#number;
    const moved = [sheet.fields, sheet.payloads, sheet.ends].map(({ buffer }) => buffer as ArrayBuffer);
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      thread.postMessage({ number, place, sheet } satisfies EncodeTask, moved);
    });
  }

  #begun(): Worker {
    if (this.#thread) return this.#thread;
    const thread = new Worker(new URL('./encode-thread.js', import.meta.url));
    thread.on('message', ({ number, segment }: Encoded) => {
      this.#waiting.get(number)?.(segment);
      this.#waiting.delete(number);
    });
    // Everybody goes on without it; what was wrong they will see for themselves.
    thread.on('error', () => undefined);
    thread.on('exit', () => {
      this.#ended = true;
      for (const answer of this.#waiting.values()) answer(null);
      this.#waiting.clear();
    });
    this.#thread = thread;
    return thread;
  }
}

/** From the first on, in whole steps, and what they weigh at the least: a line is longer than the payload in it. */
function thatMayFit(records: readonly LogRecord[]): { readonly count: number; readonly bytes: number } {
  let count = 0;
  let bytes = 0;
  while (count < records.length && bytes <= SEGMENT_RAW_BYTES_MAX) {
    const end = count + (stepLength(records, count) ?? 1);
    for (; count < end; count += 1) bytes += payloadBytes(records[count]!) + LINE_BYTES_MIN;
  }
  return { count, bytes };
}

/** Of a line beside its payload: no record has less to say. */
const LINE_BYTES_MIN = 48;

function payloadBytes(record: LogRecord): number {
  return 'payload' in record ? (record.payload?.byteLength ?? 0) : 0;
}
