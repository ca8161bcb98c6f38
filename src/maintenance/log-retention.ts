/**
 * Retention of the log: where `LOG_RETENTION_MS` is set, segments that are older are deleted, as far as checkpoints have
 * what is alive of them. Of many instances the one that archives a partition does it.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { CheckpointDamagedError } from '../log/checkpoint.js';
import { LogReader } from '../log/reader.js';
import { cutLog } from '../log/retention.js';
import type { Store } from '../store/store.js';
import { Duty } from './duty.js';

export interface LogRetentionOptions {
  readonly retentionMs: number;
  /** Between two rounds. */
  readonly intervalMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
}

export class LogRetention extends Duty {
  constructor(
    private readonly store: Pick<Store, 'logId' | 'partitions'>,
    private readonly blobs: BlobStore,
    private readonly options: LogRetentionOptions,
    logger: Logger,
  ) {
    super({ name: 'cutting the log', intervalMs: options.intervalMs }, logger);
  }

  /** One round over the partitions that this process archives; resolves to how many segments went. */
  async round(): Promise<number> {
    const { blobs, logger } = this;
    const { logId, partitions } = this.store;
    const identity = { logId, partitions };
    const reader = new LogReader(blobs, identity);
    const writtenBefore = Date.now() - this.options.retentionMs;
    let gone = 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      if (!this.options.archives(partition)) continue;
      const { segments, bytes, floor, problems } = await cutLog({
        blobs,
        reader,
        identity,
        partition,
        writtenBefore,
      });
      if (segments > 0) logger.info({ partition, segments, bytes, floor }, 'old segments deleted');
      if (problems.length > 0) logger.warn({ partition, problems }, 'some of the log could not be deleted');
      gone += segments;
    }
    return gone;
  }

  protected passes(error: unknown): boolean {
    return error instanceof BlobError || error instanceof CheckpointDamagedError;
  }
}
