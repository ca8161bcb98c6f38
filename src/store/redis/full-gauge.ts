/** Watches how full Redis is, so that new events are refused while there is still room to drain the others. */
import type { Connection } from './connection.js';
import { readIsFull } from './server-facts.js';

const EVERY_MS = 1_000;

export class FullGauge {
  #isFull = false;
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly connection: Connection) {
    this.#timer = setInterval(() => void this.look(), EVERY_MS);
    this.#timer.unref();
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Redis refused an event by itself; so it stays until the next look says otherwise. */
  hitTheLimit(): void {
    this.#isFull = true;
  }

  async look(): Promise<void> {
    if (!this.connection.ready) return;
    try {
      this.#isFull = await readIsFull(this.connection);
    } catch {
      // Out of reach for the moment: what was seen last holds until the next look.
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
