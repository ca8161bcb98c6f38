/**
 * Readers at the end of the log: asleep until records have been archived, their time is up, or their caller has gone.
 * The store's hints may be lost, so all look again by the clock; nobody looks while nobody sleeps.
 */

export type Woken = 'woken' | 'timeout' | 'aborted' | 'stopped';

export interface SleeperOptions {
  readonly sleepersMax: number;
  readonly slowLookMs: number;
}

export class FeedSleepers {
  readonly #sleepers = new Set<Sleep>();
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly options: SleeperOptions) {}

  get hasRoom(): boolean {
    return this.#sleepers.size < this.options.sleepersMax;
  }

  /** Whoever registers sleeps or leaves. */
  register(): Sleep {
    const sleep: Sleep = new Sleep(() => this.#remove(sleep));
    if (this.#stopped) {
      sleep.end('stopped');
      return sleep;
    }
    this.#sleepers.add(sleep);
    this.#timer ??= setInterval(() => this.wake(), this.options.slowLookMs);
    return sleep;
  }

  wake(): void {
    for (const sleep of this.#sleepers) sleep.end('woken');
  }

  stop(): void {
    this.#stopped = true;
    for (const sleep of this.#sleepers) sleep.end('stopped');
  }

  #remove(sleep: Sleep): void {
    this.#sleepers.delete(sleep);
    if (this.#sleepers.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** One reader's place among the sleepers. */
export class Sleep {
  #why: Woken | null = null;
  #resolve: ((why: Woken) => void) | null = null;

  constructor(private readonly remove: () => void) {}

  /** The first call counts. */
  end(why: Woken): void {
    if (this.#why !== null) return;
    this.#why = why;
    this.remove();
    this.#resolve?.(why);
  }

  leave(): void {
    this.end('aborted');
  }

  async until(ms: number, signal: AbortSignal | null): Promise<Woken> {
    if (signal?.aborted) this.end('aborted');
    if (this.#why !== null) return this.#why;
    const onAbort = () => this.end('aborted');
    const timer = setTimeout(() => this.end('timeout'), ms);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await new Promise<Woken>((resolve) => {
        this.#resolve = resolve;
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
