/** A load on a store itself, without HTTP, and the archivers behind it. */
import type { BlobStore } from '../../src/blob/blob.js';
import { makeEventId } from '../../src/event/id.js';
import { Archiver } from '../../src/log/archiver.js';
import { partitionOfType, type Store } from '../../src/store/store.js';
import { completionOf, envelopeOf } from '../contract/store/scene.js';

/** An archiver for each partition, started. */
export function startArchivers(store: Store, blobs: BlobStore, archiveIntervalMs: number): Archiver[] {
  const { logId, partitions } = store;
  return Array.from({ length: partitions }, (_, partition) => {
    const archiver = new Archiver({
      blobs,
      outbox: store,
      logId,
      partition,
      partitions,
      writer: 'w',
      archiveIntervalMs,
      report: () => {},
    });
    archiver.start();
    return archiver;
  });
}

/** Clients that post and listeners that lease and complete, until `events` events are complete. */
export async function loadStore(store: Store, events: number, types: readonly string[]): Promise<void> {
  let posted = 0;
  let completed = 0;
  const post = async () => {
    while (posted < events) {
      const batch = Array.from({ length: Math.min(20, events - posted) }, (_, k) => {
        const type = types[(posted + k) % types.length]!;
        const id = makeEventId(Date.now(), partitionOfType(type, store.partitions));
        return { id, type, envelope: envelopeOf(`body ${posted + k}`), delayMs: 0, idempotency: null };
      });
      posted += batch.length;
      await store.accept(batch);
    }
  };
  const listen = async (type: string, listener: number) => {
    for (let call = 0; completed < events; call += 1) {
      const tokens = Array.from({ length: 10 }, (_, k) => `${type} ${listener} ${call} ${k}`);
      const about = { listener: 'default', max: 10, bytesMax: 1 << 20, leaseMs: null, worker: null };
      const result = await store.lease({ types: [type], ...about, call: tokens[0]!, tokens });
      if (result.kind !== 'leased') throw new Error(result.kind);
      await store.complete(result.leases.map((lease) => completionOf(lease)));
      completed += result.leases.length;
      if (result.leases.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all([post(), post(), ...types.flatMap((type) => [listen(type, 0), listen(type, 1)])]);
}
