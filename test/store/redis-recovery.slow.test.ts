/** Mistakes planted in the scripts that recover a partition are noticed. */
import t from 'tap';
import { compareRecoveries } from '../contract/recovery.js';
import { startRedisServer } from '../support/redis-server.js';
import { findMistakes } from './find-mistakes.js';
import { RECOVERY_MISTAKES, REPLAY_MISTAKES } from './planted-recovery-mistakes.js';
import { compareReplays } from './random-replays.js';

t.test('recovery on Redis', { timeout: 1_180_000 }, async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());

  await findMistakes(t, server.url, RECOVERY_MISTAKES, compareRecoveries);
  await findMistakes(t, server.url, REPLAY_MISTAKES, compareReplays);
});
