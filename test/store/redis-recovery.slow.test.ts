/** Mistakes planted in the scripts that recover a partition are noticed. */
import t from 'tap';
import { compareRecoveries } from '../contract/recovery.js';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';
import { plant } from './planted-mistakes.js';
import { RECOVERY_MISTAKES, REPLAY_MISTAKES } from './planted-recovery-mistakes.js';
import { compareReplays } from './random-replays.js';

/** Each mistake shows itself within this many runs, most within a few. */
const MISTAKE_RUNS_MAX = 5_000;

t.test('recovery on Redis', { timeout: 1_180_000 }, async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());

  for (const mistake of RECOVERY_MISTAKES) {
    await t.test(`a planted mistake is found: ${mistake.name}`, async (t) => {
      const harness = new RedisHarness(server.url, { partitions: 1, edit: plant(mistake) });
      t.teardown(() => harness.close());
      const work = { runs: MISTAKE_RUNS_MAX, seed: 1, shorten: false };
      await t.rejects(compareRecoveries(harness, work), { message: /Property failed/ });
    });
  }

  for (const mistake of REPLAY_MISTAKES) {
    await t.test(`a planted mistake is found: ${mistake.name}`, async (t) => {
      const harness = new RedisHarness(server.url, { partitions: 1, edit: plant(mistake) });
      t.teardown(() => harness.close());
      const work = { runs: MISTAKE_RUNS_MAX, seed: 1, shorten: false };
      await t.rejects(compareReplays(harness, work), { message: /Property failed/ });
    });
  }
});
