/**
 * When to compact: as soon as the closed journals weigh as much as the last snapshot, and something. So the
 * folder stays within about three times what is alive, and each byte is written twice more at most, on average.
 */
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { Compacted, CompactJob } from './compact.js';

export interface CompactorOptions {
  readonly job: Pick<CompactJob, 'dir' | 'logId' | 'policy' | 'limits'>;
  readonly now: () => number;
  /** Closed journals that weigh less are left alone. */
  readonly bytesMin: number;
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
    private snapshot: { number: number | null; bytes: number },
    private closed: { upTo: number; bytes: number },
  ) {}

  /** A journal was closed. */
  add(number: number, bytes: number): void {
    this.closed = { upTo: number, bytes: this.closed.bytes + bytes };
    this.runIfDue();
  }

  runIfDue(): void {
    const { bytesMin } = this.options;
    if (
      this.#worker ||
      this.#stopped ||
      this.#paused ||
      this.closed.bytes < Math.max(bytesMin, this.snapshot.bytes)
    )
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
      const { snapshot, bytes: snapshotBytes } = await this.#work({
        ...job,
        snapshot: this.snapshot.number,
        upTo,
        now: now(),
      });
      this.snapshot = { number: snapshot, bytes: snapshotBytes };
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
