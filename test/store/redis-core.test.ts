/** The Redis store does what the core does: random sequences on both. Many more of them run in continuous integration. */
import t from 'tap';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';
import { RETENTION_STEPS } from './random-retentions.js';
import { compareWithCore } from './random-work.js';

t.test('the Redis store and the core', async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());

  await t.test(
    'answer, record and show the same after any sequence of calls (S2–S4, S6–S8, L2)',
    async (t) => {
      const harness = new RedisHarness(server.url, { partitions: 1 });
      t.teardown(() => harness.close());
      await compareWithCore(harness, { runs: 300, seed: Number(process.env['SEED'] ?? 1), msMax: 20_000 });
      t.pass('no sequence told them apart');
    },
  );

  await t.test('let the same events leave, whatever the retentions of their types', async (t) => {
    const harness = new RedisHarness(server.url, { partitions: 1 });
    t.teardown(() => harness.close());
    await compareWithCore(harness, { runs: 60, seed: 1, steps: RETENTION_STEPS });
    t.pass('no sequence told them apart');
  });
});
