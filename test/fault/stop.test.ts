/** Starting and stopping the real process: in order, with calls under way, and when it cannot start. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Api } from '../support/api.js';
import { readFileLog } from '../support/file-log.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

/** Far less than calls wait, far more than stopping takes. */
const SOON_MS = 10_000;

/** Until so many calls wait, by what the service tells of itself. */
async function untilWaiting(api: Api, calls: number): Promise<void> {
  const told = new RegExp(`^clockwork_waiting_calls ${calls}$`, 'm');
  while (!told.test((await api.call('GET', '/metrics')).text)) await delay(10);
}

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: a signal ends the service in order`, async (t) => {
    const redis = store === 'redis' ? await startRedisServer() : null;
    if (redis) t.teardown(() => redis.stop());
    const service = await Service.start({ env: redis ? { REDIS_URL: redis.url } : {} });
    t.teardown(() => service.stop());
    const api = new Api(service.url);
    t.teardown(() => api.close());

    const posted = await api.call('POST', '/v1/types/stop/events', { body: { n: 1 } });
    const { id } = posted.json<{ id: string }>();
    const startedAt = performance.now();
    const lease = api.call('POST', '/v1/leases', { body: { types: ['nothing here'], waitMs: 25_000 } });
    const poll = api.call('GET', `/v1/events/${id}`, { headers: { prefer: 'wait=25' } });
    const waits = api.call('POST', '/v1/types/stop/events', { body: {}, headers: { prefer: 'wait=25' } });
    await untilWaiting(api, 3);
    // Rejects when the process did not end by itself, or not with code 0.
    const stopped = service.pause();

    t.same((await lease).json(), { leases: [] }, 'a call that waits for events is answered with none');
    t.match((await poll).json(), { id, status: 'pending' }, 'a poll is answered with what there is');
    const receipt = await waits;
    t.equal(receipt.status, 202, 'a submission that waits is answered with its receipt');
    await stopped;
    t.ok(performance.now() - startedAt < SOON_MS, 'nobody was waited for');
    const logged = (await readFileLog(service.dataDir)).filter(({ op }) => op === 'accepted');
    t.equal(logged.length, 2, 'what was accepted is archived before the end');

    await service.restart();
    const known = await api.call('GET', `/v1/events/${receipt.json<{ id: string }>().id}`);
    t.match(known.json(), { status: 'pending' }, 'and known after the next start');
  });
}

t.test('a connection on which nothing was ever asked does not keep the service from ending', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  const silent = connect(service.port, '127.0.0.1');
  t.teardown(() => silent.destroy());
  // Its end is a reset where the system has it so.
  silent.on('error', () => {});
  await once(silent, 'connect');
  // The service has taken the connection when it has answered a later one.
  await fetch(`${service.url}/livez`);
  const startedAt = performance.now();
  await service.pause();
  t.ok(performance.now() - startedAt < SOON_MS, 'nobody was waited for');
});

t.test('a service that cannot start says why and ends', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  const attempts: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ DATA_DIR: service.dataDir }, /in use by process/],
    [{ PORT: String(service.port) }, /EADDRINUSE/],
    [{ LEASE_MS: 'soon' }, /LEASE_MS must be a whole number/],
    [{ HOST: '0.0.0.0' }, /ALLOW_ANONYMOUS=true/],
    [{ DATA_DIR: '/dev/null/data' }, /ENOTDIR|\/dev\/null/],
  ];
  for (const [env, why] of attempts) await t.rejects(Service.start({ env }), { message: why });
});

t.test('a service that waits for its Redis can be stopped', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  await redis.kill();
  const env = { REDIS_URL: redis.url };
  await t.rejects(Service.start({ env, readyWithinMs: 8_000 }), { message: /was not ready within/ });
});
