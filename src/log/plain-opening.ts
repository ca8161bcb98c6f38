/** Opening the log for a store that cannot be recovered from it: no fence is written, and no gate opened. */
import type { BlobStore } from '../blob/blob.js';
import { type Archived, findHead, type Head } from './head.js';
import type { LogReader } from './reader.js';

export async function openLog(
  blobs: BlobStore,
  reader: LogReader,
  partition: number,
  archived: Archived | null,
  knownSlot: number,
): Promise<Head> {
  const segment = await findHead(blobs, reader, partition, archived, knownSlot);
  if (segment === null) return { slot: 0, to: null, sha256: null, epoch: 1, view: null };
  const { slot, to, epoch } = segment.header;
  return { slot, to, sha256: segment.sha256, epoch: epoch + 1, view: null };
}
