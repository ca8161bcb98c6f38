/** Past events as a redrive needs them: from the store while it has them, then from the log, where its index says. */
import { comparePositions } from '../event/record.js';
import type { PastEnd } from '../event/state.js';
import { NOT_ARCHIVED } from '../event/unarchived.js';
import type { IndexEntry } from '../log/index-object.js';
import type { LogReader } from '../log/reader.js';
import type { Segment } from '../log/segment.js';
import type { Store } from '../store/store.js';

export interface PastIndex {
  find(id: string): Promise<IndexEntry | null>;
}

/** What was asked, and what was promised about it. */
export interface PastRequest extends Pick<PastEnd, 'durability' | 'key'> {
  readonly envelope: Uint8Array;
}

/** Those that left lately were mostly accepted close to one another. */
const SEGMENTS_KEPT = 2;

export class RedriveSource {
  readonly #segments = new Map<string, Promise<Segment | null>>();

  constructor(
    private readonly store: Pick<Store, 'readEnds' | 'read' | 'readRequest'>,
    private readonly past: PastIndex,
    private readonly reader: LogReader,
  ) {}

  /** In the order of the ids; null: neither store nor log know of it any more. */
  async ends(partition: number, ids: readonly string[]): Promise<(PastEnd | null)[]> {
    const known = await this.store.readEnds(partition, ids);
    return Promise.all(
      known.map(async (end, index) => {
        if (end !== null) return end;
        const entry = await this.past.find(ids[index]!);
        if (entry === null) return null;
        const { outcome, reason } = entry.event;
        // The promise and the key stand in the log, and are looked up if it is sent.
        return { ended: entry.ended, outcome, reason, durability: 'store', key: null };
      }),
    );
  }

  /** Null: nobody has it any more. Throws BlobError, CorruptSegmentError. */
  async request(partition: number, id: string, end: PastEnd): Promise<PastRequest | null> {
    const { durability, key } = end;
    const envelope = await this.store.readRequest(id);
    if (envelope !== null && envelope !== NOT_ARCHIVED) return { envelope, durability, key };
    const entry = await this.past.find(id);
    const segment = entry && (await this.#segment(partition, entry.accepted));
    const record = segment?.records.find(({ pos }) => comparePositions(pos, entry!.event.position) === 0);
    if (record?.op !== 'accepted' || record.id !== id) return null;
    return { envelope: record.payload, durability: record.durability ?? 'store', key: record.key ?? null };
  }

  /** Whether an event of this id is there, or has been. */
  async has(id: string): Promise<boolean> {
    return (await this.store.read(id)) !== null || (await this.past.find(id)) !== null;
  }

  /** Asked for by several at one time, it is read once. */
  async #segment(partition: number, slot: number): Promise<Segment | null> {
    const name = `${partition}/${slot}`;
    const reading = this.#segments.get(name) ?? this.reader.read(partition, slot);
    // The last used is the last to go.
    this.#segments.delete(name);
    this.#segments.set(name, reading);
    if (this.#segments.size > SEGMENTS_KEPT) this.#segments.delete(this.#segments.keys().next().value!);
    try {
      return await reading;
    } catch (error) {
      if (this.#segments.get(name) === reading) this.#segments.delete(name);
      throw error;
    }
  }
}
