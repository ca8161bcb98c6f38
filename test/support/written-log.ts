/** Logs for tests: segments in a row, each naming the one before, as an archiver would have written them. */

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { BlobStore } from '../../src/blob/blob.js';
import type { LogRecord } from '../../src/event/record.js';
import { encodeSegment } from '../../src/log/segment.js';
import { encodeHeader, type SegmentPlace } from '../../src/log/segment-header.js';
import { slotKey } from '../../src/log/slot.js';
import { LOG_ID } from './records.js';

export interface WrittenSegment {
  readonly records: readonly LogRecord[];
  /** What its header says otherwise. */
  readonly place?: Partial<SegmentPlace>;
}

/** Writes into slots from 1 on, one segment each; one without records becomes a fence. */
export async function writeSegments(
  blobs: Pick<BlobStore, 'putIfAbsent'>,
  segments: readonly WrittenSegment[],
  log: { readonly partition?: number; readonly partitions?: number } = {},
): Promise<void> {
  const { partition = 0, partitions = 1 } = log;
  let previous: string | null = null;
  for (const [index, { records, place }] of segments.entries()) {
    const slot = index + 1;
    const full: SegmentPlace = {
      kind: 'data',
      logId: LOG_ID,
      partition,
      partitions,
      slot,
      epoch: 1,
      view: 1,
      writer: 'test',
      putId: `put-${partition}-${slot}`,
      previous,
      ...place,
    };
    const to =
      segments
        .slice(0, index)
        .flatMap((segment) => segment.records)
        .at(-1)?.pos ?? null;
    const { bytes, sha256 } =
      records.length > 0 ? await encodeSegment(full, records) : fence({ ...full, kind: 'fence' }, to);
    await blobs.putIfAbsent(slotKey(partition, slot), bytes);
    previous = sha256;
  }
}

function fence(place: SegmentPlace, to: LogRecord['pos'] | null): { bytes: Buffer; sha256: string } {
  const header = `${encodeHeader({ v: 1, ...place, from: null, to, count: 0 })}\n`;
  const sha256 = createHash('sha256').update(header).digest('hex');
  return { bytes: gzipSync(`${header}${JSON.stringify({ end: true, count: 0, sha256 })}\n`), sha256 };
}
