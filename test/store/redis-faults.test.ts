/** The Redis store when Redis misbehaves, is not what it should be, or is shared with another process. */

import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import type { AcceptCommand, Lease } from '../../src/event/command.js';
import { makeEventId } from '../../src/event/id.js';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.js';
import { StoreError, type Wake } from '../../src/store/store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';
import { shown } from '../support/shown.js';

let server: RedisServer;
/** For what a person would do with redis-cli. */
let redis: Redis;

t.before(async () => {
  server = await startRedisServer();
  redis = client();
});

t.teardown(async () => {
  redis.disconnect();
  await server.stop();
});

function client(): Redis {
  const made = new Redis(server.url, { maxRetriesPerRequest: null });
  made.on('error', () => {});
  return made;
}

/** Each test has keys of its own, unless it names a prefix. */
async function open(t: Test, more: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
  const options = { url: server.url, prefix: randomUUID(), partitions: 1, policy: POLICY, limits: LIMITS };
  const store = await RedisStore.open({ ...options, ...more });
  t.teardown(() => store.close());
  return store;
}

function command(type: string, more: Partial<AcceptCommand> = {}): AcceptCommand {
  const id = makeEventId(Date.now(), 0);
  return { id, type, envelope: Buffer.from('{}\nbody'), delayMs: 0, idempotency: null, ...more };
}

async function leaseOne(store: RedisStore, type: string): Promise<Lease | undefined> {
  const token = randomUUID();
  const leaseCommand = { types: [type], listener: 'default', max: 1, bytesMax: 1_000_000, leaseMs: null };
  const result = await store.lease({ ...leaseCommand, worker: null, call: randomUUID(), tokens: [token] });
  return result.kind === 'leased' ? result.leases[0] : undefined;
}

function completion({ attemptId, token }: Lease) {
  const result = Buffer.from('{}\n');
  return {
    attemptId,
    token,
    outcome: 'success' as const,
    retry: { kind: 'never' as const },
    result,
    fingerprint: 'f',
  };
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error('it did not come true');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Each of the calls, made together, ends in that failure. */
async function allFail(t: Test, failure: 'unavailable' | 'recovering', calls: readonly Promise<unknown>[]) {
  const ends = await Promise.allSettled(calls);
  for (const [k, end] of ends.entries()) {
    const error: unknown = end.status === 'rejected' ? end.reason : 'none';
    t.ok(error instanceof StoreError && error.failure === failure, `call ${k} ends ${failure}: ${error}`);
  }
}

t.test(
  'calls into a short outage succeed; a long one ends them in bounded time; what was said is kept (S1, L3)',
  async (t) => {
    const store = await open(t);
    const known = command('mail');
    await store.accept([known]);

    await server.kill();
    const during = command('mail');
    const soon = store.accept([during]);
    await server.start();
    t.match(await soon, [{ kind: 'accepted', id: during.id }]);
    t.match(await store.read(known.id), { id: known.id, status: 'pending' });

    await server.kill();
    const startedAt = performance.now();
    const calls = [store.accept([command('mail')]), store.read(known.id), store.list({ ...EVERYTHING })];
    await allFail(t, 'unavailable', calls);
    t.ok(performance.now() - startedAt < 8_000);
    t.equal((await store.health()).ready, false);

    await server.start();
    await until(async () => (await store.health()).ready);
    const events = [await store.read(known.id), await store.read(during.id)];
    t.ok(events.every((event) => shown(event).status === 'pending'));
  },
);

const EVERYTHING = { type: null, status: null, outcome: null, cursor: null, limit: 10, scanMax: 100 };

t.test('a server that falls silent is given up, and what it did late is done once', async (t) => {
  const store = await open(t);
  await store.accept([command('mail')]);
  process.kill(server.pid, 'SIGSTOP');
  const late = command('mail');
  const startedAt = performance.now();
  await allFail(t, 'unavailable', [store.accept([late])]);
  t.ok(performance.now() - startedAt < 8_000);
  process.kill(server.pid, 'SIGCONT');
  await until(async () => (await store.health()).ready);
  t.match(await store.accept([late]), [{ kind: 'accepted', id: late.id }]);
  t.equal((await store.readOutbox(0, null, { records: 10, bytes: 1 << 20 })).length, 3);
});

t.test('scripts that the server has forgotten are sent again', async (t) => {
  const store = await open(t);
  await store.accept([command('mail')]);
  await redis.script('FLUSH');
  t.match(await store.accept([command('mail')]), [{ kind: 'accepted' }]);
});

t.test('a server busy with a script is waited for', async (t) => {
  const store = await open(t);
  await redis.config('SET', 'busy-reply-threshold', 50);
  const other = client();
  t.teardown(() => other.disconnect());
  const endless = other.eval('while true do end', 0);
  endless.catch(() => {});
  await until(() =>
    redis.get('x').then(
      () => false,
      (error: Error) => error.message.startsWith('BUSY'),
    ),
  );
  const call = store.accept([command('mail')]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await redis.script('KILL');
  t.match(await call, [{ kind: 'accepted' }]);
  await t.rejects(endless);
});

t.test('a master that became a replica is tried again; reads go on', async (t) => {
  const store = await open(t);
  const known = command('mail');
  await store.accept([known]);
  await redis.call('REPLICAOF', '127.0.0.1', '1');
  const call = store.accept([command('mail')]);
  t.match(await store.read(known.id), { status: 'pending' });
  await redis.call('REPLICAOF', 'NO', 'ONE');
  t.match(await call, [{ kind: 'accepted' }]);
});

t.test('behind a closed gate nothing is answered, not even that an id is unknown (S1)', async (t) => {
  const prefix = randomUUID();
  const store = await open(t, { prefix });
  const [known, other] = [command('mail'), command('mail')];
  await store.accept([known]);
  const lease = await leaseOne(store, 'mail');
  const each = (): Promise<unknown>[] => [
    store.read(known.id),
    store.read(other.id),
    store.readRequest(known.id),
    store.readAttempts(known.id),
    store.list(EVERYTHING),
    store.accept([other]),
    leaseOne(store, 'mail'),
    store.extend({ attemptId: lease!.attemptId, token: lease!.token, leaseMs: 1_000 }),
    store.complete([completion(lease!)]),
    store.handBack(lease!),
    store.cancel(known.id),
    store.expire(0, 10),
    store.promote(0, 10),
    store.readOutbox(0, null, { records: 1, bytes: 1 }),
    store.markArchived(0, { view: 1, n: 1 }, 1),
  ];
  t.equal(await store.beginRecovery(0, 1), true);
  await allFail(t, 'recovering', each());
  t.equal((await store.health()).ready, false);
  t.equal(await store.archivedTo(0), null);
  t.equal(await store.holdArchiving(0, 'me', 1_000), true);
  t.equal(await store.finishRecovery(0, 1, store.logId, 2), true);
  t.match(await store.read(known.id), { status: 'in_process' });

  await redis.unlink(`{${prefix}:0}:meta`, `{${prefix}:0}:events`);
  await allFail(t, 'recovering', each());
});

t.test('who speaks of the outbox of another view is told so, and trims nothing', async (t) => {
  const prefix = randomUUID();
  const store = await open(t, { prefix });
  await store.accept([command('mail')]);
  const limit = { records: 10, bytes: 1 << 20 };
  t.equal((await store.readOutbox(0, null, limit, 1)).length, 2);
  const calls = [store.readOutbox(0, null, limit, 2), store.markArchived(0, { view: 1, n: 2 }, 1, 2)];
  await allFail(t, 'recovering', calls);
  t.equal(await store.archivedTo(0), null);
  await store.markArchived(0, { view: 1, n: 2 }, 1, 1);
  t.same(await store.readOutbox(0, null, limit, 1), []);
});

t.test('a full Redis refuses new events and lets the others through', async (t) => {
  const store = await open(t);
  const key = { scope: 'once', fingerprint: 'print' };
  const first = command('mail', { idempotency: key });
  await store.accept([first, command('mail'), command('mail')]);
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1]);
  t.teardown(() => redis.config('SET', 'maxmemory', 0));

  await redis.config('SET', 'maxmemory', Math.round(used / 2));
  t.same(await store.accept([command('mail')]), [{ kind: 'full' }]);
  const lease = await leaseOne(store, 'mail');
  t.match(await store.extend({ attemptId: lease!.attemptId, token: lease!.token, leaseMs: 60_000 }), {
    kind: 'extended',
  });
  t.match(await store.complete([completion(lease!)]), [{ kind: 'completed' }]);
  t.same(await store.handBack((await leaseOne(store, 'mail'))!), { kind: 'handed_back' });
  await store.markArchived(0, { view: 1, n: 3 }, 1);

  // Not over the limit, but near it: who comes again hears of the first event, who is new does not get in.
  await redis.config('SET', 'maxmemory', Math.round(used / 0.9));
  await until(
    async () => (await store.accept([command('mail', { idempotency: key })]))[0]!.kind === 'duplicate',
  );
  t.same(await store.accept([command('mail')]), [{ kind: 'full' }]);
  t.match((await store.health()).notes, [/nearly full/]);

  await redis.config('SET', 'maxmemory', used * 10);
  await until(async () => (await store.accept([command('mail')]))[0]!.kind === 'accepted');
});

t.test('a Redis that evicts is refused', async (t) => {
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await t.rejects(open(t), { message: /allkeys-lru.*noeviction/ });
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
});

t.test('another number of partitions is refused, and the message says what to do', async (t) => {
  const prefix = randomUUID();
  const { logId } = await open(t, { prefix, partitions: 2 });
  await t.rejects(open(t, { prefix, partitions: 3 }), {
    message: /keeps 2 partitions.*PARTITIONS says 3.*set it to 2/,
  });
  t.equal((await open(t, { prefix, partitions: 2 })).logId, logId);
});

t.test('health says how durable this Redis is', async (t) => {
  for (const [setting, value, durable] of [
    ['appendfsync', 'always', 'fsync'],
    ['appendfsync', 'no', 'memory'],
    ['appendfsync', 'everysec', 'everysec'],
    ['appendonly', 'no', 'memory'],
    ['appendonly', 'yes', 'everysec'],
  ] as const) {
    await redis.config('SET', setting, value);
    t.match(await (await open(t)).health(), { kind: 'redis', ready: true, durable }, `${setting} ${value}`);
  }
});

t.test('a Redis that comes up later is waited for, and waiting can be ended', async (t) => {
  await server.kill();
  const opening = open(t);
  const ending = new AbortController();
  const ended = open(t, { signal: ending.signal });
  ending.abort();
  await t.rejects(ended);
  await server.start();
  t.equal((await (await opening).health()).ready, true);
});

t.test('two processes on one Redis', async (t) => {
  await t.test('hear of each other what changed, and soon', async (t) => {
    const prefix = randomUUID();
    const [one, two] = [await open(t, { prefix }), await open(t, { prefix })];
    const heard: Wake[] = [];
    t.teardown(two.onWake((wake) => heard.push(wake)));
    const accepted = command('mail');
    const laps: number[] = [];
    for (let k = 0; k < 20; k += 1) {
      const woken = new Promise<void>((resolve) => {
        const stop = two.onWake(({ ready }) => {
          if (!ready.some(({ type }) => type === 'mail')) return;
          stop();
          resolve();
        });
      });
      const startedAt = performance.now();
      await one.accept([k === 0 ? accepted : command('mail')]);
      await woken;
      laps.push(performance.now() - startedAt);
    }
    heard.length = 0;
    await one.complete([completion((await leaseOne(one, 'mail'))!)]);
    await until(() => heard.filter(({ changed }) => changed.includes(accepted.id)).length >= 2);
    t.comment(`median ${laps.sort((a, b) => a - b)[10]!.toFixed(1)} ms`);
  });

  await t.test('make types at the same time, and agree on them', async (t) => {
    const prefix = randomUUID();
    const stores = [await open(t, { prefix }), await open(t, { prefix })];
    const commands = Array.from({ length: 40 }, (_, k) => command(`type ${k % 10}`));
    await Promise.all(commands.map((each, k) => stores[k % 2]!.accept([each])));
    for (const { id, type } of commands) {
      for (const store of stores) t.equal(shown(await store.read(id)).type, type);
    }
    const records = await stores[0]!.readOutbox(0, null, { records: 100, bytes: 1 << 20 });
    t.equal(records.filter(({ op }) => op === 'typeSet').length, 10);
  });

  await t.test('lease a type that only the other has seen so far', async (t) => {
    const prefix = randomUUID();
    const [one, two] = [await open(t, { prefix }), await open(t, { prefix })];
    t.equal(await leaseOne(two, 'mail'), undefined);
    const { id } = command('mail');
    await one.accept([command('mail', { id })]);
    t.equal((await leaseOne(two, 'mail'))?.event.id, id);
  });
});

t.test('many calls at once are few scripts', async (t) => {
  const store = await open(t);
  await redis.config('RESETSTAT');
  const commands = Array.from({ length: 2_000 }, () => command('mail'));
  await Promise.all(commands.map((each) => store.accept([each])));
  await Promise.all(commands.map(({ id }) => store.read(id)));
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]);
  t.ok(calls < 100, `${calls} scripts for 4,000 calls`);
});

t.test('who looks and finds nothing writes nothing', async (t) => {
  const store = await open(t);
  await store.accept([command('mail')]);
  await leaseOne(store, 'mail');
  const changes = async () => /rdb_changes_since_last_save:(\d+)/.exec(await redis.info('persistence'))![1];
  const before = await changes();
  for (let k = 0; k < 10; k += 1) {
    await leaseOne(store, 'mail');
    await leaseOne(store, 'never seen');
    await store.expire(0, 100);
    await store.promote(0, 100);
    await store.read(makeEventId(Date.now(), 0));
  }
  t.equal(await changes(), before);
});

t.test('a dead entry at the head of a queue hides nothing behind it', async (t) => {
  const store = await open(t);
  const dead = Array.from({ length: 1_200 }, () => command('mail'));
  const last = command('mail');
  await store.accept([...dead, last]);
  await Promise.all(dead.map(({ id }) => store.cancel(id)));
  t.equal((await leaseOne(store, 'mail'))?.event.id, last.id);
});
