/** Plants one mistake after the other in the scripts: a comparison has to find each. */
import type { Test } from 'tap';
import { RedisHarness } from '../support/redis-harness.js';
import { type Mistake, plant } from './planted-mistakes.js';
import type { WorkOptions } from './random-work.js';

/** Each mistake shows itself within this many runs, most within a few hundred. */
const RUNS_MAX = 5_000;

export async function findMistakes(
  t: Test,
  url: string,
  mistakes: readonly Mistake[],
  compare: (harness: RedisHarness, options: WorkOptions) => Promise<void>,
): Promise<void> {
  for (const mistake of mistakes) {
    await t.test(`a planted mistake is found: ${mistake.name}`, async (t) => {
      const harness = new RedisHarness(url, { partitions: 1, edit: plant(mistake) });
      t.teardown(() => harness.close());
      const { seed = 1, steps } = mistake;
      const work = { runs: RUNS_MAX, seed, shorten: false, ...(steps && { steps }) };
      await t.rejects(compare(harness, work), { message: /Property failed/ });
    });
  }
}
