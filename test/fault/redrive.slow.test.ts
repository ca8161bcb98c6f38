/**
 * Ten thousand dead letters are sent again at a rate while the service is killed with `kill -9` in the middle, on each store: a dry
 * run counts what the real one finds, the rate is kept, none is sent twice, none is lost.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Api } from '../support/api.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

const LETTERS = 10_000;
const RATE = 600;
/** The rate, its burst of a quarter of a second, and one lot of a hundred that was on its way when the second began. */
const MOST_IN_A_SECOND = 1.25 * RATE + 100;
const BULK = 500;
const WITHIN_MS = 120_000;

t.setTimeout(300_000);

interface Job {
  readonly id: string;
  readonly status: string;
  readonly matched: number;
  readonly sent: number;
  readonly scanned: number;
  readonly skipped: { readonly requestGone: number };
}

interface Lease {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string };
}

for (const store of ['embedded', 'redis'] as const) {
  t.test(`dead letters are sent again on ${store}, whatever is killed`, async (t) => {
    const redis = store === 'redis' ? await startRedisServer() : null;
    if (redis) t.teardown(() => redis.stop());
    const env = { ATTEMPTS_MAX: '1', ARCHIVE_INTERVAL_MS: '200', ...(redis ? { REDIS_URL: redis.url } : {}) };
    const service = await Service.start({ env });
    t.teardown(() => service.stop());
    const api = new Api(service.url);
    t.teardown(() => api.close());

    const dead = await deadLetters(api);
    const dry = await ended(api, await start(api, { dryRun: true }));
    t.match(dry, { status: 'done', matched: LETTERS, sent: 0 }, 'the dry run');

    const begunMs = performance.now();
    const id = await start(api, { ratePerSecond: RATE });
    await until(async () => (await job(api, id)).sent > LETTERS / 3);
    await service.kill();
    const downMs = performance.now();
    await service.restart();
    const wasDownMs = performance.now() - downMs;
    const done = await ended(api, id);
    const tookMs = performance.now() - begunMs - wasDownMs;
    t.match(done, { status: 'done', matched: dry.matched, sent: LETTERS, skipped: { requestGone: 0 } });

    const again = await arrived(api, id);
    t.equal(again.length, LETTERS, 'none twice');
    t.same(new Set(again.map(({ redriveOf }) => redriveOf)), new Set(dead), 'none lost');
    const times = again.map(({ at }) => Date.parse(at)).sort((a, b) => a - b);
    const most = mostInASecond(times);
    t.ok(most <= MOST_IN_A_SECOND, `in no second more than the rate and its burst: ${most}`);
    const perSecond = Math.round((1_000 * LETTERS) / tookMs);
    t.ok(perSecond >= RATE / 4, `and about as many as were asked for: ${perSecond}`);
    await sameBytes(t, api, again);
    t.comment(
      `${store}: ${LETTERS} dead letters at ${RATE}/s: ${perSecond}/s, at most ${most} in a second; ` +
        `killed after a third, away for ${Math.round(wasDownMs)} ms; ${done.scanned} records looked at`,
    );
  });
}

async function deadLetters(api: Api): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < LETTERS; from += BULK) {
    const items = Array.from({ length: BULK }, (_, k) => ({ type: 'letter', body: { number: from + k } }));
    const reply = await api.call('POST', '/v1/events', { body: items });
    ids.push(...reply.json<{ results: { event: { id: string } }[] }>().results.map(({ event }) => event.id));
  }
  for (let ended = 0; ended < LETTERS; ) {
    const reply = await api.call('POST', '/v1/leases', { body: { types: ['letter'], max: BULK } });
    const { leases } = reply.json<{ leases: Lease[] }>();
    const items = leases.map(({ attemptId, token }) => ({
      attemptId,
      token,
      outcome: 'fail',
      retry: 'policy',
    }));
    await api.call('POST', '/v1/completions', { body: items });
    ended += leases.length;
  }
  return ids;
}

async function start(api: Api, more: object): Promise<string> {
  const reply = await api.call('POST', '/v1/redrives', { body: { type: 'letter', filter: 'dead', ...more } });
  return reply.json<Job>().id;
}

async function job(api: Api, id: string): Promise<Job> {
  return (await api.persist('GET', `/v1/redrives/${id}`)).json<Job>();
}

async function ended(api: Api, id: string): Promise<Job> {
  await until(async () => (await job(api, id)).status !== 'running');
  return job(api, id);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endsMs = performance.now() + WITHIN_MS;
  while (!(await holds())) {
    if (performance.now() > endsMs) throw new Error('it takes too long');
    await delay(50);
  }
}

interface Arrived {
  readonly id: string;
  readonly at: string;
  readonly redriveOf: string;
}

/** What the log has of events that are others again, once it has that the job has ended. */
async function arrived(api: Api, job: string): Promise<Arrived[]> {
  const found: Arrived[] = [];
  for (let after = ''; ; ) {
    const page = await api.persist('GET', `/v1/log?types=letter&limit=1000&waitMs=1000${after}`);
    const { records, cursor } = page.json<{ records: Record<string, unknown>[]; cursor: string }>();
    for (const record of records) {
      if (record['op'] === 'accepted' && record['redriveOf']) found.push(record as unknown as Arrived);
      if (record['op'] === 'redriveSet' && record['redrive'] === job && record['status'] === 'done')
        return found;
    }
    after = `&after=${cursor}`;
  }
}

/** `times` in order. */
function mostInASecond(times: readonly number[]): number {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while (times[last]! - times[first]! >= 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

async function sameBytes(t: Test, api: Api, again: readonly Arrived[]): Promise<void> {
  for (let k = 0; k < again.length; k += 500) {
    const { id, redriveOf } = again[k]!;
    const [now, then] = await Promise.all(
      [id, redriveOf].map(async (each) => (await api.call('GET', `/v1/events/${each}/request`)).text),
    );
    t.equal(now, then);
    t.match((await api.call('GET', `/v1/events/${redriveOf}`)).json(), { redrivenBy: id });
  }
}
