/**
 * Archiving: one archiver a partition, started once the place of the log has shown that it refuses to create what
 * exists. A place that does not cannot tell one archiver from another, so nothing is written there.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { Archiver } from '../log/archiver.js';
import type { ArchiverEvent, ArchiverStatus } from '../log/archiver-status.js';
import { processClock } from '../log/clock.js';
import type { Store } from '../store/store.js';

export interface ArchivingOptions {
  /** Names this process among all that work on the log. */
  readonly writer: string;
  readonly archiveIntervalMs: number;
  /** How soon a probe that found no answer is tried again. */
  readonly probeAgainMs: number;
  /** How long stopping may take to archive what is left. */
  readonly flushMs: number;
}

export class Archiving {
  #archivers: Archiver[] = [];
  #starting: Promise<void> | null = null;
  #problem: string | null = 'the place of the log has not answered yet';
  readonly #stopping = new AbortController();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: ArchivingOptions,
    private readonly logger: Logger,
    /** Told what the archivers report, for metrics. */
    private readonly onEvent: (partition: number, event: ArchiverEvent) => void = () => undefined,
  ) {}

  /** Begins in the background; a second call does nothing. */
  start(): void {
    this.#starting ??= this.#start();
  }

  /** Archives what is left, within `flushMs`. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#starting;
    const flushed = await Promise.all(this.#archivers.map((archiver) => archiver.stop(this.options.flushMs)));
    if (flushed.includes(false))
      this.logger.warn('stopped before all records were archived; the store keeps them');
  }

  status(): ArchiverStatus[] {
    return this.#archivers.map((archiver) => archiver.status());
  }

  /** What is wrong with the log, in sentences; empty when all is well. */
  notes(): string[] {
    if (this.#problem) return [this.#problem];
    return this.status().flatMap(({ partition, state, error }) =>
      error ? [`archiving partition ${partition} is ${state}: ${error}`] : [],
    );
  }

  async #start(): Promise<void> {
    if (!(await this.#probe())) return;
    const { writer, archiveIntervalMs } = this.options;
    const { logId, partitions } = this.store;
    for (let partition = 0; partition < partitions; partition += 1) {
      const archiver = new Archiver({
        blobs: this.blobs,
        outbox: this.store,
        logId,
        partition,
        partitions,
        writer,
        archiveIntervalMs,
        report: (event) => this.#report(partition, event),
      });
      this.#archivers.push(archiver);
      archiver.start();
    }
  }

  /** True once the place has shown that it can be archived to; false when it cannot, or on stopping. */
  async #probe(): Promise<boolean> {
    const { description } = this.blobs;
    while (!this.#stopping.signal.aborted) {
      try {
        const { conditionalPut } = await this.blobs.probe();
        if (!conditionalPut) {
          this.#problem = `${description} overwrites what exists (it ignores If-None-Match), so nothing is archived there`;
          this.logger.error(this.#problem);
          return false;
        }
        this.#problem = null;
        return true;
      } catch (error) {
        if (!(error instanceof BlobError)) throw error;
        this.#problem = `${description} cannot be used: ${error.message}`;
        this.logger.error({ err: error }, this.#problem);
        await processClock.wait(this.options.probeAgainMs, this.#stopping.signal);
      }
    }
    return false;
  }

  #report(partition: number, event: ArchiverEvent): void {
    this.onEvent(partition, event);
    const { kind, ...about } = event;
    const logged = { partition, ...about };
    switch (event.kind) {
      case 'archived':
        return this.logger.debug(logged, 'segment archived');
      case 'opened':
        return this.logger.info(logged, 'log opened');
      case 'overtaken':
        return this.logger.warn(logged, 'another archiver has written; opening the log again');
      case 'failed':
        return this.logger.error({ ...logged, err: event.error }, 'archiving failed');
    }
  }
}
