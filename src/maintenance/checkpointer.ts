/**
 * The checkpointer: from time to time all that is alive is written down, so that a store is rebuilt from that and from
 * what came since. Of many instances the one that archives a partition does it.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import type { Position } from '../event/record.js';
import { type CheckpointDamagedError, type Manifest, newestCheckpoint } from '../log/checkpoint.js';
import { CheckpointRefusedError, dropOldCheckpoints, makeCheckpoint } from '../log/checkpoint-maker.js';
import { processClock } from '../log/clock.js';
import type { LogIdentity } from '../log/reader.js';
import { type Store, StoreError } from '../store/store.js';
import { Duty } from './duty.js';

export interface CheckpointerOptions {
  /** A checkpoint is due when so many records have come since the last. */
  readonly records: number;
  /** And when something has come and the last is older; null: however old it is. */
  readonly ageMsMax: number | null;
  /** Between two looks. */
  readonly intervalMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
}

/** Reading so many objects takes long, however little is in them. */
const SEGMENTS_MAX = 10_000;
/** Of the time that it takes to make one, the share that is left to others. */
const REST = 1;

interface Archived {
  readonly pos: Position;
  readonly slot: number;
}

export class Checkpointer extends Duty {
  /** By partition: the newest that there is, as far as is known here. */
  readonly #newest = new Map<number, Manifest | null>();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: CheckpointerOptions,
    logger: Logger,
  ) {
    super({ name: 'making a checkpoint', intervalMs: options.intervalMs }, logger);
  }

  /** One look at the partitions that this process archives; resolves to how many checkpoints were made. */
  async round(): Promise<number> {
    let made = 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      if (this.options.archives(partition) && (await this.#makeIfDue(partition))) made += 1;
    }
    return made;
  }

  async #makeIfDue(partition: number): Promise<boolean> {
    const archived = await this.store.archivedTo(partition);
    if (archived === null) return false;
    if (!this.#isDue(await this.#newestOf(partition), archived)) return false;
    // Others may have made one since.
    this.#newest.delete(partition);
    if (!this.#isDue(await this.#newestOf(partition), archived)) return false;
    const { blobs, logger } = this;
    const made = await makeCheckpoint({
      blobs,
      identity: this.#identity,
      partition,
      slot: archived.slot,
      now: Date.now,
      warn: (error) => this.#warn(error),
      pause: this.#pacemaker(),
    });
    this.#newest.set(partition, made.manifest);
    if (made.kind !== 'made') return false;
    const { slot, records, parts } = made.manifest;
    logger.info({ partition, slot, records, parts: parts.length }, 'checkpoint made');
    const problems = await dropOldCheckpoints(blobs, this.#identity, partition);
    if (problems.length > 0) logger.warn({ partition, problems }, 'old checkpoints could not be deleted');
    return true;
  }

  /** Until the store is open, which log it belongs to may change. */
  get #identity(): LogIdentity {
    const { logId, partitions } = this.store;
    return { logId, partitions };
  }

  #isDue(newest: Manifest | null, { pos, slot }: Archived): boolean {
    const { records, ageMsMax } = this.options;
    if (slot <= (newest?.slot ?? 0)) return false;
    // In a later view the count begins anew: what came before it is passed over here, and counted by its segments.
    const since = newest !== null && newest.to.view === pos.view ? pos.n - newest.to.n : pos.n;
    if (since >= records || slot - (newest?.slot ?? 0) >= SEGMENTS_MAX) return true;
    return ageMsMax !== null && since > 0 && (newest === null || newest.madeAt + ageMsMax <= Date.now());
  }

  async #newestOf(partition: number): Promise<Manifest | null> {
    const known = this.#newest.get(partition);
    if (known !== undefined) return known;
    const all = { from: 0, to: Number.MAX_SAFE_INTEGER };
    const found = await newestCheckpoint(this.blobs, this.#identity, partition, all, (error) =>
      this.#warn(error),
    );
    this.#newest.set(partition, found);
    return found;
  }

  #warn({ key, reason }: CheckpointDamagedError): void {
    this.logger.warn({ key, reason }, 'a checkpoint cannot be used');
  }

  /** Rests for as long as it has worked. */
  #pacemaker(): () => Promise<void> {
    const signal = this.stopping;
    let sinceMs = performance.now();
    return async () => {
      const workedMs = performance.now() - sinceMs;
      await processClock.wait(workedMs * REST, signal);
      if (signal.aborted) throw new Stopped();
      sinceMs = performance.now();
    };
  }

  protected passes(error: unknown): boolean {
    return (
      error instanceof StoreError || error instanceof BlobError || error instanceof CheckpointRefusedError
    );
  }
}

/** Ends a checkpoint that is half made. */
class Stopped extends Error {}
