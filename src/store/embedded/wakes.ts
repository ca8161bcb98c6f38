/** Who is to be woken, as it follows from records; told once a turn of the event loop. */

import { DEFAULT_LISTENER } from '../../event/decide/lease.js';
import type { Accepted, HandedBack, Retried, StoreRecord } from '../../event/record.js';
import type { Delivery, TypeState } from '../../event/state.js';
import type { Wake } from '../store.js';

export class Wakes {
  readonly #heard = new Set<{ wake: (wake: Wake) => void }>();
  readonly #ready = new Map<string, number>();
  readonly #changed = new Set<string>();
  #archived = false;
  #wanted = false;
  #timer: NodeJS.Immediate | null = null;

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
      if (becameReady(record)) this.#addReady(record.type);
    } else {
      return;
    }
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
    for (const { event } of deliveries) this.#addReady(event.type.name);
    this.#schedule();
  }

  /** What waits may be leased again: whoever gets some of it wakes the next. */
  noteResumed(type: TypeState | undefined): void {
    if (this.#heard.size === 0 || !type) return;
    this.#addReady(type.name);
    this.#schedule();
  }

  stop(): void {
    if (this.#timer) clearImmediate(this.#timer);
    this.#timer = null;
    this.#heard.clear();
  }

  #addReady(type: string): void {
    this.#ready.set(type, (this.#ready.get(type) ?? 0) + 1);
  }

  #schedule(): void {
    // Before the journal's own end of the turn, so that a woken lease comes in time for the same group.
    this.#timer ??= setImmediate(() => this.#tell());
  }

  #tell(): void {
    this.#timer = null;
    const ready = Array.from(this.#ready, ([type, count]) => ({ type, listener: DEFAULT_LISTENER, count }));
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

function becameReady(record: StoreRecord): record is Accepted | Retried | HandedBack {
  if (record.op === 'handedBack') return true;
  // Once it is archived it is promoted.
  if (record.op === 'accepted' && record.durability === 'archive') return false;
  return (record.op === 'accepted' || record.op === 'retried') && record.dueAt <= record.at;
}
