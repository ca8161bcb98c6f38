/**
 * `kill -9` under load: of the service on each store, and of the Redis behind it. Whatever got a 2xx before is there
 * afterwards, every event is answered, and with one answer (invariants S1, S3, S4, S7, L2, L3). A Redis that comes
 * back without the end of its append-only file may have lost what was not archived, and nothing else.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { readFileLog } from '../support/file-log.js';
import { Load } from '../support/load.js';
import { checkLog } from '../support/log-check.js';
import { judgeTold, tellFaults } from '../support/lossy-judge.js';
import { LossyLoad } from '../support/lossy-load.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

const POSTS = 5_000;
const CLIENTS = 32;
const LISTENERS = 16;
const POLLERS = 4;
/** Events posted when the blow falls, so that it always falls in the middle, however fast the machine is. */
const BLOWS_AT = [700, 1_500, 2_300, 3_100, 3_900];
/** How long Redis stays away: shorter than the service tries for a call, and once longer, so that it must say 503. */
const AWAY_MS = [300, 4_000, 300, 0, 1_000];

/** What Redis loses of its append-only file: some commands, and about the work of a second. */
const TAILS_BYTES = [5_000, 500_000, 50_000, 1_000_000, 200_000];
const POSTS_BETWEEN = 400;

/** Attempts without end and short backoffs: a crash costs attempts, and no event may die of it here. */
const PATIENT = { ATTEMPTS_MAX: '1000', BACKOFF_FIRST_MS: '20', BACKOFF_MS_MAX: '200' };

t.setTimeout(900_000);

interface Scene {
  readonly name: string;
  readonly services: readonly Service[];
  /** The first is number 0. */
  readonly blow: (number: number) => Promise<void>;
}

async function bear(t: Test, { name, services, blow }: Scene): Promise<void> {
  const load = new Load({
    urls: services.map(({ url }) => url),
    type: 'kill ☠ {type}/with\r\nall',
    posts: POSTS,
    clients: CLIENTS,
    listeners: LISTENERS,
    pollers: POLLERS,
  });
  t.teardown(() => load.close());
  const { ledger } = load;
  const startedAt = performance.now();
  load.start();
  for (const [number, posts] of BLOWS_AT.entries()) {
    await load.until(({ keyOfId }) => keyOfId.size >= posts);
    // While one of two is down, the other takes posts: then the blow may fall on the listeners alone.
    const left = services.length === 1 ? ledger.keyOfId : ledger.acknowledged;
    t.ok(left.size < POSTS, `the blow after ${posts} posts falls in the middle of the work`);
    await blow(number);
  }
  await load.finish();
  await load.stop();
  const { posted, known, complete, lost, strangers } = await load.verify();
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  t.comment(
    `${name}: posted ${posted}, known ${known}, complete ${complete}, lost = ${lost}; ` +
      `${BLOWS_AT.length} kills, ${ledger.repeats} calls repeated, ${ledger.leasesLost} late completions, ${seconds} s`,
  );
  t.same(ledger.broken, [], 'no promise is broken: no id unknown, no event with two answers');
  t.same({ posted, known, complete, lost }, { posted: POSTS, known: POSTS, complete: POSTS, lost: 0 });
  t.equal(strangers, 0, 'repeats with the same key have made no doubles');
  t.same(
    await checkLog(services[0]!.dataDir, ledger),
    [],
    'the log says the same: each thing once, in order',
  );
  t.ok(ledger.repeats > 0, 'calls have run into the blows');
  t.ok(ledger.leasesLost > 0, 'slow listeners have lost leases');
}

t.test('the service on the embedded store is killed five times', async (t) => {
  const service = await Service.start({ env: PATIENT });
  t.teardown(() => service.stop());
  await bear(t, { name: 'service, embedded', services: [service], blow: () => killAndRestart(service) });
});

t.test('the service on Redis is killed five times', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const service = await Service.start({ env: { ...PATIENT, REDIS_URL: redis.url } });
  t.teardown(() => service.stop());
  await bear(t, { name: 'service, redis', services: [service], blow: () => killAndRestart(service) });
});

// With `everysec` Redis holds back what it has acknowledged while the disk is slow to sync: that is the next test's.
t.test('Redis (AOF always) is killed five times under a service that goes on', async (t) => {
  const redis = await startRedisServer(['--appendfsync', 'always']);
  t.teardown(() => redis.stop());
  const service = await Service.start({ env: { ...PATIENT, REDIS_URL: redis.url } });
  t.teardown(() => service.stop());
  const { pid } = service;
  const blow = async (number: number) => {
    await redis.kill();
    await delay(AWAY_MS[number]);
    await redis.start();
  };
  await bear(t, { name: 'redis, AOF always', services: [service], blow });
  t.equal(service.pid, pid, 'the service has lived through it');
});

t.test('Redis (AOF everysec) comes back five times without the end of its append-only file', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const service = await Service.start({ env: { ...PATIENT, REDIS_URL: redis.url, LOG_LEVEL: 'error' } });
  t.teardown(() => service.stop());
  tellFaults(t, service);
  const load = new LossyLoad({
    url: service.url,
    type: 'cut',
    clients: 6,
    listeners: 6,
    pollers: 2,
    paceMs: 5,
  });
  t.teardown(() => load.close());
  const { pid } = service;

  load.start();
  for (const bytes of TAILS_BYTES) {
    await load.more(POSTS_BETWEEN);
    await redis.kill();
    await redis.cutFile(bytes);
    await redis.start();
    await load.untilWritable();
  }
  await load.more(POSTS_BETWEEN);
  const verdict = await load.drain();
  t.equal(service.pid, pid, 'the service has lived through it');
  await service.pause();

  const records = await readFileLog(service.dataDir);
  judgeTold(t, load, verdict, records);
  t.ok(verdict.storeLosses > 0, 'something that was not archived was lost with the tails');
  t.comment(
    `${TAILS_BYTES.length} tails cut off: ${JSON.stringify(verdict)}, ${records.length} records of the log`,
  );
});

t.test('two instances on one Redis, with one log, are killed in turn', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const env = { ...PATIENT, REDIS_URL: redis.url };
  const first = await Service.start({ env });
  t.teardown(() => first.stop());
  const second = await Service.start({ env: { ...env, DATA_DIR: first.dataDir } });
  t.teardown(() => second.stop());
  const services = [first, second];
  await bear(t, { name: 'two instances', services, blow: (number) => killAndRestart(services[number % 2]!) });
});

async function killAndRestart(service: Service): Promise<void> {
  await service.kill();
  await service.restart();
}
