/**
 * Events that have left the store, as their clients know them: found by the log's index, their bytes read from the log.
 *
 * Cold, an event costs at most three requests: a list when the index has grown, its index object, and the segment with
 * the request or the result. Warm, none. An id that no part of the index can have costs nothing.
 */
import type { BlobStore } from '../blob/blob.js';
import { ClockworkError } from '../errors.js';
import type { AttemptView, EventView } from '../event/command.js';
import { partitionOfId, timeOfId } from '../event/id.js';
import { formatPosition, type Position } from '../event/record.js';
import type { Store } from '../store/store.js';
import { floorOf } from './floor.js';
import { IndexManifest } from './index-manifest.js';
import { type IndexEntry, IndexObject, indexNameOf } from './index-object.js';
import { Lru } from './lru.js';
import { CorruptSegmentError, findRecord } from './segment.js';
import { slotKey } from './slot.js';

export interface PastOptions {
  readonly blobs: BlobStore;
  readonly store: Pick<Store, 'logId' | 'partitions' | 'indexedTo'>;
  /** Of index objects, and of events, each. */
  readonly cacheBytesMax: number;
}

const ENTRY_BYTES = 1_000;

export class PastEvents {
  readonly #manifests: IndexManifest[];
  readonly #objects: Lru<IndexObject>;
  readonly #entries: Lru<IndexEntry>;
  readonly #payloads: Lru<Uint8Array>;
  readonly #fetching = new Map<string, Promise<unknown>>();

  constructor(private readonly options: PastOptions) {
    const { blobs, store, cacheBytesMax } = options;
    this.#manifests = Array.from(
      { length: store.partitions },
      (_, partition) => new IndexManifest(blobs, partition),
    );
    this.#objects = new Lru(cacheBytesMax);
    this.#entries = new Lru(cacheBytesMax);
    this.#payloads = new Lru(cacheBytesMax);
  }

  /** Null: no event has this id, as far as the index goes; the store is asked before. Throws BlobError, StoreError. */
  async read(id: string): Promise<EventView | null> {
    const entry = await this.#entry(id);
    return entry && { ...entry.event, result: await this.#result(entry), behind: false };
  }

  async readRequest(id: string): Promise<Uint8Array | null> {
    const entry = await this.#entry(id);
    return entry && this.#payload(id, entry.accepted, entry.event.position);
  }

  async readAttempts(id: string): Promise<AttemptView[] | null> {
    const entry = await this.#entry(id);
    if (!entry) return null;
    const attempts: AttemptView[] = [];
    for (const { own, ...attempt } of entry.attempts)
      attempts.push(own ? { ...attempt, result: await this.#result(entry) } : attempt);
    return attempts;
  }

  /** Where the log has it, and how it ended; null as for `read`. */
  find(id: string): Promise<IndexEntry | null> {
    return this.#entry(id);
  }

  async #entry(id: string): Promise<IndexEntry | null> {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const partition = partitionOfId(id);
    const manifest = partition === null ? undefined : this.#manifests[partition];
    if (partition === null || !manifest) return null;
    await manifest.reach(await this.options.store.indexedTo(partition));
    for (const key of manifest.keysFor(timeOfId(id))) {
      const entry = (await this.#object(key, partition))?.find(id);
      if (!entry) continue;
      const bytes = entry.attempts.reduce(
        (sum, { result, late }) => sum + (result?.byteLength ?? 0) + (late?.result.byteLength ?? 0),
        ENTRY_BYTES,
      );
      this.#entries.set(id, entry, bytes);
      return entry;
    }
    return null;
  }

  /** Null: it names nothing but what was deleted from the log, and is deleted itself. */
  #object(key: string, partition: number): Promise<IndexObject | null> {
    return this.#once<IndexObject | null>(key, this.#objects.get(key), async () => {
      const bytes = await this.options.blobs.get(key);
      if (bytes === null) {
        if ((indexNameOf(key)?.slot ?? 0) < (await floorOf(this.options.blobs, partition))) return null;
        throw new CorruptSegmentError(key, 'it was listed, and is not there');
      }
      const object = await IndexObject.decode(key, bytes, this.options.store.logId);
      this.#objects.set(key, object, object.bytes);
      return object;
    });
  }

  async #result({ event, ended, endedSlot, attempts }: IndexEntry): Promise<Uint8Array | null> {
    if (!attempts.some(({ own }) => own)) return null;
    return this.#payload(event.id, endedSlot, ended);
  }

  /** The bytes of the record at `position`, which is in `slot`. */
  #payload(id: string, slot: number, position: Position): Promise<Uint8Array> {
    const partition = partitionOfId(id)!;
    const name = `${partition} ${formatPosition(position)}`;
    return this.#once(name, this.#payloads.get(name), async () => {
      const key = slotKey(partition, slot);
      const bytes = await this.options.blobs.get(key);
      if (bytes === null) throw await this.#missing(key, partition, slot);
      const record = await findRecord(key, bytes, position);
      if (!record || !('payload' in record) || record.payload === null || record.id !== id)
        throw new CorruptSegmentError(key, `it lacks the record ${formatPosition(position)} of ${id}`);
      this.#payloads.set(name, record.payload, record.payload.byteLength + ENTRY_BYTES);
      return record.payload;
    });
  }

  /** What the index names was deleted because it was old, or is lost. */
  async #missing(key: string, partition: number, slot: number): Promise<Error> {
    if (slot >= (await floorOf(this.options.blobs, partition)))
      return new CorruptSegmentError(key, 'the index names it, and it is not there');
    return new ClockworkError(
      'event-expired',
      'The event was completed so long ago that the log no longer has all of it.',
    );
  }

  /** What several ask for at the same time is fetched once. */
  #once<Value>(name: string, known: Value | undefined, fetch: () => Promise<Value>): Promise<Value> {
    if (known !== undefined) return Promise.resolve(known);
    const under = this.#fetching.get(name) as Promise<Value> | undefined;
    if (under !== undefined) return under;
    const fetching = fetch().finally(() => this.#fetching.delete(name));
    this.#fetching.set(name, fetching);
    return fetching;
  }
}
