/** Reads the log that a service has written, as somebody would who has nothing else. */
import { join } from 'node:path';
import type { BlobStore } from '../../src/blob/blob.js';
import { FileBlobStore } from '../../src/blob/file.js';
import type { LogRecord } from '../../src/event/record.js';
import { LogReader } from '../../src/log/reader.js';
import { decodeSegment } from '../../src/log/segment.js';
import { slotKey } from '../../src/log/slot.js';

/** All records of partition 0, in order. Throws where a segment is damaged, the chain breaks or a position is missing. */
export async function readLog(blobs: BlobStore): Promise<LogRecord[]> {
  const key = slotKey(0, 1);
  const first = await blobs.get(key);
  if (first === null) return [];
  const { header } = await decodeSegment(key, first);
  const records: LogRecord[] = [];
  for await (const segment of new LogReader(blobs, header).segments(0)) records.push(...segment.records);
  return records;
}

/** As `readLog`, of a service whose log is in files. */
export async function readFileLog(dataDir: string): Promise<LogRecord[]> {
  const blobs = new FileBlobStore(join(dataDir, 'log'));
  try {
    return await readLog(blobs);
  } finally {
    await blobs.close();
  }
}
