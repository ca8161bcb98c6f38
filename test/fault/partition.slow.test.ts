/**
 * The way to Redis breaks under load, over and over: scripts have run and their answers are lost, so the service sends
 * them again. And it falls silent: the service says so in bounded time, and goes on when the way is open again. And the
 * service is stopped and started in order, while everybody is at work.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Api } from '../support/api.js';
import { Load } from '../support/load.js';
import { checkLog } from '../support/log-check.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const POSTS = 2_000;
const PATIENT = { ATTEMPTS_MAX: '1000', BACKOFF_FIRST_MS: '20', BACKOFF_MS_MAX: '200' };

t.setTimeout(600_000);

function makeLoad(t: Test, service: Service, keyless = false): Load {
  const load = new Load({
    urls: [service.url],
    type: 'partition',
    posts: POSTS,
    clients: 16,
    listeners: 8,
    pollers: 2,
    keyless,
  });
  t.teardown(() => load.close());
  return load;
}

async function judge(t: Test, name: string, service: Service, load: Load, strangersMax = 0): Promise<void> {
  await load.finish();
  await load.stop();
  const verdict = await load.verify();
  t.comment(`${name}: ${JSON.stringify({ ...verdict, repeats: load.ledger.repeats })}`);
  t.same(load.ledger.broken, [], 'no promise is broken');
  const { strangers, ...counts } = verdict;
  t.same(counts, { posted: POSTS, known: POSTS, complete: POSTS, lost: 0 });
  t.ok(strangers <= strangersMax, `${strangers} events that nobody was told of`);
  const problems = await checkLog(service.dataDir, load.ledger, strangersMax);
  t.same(problems, [], 'the log says the same: each thing once, in order');
}

async function startBehindProxy(t: Test): Promise<{ service: Service; proxy: TcpProxy }> {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const proxy = await TcpProxy.start(redis.port);
  t.teardown(() => proxy.stop());
  const service = await Service.start({
    env: { ...PATIENT, REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
  });
  t.teardown(() => service.stop());
  return { service, proxy };
}

t.test('answers of Redis are lost over and over, and every script is carried out once', async (t) => {
  const { service, proxy } = await startBehindProxy(t);
  const load = makeLoad(t, service, true);
  load.start();
  // By what has been done, not by the clock: the cuts fall into every part of the run.
  for (let done = 50; done <= POSTS; done += 50) {
    await load.until(({ acknowledged }) => acknowledged.size >= done);
    await proxy.cut(done % 4);
  }
  // Without keys, what a client had to send again may be a second event; the service's own repeats never are.
  await judge(t, `${proxy.cuts} connections cut`, service, load, load.ledger.repeats);
  t.ok(proxy.cuts > 40);
});

t.test('Redis falls silent: 503 in bounded time, and all is well when it speaks again', async (t) => {
  const { service, proxy } = await startBehindProxy(t);
  const load = makeLoad(t, service);
  const api = new Api(service.url, 4);
  t.teardown(() => api.close());
  load.start();
  await load.until(({ acknowledged }) => acknowledged.size >= POSTS / 4);
  proxy.silence(true);
  const reply = await api.call('GET', `/v1/events/${[...load.ledger.keyOfId.keys()][0]}`);
  t.match({ status: reply.status, body: reply.json() }, { status: 503, body: { code: String } });
  proxy.silence(false);
  await judge(t, 'silence', service, load);
});

for (const store of ['embedded', 'redis']) {
  t.test(
    `${store}: the service is stopped in order and started again, and nobody loses anything`,
    async (t) => {
      const redis = store === 'redis' ? await startRedisServer() : null;
      if (redis) t.teardown(() => redis.stop());
      const service = await Service.start({
        env: { ...PATIENT, ...(redis ? { REDIS_URL: redis.url } : {}) },
      });
      t.teardown(() => service.stop());
      const load = makeLoad(t, service);
      load.start();
      for (const posts of [500, 1_000, 1_500]) {
        await load.until(({ keyOfId }) => keyOfId.size >= posts);
        await service.pause();
        await delay(50);
        await service.restart();
      }
      await judge(t, `${store}, stopped three times`, service, load);
    },
  );
}
