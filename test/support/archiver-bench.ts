/** An archiver with everything around it that its tests want to hold: clock, outbox, place, and what it reports. */
import { setImmediate } from 'node:timers/promises';
import type { Test } from 'tap';
import type { BlobStore } from '../../src/blob/blob.js';
import { formatPosition, type LogRecord } from '../../src/event/record.js';
import { Archiver, type ArchiverOptions } from '../../src/log/archiver.js';
import type { ArchiverEvent } from '../../src/log/archiver-status.js';
import { LogReader } from '../../src/log/reader.js';
import type { Segment } from '../../src/log/segment.js';
import { ManualClock } from './manual-clock.js';
import { MemoryBlobs } from './memory-blobs.js';
import { MemoryOutbox } from './memory-outbox.js';
import { LOG_ID } from './records.js';

export const INTERVAL_MS = 1_000;
export const IDENTITY = { logId: LOG_ID, partitions: 1 };
const PATIENCE_MS = 20_000;

export async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > giveUpMs) throw new Error(`never: ${what}`);
    await setImmediate();
  }
}

/** An archiver with everything around it. */
export class Bench {
  readonly clock = new ManualClock();
  readonly events: ArchiverEvent[] = [];
  readonly archiver: Archiver;

  constructor(
    readonly blobs: BlobStore,
    readonly outbox: MemoryOutbox,
    options: Partial<ArchiverOptions> = {},
  ) {
    this.archiver = new Archiver({
      ...IDENTITY,
      blobs,
      outbox,
      partition: 0,
      writer: 'a',
      archiveIntervalMs: INTERVAL_MS,
      clock: this.clock,
      report: (event) => this.events.push(event),
      ...options,
    });
  }

  /** Until there is nothing left to do before time goes on. */
  async rested(): Promise<this> {
    await until('at rest', () => this.clock.waiting > 0);
    return this;
  }

  /** Lets it go through its waits until `condition` holds. */
  async goOnUntil(what: string, condition: () => boolean): Promise<void> {
    await until(what, () => {
      if (condition()) return true;
      this.clock.advance(this.clock.nextInMs ?? 0);
      return false;
    });
    await this.rested();
  }

  of<K extends ArchiverEvent['kind']>(kind: K): Extract<ArchiverEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<ArchiverEvent, { kind: K }> => event.kind === kind);
  }
}

export async function segmentsOf(blobs: BlobStore): Promise<Segment[]> {
  const segments: Segment[] = [];
  for await (const segment of new LogReader(blobs, IDENTITY).segments(0)) segments.push(segment);
  return segments;
}

export async function positionsIn(blobs: BlobStore): Promise<string[]> {
  return (await segmentsOf(blobs)).flatMap(({ records }) =>
    records.map((record) => formatPosition(record.pos)),
  );
}

export function positionsOf(records: readonly LogRecord[]): string[] {
  return records.map((record) => formatPosition(record.pos));
}

/** A running archiver in memory; stopped when the test ends. */
export function startArchiver(
  t: Test,
  records: LogRecord[] = [],
  options: Partial<ArchiverOptions> = {},
  outbox = new MemoryOutbox(),
) {
  outbox.add(...records);
  const blobs = new MemoryBlobs();
  const bench = new Bench(options.blobs ?? blobs, outbox, options);
  bench.archiver.start();
  t.teardown(() => bench.archiver.stop(0));
  return { bench, blobs, outbox };
}
