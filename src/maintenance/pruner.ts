/**
 * The pruner: events that ended longer ago than the retention leave the store, once the log has their records and its
 * index has them. Of many instances the one that archives a partition does it; while the log is away nobody does.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { INDEX_EVENTS_MAX } from '../log/index-object.js';
import { Indexer } from '../log/indexer.js';
import { type Store, StoreError } from '../store/store.js';
import { Duty } from './duty.js';

export interface PrunerOptions {
  readonly retentionMs: number;
  /** Between two rounds; each writes an object of the index at least, when there is something to prune. */
  readonly intervalMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
}

export class Pruner extends Duty {
  readonly #indexers = new Map<number, Indexer>();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: PrunerOptions,
    logger: Logger,
  ) {
    super({ name: 'pruning', intervalMs: options.intervalMs }, logger);
  }

  /** One round over the partitions that this process archives; resolves to how many events went. */
  async round(): Promise<number> {
    let pruned = 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      if (this.options.archives(partition)) pruned += await this.#pruneAll(partition);
    }
    return pruned;
  }

  async #pruneAll(partition: number): Promise<number> {
    let pruned = 0;
    while (!this.stopping.aborted) {
      const archived = await this.store.archivedTo(partition);
      const settled = await this.store.settled(partition, this.options.retentionMs, INDEX_EVENTS_MAX);
      if (archived === null || settled.length === 0) break;
      // In the index first: from the moment that the store has forgotten an event, the index is where it is found.
      const indexed = await this.#indexer(partition).write(settled, archived.slot);
      const events = indexed.map(({ event: { id, version } }) => ({ id, version }));
      const went = await this.store.prune(partition, { events, index: archived.slot });
      pruned += went;
      if (went === 0) break;
    }
    if (pruned > 0) this.logger.info({ partition, pruned }, 'events left the store');
    return pruned;
  }

  /** Made when it is first needed: until the store is open, which log it belongs to may change. */
  #indexer(partition: number): Indexer {
    const { logId, partitions } = this.store;
    const known = this.#indexers.get(partition);
    if (known) return known;
    const indexer = new Indexer({ blobs: this.blobs, logId, partition, partitions });
    this.#indexers.set(partition, indexer);
    return indexer;
  }

  protected passes(error: unknown): boolean {
    return error instanceof StoreError || error instanceof BlobError;
  }
}
