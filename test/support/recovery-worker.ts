/** A thread that runs seeds of the recovery simulation, with or without a planted mistake. */
import { parentPort, workerData } from 'node:worker_threads';
import { importEdited } from './edited-log.js';
import { MISTAKES } from './recovery-mistakes.js';
import { type Counts, World } from './recovery-world.js';

export interface Work {
  readonly first: number;
  readonly seeds: number;
  /** How far one seed is from the next. */
  readonly stride: number;
  readonly steps: number;
  readonly mistake: string | null;
}

export interface Done {
  readonly sums: Counts | null;
  readonly failed: { readonly seed: number; readonly tried: number; readonly error: string } | null;
}

parentPort?.postMessage(await work(workerData as Work));

async function work({ first, seeds, stride, steps, mistake }: Work): Promise<Done> {
  const planted = MISTAKES.find(({ name }) => name === mistake);
  const log = await importEdited(planted?.edits ?? []);
  let sums: Counts | null = null;
  for (let tried = 1; tried <= seeds; tried++) {
    const seed = first + (tried - 1) * stride;
    const world = new World(seed, { log, mistakes: planted?.around ?? {} });
    try {
      await world.run(steps);
    } catch (error) {
      const text = error instanceof Error ? String(error.stack) : String(error);
      return { sums, failed: { seed, tried, error: text } };
    }
    sums = sums ? added(sums, world.counts) : world.counts;
  }
  return { sums, failed: null };
}

function added(sums: Counts, counts: Counts): Counts {
  const names = Object.keys(counts) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, sums[name] + counts[name]])) as unknown as Counts;
}
