/** The SDK's clock in the hand of a test: it stands still, and goes from one timer to the next when it is told to. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/sdk/clock.js';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

export class ManualTimers implements Clock {
  /** How long each timer that has run had to wait. */
  readonly ran: number[] = [];
  #nowMs = 1_000;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  get pending(): number {
    return this.#timers.size;
  }

  after(ms: number, run: () => void): () => void {
    const timer = {
      atMs: this.#nowMs + ms,
      run: () => {
        this.ran.push(ms);
        run();
      },
    };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Runs the timer that is due next; false when there is none. */
  next(): boolean {
    const [first] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
    if (!first) return false;
    this.#nowMs = first.atMs;
    this.#timers.delete(first);
    first.run();
    return true;
  }

  /** Runs timer after timer until `ended` settles: for work that waits for nothing else. */
  async until<Value>(ended: Promise<Value>): Promise<Value> {
    const settled = ended.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([settled, turn(false)]))) this.next();
    return ended;
  }
}
