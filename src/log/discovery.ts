/** Finding out what a log is from its objects alone: for tools that have no store to ask. */
import type { BlobStore } from '../blob/blob.js';
import type { LogIdentity } from './reader.js';
import { decodeSegment } from './segment.js';
import { slotOfKey } from './slot.js';

const LIST_MAX = 1_000;

/** What the first segment that there is says of its log; null when there is none. */
export async function discoverLog(blobs: BlobStore): Promise<LogIdentity | null> {
  for await (const { key } of objectsUnder(blobs, 'log/')) {
    const bytes = slotOfKey(key) === null ? null : await blobs.get(key);
    if (bytes === null) continue;
    const { logId, partitions } = (await decodeSegment(key, bytes)).header;
    return { logId, partitions };
  }
  return null;
}

/** Every object whose key begins with `prefix`, in the order of the keys. */
export async function* objectsUnder(
  blobs: BlobStore,
  prefix: string,
): AsyncGenerator<{ readonly key: string; readonly bytes: number }> {
  let after: string | undefined;
  for (;;) {
    const page = await blobs.list(prefix, { limit: LIST_MAX, ...(after === undefined ? {} : { after }) });
    yield* page;
    after = page.at(-1)?.key;
    if (page.length < LIST_MAX) return;
  }
}
