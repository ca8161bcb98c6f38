/**
 * The store is wiped in the middle of a load: Redis by FLUSHALL under a service that goes on, the embedded store by
 * removing its folder between two runs. It is rebuilt from the log: what was archived is there with its status, what was
 * pending is leased and completed, and while nobody can say, the answer is 503 and not 404 (S1, S3, S8, S9, L3).
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import { digestOfStore } from '../../src/log/digest.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { readFileLog, readLog } from '../support/file-log.js';
import { blobsOf, digestOfLog, judgeTold, s3Settings, tellFaults } from '../support/lossy-judge.js';
import { LossyLoad } from '../support/lossy-load.js';
import { openGate } from '../support/open-gate.js';
import { startRedisServer } from '../support/redis-server.js';
import { TestS3Server } from '../support/s3-server.js';
import { Service } from '../support/service.js';

/** Attempts without end and short backoffs: no event may die of a lost lease here. */
const PATIENT = { ATTEMPTS_MAX: '1000', BACKOFF_FIRST_MS: '20', BACKOFF_MS_MAX: '200', LOG_LEVEL: 'error' };
const FLUSHES = 5;
const POSTS_BETWEEN = 400;
const WORK = { type: 'wiped', clients: 6, listeners: 6, pollers: 2, paceMs: 20 };
/** Generous, for machines that do other things too; what it took is printed. */
const WRITABLE_MS_MAX = 15_000;

t.setTimeout(600_000);

t.test('Redis is emptied under load, over and over, and rebuilt without a restart', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const s3 = await TestS3Server.start();
  t.teardown(() => s3.stop());
  const service = await Service.start({ env: { ...PATIENT, REDIS_URL: redis.url, ...s3Settings(s3) } });
  t.teardown(() => service.stop());
  tellFaults(t, service);
  const { pid } = service;
  const client = new Redis(redis.url);
  t.teardown(() => client.disconnect());
  const load = new LossyLoad({ url: service.url, ...WORK });
  t.teardown(() => load.close());

  load.start();
  let writableMsMax = 0;
  for (let flush = 0; flush < FLUSHES; flush += 1) {
    await load.more(POSTS_BETWEEN);
    await load.untilArchived();
    const away = load.told.replies('poll', 'store-recovering');
    await client.flushall();
    const writableMs = await load.untilWritable();
    writableMsMax = Math.max(writableMsMax, writableMs);
    t.ok(load.told.replies('poll', 'store-recovering') > away, 'polls were answered with 503 meanwhile');
    t.ok(writableMs < WRITABLE_MS_MAX, `writable again after ${writableMs.toFixed(0)} ms`);
  }
  await load.more(POSTS_BETWEEN);
  const verdict = await load.drain();
  t.equal(service.pid, pid, 'the service was not restarted');
  await service.pause();

  const records = await readLog(blobsOf(s3));
  judgeTold(t, load, verdict, records);
  const store = await RedisStore.open({
    url: redis.url,
    prefix: 'clockwork',
    partitions: 1,
    policy: POLICY,
    limits: LIMITS,
    restarted: 'recover',
  });
  t.teardown(() => store.close());
  t.equal(await digestOfStore(store), digestOfLog(records), 'the store is what the log makes of nothing');
  t.comment(
    `${FLUSHES} flushes: ${JSON.stringify(verdict)}, writable again after ${writableMsMax.toFixed(0)} ms at most; ` +
      `${records.length} records of the log read from its beginning, each once and in order`,
  );
});

t.test('the folder of the embedded store is removed between runs, and rebuilt from the log', async (t) => {
  const service = await Service.start({ env: PATIENT });
  t.teardown(() => service.stop());
  tellFaults(t, service);
  const load = new LossyLoad({ url: service.url, ...WORK });
  t.teardown(() => load.close());
  const storeDir = join(service.dataDir, 'store');

  load.start();
  for (const end of ['stopped', 'killed', 'stopped', 'killed'] as const) {
    await load.more(POSTS_BETWEEN);
    await load.untilArchived();
    if (end === 'stopped') await service.pause();
    else await service.kill();
    await rm(storeDir, { recursive: true });
    await service.restart();
    t.ok((await load.untilWritable()) < WRITABLE_MS_MAX, `it goes on after it was ${end}`);
  }
  await load.more(POSTS_BETWEEN);
  const verdict = await load.drain();
  await service.pause();

  const records = await readFileLog(service.dataDir);
  judgeTold(t, load, verdict, records);
  const store = await openGate(await EmbeddedStore.open({ dir: storeDir, policy: POLICY, limits: LIMITS }));
  t.teardown(() => store.close());
  t.equal(await digestOfStore(store), digestOfLog(records), 'the store is what the log makes of nothing');
  t.comment(`4 folders removed: ${JSON.stringify(verdict)}, ${records.length} records`);
});
