/** The Redis store keeps the contract of the port, on one partition and on several. */
import t from 'tap';
import { storeContract } from '../contract/store.js';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';

t.test('the Redis store', async (t) => {
  const server = await startRedisServer();
  t.teardown(() => server.stop());

  await t.test('keeps the contract on one partition', async (t) => {
    const harness = new RedisHarness(server.url, { partitions: 1 });
    t.teardown(() => harness.close());
    await storeContract(t, harness);
  });
});
