/**
 * The feed: the archived records in the order of the log, for readers that come with a cursor and wait for more.
 *
 * Only what is in a segment is shown, so nothing that a reader has seen is ever taken back. Segments come from the blob
 * store and stay in a bounded cache, where readers at the end of the log find them; a fence holds no records and is
 * passed over. Each partition is in its own order, hence each type is; the partitions take turns, a segment each.
 */
import type { BlobStore } from '../blob/blob.js';
import { partitionOfType, type Store } from '../store/store.js';
import { type FeedCursor, formatCursor, type Place, parseCursor } from './feed-cursor.js';
import { FeedSegment, type Render } from './feed-segment.js';
import { FeedSleepers } from './feed-sleepers.js';
import { floorOf } from './floor.js';
import { Lru } from './lru.js';
import { LogReader } from './reader.js';
import { CorruptSegmentError } from './segment.js';
import { firstSlotFrom, slotKey } from './slot.js';

export interface FeedOptions {
  readonly blobs: BlobStore;
  readonly store: Pick<Store, 'logId' | 'partitions' | 'archivedTo' | 'hurryArchiving' | 'onWake'>;
  readonly render: Render;
  readonly cacheBytesMax: number;
  /** Records' text in one page; the first record comes whatever it weighs. */
  readonly pageBytesMax: number;
  /** Segments looked at for one page, so that a rare type does not make one call read the whole log. */
  readonly pageSegmentsMax: number;
  /** Calls that may wait at one time. */
  readonly waitersMax: number;
  /** How often waiting calls look without having been woken. */
  readonly slowLookMs: number;
}

export interface FeedQuery {
  /** As a page gave it; null: from the oldest record there is. */
  readonly after: string | null;
  /** Null: of all types. */
  readonly types: readonly string[] | null;
  readonly limit: number;
  /** How long to wait for a record when there is none. */
  readonly waitMs: number;
  /** What has been recorded by now is waited for: it is to be archived soon, and not within the interval. */
  readonly hurry?: boolean;
  readonly signal: AbortSignal | null;
}

export type FeedResult =
  | {
      readonly kind: 'page';
      /** Each a JSON object. */
      readonly records: readonly Buffer[];
      readonly cursor: string;
      /** There was nothing after it. */
      readonly atEnd: boolean;
    }
  | { readonly kind: 'garbled' | 'foreign' }
  /** The log no longer goes back so far. */
  | { readonly kind: 'gone'; readonly earliest: string };

interface Page {
  readonly records: Buffer[];
  bytes: number;
  segments: number;
  full: boolean;
}

/** Segments stay for a day at least, so there is time to hear that some have gone. */
const FLOOR_SEEN_MS = 60_000;

/** A slot that was written is not there. */
class Gone extends Error {
  constructor(
    readonly partition: number,
    readonly slot: number,
  ) {
    super(`slot ${slot} of partition ${partition} is gone`);
  }
}

export class Feed {
  readonly #options: FeedOptions;
  readonly #reader: LogReader;
  readonly #cache: Lru<FeedSegment>;
  readonly #sleepers: FeedSleepers;
  readonly #unsubscribe: () => void;
  /** Segments that are being fetched, so that readers at the same place fetch them once. */
  readonly #fetching = new Map<string, Promise<FeedSegment | null>>();
  /** The highest slot of each partition that is known to be there. */
  readonly #heads: number[];
  readonly #floors = new Map<number, { readonly slot: number; readonly seenMs: number }>();

  constructor(options: FeedOptions) {
    const { blobs, store, cacheBytesMax, waitersMax, slowLookMs } = options;
    this.#options = options;
    this.#reader = new LogReader(blobs, store);
    this.#cache = new Lru(cacheBytesMax);
    this.#heads = Array.from({ length: store.partitions }, () => 0);
    this.#sleepers = new FeedSleepers({ sleepersMax: waitersMax, slowLookMs });
    this.#unsubscribe = store.onWake(({ archived }) => {
      if (archived.length > 0) this.#sleepers.wake();
    });
  }

  /** Whether one more call may wait. */
  get hasRoomToWait(): boolean {
    return this.#sleepers.hasRoom;
  }

  /** A page of records after the cursor; waits while there is none. Throws BlobError, StoreError, CorruptSegmentError. */
  async read(query: FeedQuery): Promise<FeedResult> {
    const { logId, partitions } = this.#options.store;
    const parsed = query.after === null ? null : parseCursor(query.after, logId, partitions);
    if (parsed !== null && parsed.kind !== 'cursor') return { kind: parsed.kind };
    const cursor = parsed?.cursor ?? { places: await this.#oldest(), turn: 0 };
    try {
      return await this.#readOrWait(cursor, query);
    } catch (error) {
      if (error instanceof Gone) return this.#gone(cursor, error);
      throw error;
    }
  }

  /** Answers every waiting call with what there is; later calls do not wait. */
  stop(): void {
    this.#unsubscribe();
    this.#sleepers.stop();
  }

  async #readOrWait(from: FeedCursor, query: FeedQuery): Promise<FeedResult> {
    const { types, limit, waitMs, signal } = query;
    const endsAt = performance.now() + waitMs;
    const wanted = types === null ? null : new Set(types);
    let hurry = query.hurry === true;
    let cursor = from;
    for (;;) {
      // Registered before it looks, so that what is archived meanwhile is not missed.
      const sleep = waitMs > 0 ? this.#sleepers.register() : null;
      let page: { records: Buffer[]; next: FeedCursor; atEnd: boolean };
      try {
        page = await this.#page(cursor, wanted, limit);
      } catch (error) {
        sleep?.leave();
        throw error;
      }
      cursor = page.next;
      const left = endsAt - performance.now();
      const answered = page.records.length > 0 || !page.atEnd || left <= 0;
      if (answered) sleep?.leave();
      else if (hurry) await this.#hurry(types);
      hurry = false;
      if (answered || (await sleep?.until(left, signal)) !== 'woken') {
        const { records, atEnd } = page;
        return { kind: 'page', records, cursor: formatCursor(cursor, this.#options.store.logId), atEnd };
      }
    }
  }

  /** Without it the interval is what the call waits for, so a store that cannot be told is no fault. */
  async #hurry(types: readonly string[] | null): Promise<void> {
    const { store } = this.#options;
    const partitions =
      types === null
        ? Array.from({ length: store.partitions }, (_, partition) => partition)
        : new Set(types.map((type) => partitionOfType(type, store.partitions)));
    await Promise.allSettled([...partitions].map((partition) => store.hurryArchiving(partition)));
  }

  /** The partitions in turn, a segment each, until the page is full or nobody has more. */
  async #page(cursor: FeedCursor, types: ReadonlySet<string> | null, limit: number) {
    const { partitions } = this.#options.store;
    const places = [...cursor.places];
    const page: Page = { records: [], bytes: 0, segments: 0, full: false };
    const known = new Map<number, number>();
    let turn = cursor.turn;
    let empty = 0;
    while (!page.full && empty < partitions) {
      const place = places[turn]!;
      const segment = await this.#next(turn, place, known);
      if (segment === null) {
        empty += 1;
        turn = (turn + 1) % partitions;
        continue;
      }
      empty = 0;
      const index = take(page, segment, place.index, types, limit, this.#options.pageBytesMax);
      // A segment that is read to its end is left behind: it may be deleted without this reader missing it.
      places[turn] = index < segment.count ? { slot: place.slot, index } : { slot: place.slot + 1, index: 0 };
      page.segments += 1;
      if (page.segments >= this.#options.pageSegmentsMax) page.full = true;
      if (index === segment.count) turn = (turn + 1) % partitions;
    }
    return { records: page.records, next: { places, turn }, atEnd: empty >= partitions };
  }

  /** The segment that the place names; null when it is not written yet. */
  async #next(partition: number, { slot }: Place, known: Map<number, number>): Promise<FeedSegment | null> {
    if (slot > this.#heads[partition]!) {
      // The store is asked once a page: what comes meanwhile is for the next.
      if (known.has(partition)) return null;
      const archived = await this.#options.store.archivedTo(partition);
      known.set(partition, archived?.slot ?? 0);
      this.#heads[partition] = Math.max(this.#heads[partition]!, archived?.slot ?? 0);
      if (slot > this.#heads[partition]!) return null;
    }
    const segment = await this.#segment(partition, slot);
    if (segment === null || slot < (await this.#floor(partition))) throw new Gone(partition, slot);
    return segment;
  }

  /** Below it, what is found is not the log's: who slept for long may have put it where the log was deleted. */
  async #floor(partition: number): Promise<number> {
    const known = this.#floors.get(partition);
    if (known !== undefined && performance.now() - known.seenMs < FLOOR_SEEN_MS) return known.slot;
    const slot = await floorOf(this.#options.blobs, partition);
    this.#floors.set(partition, { slot, seenMs: performance.now() });
    return slot;
  }

  async #segment(partition: number, slot: number): Promise<FeedSegment | null> {
    const key = slotKey(partition, slot);
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#fetch(key, partition, slot).finally(() => this.#fetching.delete(key));
      this.#fetching.set(key, fetching);
    }
    return fetching;
  }

  async #fetch(key: string, partition: number, slot: number): Promise<FeedSegment | null> {
    const segment = await this.#reader.read(partition, slot);
    if (segment === null) return null;
    const kept = FeedSegment.from(segment, this.#options.render);
    this.#cache.set(key, kept, kept.bytes);
    return kept;
  }

  /** Where the log begins. */
  #oldest(): Promise<Place[]> {
    const { blobs, store } = this.#options;
    const first = async (partition: number) => {
      // Fences are kept, so what is there first need not be where the log begins.
      const [slot, floor] = await Promise.all([
        firstSlotFrom(blobs, partition, 1),
        floorOf(blobs, partition),
      ]);
      return Math.max(slot ?? 1, floor);
    };
    return Promise.all(
      Array.from({ length: store.partitions }, async (_, partition) => ({
        slot: await first(partition),
        index: 0,
      })),
    );
  }

  /** The log begins later than where the cursor is; the cursor moved up to there. */
  async #gone({ places, turn }: FeedCursor, { partition, slot }: Gone): Promise<FeedResult> {
    const oldest = await this.#oldest();
    // Deleting begins at the old end, so that what is missing behind it is lost.
    if (oldest[partition]!.slot <= slot)
      throw new CorruptSegmentError(
        slotKey(partition, slot),
        'it is missing, and others are there before it',
      );
    const moved = places.map((place, at) => (place.slot < oldest[at]!.slot ? oldest[at]! : place));
    return { kind: 'gone', earliest: formatCursor({ places: moved, turn }, this.#options.store.logId) };
  }
}

/** Takes records of the wanted types from `from` on while there is room; returns where it has stopped. */
function take(
  page: Page,
  segment: FeedSegment,
  from: number,
  types: ReadonlySet<string> | null,
  limit: number,
  bytesMax: number,
): number {
  for (let index = from; index < segment.count; index += 1) {
    if (types !== null && !types.has(segment.typeAt(index)!)) continue;
    const text = segment.textAt(index);
    if (
      page.records.length >= limit ||
      (page.records.length > 0 && page.bytes + text.byteLength > bytesMax)
    ) {
      page.full = true;
      return index;
    }
    page.records.push(text);
    page.bytes += text.byteLength;
  }
  if (page.records.length >= limit) page.full = true;
  return segment.count;
}
