/** The Redis store keeps the contract of the port, on one partition and on several, also where several processes are at work. */
import t from 'tap';
import type { LogRecord } from '../../src/event/record.js';
import type { Store } from '../../src/store/store.js';
import { scene } from '../contract/store/scene.js';
import { storeContract } from '../contract/store.js';
import { RedisHarness } from '../support/redis-harness.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';

let server: RedisServer;
let another: Store | undefined;

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

t.test(
  'two processes that end the deliveries of one deleted listener note once that it is done',
  async (t) => {
    const harness = new RedisHarness(server.url, { partitions: 1 });
    t.teardown(() => harness.close());
    const s = await scene(t, {
      name: 'redis, two of them',
      open: async (options) => {
        const opened = await harness.open(options);
        another = await opened.openAnother();
        return opened;
      },
    });
    const listener = { responder: false, filter: null };
    for (const name of ['first', 'second'])
      await s.store.setListener({ type: 'mail', listener: { ...listener, name } });
    await s.acceptMany('mail', 4);
    await s.store.deleteListener('mail', 'first');
    // The other one begins, and goes on when the first one has done all that there was to do.
    t.match(await another!.sweep(0, 2), { more: true });
    while ((await s.store.sweep(0, 100)).more);
    await another!.listListeners('mail');
    while ((await another!.sweep(0, 2)).more);
    const swept = (await s.outbox('mail')).filter((record: LogRecord) => record.op === 'listenerSwept');
    t.equal(swept.length, 1);
    t.equal((await s.folded(0)).leaving, 0);
    await another!.close();
  },
);
