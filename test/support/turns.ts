/**
 * Who goes next is drawn from a seed: calls of simulated parts wait for their turn, and a run is the same whenever
 * its seed is. The machine's own asynchrony (compression, timers) decides nothing.
 */
export class Turns {
  readonly #waiting: { owner: string; go: () => void }[] = [];
  readonly #dropped = new Set<string>();
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to and without 1 (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  waits(owner: string): boolean {
    return this.#waiting.some((entry) => entry.owner === owner);
  }

  /** Resolves when it is the caller's turn; never, once `owner` has been dropped. */
  take(owner: string): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#dropped.has(owner)) this.#waiting.push({ owner, go: resolve });
    });
  }

  /** Gives one of those that wait its turn. */
  next(): void {
    const [chosen] = this.#waiting.splice(this.below(this.#waiting.length), 1);
    chosen?.go();
  }

  /** A process has died: nothing of it goes on, not even what it was about to do. */
  drop(owner: string): void {
    this.#dropped.add(owner);
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i]?.owner === owner) this.#waiting.splice(i, 1);
    }
  }
}
