/**
 * Replies that the service has written and nobody heard: of leases, completions and submissions, on each store.
 * Leases last a minute here and a test a few seconds, so an event that had to wait for its lease to expire would be
 * seen; its next lease would also count as attempt 2.
 */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { Api, type Reply } from '../support/api.js';
import { FaultyProxy, type Passing } from '../support/faulty-proxy.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

interface LeaseBody {
  readonly attemptId: string;
  readonly attempt: number;
  readonly token: string;
  readonly event: { readonly id: string };
}

interface EventBody {
  readonly id: string;
  readonly status: string;
  readonly response: { readonly body: unknown } | null;
}

const LEASE_MS = 60_000;
const WAIT_MS = 10_000;
/** Callers that go at one time. */
const HUNG_UP = 40;

t.test('embedded', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  await loseReplies(t, service, service);
});

t.test('redis, repeats going to a second instance', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const env = { REDIS_URL: redis.url };
  const first = await Service.start({ env });
  t.teardown(() => first.stop());
  const second = await Service.start({ env: { ...env, DATA_DIR: first.dataDir } });
  t.teardown(() => second.stop());
  await loseReplies(t, first, second);
});

/** What is lost was written by `first`; what is repeated goes to `second`, which may be the same. */
async function loseReplies(t: Test, first: Service, second: Service): Promise<void> {
  const proxy = await FaultyProxy.start(first.url);
  const lossy = new Api(proxy.url);
  const sound = new Api(second.url);
  t.teardown(async () => {
    await Promise.all([lossy.close(), sound.close()]);
    await proxy.stop();
  });

  t.test('with every first lease reply lost, a repeat with its key gets the same leases', async (t) => {
    const type = 'lost-leases';
    const count = 120;
    const ids = await submitMany(sound, type, count);
    proxy.misbehave = firstOfKey('/v1/leases', 'drop');
    const left = new Set(ids);
    const attempts: number[] = [];
    let calls = 0;
    const listen = async () => {
      // Bounded, so that a lease that is not given again is a failure here and not a wait for its end.
      while (left.size > 0 && calls < count) {
        calls += 1;
        const call = { body: wanted(type, 5, 200), headers: { 'idempotency-key': randomUUID() } };
        await t.rejects(lossy.call('POST', '/v1/leases', call), 'the first reply is lost');
        for (const lease of leasesOf(await sound.call('POST', '/v1/leases', call))) {
          attempts.push(lease.attempt);
          t.equal((await complete(sound, lease)).status, 200);
          left.delete(lease.event.id);
        }
      }
    };
    await Promise.all(Array.from({ length: 6 }, listen));
    t.equal(attempts.length, count, 'every event was leased once');
    t.ok(
      attempts.every((attempt) => attempt === 1),
      'no event has waited for its lease to expire',
    );
  });

  t.test('a caller that hangs up and repeats with its key ends with one lease that holds', async (t) => {
    const type = 'hung-up-and-back';
    for (let round = 0; round < 40; round += 1) {
      const [id] = await submitMany(sound, type, 1);
      const call = { body: wanted(type, 1, WAIT_MS), headers: { 'idempotency-key': randomUUID() } };
      // Between before the look and after the reply: wherever the hang-up falls, the repeat must win.
      await hangUp(first, call, round % 8);
      const [lease] = leasesOf(await sound.call('POST', '/v1/leases', call));
      t.match(lease, { attempt: 1, event: { id } });
      t.equal((await complete(sound, lease!)).status, 200, 'the first call has not taken the lease back');
    }
  });

  t.test('leases of callers that waited and hung up without a key are leasable at once', async (t) => {
    const type = 'hung-up-waiting';
    await hangUpMany(first, { body: wanted(type, 1, WAIT_MS), headers: {} });
    await leasedAtOnce(t, type, await submitMany(sound, type, HUNG_UP));
  });

  t.test(
    'leases of callers that looked at once and hung up without a key are leasable at once',
    async (t) => {
      const type = 'hung-up-looking';
      const ids = await submitMany(sound, type, HUNG_UP);
      await hangUpUnseen(first, { body: wanted(type, 1, 0), headers: {} });
      await leasedAtOnce(t, type, ids);
    },
  );

  t.test('leases of callers that hang up just as events come are leasable at once', async (t) => {
    for (let round = 0; round < 8; round += 1) {
      const type = `hung-up-meanwhile-${round}`;
      let ids: Promise<string[]> | null = null;
      await hangUpUnseen(first, { body: wanted(type, 1, WAIT_MS), headers: {} }, () => {
        ids = submitMany(sound, type, HUNG_UP);
      });
      await leasedAtOnce(t, type, await ids!);
    }
  });

  async function leasedAtOnce(t: Test, type: string, submitted: readonly string[]): Promise<void> {
    const ids = new Set(submitted);
    while (ids.size > 0) {
      const call = { body: wanted(type, HUNG_UP, WAIT_MS) };
      const leases = leasesOf(await sound.call('POST', '/v1/leases', call));
      if (leases.length === 0) break;
      for (const { event, attempt } of leases) {
        if (attempt !== 1) t.fail(`a lease that was not delivered was counted: attempt ${attempt}`);
        ids.delete(event.id);
      }
    }
    t.equal(ids.size, 0, 'no event is left to a lease that nobody has');
  }

  t.test('a completion whose reply is lost, cut or which comes twice is one completion', async (t) => {
    const type = 'lost-completions';
    for (const kind of ['drop', 'cut', 'twice'] as const) {
      await submitMany(sound, type, 1);
      const [lease] = leasesOf(await sound.call('POST', '/v1/leases', { body: wanted(type, 1, WAIT_MS) }));
      const path = `/v1/attempts/${lease!.attemptId}/completion`;
      proxy.misbehave = (passing) => (passing.path === path ? { kind } : null);
      const heard = complete(lossy, lease!);
      if (kind === 'twice') t.equal((await heard).status, 200);
      else await t.rejects(heard, `the reply is lost: ${kind}`);
      const repeated = await complete(sound, lease!);
      t.equal(repeated.status, 200, 'a repeat has the same answer');
      const other = await complete(sound, lease!, 'something else');
      t.equal(other.status, 409, 'another body for it is refused');
      const event = await read(sound, lease!.event.id);
      t.match(event, { status: 'complete', response: { body: lease!.attemptId } });
    }
    proxy.misbehave = () => null;
  });

  t.test('a late completion changes nothing', async (t) => {
    const type = 'late';
    await submitMany(sound, type, 1);
    const short = { ...wanted(type, 1, WAIT_MS), leaseMs: 1_000 };
    const [early] = leasesOf(await lossy.call('POST', '/v1/leases', { body: short }));
    const [next] = leasesOf(await sound.call('POST', '/v1/leases', { body: wanted(type, 1, WAIT_MS) }));
    t.equal(next!.attempt, 2, 'the lease has expired and counts as an attempt');
    t.equal((await complete(lossy, early!)).status, 409, 'before the next attempt has ended');
    t.equal((await complete(sound, next!)).status, 200);
    t.equal((await complete(lossy, early!)).status, 409, 'and after it');
    t.match(await read(sound, next!.event.id), { status: 'complete', response: { body: next!.attemptId } });
  });

  t.test('a submission whose reply is lost or cut is the same event when it is repeated', async (t) => {
    const type = 'lost-submissions';
    const path = `/v1/types/${type}/events`;
    const ids = new Set<string>();
    for (const kind of ['drop', 'cut', 'twice'] as const) {
      proxy.misbehave = firstOfKey(path, kind);
      for (let n = 0; n < 10; n += 1) {
        const call = { body: { n }, headers: { 'idempotency-key': `${kind}-${n}` } };
        const heard = await lossy.call('POST', path, call).catch(() => null);
        t.equal(heard === null, kind !== 'twice', `the reply is lost: ${kind}`);
        const repeat = await sound.call('POST', path, call);
        t.equal(repeat.status, 202);
        const { id } = repeat.json<EventBody>();
        if (heard) t.equal(heard.json<EventBody>().id, id);
        ids.add(id);
      }
    }
    const list = await sound.call('GET', `/v1/events?type=${type}&limit=100`);
    const listed = list.json<{ events: EventBody[] }>().events.map(({ id }) => id);
    t.same(listed.sort(), [...ids].sort(), 'there are as many events as keys');
    proxy.misbehave = () => null;
  });
}

/** The first reply to each idempotency key meets `kind`. */
function firstOfKey(path: string, kind: 'drop' | 'cut' | 'twice') {
  const seen = new Set<string>();
  return (passing: Passing) => {
    const key = passing.idempotencyKey;
    if (passing.path !== path || key === null || seen.has(key)) return null;
    seen.add(key);
    return { kind } as const;
  };
}

function wanted(type: string, max: number, waitMs: number) {
  return { types: [type], max, leaseMs: LEASE_MS, waitMs };
}

async function submitMany(api: Api, type: string, count: number): Promise<string[]> {
  const posts = Array.from({ length: count }, (_, n) =>
    api.call('POST', `/v1/types/${type}/events`, { body: { n } }),
  );
  return (await Promise.all(posts)).map((reply) => reply.json<EventBody>().id);
}

function leasesOf(reply: Reply): LeaseBody[] {
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.json<{ leases: LeaseBody[] }>().leases;
}

function complete(api: Api, { attemptId, token }: LeaseBody, answer = attemptId): Promise<Reply> {
  const body = { outcome: 'success', response: { status: 200, body: answer } };
  return api.call('PUT', `/v1/attempts/${attemptId}/completion`, { body, headers: { 'lease-token': token } });
}

async function read(api: Api, id: string): Promise<EventBody> {
  return (await api.call('GET', `/v1/events/${id}`)).json<EventBody>();
}

interface LeaseCall {
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends a lease call and hangs up without reading, after `afterMs`. */
function hangUp(service: Service, { body, headers }: LeaseCall, afterMs: number): Promise<void> {
  const text = JSON.stringify(body);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST /v1/leases HTTP/1.1\r\nhost: ${service.url.slice(7)}\r\ncontent-type: application/json\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.once('connect', () => {
      socket.write(
        `${head}${lines.join('')}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
        () => {
          if (afterMs === 0) socket.destroy();
          else setTimeout(() => socket.destroy(), afterMs);
        },
      );
    });
  });
}

async function hangUpMany(service: Service, call: LeaseCall): Promise<void> {
  await Promise.all(Array.from({ length: HUNG_UP }, () => hangUp(service, call, 0)));
}

/**
 * Callers that have hung up before the service reads what they asked for: it stands still meanwhile. Otherwise a reply
 * may be on its way before the hang-up is, and is then as good as delivered; only a repeat with a key could tell.
 */
async function hangUpUnseen(service: Service, call: LeaseCall, meanwhile = () => {}): Promise<void> {
  service.freeze();
  try {
    await hangUpMany(service, call);
    meanwhile();
  } finally {
    service.thaw();
  }
}
