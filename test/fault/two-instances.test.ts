/**
 * Two instances on one Redis: who waits at one is woken by what happens at the other. The figures are printed, not
 * judged; what is judged is that waiters are woken by notification and not by the slow look behind it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Api } from '../support/api.js';
import { s3Settings } from '../support/lossy-judge.js';
import { startRedisServer } from '../support/redis-server.js';
import { TestS3Server } from '../support/s3-server.js';
import { Service } from '../support/service.js';

interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string };
}

const ROUNDS = 200;
const LANES = 4;
/** For a call to have begun to wait; one that has not is answered at once and says nothing of waking. */
const SETTLE_MS = 10;

t.test('waiting on one of two instances', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const env = { REDIS_URL: redis.url };
  const first = await Service.start({ env });
  t.teardown(() => first.stop());
  const second = await Service.start({ env: { ...env, DATA_DIR: first.dataDir } });
  t.teardown(() => second.stop());
  const here = new Api(first.url);
  const there = new Api(second.url);
  t.teardown(() => Promise.all([here.close(), there.close()]));

  t.test('a poll wakes when the event is completed at the other', async (t) => {
    const waited = await measure(async (type) => {
      await there.call('POST', `/v1/types/${type}/events`, { body: {} });
      const { attemptId, token, event } = await leaseAt(there, type);
      const poll = here.call('GET', `/v1/events/${event.id}`, { headers: { prefer: 'wait=20' } });
      await delay(SETTLE_MS);
      const completedAt = performance.now();
      const done = there.call('PUT', `/v1/attempts/${attemptId}/completion`, {
        body: { outcome: 'success' },
        headers: { 'lease-token': token },
      });
      t.match((await poll).json(), { id: event.id, status: 'complete' });
      const ms = performance.now() - completedAt;
      t.equal((await done).status, 200);
      return ms;
    });
    judge(t, 'poll here, completion there', waited);
  });

  t.test('a lease call wakes when an event is submitted at the other', async (t) => {
    const waited = await measure(async (type) => {
      const lease = leaseAt(here, type);
      await delay(SETTLE_MS);
      const postedAt = performance.now();
      const done = there.call('POST', `/v1/types/${type}/events`, { body: {} });
      const { event } = await lease;
      const ms = performance.now() - postedAt;
      t.equal((await done).json<{ id: string }>().id, event.id);
      return ms;
    });
    judge(t, 'lease here, submission there', waited);
  });
});

t.test('two that start at once on nothing begin one log, and each can go on with it alone', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const s3 = await TestS3Server.start();
  t.teardown(() => s3.stop());
  const env = { REDIS_URL: redis.url, ...s3Settings(s3) };
  const services = await Promise.all([Service.start({ env }), Service.start({ env })]);
  for (const service of services) t.teardown(() => service.stop());
  let posted = 0;
  for (const service of [...services].reverse()) {
    const api = new Api(service.url, 2);
    t.teardown(() => api.close());
    const { id } = (await api.persist('POST', '/v1/types/both/events', { body: {} })).json<{ id: string }>();
    posted += 1;
    const accepted = async () => {
      const page = (await api.persist('GET', '/v1/log')).json<{ records: { op: string; id?: string }[] }>();
      return page.records.filter(({ op }) => op === 'accepted');
    };
    while (!(await accepted()).some((record) => record.id === id)) await delay(50);
    t.equal((await accepted()).length, posted);
    await service.pause();
  }
});

async function leaseAt(api: Api, type: string): Promise<LeaseBody> {
  const reply = await api.call('POST', '/v1/leases', { body: { types: [type], waitMs: 20_000 } });
  const [lease] = reply.json<{ leases: LeaseBody[] }>().leases;
  if (!lease) throw new Error(`no lease: ${reply.text}`);
  return lease;
}

/** `ROUNDS` rounds in a few lanes, each lane with a type of its own; the milliseconds of each, sorted. */
async function measure(round: (type: string) => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  const lane = async (n: number) => {
    for (let k = 0; k < ROUNDS / LANES; k += 1) times.push(await round(`wake-${n}`));
  };
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(n)));
  return times.sort((a, b) => a - b);
}

function judge(t: Test, name: string, sorted: readonly number[]): void {
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  t.comment(
    `${name}: ${sorted.length} rounds, median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`,
  );
  t.ok(at(0.5) < 250, 'the median is far below what the slow look takes');
}
