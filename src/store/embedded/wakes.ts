/** Who is to be woken, as it follows from records; told once a turn of the event loop. */

import { turnsAfter } from '../../event/keyed.js';
import { listenerName } from '../../event/listeners.js';
import type { StoreRecord } from '../../event/record.js';
import type { Delivery, PartitionState, TypeState } from '../../event/state.js';
import type { Wake } from '../store.js';

export class Wakes {
  readonly #heard = new Set<{ wake: (wake: Wake) => void }>();
  /** By type, then by ordinal of the listener. */
  readonly #ready = new Map<string, Map<number, number>>();
  readonly #changed = new Set<string>();
  #archived = false;
  #wanted = false;
  #timer: NodeJS.Immediate | null = null;

  constructor(private readonly state: Pick<PartitionState, 'types' | 'events'>) {}

  on(wake: (wake: Wake) => void): () => void {
    const entry = { wake };
    this.#heard.add(entry);
    return () => this.#heard.delete(entry);
  }

  /** `record` has been applied. */
  note(record: StoreRecord): void {
    if (this.#heard.size === 0) return;
    if (record.op === 'archived') {
      this.#archived = true;
    } else if ('id' in record && record.op !== 'extended' && record.op !== 'pruned') {
      this.#changed.add(record.id);
      for (const listener of this.#readyBy(record)) this.#addReady(record.type, listener);
      for (const { listener } of turnsAfter(this.state, record)) this.#addReady(record.type, listener);
    } else {
      return;
    }
    this.#schedule();
  }

  /** As if a record were about the event, if there is one: of its tree nothing goes on any more. */
  noteChanged(id: string | null): void {
    if (id === null || this.#heard.size === 0) return;
    this.#changed.add(id);
    this.#schedule();
  }

  /** Somebody waits for what was recorded to be archived. */
  noteWanted(): void {
    if (this.#heard.size === 0) return;
    this.#wanted = true;
    this.#schedule();
  }

  notePromoted(deliveries: readonly Delivery[]): void {
    if (this.#heard.size === 0 || deliveries.length === 0) return;
    for (const { event, listener } of deliveries) this.#addReady(event.type.name, listener);
    this.#schedule();
  }

  /** What waits may be leased again: whoever gets some of it wakes the next. */
  noteResumed(type: TypeState | undefined): void {
    if (this.#heard.size === 0 || !type) return;
    for (const listener of [...type.listeners.keys(), type.listeners.length])
      this.#addReady(type.name, listener);
    this.#schedule();
  }

  stop(): void {
    if (this.#timer) clearImmediate(this.#timer);
    this.#timer = null;
    this.#heard.clear();
  }

  #readyBy(record: StoreRecord): readonly number[] {
    const ready = becameReady(record);
    if (record.op !== 'accepted' || record.key === undefined) return ready;
    const deliveries = this.state.events.get(record.id)?.deliveries ?? [];
    return deliveries.filter(({ place }) => place === 'ready').map(({ listener }) => listener);
  }

  #addReady(type: string, listener: number): void {
    let counts = this.#ready.get(type);
    if (!counts) {
      counts = new Map();
      this.#ready.set(type, counts);
    }
    counts.set(listener, (counts.get(listener) ?? 0) + 1);
  }

  #schedule(): void {
    // Before the journal's own end of the turn, so that a woken lease comes in time for the same group.
    this.#timer ??= setImmediate(() => this.#tell());
  }

  #tell(): void {
    this.#timer = null;
    const ready = [...this.#ready].flatMap(([type, counts]) => {
      const listeners = this.state.types.get(type)?.listeners ?? [];
      return Array.from(counts, ([ordinal, count]) => {
        return { type, listener: listenerName(listeners, ordinal), count };
      });
    });
    const archived = this.#archived ? [0] : [];
    const wanted = this.#wanted ? [0] : [];
    const wake: Wake = { ready, changed: [...this.#changed], archived, wanted };
    this.#ready.clear();
    this.#changed.clear();
    this.#archived = false;
    this.#wanted = false;
    for (const each of [...this.#heard]) each.wake(wake);
  }
}

const FIRST_ONLY: readonly number[] = Object.freeze([0]);
const NONE: readonly number[] = Object.freeze([]);

/** Of which listeners. */
function becameReady(record: StoreRecord): readonly number[] {
  if (record.op === 'handedBack') return [record.listener];
  if (record.op === 'retried') return record.dueAt <= record.at ? [record.listener] : NONE;
  // Once it is archived it is promoted.
  if (record.op !== 'accepted' || record.durability === 'archive' || record.dueAt > record.at) return NONE;
  return record.listeners ?? FIRST_ONLY;
}
