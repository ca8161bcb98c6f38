/**
 * Whose log it is: a store and a log that do not belong together are told apart before anything is written. A log
 * says it in its first slot, a store by what it was opened for.
 */
import type { BlobStore } from '../blob/blob.js';
import type { Recoverable, Store } from '../store/store.js';
import { LogMismatchError } from './archiver-status.js';
import { decodeSegment } from './segment.js';
import { firstSlotFrom, slotKey } from './slot.js';

/**
 * The id of the log that store and place have in common; null when both are empty, so that it is new. Throws
 * LogMismatchError when they have none in common.
 */
export async function findLogId(blobs: BlobStore, store: Store & Recoverable): Promise<string | null> {
  const ofLog = new Set<string>();
  const ofStore = new Set<string>();
  for (let partition = 0; partition < store.partitions; partition += 1) {
    const found = await logIdOf(blobs, partition);
    const { logId, archived } = await store.standing(partition);
    if (found !== null) ofLog.add(found);
    if (logId !== null) ofStore.add(logId);
    if (found !== null || archived === null) continue;
    throw new LogMismatchError(
      `the store has archived ${archived.slot} segments of log ${logId}, and ${blobs.description} has none of them: set the bucket and prefix (or the folder) of that log`,
    );
  }
  const [logId = null] = [...ofLog, ...ofStore];
  if (new Set([...ofLog, ...ofStore]).size <= 1) return logId;
  throw new LogMismatchError(
    `${blobs.description} has log ${[...ofLog].join(' and ')}, and the store belongs to log ${[...ofStore].join(' and ')}: give the log the bucket and prefix, or the store the Redis and prefix (or the data folder), that it belongs to; a store that is emptied is rebuilt from the log`,
  );
}

async function logIdOf(blobs: BlobStore, partition: number): Promise<string | null> {
  const slot = await firstSlotFrom(blobs, partition, 1);
  if (slot === null) return null;
  const key = slotKey(partition, slot);
  const bytes = await blobs.get(key);
  return bytes && (await decodeSegment(key, bytes)).header.logId;
}
