/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/log/clock.js';

interface Waiting {
  readonly atMs: number;
  readonly end: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #waiting = new Set<Waiting>();

  nowMs(): number {
    return this.#nowMs;
  }

  /** How many waits have not ended. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How long until the next wait ends; null when nobody waits. */
  get nextInMs(): number | null {
    const times = [...this.#waiting].map((entry) => entry.atMs - this.#nowMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  wait(ms: number, cut: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (cut.aborted || ms <= 0) return resolve();
      const entry: Waiting = {
        atMs: this.#nowMs + ms,
        end: () => {
          this.#waiting.delete(entry);
          cut.removeEventListener('abort', entry.end);
          resolve();
        },
      };
      this.#waiting.add(entry);
      cut.addEventListener('abort', entry.end);
    });
  }

  /** Ends the waits that are due within `ms`, the earliest first. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#waiting].filter((entry) => entry.atMs <= this.#nowMs);
    for (const entry of due.sort((a, b) => a.atMs - b.atMs)) entry.end();
  }
}
