/** Finds out whether a blob store really refuses to create what exists: some accept the condition and ignore it. */
import { randomUUID } from 'node:crypto';
import type { BlobProbe, BlobStore } from './blob.js';

export async function probeConditionalPut(
  store: Pick<BlobStore, 'putIfAbsent' | 'get' | 'delete'>,
): Promise<BlobProbe> {
  // A key of its own each time: with a constant one, the late delete of another instance's probe could fall between our two puts.
  const key = `probe/${randomUUID()}`;
  const mine = Buffer.from('first');
  try {
    const first = await store.putIfAbsent(key, mine);
    const second = await store.putIfAbsent(key, Buffer.from('second'));
    const kept = await store.get(key);
    return {
      conditionalPut: first === 'created' && second === 'exists' && kept !== null && mine.equals(kept),
    };
  } finally {
    // Where deleting is not allowed the few bytes stay; that says nothing about the condition.
    await store.delete([key]).catch(() => undefined);
  }
}
