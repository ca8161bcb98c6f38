/** Runs of the recovery simulation over many seeds, in threads of their own. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Test } from 'tap';
import type { Done, Work } from './recovery-worker.js';
import type { Counts } from './recovery-world.js';

const STEPS = 250;
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const THREADS_MAX = 4;

/** What happened in that many seeds from `SEED` on, up to the first that failed. */
export function simulate(work: Partial<Work>): Promise<Done> {
  const workerData: Work = {
    first: FIRST_SEED,
    seeds: 1,
    stride: 1,
    steps: STEPS,
    mistake: null,
    ...work,
  };
  const worker = new Worker(new URL('./recovery-worker.js', import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

export async function runSeeds(t: Test, seedsByDefault: number): Promise<void> {
  const seeds = Number(process.env['SEEDS'] ?? seedsByDefault);
  const threads = Math.min(availableParallelism(), THREADS_MAX, seeds);
  const startedMs = performance.now();
  const shares = Array.from({ length: threads }, (_, i) => ({
    first: FIRST_SEED + i,
    stride: threads,
    seeds: Math.floor(seeds / threads) + (i < seeds % threads ? 1 : 0),
  }));
  const done = await Promise.all(shares.map((share) => simulate(share)));
  for (const { failed } of done) if (failed) t.fail(`seed ${failed.seed}: ${failed.error}`);
  const sums: Partial<Counts> = {};
  for (const each of done) {
    for (const [name, count] of Object.entries(each.sums ?? {}) as [keyof Counts, number][])
      sums[name] = (sums[name] ?? 0) + count;
  }
  t.comment(`${seeds} seeds in ${Math.round(performance.now() - startedMs)} ms:`, sums);
  if (seeds < 100) {
    t.pass('too few seeds to see everything');
    return;
  }
  for (const [name, count] of Object.entries(sums)) t.ok(count > 0, `${name}: ${count}`);
}
