/**
 * Waiting: calls that wait for something of the store (an event to change, a queue to hold a delivery) sleep here
 * and are woken by the store's hints. Hints may be lost, so a slow look by the clock stands behind them: one a
 * topic, however many calls wait for it, and none when nobody waits.
 *
 *              ┌─────────── hint, slow look ───────────┐
 *   register ──┴─► asleep ──────────────────► woken ── looks again ──► served, or registers anew
 *                    └── time is up · caller gone · stop ──► answered with what there is
 *
 * A queue's waiters are woken one for each delivery, the longest waiting first. One that was woken and leaves
 * without having looked passes its wake on, so that no delivery is left lying while others wait.
 */

/** Why a sleep ended. */
export type Woken = 'woken' | 'timeout' | 'aborted' | 'stopped';

export interface WaitingOptions {
  /** How often a topic with sleepers is looked at without a hint. */
  readonly slowLookMs: number;
  /** Sleepers in all; one more is refused. */
  readonly sleepersMax: number;
}

export class Waiting {
  readonly #topics = new Map<string, Set<Registration>>();
  #sleepers = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly options: WaitingOptions) {}

  get size(): number {
    return this.#sleepers;
  }

  /** Room for one more. */
  get hasRoom(): boolean {
    return this.#sleepers < this.options.sleepersMax;
  }

  /**
   * Registers for `topics` at once, so that a hint between a look and the sleep is not missed; `sleep` then waits
   * for it. Whoever registers must sleep or leave.
   */
  register(topics: readonly string[]): Registration {
    if (this.#stopped) {
      const refused = new Registration(() => undefined);
      refused.wake('stopped', null);
      return refused;
    }
    const registration = new Registration(() => this.#remove(topics, registration));
    for (const topic of topics) {
      const sleepers = this.#topics.get(topic);
      if (sleepers) sleepers.add(registration);
      else this.#topics.set(topic, new Set([registration]));
    }
    this.#sleepers += 1;
    this.#startTimer();
    return registration;
  }

  /** Wakes at most `count` of the topic's sleepers, the longest asleep first. */
  wake(topic: string, count = Number.POSITIVE_INFINITY): void {
    const sleepers = this.#topics.get(topic);
    if (!sleepers) return;
    let left = count;
    for (const sleeper of sleepers) {
      if (left <= 0) return;
      left -= 1;
      sleeper.wake('woken', topic);
    }
  }

  /** Answers everybody, now and from now on. */
  stop(): void {
    this.#stopped = true;
    for (const sleepers of this.#topics.values()) {
      for (const sleeper of sleepers) sleeper.wake('stopped', null);
    }
  }

  #remove(topics: readonly string[], sleeper: Registration): void {
    for (const topic of topics) {
      const sleepers = this.#topics.get(topic);
      sleepers?.delete(sleeper);
      if (sleepers?.size === 0) this.#topics.delete(topic);
    }
    this.#sleepers -= 1;
    if (this.#sleepers === 0) this.#stopTimer();
  }

  /** One sleeper a topic looks; if there is something for it, it wakes the next. */
  #startTimer(): void {
    this.#timer ??= setInterval(() => {
      for (const topic of this.#topics.keys()) this.wake(topic, 1);
    }, this.options.slowLookMs);
  }

  #stopTimer(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** One call's place among the sleepers of its topics. */
export class Registration {
  /** The topic whose hint woke it. */
  hint: string | null = null;
  #why: Woken | null = null;
  #resolve: ((why: Woken) => void) | null = null;

  constructor(private readonly remove: () => void) {}

  /** The first call counts. */
  wake(why: Woken, hint: string | null): void {
    if (this.#why !== null) return;
    this.#why = why;
    this.hint = hint;
    this.remove();
    this.#resolve?.(why);
  }

  /** Until woken, until `ms` have passed or until `signal` says that the caller has gone. */
  async sleep(ms: number, signal: AbortSignal | null): Promise<Woken> {
    if (signal?.aborted) this.wake('aborted', null);
    if (this.#why !== null) return this.#why;
    const onAbort = () => this.wake('aborted', null);
    const timer = setTimeout(() => this.wake('timeout', null), ms);
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

  /** Gives the place up. Returns the topic of a hint that came meanwhile, which then is somebody else's. */
  leave(): string | null {
    this.wake('aborted', null);
    return this.hint;
  }
}
