/** A checkpoint of records: what the maker keeps of them, as a reader finds it. */
import type { KeptRecord, LogRecord } from '../../src/event/record.js';
import { type Manifest, readParts } from '../../src/log/checkpoint.js';
import { makeCheckpoint } from '../../src/log/checkpoint-maker.js';
import { MemoryBlobs } from './memory-blobs.js';
import { LOG_ID } from './records.js';
import { writeSegments } from './written-log.js';

const IDENTITY = { logId: LOG_ID, partitions: 1 };

export interface Kept {
  readonly records: readonly KeptRecord[];
  readonly manifest: Manifest;
}

/** Of records whose bytes may be any: lines have a head before them. */
const HEAD = Buffer.from('{}\n');

function withHead<R extends KeptRecord>(record: R): R {
  if (!('payload' in record) || record.payload === null) return record;
  return { ...record, payload: Buffer.concat([HEAD, record.payload]) };
}

function withoutHead<R extends KeptRecord>(record: R): R {
  if (!('payload' in record) || record.payload === null) return record;
  return { ...record, payload: record.payload.subarray(HEAD.byteLength) };
}

/** `log` is not empty. */
export async function keptOf(log: readonly LogRecord[]): Promise<Kept> {
  const blobs = new MemoryBlobs();
  await writeSegments(blobs, [{ records: log.map(withHead) }]);
  const warn = (error: Error) => {
    throw error;
  };
  const now = () => 0;
  const made = await makeCheckpoint({ blobs, identity: IDENTITY, partition: 0, slot: 1, now, warn });
  if (made.kind !== 'made') throw new Error(made.kind);
  const records: KeptRecord[] = [];
  for await (const part of readParts(blobs, made.manifest)) records.push(...part.map(withoutHead));
  return { records, manifest: made.manifest };
}
