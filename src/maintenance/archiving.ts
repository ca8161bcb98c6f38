/**
 * Archiving: one archiver a partition, started once the place of the log has shown that it refuses to create what
 * exists. A place that does not cannot tell one archiver from another, so nothing is written there.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { Archiver, type ArchiverOptions } from '../log/archiver.js';
import { type ArchiverEvent, type ArchiverStatus, LogMismatchError } from '../log/archiver-status.js';
import { processClock } from '../log/clock.js';
import { findLogId } from '../log/identity.js';
import { openWithoutLog } from '../log/recovery.js';
import { type Recoverable, recoverableOf, type Store, StoreError } from '../store/store.js';

type LogStore = Pick<Store, 'logId' | 'partitions' | 'archivedTo' | 'hurryArchiving' | 'onWake'>;

export interface ArchivingOptions {
  /** Names this process among all that work on the log. */
  readonly writer: string;
  readonly archiveIntervalMs: number;
  /** How soon a probe that found no answer is tried again. */
  readonly probeAgainMs: number;
  /** How long stopping may take to archive what is left. */
  readonly flushMs: number;
  /** Makes segments; left out: in this thread. */
  readonly encode?: ArchiverOptions['encode'];
}

/** For so long whoever begins a new log has the time to, before another gives it a name. */
const NAMING_MS = 15_000;
const NAMING_AGAIN_MS = 200;

export class Archiving {
  #archivers: Archiver[] = [];
  /** Null until it is known whose log it is. */
  #logId: string | null = null;
  #starting: Promise<void> | null = null;
  #problem: string | null = 'the place of the log has not answered yet';
  /** Nothing will ever be written there. */
  #refused = false;
  #unsubscribe: () => void = () => undefined;
  readonly #stopping = new AbortController();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: ArchivingOptions,
    private readonly logger: Logger,
    /** Told what the archivers report, for metrics. */
    private readonly onEvent: (partition: number, event: ArchiverEvent) => void = () => undefined,
    /** Store and log do not belong together: nothing was written, and nothing will be. */
    private readonly onMismatch: (error: LogMismatchError) => void = () => undefined,
  ) {}

  /** Begins in the background; a second call does nothing. */
  start(): void {
    if (this.#starting !== null) return;
    this.#unsubscribe = this.store.onWake(({ wanted }) => {
      for (const partition of wanted) this.#archivers[partition]?.hurry();
    });
    this.#starting = this.#start();
  }

  /** Archives what is left, within `flushMs`. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stopping.abort();
    await this.#starting;
    const flushed = await Promise.all(this.#archivers.map((archiver) => archiver.stop(this.options.flushMs)));
    if (flushed.includes(false))
      this.logger.warn('stopped before all records were archived; the store keeps them');
  }

  /** Whether what is taken now can be archived, by this process or another, as far as is known here. */
  isAvailable(partition: number): boolean {
    const state = this.#archivers[partition]?.status().state;
    return !this.#refused && state !== 'refused' && state !== 'fenced' && state !== 'stopped';
  }

  /**
   * The store for who reads the log: with the log's own id. A store that has lost everything has none of its own to
   * give, and rejects as `recovering` until it is known.
   */
  named(store: Store): LogStore {
    const known = () => this.#logId;
    return {
      get logId() {
        const logId = known();
        if (logId !== null) return logId;
        throw new StoreError('recovering', 'log', new Error('it is not known yet whose log it is'));
      },
      partitions: store.partitions,
      archivedTo: (partition) => store.archivedTo(partition),
      hurryArchiving: (partition) => store.hurryArchiving(partition),
      onWake: (wake) => store.onWake(wake),
    };
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
    const recoverable = recoverableOf(this.store);
    if (!(await this.#probe())) {
      if (recoverable && !this.#stopping.signal.aborted) await this.#goOnWithoutLog(recoverable);
      return;
    }
    const logId = recoverable ? await this.#decideLogId(recoverable) : this.store.logId;
    if (logId === null) return;
    this.#logId = logId;
    const { writer, archiveIntervalMs, encode } = this.options;
    const { partitions } = this.store;
    for (let partition = 0; partition < partitions; partition += 1) {
      const archiver = new Archiver({
        blobs: this.blobs,
        outbox: this.store,
        recoverable,
        logId,
        partition,
        partitions,
        writer,
        archiveIntervalMs,
        ...(encode ? { encode } : {}),
        report: (event) => this.#report(partition, event),
      });
      this.#archivers.push(archiver);
      archiver.start();
    }
  }

  /** What cannot be archived is durable as the store is; only a store that has archived waits for its log. */
  async #goOnWithoutLog(store: Store & Recoverable): Promise<void> {
    this.#logId = store.logId;
    for (let partition = 0; partition < store.partitions; partition += 1) {
      if (!(await openWithoutLog(store, partition, store.logId)))
        this.logger.error({ partition }, 'the store has archived before, and stays closed without its log');
    }
  }

  /** Null on stopping, or when store and log do not belong together. */
  async #decideLogId(store: Store & Recoverable): Promise<string | null> {
    while (!this.#stopping.signal.aborted) {
      try {
        const logId = await this.#findOrName(store);
        if (logId !== null) {
          this.#problem = null;
          return logId;
        }
        await processClock.wait(NAMING_AGAIN_MS, this.#stopping.signal);
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error);
        if (error instanceof LogMismatchError) {
          this.#refused = true;
          this.onMismatch(error);
          return null;
        }
        if (!(error instanceof BlobError || error instanceof StoreError)) throw error;
        this.logger.error({ err: error }, 'cannot tell whose log it is');
        await processClock.wait(this.options.probeAgainMs, this.#stopping.signal);
      }
    }
    return null;
  }

  /** Of several processes that begin a log at once one names it, and the others wait for that: null. */
  async #findOrName(store: Store & Recoverable): Promise<string | null> {
    const found = await findLogId(this.blobs, store);
    if (found !== null || !(await store.holdArchiving(0, this.options.writer, NAMING_MS))) return found;
    return (await findLogId(this.blobs, store)) ?? store.logId;
  }

  /** True once the place has shown that it can be archived to; false when it cannot, or on stopping. */
  async #probe(): Promise<boolean> {
    const { description } = this.blobs;
    while (!this.#stopping.signal.aborted) {
      try {
        const { conditionalPut } = await this.blobs.probe();
        if (!conditionalPut) {
          this.#problem = `${description} overwrites what exists (it ignores If-None-Match), so nothing is archived there`;
          this.#refused = true;
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
        return this.logger.info(logged, event.recovered ? 'log opened, store recovered' : 'log opened');
      case 'fenced':
        return this.logger.warn(
          logged,
          'another store has gone on with the log; looking again from time to time',
        );
      case 'overtaken':
        return this.logger.warn(logged, 'another archiver has written; opening the log again');
      case 'checkpointDamaged':
        return this.logger.warn(logged, 'a checkpoint cannot be used; going back to what is before it');
      case 'failed':
        return this.logger.error({ ...logged, err: event.error }, 'archiving failed');
    }
  }
}
