/**
 * The relay: what completions have emitted for other partitions is accepted there, a few times a second, until their logs have
 * it. Any number of instances may run one: an event that is relayed twice is one event.
 */
import type { Logger } from 'pino';
import { BlobError } from '../blob/blob.js';
import { timeOfId } from '../event/id.js';
import { type RelayStore, relaySome } from '../queue/relaying.js';
import { StoreError } from '../store/store.js';
import { Duty } from './duty.js';

export interface RelayOptions {
  readonly intervalMs: number;
  /** Looked at in one step. */
  readonly batch: number;
  /** How long an event stays in the store at least once it is settled. */
  readonly retentionMs: number;
  /** Whether the log has an event that the store has forgotten. */
  readonly isPast: (id: string) => Promise<boolean>;
  readonly now: () => number;
}

export class RelayDuty extends Duty {
  constructor(
    private readonly store: RelayStore,
    private readonly options: RelayOptions,
    logger: Logger,
  ) {
    super({ name: 'relaying', intervalMs: options.intervalMs }, logger);
  }

  /** One round over all partitions; resolves to how many events are there for good now. */
  async round(): Promise<number> {
    // A type lives in one partition, and so does all that is emitted when there is only one.
    if (this.store.partitions === 1) return 0;
    const partitions = Array.from({ length: this.store.partitions }, (_, partition) => partition);
    const relayed = await Promise.all(partitions.map((partition) => this.#relayAll(partition)));
    return relayed.reduce((sum, count) => sum + count, 0);
  }

  async #relayAll(partition: number): Promise<number> {
    const { batch: limit } = this.options;
    let relayed = 0;
    for (let skip = 0; !this.stopping.aborted; ) {
      const some = await relaySome(this.store, partition, { skip, limit }, (id) => this.#hasLeft(id));
      relayed += some.relayed;
      skip += some.seen - some.relayed;
      if (some.seen < limit) break;
    }
    return relayed;
  }

  /** Only what is so old that it can have left is looked for in the log. */
  async #hasLeft(id: string): Promise<boolean> {
    const { now, retentionMs, isPast } = this.options;
    if (now() - timeOfId(id) < retentionMs) return false;
    return (await this.store.read(id)) === null && (await isPast(id));
  }

  protected passes(error: unknown): boolean {
    return error instanceof StoreError || error instanceof BlobError;
  }
}
