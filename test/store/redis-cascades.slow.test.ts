/** As redis-core.slow.test.ts, with work that is about little else than listeners and cascades. */
import t from 'tap';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';
import { findMistakes } from './find-mistakes.js';
import { TREE_MISTAKES } from './planted-tree-mistakes.js';
import { CASCADE_STEPS, LISTENER_STEPS } from './random-steps.js';
import { compareWithCore } from './random-work.js';

const RUNS = 500;

t.test('the Redis store and the core, with listeners and cascades', { timeout: 1_180_000 }, async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());

  for (const [name, steps] of Object.entries({ listeners: LISTENER_STEPS, cascades: CASCADE_STEPS })) {
    await t.test(
      `answer, record and show the same of ${name} after ${RUNS} sequences of calls`,
      async (t) => {
        const harness = new RedisHarness(server.url, { partitions: 1 });
        t.teardown(() => harness.close());
        await compareWithCore(harness, { runs: RUNS, seed: Number(process.env['SEED'] ?? 1), steps });
      },
    );
  }

  await findMistakes(t, server.url, TREE_MISTAKES, compareWithCore);
});
