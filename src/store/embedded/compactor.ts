/**
 * When to compact: as soon as half of what snapshot and closed journals hold is not alive any more. So the folder stays
 * within about twice what is alive, and a queue that only fills is not folded again and again for nothing.
 */
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { Compacted, CompactJob } from './compact.js';

export interface CompactorOptions {
  readonly job: Pick<CompactJob, 'dir' | 'logId' | 'policy' | 'limits'>;
  readonly now: () => number;
  /** What the state weighs in memory, as the core counts it. */
  readonly weight: () => number;
  /** Bytes that what is alive takes in a file, as far as the state tells it before any snapshot has shown it. */
  readonly guess: () => number;
  /** Closed journals that weigh less are left alone. */
  readonly bytesMin: number;
}

/** What a snapshot has shown of how much is alive. */
export interface Measured {
  readonly number: number | null;
  readonly bytes: number;
  /** Of the state that is in it. */
  readonly weight: number;
}

export class Compactor {
  #worker: Worker | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #paused = false;
  /** Why the last try failed; null when it did not. */
  problem: string | null = null;

  constructor(
    private readonly options: CompactorOptions,
    private snapshot: Measured,
    private closed: { upTo: number; bytes: number },
  ) {}

  /** A journal was closed. */
  add(number: number, bytes: number): void {
    this.closed = { upTo: number, bytes: this.closed.bytes + bytes };
    this.runIfDue();
  }

  runIfDue(): void {
    const { bytesMin, weight, guess } = this.options;
    if (this.#worker || this.#stopped || this.#paused) return;
    if (!isTimeToCompact(this.snapshot, this.closed.bytes, { weight: weight(), guess: guess() }, bytesMin))
      return;
    this.#running = this.#run(this.closed.upTo, this.closed.bytes);
  }

  /** While very much is written at once, to fold it again and again would cost more than to write it. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.runIfDue();
  }

  /** Resolves when no compaction is under way. */
  settled(): Promise<void> {
    return this.#running;
  }

  /** A compaction under way is given up: a start finds everything as it was, or done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#worker?.terminate();
    await this.#running;
  }

  async #run(upTo: number, bytes: number): Promise<void> {
    const { job, now } = this.options;
    try {
      const { snapshot, ...measured } = await this.#work({
        ...job,
        snapshot: this.snapshot.number,
        upTo,
        now: now(),
      });
      this.snapshot = { number: snapshot, ...measured };
      this.closed = { ...this.closed, bytes: this.closed.bytes - bytes };
      this.problem = null;
    } catch (error) {
      // The journals are still there and go on growing; the next one that is closed tries again.
      this.problem = `compaction failed: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      this.#worker = null;
    }
  }

  #work(job: CompactJob): Promise<Compacted> {
    const heapMb = Math.floor(getHeapStatistics().heap_size_limit / 2 ** 20);
    const worker = new Worker(new URL('./compact-worker.js', import.meta.url), {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the worker ended early, with code ${code}`)));
    });
  }
}

/** Whether half of what is in snapshot and closed journals is dead, by what the state weighs now. */
export function isTimeToCompact(
  { bytes, weight: weighed }: Measured,
  closedBytes: number,
  state: { readonly weight: number; readonly guess: number },
  closedBytesMin: number,
): boolean {
  const aliveBytes = bytes > 0 && weighed > 0 ? (bytes / weighed) * state.weight : state.guess;
  return closedBytes >= closedBytesMin && bytes + closedBytes >= 2 * aliveBytes;
}
