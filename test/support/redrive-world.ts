/** The core, a log in memory and redrives over both, on a clock that stands still: what a redriver does, step by step. */
import { pino } from 'pino';
import { makeEventId } from '../../src/event/id.js';
import type { LogRecord } from '../../src/event/record.js';
import type { RedriveWish } from '../../src/event/redrive-job.js';
import type { RedriveState } from '../../src/event/state.js';
import { PastEvents } from '../../src/log/past.js';
import { Pruner } from '../../src/maintenance/pruner.js';
import { Redriver } from '../../src/maintenance/redriver.js';
import { completionOf, envelopeOf } from '../contract/store/scene.js';
import { CoreStore } from './core-store.js';
import { ManualClock } from './manual-clock.js';
import { MemoryBlobs } from './memory-blobs.js';
import { type WrittenSegment, writeSegments } from './written-log.js';

const NOON = Date.UTC(2026, 0, 15, 12);
const ALL = { records: 100_000, bytes: 1 << 28 };
const STEP_MS = 100;

export class RedriveWorld {
  readonly store = new CoreStore({ policy: { attemptsMax: 1 } });
  readonly blobs = new MemoryBlobs();
  readonly clock = new ManualClock();
  readonly #segments: WrittenSegment[] = [];
  readonly #past = new PastEvents({ blobs: this.blobs, store: this.store, cacheBytesMax: 1 << 20 });
  #made = 0;
  redriver = this.another();

  constructor() {
    this.store.now = NOON;
  }

  /** As after a restart, or in another process. */
  another(): Redriver {
    return new Redriver(
      this.store,
      this.blobs,
      { intervalMs: 1_000, stepMs: STEP_MS, archives: () => true, past: this.#past, clock: this.clock },
      pino({ level: 'silent' }),
    );
  }

  /** Past events, which ended as said: `dead` with their attempts run out. */
  async ended(
    count: number,
    how: 'dead' | 'fail' | 'success' | 'cancelled' = 'dead',
    more = {},
  ): Promise<string[]> {
    const ids: string[] = [];
    for (let k = 0; k < count; k += 1) {
      const id = makeEventId(NOON, 0);
      const envelope = envelopeOf(`body ${this.#made++}`);
      await this.store.accept([{ id, type: 'mail', envelope, delayMs: 0, idempotency: null, ...more }]);
      ids.push(id);
    }
    await this.archive();
    if (how === 'cancelled') for (const id of ids) await this.store.cancel(id);
    else await this.#complete(ids, how);
    await this.archive();
    return ids;
  }

  async #complete(ids: readonly string[], how: 'dead' | 'fail' | 'success'): Promise<void> {
    for (const lease of await this.lease(ids.length)) {
      const outcome = how === 'success' ? 'success' : 'fail';
      const retry = { kind: how === 'dead' ? 'policy' : 'never' } as const;
      await this.store.complete([completionOf(lease, { outcome, retry })]);
    }
  }

  async lease(max: number, listener = 'default') {
    const tokens = Array.from({ length: max }, () => `token ${this.#made++}`);
    const about = { listener, max, bytesMax: 1 << 28, leaseMs: null, worker: null };
    const result = await this.store.lease({ types: ['mail'], ...about, call: tokens[0]!, tokens });
    if (result.kind !== 'leased') throw new Error(`not leased: ${result.kind}`);
    return [...result.leases];
  }

  /** What has been recorded goes to the log, as a segment. */
  async archive(): Promise<void> {
    const records: LogRecord[] = await this.store.readOutbox(0, null, ALL);
    if (records.length === 0) return;
    this.#segments.push({ records });
    await writeSegments(this.blobs, this.#segments);
    await this.store.markArchived(0, records.at(-1)!.pos, this.#segments.length);
  }

  /** What has ended leaves the store. */
  async prune(): Promise<number> {
    const options = { retentionMs: 0, intervalMs: 1_000, archives: () => true };
    return new Pruner(this.store, this.blobs, options, pino({ level: 'silent' })).round();
  }

  async make(wish: Partial<RedriveWish> = {}, listener: string | null = null): Promise<string> {
    const full = {
      filter: 'dead',
      from: null,
      to: null,
      dryRun: false,
      ratePerSecond: 10_000,
      ...wish,
    } as const;
    const id = makeEventId(NOON, 0);
    const made = await this.store.setRedrive({
      kind: 'create',
      id,
      type: 'mail',
      listener,
      wish: full,
      idempotency: null,
    });
    if (made.kind !== 'set') throw new Error(`not made: ${made.kind}`);
    await this.archive();
    return id;
  }

  async job(id: string): Promise<RedriveState> {
    const found = (await this.store.readRedrives(0, 'all')).find((job) => job.id === id);
    if (!found) throw new Error(`no redrive ${id}`);
    return found;
  }

  /** Steps until the job has ended, or so many. */
  async run(id: string, steps = 1_000): Promise<RedriveState> {
    for (let k = 0; k < steps; k += 1) {
      await this.redriver.pass();
      const job = await this.job(id);
      if (job.status !== 'running') return job;
      this.clock.advance(STEP_MS);
    }
    return this.job(id);
  }

  /** All events that are others again, with what they are again. */
  async again(): Promise<{ readonly id: string; readonly of: string }[]> {
    const query = { type: null, status: null, outcome: null, cursor: null, limit: 100_000, scanMax: 100_000 };
    const page = await this.store.list(query);
    if (page.kind !== 'page') throw new Error('no page');
    return page.events
      .flatMap(({ id, redriveOf }) => (redriveOf === null ? [] : [{ id, of: redriveOf }]))
      .reverse();
  }
}
