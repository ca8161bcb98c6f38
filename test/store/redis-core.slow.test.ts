/** The Redis store does what the core does, at length; and mistakes planted in the scripts are noticed. */
import t from 'tap';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';
import { findMistakes } from './find-mistakes.js';
import { MISTAKES } from './planted-mistakes.js';
import { compareWithCore } from './random-work.js';

const RUNS = 2_500;

t.test('the Redis store and the core', { timeout: 1_180_000 }, async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());

  await t.test(`answer, record and show the same after ${RUNS} sequences of calls`, async (t) => {
    const harness = new RedisHarness(server.url, { partitions: 1 });
    t.teardown(() => harness.close());
    const seed = Number(process.env['SEED'] ?? 1);
    await compareWithCore(harness, { runs: RUNS, seed });
  });

  await findMistakes(t, server.url, MISTAKES, compareWithCore);
});
