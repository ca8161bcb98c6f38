/**
 * A listener's own state, built from the log: every event that was taken goes through `handleStateUpdate` once for each time that it is
 * read, in order, behind a cursor that the listener's owner keeps. One page is worked on at a time, whoever waits for it.
 */
import { sleep } from './clock.js';
import { decodeBody } from './content.js';
import type { LeasedEvent } from './payload.js';
import { jsonOf, type Transport } from './transport.js';
import type { LogRecord } from './wire.js';

/** Where the owner of a state keeps how far it has been brought. */
export interface StateStore {
  /** As it was saved last; null to begin with. */
  loadCursor(): string | null | Promise<string | null>;
  /** What was read up to here has been applied: to save the state together with the cursor makes each event count once. */
  saveCursor(cursor: string): void | Promise<void>;
  /** Empties the state and forgets the cursor: `rebuild` begins with it. */
  clear?(): void | Promise<void>;
}

export interface StateSyncOptions {
  readonly transport: Transport;
  readonly types: readonly string[];
  readonly store: StateStore;
  /** One event, if it is the listener's business. */
  readonly apply: (event: LeasedEvent) => Promise<void>;
}

interface Page {
  readonly records: readonly LogRecord[];
  readonly cursor: string;
  readonly atEnd: boolean;
}

const PAGE = 500;
/** How long a call waits for what is not archived yet. It is in the outbox, and archived soon when somebody says that he waits. */
const WAIT_MS = 10_000;
/** A service that does not wait is not asked without a pause. */
const PAUSE_MS = 100;

export class StateSync {
  readonly #options: StateSyncOptions;
  /** Null before the first page; undefined when it was not loaded yet. */
  #cursor: string | null | undefined;
  /** The page that is being applied, and how many of its records have been. */
  #page: Page | null = null;
  #applied = 0;
  /** By type: the position of the newest record that was applied or passed over. A type's records are in order. */
  readonly #reached = new Map<string, string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: StateSyncOptions) {
    this.#options = options;
  }

  /**
   * Until the log was read as far as an event's position. It ends, since the lease of the event is in the log after the event, also
   * where the event itself lies before the cursor.
   */
  async upTo(type: string, position: string, signal?: AbortSignal): Promise<void> {
    const isThere = () => isAtLeast(this.#reached.get(type), position);
    while (!isThere()) await this.#inTurn(async () => isThere() || (await this.#step(WAIT_MS, signal)));
  }

  /** Until nothing more is in the log. */
  async toEnd(signal?: AbortSignal): Promise<void> {
    while (!(await this.#inTurn(() => this.#step(0, signal)))) {}
  }

  /** Everything again, from the beginning of the log, or of what retention has left of it. */
  rebuild(signal?: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.store.clear?.();
      this.#cursor = null;
      this.#page = null;
      this.#reached.clear();
      while (!(await this.#step(0, signal))) {}
    });
  }

  /** One after the other; what one meets is not the next one's fault. */
  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Reads a page and applies it, or goes on with one that was interrupted. True at the end of the log. */
  async #step(waitMs: number, signal?: AbortSignal): Promise<boolean> {
    const { transport, store } = this.#options;
    signal?.throwIfAborted();
    if (this.#cursor === undefined) this.#cursor = await store.loadCursor();
    if (this.#page === null) {
      const beganMs = transport.clock.nowMs();
      this.#page = await this.#read(this.#cursor, waitMs, signal);
      this.#applied = 0;
      const isIdle = waitMs > 0 && this.#page.records.length === 0 && this.#page.atEnd;
      if (isIdle && transport.clock.nowMs() - beganMs < PAUSE_MS)
        await sleep(transport.clock, PAUSE_MS, signal);
    }
    const { records, cursor, atEnd } = this.#page;
    for (const record of records.slice(this.#applied)) {
      signal?.throwIfAborted();
      if (record.op === 'accepted') await this.#options.apply(eventIn(record));
      this.#reached.set(record.type, record.position);
      this.#applied += 1;
    }
    if (cursor !== this.#cursor) await store.saveCursor(cursor);
    this.#cursor = cursor;
    this.#page = null;
    return atEnd;
  }

  async #read(after: string | null, waitMs: number, signal?: AbortSignal): Promise<Page> {
    const { transport, types } = this.#options;
    const query = new URLSearchParams({ limit: String(PAGE), waitMs: String(waitMs) });
    if (waitMs > 0) query.set('hurry', 'true');
    for (const type of types) query.append('types', type);
    if (after !== null) query.set('after', after);
    return jsonOf<Page>(await transport.call('GET', `/v1/log?${query}`, { waitMs, signal }));
  }
}

function eventIn({ id = '', type, at, key, request }: LogRecord): LeasedEvent {
  if (request === undefined) throw new Error(`The log has an event without its request: ${id}.`);
  return { id, type, createdAt: at, key: key ?? null, ...request, body: decodeBody(request) };
}

/** Positions are `view-n`, and are compared by their numbers. */
function isAtLeast(reached: string | undefined, position: string): boolean {
  if (reached === undefined) return false;
  const [view = 0, n = 0] = reached.split('-').map(Number);
  const [wantedView = 0, wantedN = 0] = position.split('-').map(Number);
  return view !== wantedView ? view > wantedView : n >= wantedN;
}
