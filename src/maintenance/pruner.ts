/**
 * The pruner: events that were settled longer ago than the retention, or their type's own, leave the store, once the log has
 * their records and its index has them. Of many instances the one that archives a partition does it; while the log is away
 * nobody does.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { INDEX_EVENTS_MAX } from '../log/index-object.js';
import { Indexer } from '../log/indexer.js';
import { type Store, StoreError } from '../store/store.js';
import { Duty } from './duty.js';

export interface PrunerOptions {
  /** Of types that have none of their own. */
  readonly retentionMs: number;
  /** How often it is looked whether a round is due. */
  readonly intervalMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
}

/**
 * A round writes an object of the index at least, when there is something to prune: so there are rounds often enough that the
 * store holds little beyond its time, and seldom enough that each lot is large.
 */
const ROUNDS_A_RETENTION = 24;
const ROUND_MS_MAX = 3_600_000;
const TYPES_AT_ONCE = 500;

export class Pruner extends Duty {
  readonly #indexers = new Map<number, Indexer>();
  #lastRound = performance.now();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: PrunerOptions,
    logger: Logger,
  ) {
    super({ name: 'pruning', intervalMs: options.intervalMs }, logger);
  }

  protected override async turn(): Promise<void> {
    const now = performance.now();
    if (now - this.#lastRound < roundMs(await this.shortestRetention())) return;
    this.#lastRound = now;
    await this.round();
  }

  /** Of all types. */
  async shortestRetention(): Promise<number> {
    let shortest = this.options.retentionMs;
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await this.store.listTypes({ cursor: cursor ?? null, limit: TYPES_AT_ONCE });
      // A type has gone meanwhile, and its place with it: the next turn sees them all.
      if (page.kind !== 'page') return shortest;
      for (const { declared } of page.types)
        shortest = Math.min(shortest, declared?.retentionMs ?? Number.POSITIVE_INFINITY);
      cursor = page.cursor;
    }
    return shortest;
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

function roundMs(retentionMs: number): number {
  return Math.min(retentionMs / ROUNDS_A_RETENTION, ROUND_MS_MAX);
}
