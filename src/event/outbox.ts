/**
 * The outbox: records that are not archived yet, oldest first. Read by position and trimmed at its old end, both
 * at a cost that does not grow with its depth: when the archive is away for long, it is deep.
 */
import { comparePositions, type LogRecord, type Position } from './record.js';

/** What a record weighs in memory beside its payload, which it shares with its event; measured on Node 20. */
export const RECORD_OVERHEAD_BYTES = 400;

/** Emptied places at the old end are given up when they are this many and half of all. */
const SLACK_MAX = 1_024;

export class Outbox {
  #records: LogRecord[] = [];
  #first = 0;

  get length(): number {
    return this.#records.length - this.#first;
  }

  /** What the records weigh beside the payloads that they share with their events. */
  get overheadBytes(): number {
    return this.length * RECORD_OVERHEAD_BYTES;
  }

  push(record: LogRecord): void {
    this.#records.push(record);
  }

  /** Records after `after` (null: all), bounded; at least one when there is one. */
  read(after: Position | null, limit: { readonly records: number; readonly bytes: number }): LogRecord[] {
    const start = after ? this.#indexAfter(after) : this.#first;
    const taken: LogRecord[] = [];
    let bytes = 0;
    for (let index = start; index < this.#records.length && taken.length < limit.records; index += 1) {
      const record = this.#records[index]!;
      bytes += RECORD_OVERHEAD_BYTES + ('payload' in record ? (record.payload?.byteLength ?? 0) : 0);
      if (taken.length > 0 && bytes > limit.bytes) break;
      taken.push(record);
    }
    return taken;
  }

  /** Forgets everything up to and with `pos`. */
  trim(pos: Position): void {
    const kept = this.#indexAfter(pos);
    // Let go of at once, though the places stay for a while.
    this.#records.fill(undefined as never, this.#first, kept);
    this.#first = kept;
    if (this.#first > SLACK_MAX && this.#first * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#first);
      this.#first = 0;
    }
  }

  *[Symbol.iterator](): IterableIterator<LogRecord> {
    for (let index = this.#first; index < this.#records.length; index += 1) yield this.#records[index]!;
  }

  /** The place of the first record after `pos`. */
  #indexAfter(pos: Position): number {
    let low = this.#first;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePositions(this.#records[middle]!.pos, pos) > 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
