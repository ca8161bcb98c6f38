/** The Redis store keeps the contract of the port, on one partition and on several. */
import t from 'tap';
import { storeContract } from '../contract/store.js';
import { RedisHarness } from '../support/redis-harness.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';

let server: RedisServer;

t.before(async () => {
  server = await startRedisServer();
});

t.teardown(() => server.stop());

t.test('the Redis store keeps the contract', async (t) => {
  const harness = new RedisHarness(server.url, { partitions: 1 });
  t.teardown(() => harness.close());
  await storeContract(t, harness);
});

t.test('the Redis store on four partitions keeps the contract', async (t) => {
  const harness = new RedisHarness(server.url, { partitions: 4 });
  t.teardown(() => harness.close());
  await storeContract(t, harness);
});
