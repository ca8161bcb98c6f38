/** The thread that makes segments of records, see `encoder.ts`. */

import { parentPort } from 'node:worker_threads';
import type { LogRecord } from '../event/record.js';
import { recordsOf, type Sheet } from '../event/sheet.js';
import { encodeSegment } from './segment.js';
import type { SegmentHeader, SegmentPlace } from './segment-header.js';

export interface EncodeTask {
  readonly number: number;
  readonly place: SegmentPlace;
  readonly sheet: Sheet;
}

export interface Encoded {
  readonly number: number;
  /** Null: it could not be made. Who asked finds out why. */
  readonly segment: {
    readonly header: SegmentHeader;
    readonly bytes: Uint8Array;
    readonly sha256: string;
  } | null;
}

const port = parentPort!;
port.on('message', async ({ number, place, sheet }: EncodeTask) => {
  const segment = await encode(place, sheet);
  port.postMessage({ number, segment } satisfies Encoded, segment ? [segment.bytes.buffer] : []);
});

async function encode(place: SegmentPlace, sheet: Sheet) {
  try {
    const { header, bytes, sha256 } = await encodeSegment(place, recordsOf(sheet) as LogRecord[]);
    // Memory of its own, which can be moved.
    return { header, bytes: new Uint8Array(bytes), sha256 };
  } catch {
    return null;
  }
}
