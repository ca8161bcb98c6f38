/** The Redis store is brought up to the log, and its gate: which servers it opens for, and which it does not. */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import type { AcceptCommand } from '../../src/event/command.js';
import { makeEventId } from '../../src/event/id.js';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.js';
import { type Claim, StoreError } from '../../src/store/store.js';
import { compareRecoveries } from '../contract/recovery.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { Deferred } from '../support/deferred.js';
import { RedisHarness } from '../support/redis-harness.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

let server: RedisServer;

t.before(async () => {
  // With `everysec` the file is written later while the disk is slow, and a kill loses that.
  server = await startRedisServer(['--appendfsync', 'always']);
});

t.teardown(() => server.stop());

async function open(t: Test, more: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
  const fixed = {
    url: server.url,
    partitions: 1,
    policy: POLICY,
    limits: LIMITS,
    restarted: 'recover',
  } as const;
  const store = await RedisStore.open({ ...fixed, prefix: randomUUID(), ...more });
  t.teardown(() => store.close());
  return store;
}

async function openNew(store: RedisStore): Promise<void> {
  await store.beginRecovery(0, 1);
  await store.finishRecovery(0, 1, store.logId, 1);
}

function command(type = 'mail'): AcceptCommand {
  const id = makeEventId(Date.now(), 0);
  return { id, type, envelope: Buffer.from('{}\nbody'), delayMs: 0, idempotency: null };
}

async function isRecovering(t: Test, call: Promise<unknown>): Promise<void> {
  const error: unknown = await call.then(
    () => 'none',
    (reason: unknown) => reason,
  );
  t.ok(error instanceof StoreError && error.failure === 'recovering', String(error));
}

const LIMIT = { records: 100, bytes: 1 << 20 };

t.test(
  'whatever was lost, a recovered store does what the core does that has the log (S1–S4, S8)',
  async (t) => {
    const harness = new RedisHarness(server.url, { partitions: 1 });
    t.teardown(() => harness.close());
    await compareRecoveries(harness, { runs: 200, seed: Number(process.env['SEED'] ?? 1), msMax: 25_000 });
  },
);

t.test('a new store is closed until it has been recovered', async (t) => {
  const prefix = randomUUID();
  const store = await open(t, { prefix });
  const empty = { open: false, logId: null, view: 0, last: null, archived: null, recovering: 0 };
  t.same(await store.standing(0), empty);
  await isRecovering(t, store.accept([command()]));
  t.equal((await store.health()).ready, false);
  await openNew(store);
  t.match(await store.accept([command()]), [{ kind: 'accepted' }]);
  const standing = { open: true, logId: store.logId, view: 1, last: { view: 1, n: 2 }, recovering: 1 };
  t.match(await store.standing(0), standing);
  t.equal((await open(t, { prefix })).logId, store.logId);
});

t.test(
  'a server that was killed and started again is closed, also for who reads, until it is recovered',
  async (t) => {
    const store = await open(t);
    await openNew(store);
    const known = command();
    await store.accept([known]);
    await store.beginRecovery(0, 2);
    await server.kill();
    await server.start();
    await isRecovering(t, store.read(known.id));
    const records = { pos: { view: 1, n: 2 }, slot: 1 };
    t.equal(await store.empty(0, 2), false, 'a recovery belongs to the run in which it began');
    t.equal(await store.replay(0, 2, [], records), false);
    t.equal(await store.finishRecovery(0, 2, store.logId, 2), false);

    await store.beginRecovery(0, 3);
    t.equal(await store.finishRecovery(0, 3, store.logId, 2), true);
    t.match(await store.read(known.id), { status: 'pending' });

    await server.kill();
    await server.start();
    await isRecovering(t, store.read(known.id));
    await isRecovering(t, store.accept([command()]));
    t.match(await store.standing(0), { open: false, view: 2, last: { view: 1, n: 2 } });
    await store.beginRecovery(0, 4);
    await store.finishRecovery(0, 4, store.logId, 3);
    t.match(await store.accept([command()]), [{ kind: 'accepted' }]);
    const records3 = await store.readOutbox(0, null, LIMIT, 3);
    t.same(
      records3.at(-1)!.pos,
      { view: 3, n: 1 },
      'what had survived is in the outbox, and what is new after it',
    );
    t.equal(records3.length, 3);
  },
);

t.test('a server that was emptied is closed; one that forgot its scripts is not', async (t) => {
  const redis = new Redis(server.url);
  t.teardown(() => redis.disconnect());
  const store = await open(t);
  await openNew(store);
  const known = command();
  await store.accept([known]);
  await redis.script('FLUSH');
  t.match(await store.read(known.id), { status: 'pending' });
  t.match(await store.accept([command()]), [{ kind: 'accepted' }]);

  await redis.flushall();
  await isRecovering(t, store.read(known.id));
  await isRecovering(t, store.accept([command()]));
  t.match(await store.standing(0), { open: false, logId: null, recovering: 0 });
});

t.test(
  'types that a recovery gave other ordinals are not mixed up by a process that knew them before',
  async (t) => {
    const prefix = randomUUID();
    const [one, two] = [await open(t, { prefix }), await open(t, { prefix })];
    await openNew(one);
    await one.accept([command('mail')]);
    await two.accept([command('bill'), command('mail')]);
    await one.beginRecovery(0, 2);
    await one.empty(0, 2);
    await one.finishRecovery(0, 2, one.logId, 2);
    const first = command('bill');
    await one.accept([first]);
    await isRecovering(t, two.accept([command('mail')]));
    const second = command('mail');
    await two.accept([second]);
    for (const store of [one, two]) {
      t.match(await store.read(first.id), { type: 'bill' });
      t.match(await store.read(second.id), { type: 'mail' });
    }
  },
);

t.test('a master that was open once is not let through when the log has gone on with another', async (t) => {
  const other = await startRedisServer();
  t.teardown(() => other.stop());
  const address = await TcpProxy.start(server.port);
  t.teardown(() => address.stop());
  const options = { prefix: randomUUID(), url: `redis://127.0.0.1:${address.port}` };
  let logView = 1;
  const asked: Claim[] = [];
  const isCurrent = async (_partition: number, claim: Claim) => {
    asked.push(claim);
    return claim.view === logView;
  };
  const store = await open(t, { ...options, isCurrent });
  await openNew(store);
  const { logId } = store;
  const early = command();
  await store.accept([early]);
  t.match(
    asked,
    [{ logId, view: 1, slot: 0 }],
    'asked once, and not again while the same server stands there',
  );

  address.lead(other.port);
  await isRecovering(t, store.read(early.id));
  logView = 2;
  await store.beginRecovery(0, 2);
  await store.finishRecovery(0, 2, logId, 2);
  const late = command();
  t.match(await store.accept([late]), [{ kind: 'accepted' }]);

  address.lead(server.port);
  t.match(await store.standing(0), { open: true, view: 1 }, 'it has lived on, and is open as it was');
  await isRecovering(t, store.read(late.id));
  await isRecovering(t, store.read(early.id));
  const fresh = await open(t, { ...options, isCurrent });
  await isRecovering(t, fresh.read(late.id));
  t.equal((await fresh.health()).ready, false);

  await store.beginRecovery(0, 3);
  await store.empty(0, 3);
  await store.finishRecovery(0, 3, logId, 3);
  logView = 3;
  for (const each of [store, fresh]) t.equal(await each.read(late.id), null);
});

t.test('while the log cannot be asked, who starts is closed, in bounded time, and then opens', async (t) => {
  const prefix = randomUUID();
  await openNew(await open(t, { prefix }));
  const later = new Deferred<boolean>();
  let answer = () => Promise.reject<boolean>(new Error('away'));
  const store = await open(t, { prefix, isCurrent: () => answer() });
  const closedForMs = async () => {
    const startedAt = performance.now();
    await isRecovering(t, store.read(command().id));
    return performance.now() - startedAt;
  };
  t.ok((await closedForMs()) < 1_000);
  answer = () => later.promise;
  // What it has answered is taken as said for a moment.
  while ((await closedForMs()) < 1_000);
  t.ok((await closedForMs()) < 5_000, 'silence is not waited for');
  later.resolve(true);
  t.equal(await store.read(command().id), null);
});

t.test(
  'a store that is in doubt is closed in this process until the log has gone on with it again',
  async (t) => {
    let current = true;
    const store = await open(t, { isCurrent: async () => current });
    await openNew(store);
    const known = command();
    await store.accept([known]);
    current = false;
    t.match(await store.read(known.id), { status: 'pending' });
    store.doubt(0);
    await isRecovering(t, store.read(known.id));
    t.match(await store.standing(0), { open: true, view: 1 });
    current = true;
    while ((await store.read(known.id).catch(() => null)) === null);
    t.match(await store.accept([command()]), [{ kind: 'accepted' }]);
  },
);

t.test(
  'calls under way while a partition is closed end well or as recovering, and never as a fault',
  async (t) => {
    const store = await open(t);
    await openNew(store);
    const ids: string[] = [];
    for (let k = 0; k < 60; k += 1) {
      const each = command(`type ${k}`);
      await store.accept([each]);
      ids.push(each.id);
    }
    let closing = true;
    const close = () => {
      store.doubt(0);
      if (closing) setImmediate(close);
    };
    close();
    const ends = await Promise.allSettled(ids.flatMap((id) => [store.read(id), store.readAttempts(id)]));
    for (let k = 0; k < 40; k += 1) ends.push(...(await Promise.allSettled(ids.map((id) => store.read(id)))));
    closing = false;
    const faults = ends.filter(
      (end) =>
        end.status === 'rejected' &&
        !(end.reason instanceof StoreError && end.reason.failure === 'recovering'),
    );
    t.same(faults, []);
    let event: unknown = null;
    while (event === null) event = await store.read(ids[0]!).catch(() => null);
    t.match(event, { type: 'type 0' });
  },
);

t.test('a Redis whose append-only file ends within a transaction never comes to half of it', async (t) => {
  const torn = await startRedisServer(['--appendfsync', 'always']);
  t.teardown(() => torn.stop());
  const client = new Redis(torn.url);
  t.teardown(() => client.disconnect());
  await client.eval("redis.call('SET', 'first', 1) redis.call('SET', 'second', 1)", 0);
  await torn.kill();
  await torn.cutFile('*1\r\n$4\r\nEXEC\r\n'.length / 2);
  await torn.start();

  const store = await open(t, { url: torn.url });
  t.ok(await store.holdArchiving(0, 'me', 60_000));
  await openNew(store);
  t.match(await store.accept([command()]), [{ kind: 'accepted' }]);
  await torn.kill();
  await torn.start();

  t.same(await client.mget('first', 'second'), [null, null]);
  const standing = { logId: store.logId, view: 1, last: { view: 1, n: 2 } };
  t.match(await store.standing(0), standing, 'what was written after it is there');
});

t.test(
  'a Redis that must not be told to write its file anew is taken as it is, with a warning',
  async (t) => {
    const server = await startRedisServer();
    t.teardown(() => server.stop());
    const client = new Redis(server.url);
    t.teardown(() => client.disconnect());
    await client.set('first', 1);
    await client.acl('SETUSER', 'limited', 'on', '>secret', '~*', '&*', '+@all', '-bgrewriteaof');
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (_: object, message: string) => void warnings.push(message) };
    const store = await open(t, { url: server.url.replace('//', '//limited:secret@'), logger });
    await openNew(store);
    t.match(await store.accept([command()]), [{ kind: 'accepted' }]);
    t.match(warnings, [/grant BGREWRITEAOF/]);
  },
);
