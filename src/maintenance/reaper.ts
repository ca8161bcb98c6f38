/**
 * The reaper: ends leases whose time is up and wakes listeners for deliveries whose delay or backoff is over, a
 * few times a second, so that invariant L2's second is kept with room to spare. Any number of instances may run
 * one; each step of the store is atomic and finds nothing twice.
 */
import type { Logger } from 'pino';
import { type Store, StoreError } from '../store/store.js';

export interface ReaperOptions {
  readonly intervalMs: number;
  /** Leases or deliveries handled in one step of the store. */
  readonly batch: number;
}

const SWEEP_ROUNDS = 20;

export class Reaper {
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #started = false;
  #stopping = false;
  #failing = false;
  #rounds = 0;

  constructor(
    private readonly store: Store,
    private readonly options: ReaperOptions,
    private readonly logger: Logger,
    /** Told how many leases were ended, for metrics. */
    private readonly onExpired: (leases: number) => void = () => undefined,
  ) {}

  /** May be called again; so may `stop`. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#stopping = false;
    this.#schedule();
  }

  /** Resolves when no step is under way. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  /** One round over all partitions. */
  async run(): Promise<void> {
    // What was left behind is rare, and to look for it is not for nothing.
    const sweeps = this.#rounds++ % SWEEP_ROUNDS === 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      await this.#expireAll(partition);
      await this.#promoteAll(partition);
      if (sweeps) await this.#sweepAll(partition);
    }
  }

  async #expireAll(partition: number): Promise<void> {
    let total = 0;
    let overdue = 0;
    for (;;) {
      const { expired, deadlines, more } = await this.store.expire(partition, this.options.batch);
      total += expired;
      overdue += deadlines;
      this.onExpired(expired);
      if (!more || this.#stopping) break;
    }
    if (total > 0) this.logger.info({ partition, expired: total }, 'leases expired');
    if (overdue > 0) this.logger.info({ partition, deadlines: overdue }, 'deadlines passed');
  }

  async #promoteAll(partition: number): Promise<void> {
    while ((await this.store.promote(partition, this.options.batch)) === this.options.batch) {
      if (this.#stopping) return;
    }
  }

  /** What a deleted listener has left, when whoever deleted it did not come to the end. */
  async #sweepAll(partition: number): Promise<void> {
    while ((await this.store.sweep(partition, this.options.batch)).more) if (this.#stopping) return;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#round();
    }, this.options.intervalMs);
  }

  async #round(): Promise<void> {
    try {
      await this.run();
      this.#failing = false;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Said once: while the store is away every round fails the same way. One that recovers says so itself.
      if (error.failure === 'recovering') return;
      if (!this.#failing) this.logger.warn({ err: error }, 'the store is out of reach for expiring leases');
      this.#failing = true;
    } finally {
      if (!this.#stopping) this.#schedule();
    }
  }
}
