/**
 * The redriver: works on redrives. Of many instances the one that archives a partition does it; that two do it for a
 * moment does no harm: ids of new events follow from the job and the past event, and of two that go on from one step one does.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { partitionOfId } from '../event/id.js';
import type { RedriveState } from '../event/state.js';
import { type Clock, processClock } from '../log/clock.js';
import { LogReader } from '../log/reader.js';
import { type Store, StoreError } from '../store/store.js';
import { Duty } from './duty.js';
import { RedriveRun } from './redrive-run.js';
import { type PastIndex, RedriveSource } from './redrive-source.js';

export type RedriverStore = Pick<
  Store,
  | 'logId'
  | 'partitions'
  | 'accept'
  | 'read'
  | 'readRequest'
  | 'readEnds'
  | 'setRedrive'
  | 'readRedrives'
  | 'archivedTo'
  | 'hurryArchiving'
>;

export interface RedriverOptions {
  /** Between two looks for jobs while there are none. */
  readonly intervalMs: number;
  /** Between two steps while there are some. */
  readonly stepMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
  readonly past: PastIndex;
  /** Told of events that were sent. */
  readonly count?: (events: number) => void;
  readonly clock?: Clock;
}

export class Redriver extends Duty {
  readonly #runs = new Map<string, RedriveRun>();
  readonly #reader: LogReader;
  readonly #source: RedriveSource;
  readonly #clock: Clock;

  constructor(
    private readonly store: RedriverStore,
    private readonly blobs: BlobStore,
    private readonly options: RedriverOptions,
    logger: Logger,
  ) {
    super({ name: 'redriving', intervalMs: options.intervalMs }, logger);
    this.#clock = options.clock ?? processClock;
    this.#reader = new LogReader(blobs, store);
    this.#source = new RedriveSource(store, options.past, this.#reader);
  }

  /** Works until no job is under way; resolves to how many events were sent. */
  async round(): Promise<number> {
    let sent = 0;
    for (;;) {
      const pass = await this.pass();
      sent += pass.sent;
      if (pass.running === 0) return sent;
      await this.#clock.wait(this.options.stepMs, this.stopping);
      if (!this.stopping.aborted) continue;
      await this.#noteAll();
      return sent;
    }
  }

  /** A step of each job of the partitions that this process archives. */
  async pass(): Promise<{ readonly running: number; readonly sent: number }> {
    let running = 0;
    let sent = 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      if (!this.options.archives(partition)) continue;
      const all = await this.store.readRedrives(partition, 'running');
      // What listeners want that begin with the past, the beginner brings.
      const jobs = all.filter(({ wish }) => wish.filter !== 'taken');
      await this.#leaveEnded(partition, jobs);
      for (const job of jobs) sent += await this.#runOf(job).step();
      running += jobs.length;
    }
    if (sent > 0) this.options.count?.(sent);
    return { running, sent };
  }

  #runOf(job: RedriveState): RedriveRun {
    const known = this.#runs.get(job.id);
    // Where somebody else has gone on with it, it is taken up as it is.
    if (known?.goesOnFrom(job)) return known;
    const run = new RedriveRun(job, {
      store: this.store,
      blobs: this.blobs,
      reader: this.#reader,
      source: this.#source,
      clock: this.#clock,
      logger: this.logger,
    });
    this.#runs.set(job.id, run);
    return run;
  }

  /** What was sent until a job was cancelled is noted with it. */
  async #leaveEnded(partition: number, jobs: readonly RedriveState[]): Promise<void> {
    for (const [id, run] of [...this.#runs]) {
      if (partitionOfId(id) !== partition || jobs.some((job) => job.id === id)) continue;
      this.#runs.delete(id);
      await run.note();
    }
  }

  /** Before the process ends: so that the next one need not do again what was done. */
  async #noteAll(): Promise<void> {
    for (const run of this.#runs.values()) await run.note();
    this.#runs.clear();
  }

  protected passes(error: unknown): boolean {
    return error instanceof StoreError || error instanceof BlobError;
  }
}
