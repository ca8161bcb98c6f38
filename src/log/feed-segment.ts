/** A segment as the feed keeps it: its records as the text that readers get, in one piece, with the type of each. */
import type { LogRecord } from '../event/record.js';
import type { Segment } from './segment.js';

/** A record as its readers see it, as JSON. */
export type Render = (record: LogRecord, partition: number) => string;

export class FeedSegment {
  /** What it weighs in memory, about. */
  readonly bytes: number;

  private constructor(
    private readonly texts: Buffer,
    /** Where each record's text ends. */
    private readonly ends: Uint32Array,
    private readonly types: readonly string[],
  ) {
    this.bytes = texts.byteLength + ends.byteLength + 8 * types.length + 200;
  }

  static from({ header, records }: Segment, render: Render): FeedSegment {
    const texts: Buffer[] = [];
    const ends = new Uint32Array(records.length);
    // Names are few and records many: each name is kept once.
    const names = new Map<string, string>();
    const types: string[] = [];
    let end = 0;
    for (const [index, record] of records.entries()) {
      const text = Buffer.from(render(record, header.partition));
      texts.push(text);
      end += text.byteLength;
      ends[index] = end;
      const name = names.get(record.type) ?? record.type;
      names.set(name, name);
      types.push(name);
    }
    return new FeedSegment(Buffer.concat(texts), ends, types);
  }

  get count(): number {
    return this.types.length;
  }

  typeAt(index: number): string | undefined {
    return this.types[index];
  }

  textAt(index: number): Buffer {
    return this.texts.subarray(index === 0 ? 0 : this.ends[index - 1], this.ends[index]);
  }
}
