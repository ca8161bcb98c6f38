/** Writes the log's index: one object for each lot of events that are about to leave the store. */
import type { BlobStore } from '../blob/blob.js';
import type { SettledEvent } from '../event/command.js';
import { comparePositions } from '../event/record.js';
import { encodeIndex, type IndexEntry, IndexObject } from './index-object.js';
import { SlotTable } from './slot-table.js';

export interface IndexerOptions {
  readonly blobs: BlobStore;
  readonly logId: string;
  readonly partition: number;
  readonly partitions: number;
}

export class Indexer {
  readonly #options: IndexerOptions;
  readonly #slots: SlotTable;

  constructor(options: IndexerOptions) {
    this.#options = options;
    this.#slots = new SlotTable(options.blobs, options.partition);
  }

  /**
   * Writes the object for `events`; `head` is how far the log is written. Resolves to the events that it has for good:
   * all of them, unless there was an object of that name, which may have others.
   */
  async write(events: readonly SettledEvent[], head: number): Promise<SettledEvent[]> {
    const { blobs, ...place } = this.#options;
    const { key, bytes } = await encodeIndex({ ...place, slot: head }, await this.#entries(events, head));
    if ((await blobs.putIfAbsent(key, bytes)) === 'created') return [...events];
    const there = await blobs.get(key);
    if (there === null) return [];
    const object = await IndexObject.decode(key, there, place.logId);
    return events.filter(({ event }) => object.find(event.id)?.event.version === event.version);
  }

  /** In the order of their positions, so that each search for a slot begins where the last has ended. */
  async #entries(events: readonly SettledEvent[], head: number): Promise<IndexEntry[]> {
    const accepted = new Map<string, number>();
    let near = 1;
    const byAcceptance = [...events].sort((a, b) => comparePositions(a.event.position, b.event.position));
    for (const { event } of byAcceptance) {
      near = await this.#slots.slotOf(event.position, near, head);
      accepted.set(event.id, near);
    }
    const entries: IndexEntry[] = [];
    for (const { event, ended, attempts } of [...events].sort((a, b) => comparePositions(a.ended, b.ended))) {
      near = await this.#slots.slotOf(ended, near, head);
      entries.push({ event, accepted: accepted.get(event.id)!, ended, endedSlot: near, attempts });
    }
    return entries;
  }
}
