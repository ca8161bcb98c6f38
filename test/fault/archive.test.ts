/** `archive` durability with a log that is slow, away or behind: the real service on each store, on an S3 that tests lead. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Api, type Reply } from '../support/api.js';
import { startRedisServer } from '../support/redis-server.js';
import { TestS3Server } from '../support/s3-server.js';
import { s3Settings } from '../support/s3-settings.js';
import { Service } from '../support/service.js';

t.setTimeout(120_000);

const ARCHIVE = { 'event-durability': 'archive' };
const TIMEOUT_MS = 1_000;
/** Longer than a log that is away is waited for before it is tried again. */
const HEALED_WITHIN_MS = 20_000;
const AWAY = { kind: 'status', status: 503, code: 'SlowDown' } as const;
const MIB = 1 << 20;

interface Event {
  readonly id: string;
  readonly status: string;
  readonly durable?: string;
  readonly code?: string;
}

interface Held {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string };
}

async function open(
  t: Test,
  store: string,
  more: Record<string, string> = {},
  misbehave: TestS3Server['misbehave'] = () => null,
) {
  const s3 = await TestS3Server.start();
  s3.misbehave = misbehave;
  t.teardown(() => s3.stop());
  const redis = store === 'redis' ? await startRedisServer() : null;
  if (redis) t.teardown(() => redis.stop());
  const env = {
    ...s3Settings(s3.endpoint),
    ARCHIVE_TIMEOUT_MS: String(TIMEOUT_MS),
    LOG_LEVEL: 'silent',
    ...(redis ? { REDIS_URL: redis.url } : {}),
    ...more,
  };
  const service = await Service.start({ env });
  t.teardown(() => service.stop());
  // What it cannot archive any more need not hold up its end.
  t.teardown(() => {
    s3.misbehave = () => null;
  });
  const api = new Api(service.url);
  t.teardown(() => api.close());
  return { s3, api, env, service };
}

function submit(
  api: Api,
  headers: Record<string, string> = ARCHIVE,
  body: unknown = { n: 1 },
): Promise<Reply> {
  return api.call('POST', '/v1/types/a/events', { headers, body });
}

async function lease(api: Api, waitMs = 0): Promise<Held[]> {
  const reply = await api.call('POST', '/v1/leases', { body: { types: ['a'], max: 1, waitMs } });
  return reply.json<{ leases: Held[] }>().leases;
}

function complete(api: Api, { attemptId, token }: Held): Promise<Reply> {
  return api.call('PUT', `/v1/attempts/${attemptId}/completion`, {
    headers: { 'lease-token': token },
    body: { outcome: 'success', response: { body: 'done' } },
  });
}

async function read(api: Api, id: string): Promise<[status: number, event: Event]> {
  const reply = await api.call('GET', `/v1/events/${id}`);
  return [reply.status, reply.json<Event>()];
}

async function until<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  for (const endsAt = performance.now() + HEALED_WITHIN_MS; performance.now() < endsAt; ) {
    const found = await look();
    if (found !== null) return found;
    await delay(20);
  }
  throw new Error(`never: ${what}`);
}

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: with an S3 that is slow, answers come when the segment is there`, async (t) => {
    const { s3, api } = await open(t, store, { ARCHIVE_TIMEOUT_MS: '20000' });
    let arrive: () => void = () => undefined;
    const hold = (): { until: Promise<void> } => ({
      until: new Promise((resolve) => {
        arrive = resolve;
      }),
    });
    const holdPuts = () => s3.failNext('put', { kind: 'delay', ...hold() });

    holdPuts();
    const puts = s3.count('put');
    let answered = false;
    const submitting = submit(api).finally(() => {
      answered = true;
    });
    await until('the put is under way', async () => (s3.count('put') > puts ? true : null));
    t.equal((await submit(api, {})).status, 202, 'others do not wait');
    const [other] = await lease(api);
    t.notOk(answered, 'the receipt waits');
    t.equal((await complete(api, other!)).status, 200);
    t.same(await lease(api), [], 'nobody can lease it');
    arrive();
    const receipt = await submitting;
    t.equal(receipt.status, 202);
    const { id, durable } = receipt.json<Event>();
    t.equal(durable, 'archived');
    t.match(await read(api, id), [200, { status: 'pending' }]);

    const [held] = await lease(api, 5_000);
    t.equal(held?.event.id, id);
    await until('the lease shows', async () =>
      (await read(api, id))[1].status === 'in_process' ? true : null,
    );
    holdPuts();
    const again = s3.count('put');
    let completed = false;
    const completing = complete(api, held!).finally(() => {
      completed = true;
    });
    await until('the put is under way', async () => (s3.count('put') > again ? true : null));
    t.match(await read(api, id), [200, { status: 'in_process' }], 'a poll answers at once, as it was');
    t.notOk(completed);
    arrive();
    t.equal((await completing).status, 200);
    t.match(await read(api, id), [200, { status: 'complete' }]);
  });

  t.test(`${store}: with an S3 that is away, answers are 503 at the deadline, and all heals`, async (t) => {
    const { s3, api } = await open(t, store);
    const first = (await submit(api)).json<Event>();
    const [held] = await lease(api, 5_000);
    t.equal(held?.event.id, first.id);
    await until('the lease shows', async () =>
      (await read(api, first.id))[1].status === 'in_process' ? true : null,
    );

    s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
    const keyed = { ...ARCHIVE, 'idempotency-key': 'k' };
    const startedAt = performance.now();
    const late = await submit(api, keyed);
    t.ok(performance.now() - startedAt >= TIMEOUT_MS - 50, 'not before');
    t.match([late.status, late.json<Event>().code], [503, 'not-archived']);
    const { id } = late.json<Event>();
    t.equal(late.headers['location'], `/v1/events/${id}`);
    t.match(await read(api, id), [503, { code: 'not-archived' }], 'never 404');
    const lateEnd = await complete(api, held!);
    t.match([lateEnd.status, lateEnd.json<Event>().code], [503, 'not-archived']);
    t.match(await read(api, first.id), [200, { status: 'in_process' }], 'nothing that could be taken back');
    t.equal((await submit(api, {})).status, 202, 'others go on');
    const [other] = await lease(api);
    t.notSame(other?.event.id, id);
    t.equal((await complete(api, other!)).status, 200);

    s3.misbehave = () => null;
    await until('it is archived', async () => ((await read(api, id))[0] === 200 ? true : null));
    const again = await submit(api, keyed);
    t.match([again.status, again.json()], [202, { id, durable: 'archived' }], 'the same event');
    t.match((await complete(api, held!)).json(), { event: { id: first.id, status: 'complete' } });
    t.match(await read(api, first.id), [200, { status: 'complete' }]);
    t.equal((await lease(api, 5_000))[0]?.event.id, id);
  });

  t.test(
    `${store}: what may wait to be archived is bounded; leases and completions go on; it heals`,
    async (t) => {
      const { s3, api } = await open(t, store, {
        OUTBOX_BYTES_MAX: String(MIB),
        EMBEDDED_BYTES_MAX: String(MIB),
        RETENTION_MS: '60000',
      });
      await submit(api);
      s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
      // The embedded store counts what is archived too, though less of it: there the records must weigh most.
      const body = randomBytes(store === 'redis' ? 32 * 1_024 : 10);
      const octets = { 'content-type': 'application/octet-stream' };
      let refused = await submit(api, octets, body);
      while (refused.status === 202) refused = await submit(api, octets, body);
      t.match(
        [refused.status, refused.json<Event>().code],
        [503, store === 'redis' ? 'log-behind' : 'store-full'],
      );
      t.ok(Number(refused.headers['retry-after']) > 0);
      // The first is one that waits for the archive.
      await lease(api);
      const [held] = await lease(api);
      t.equal((await complete(api, held!)).status, 200, 'what is there is worked on');
      s3.misbehave = () => null;
      await until('it is taken again', async () => ((await submit(api, {})).status === 202 ? true : null));
    },
  );
}

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: what was not archived when the service was killed is archived after it`, async (t) => {
    const { s3, api, service } = await open(t, store);
    const first = (await submit(api)).json<Event>();
    const [held] = await lease(api, 5_000);
    s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
    const keyed = { ...ARCHIVE, 'idempotency-key': 'k' };
    const { id, code } = (await submit(api, keyed)).json<Event>();
    t.equal(code, 'not-archived');
    t.equal((await complete(api, held!)).status, 503);
    await service.kill();
    s3.misbehave = () => null;
    await service.restart();
    await until('it is archived', async () => ((await read(api, id))[0] === 200 ? true : null));
    t.match((await submit(api, keyed)).json(), { id, durable: 'archived' });
    t.equal((await complete(api, held!)).status, 200);
    t.match(await read(api, first.id), [200, { status: 'complete' }]);
    t.equal((await lease(api, 5_000))[0]?.event.id, id);
  });
}

t.test('beside an S3 that cannot tell writers apart nothing is promised', async (t) => {
  const { api } = await open(t, 'embedded', {}, ({ operation }) =>
    operation === 'put' ? { kind: 'ignoreCondition' } : null,
  );
  const refused = await submit(api);
  t.match([refused.status, refused.json<Event>().code], [503, 'archive-unavailable']);
  t.notOk('id' in refused.json<Event>(), 'it was not taken');
  t.equal((await submit(api, {})).status, 202, 'others are');
});

t.test('whichever instance archives hears at once that somebody waits at another', async (t) => {
  const { env, api: one } = await open(t, 'redis', {
    ARCHIVE_INTERVAL_MS: '60000',
    ARCHIVE_TIMEOUT_MS: '20000',
  });
  const second = await Service.start({ env });
  t.teardown(() => second.stop());
  const other = new Api(second.url);
  t.teardown(() => other.close());
  for (const [at, api] of [one, other, one, other].entries()) {
    const startedAt = performance.now();
    const receipt = await submit(api);
    t.equal(receipt.status, 202);
    t.ok(performance.now() - startedAt < 10_000, `${at}: long before the interval is over`);
    const { id } = receipt.json<Event>();
    t.match(await read(at % 2 === 0 ? other : one, id), [200, { id, status: 'pending' }], 'everywhere');
  }
  const [held] = await lease(other, 5_000);
  t.equal((await complete(one, held!)).status, 200);
});
