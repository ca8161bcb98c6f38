/** Watches how much waits to be archived, so that new events are refused before a log that is away fills Redis. */
import { StoreError } from '../store.js';
import type { Partition } from './partition.js';

const EVERY_MS = 1_000;
/** Entries that are weighed at each end of the outbox; under load each has many records. */
const WEIGHED = 8;

export class OutboxGauge {
  #isBehind = false;
  #looking = false;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly partition: Partition,
    private readonly bytesMax: number,
  ) {
    this.#timer = setInterval(() => void this.look(), EVERY_MS);
    this.#timer.unref();
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#isBehind = Number(await this.partition.run('outbox-weight', [WEIGHED])) > this.bytesMax;
    } catch (error) {
      // Out of reach, or closed, for the moment: what was seen last holds until the next look.
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#looking = false;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
