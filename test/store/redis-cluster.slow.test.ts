/** The Redis store on a cluster of three masters: partitions in several slots, one address for all. */

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import t from 'tap';
import type { AcceptCommand, Lease } from '../../src/event/command.js';
import { makeEventId } from '../../src/event/id.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { partitionOfType, StoreError } from '../../src/store/store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';
import { shown } from '../support/shown.js';

const PARTITIONS = 16;
const TYPES = Array.from({ length: 40 }, (_, k) => `type ${k}`);

let servers: RedisServer[] = [];

t.before(async () => {
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  servers = await Promise.all([1, 2, 3].map(() => startRedisServer(settings)));
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
});

t.teardown(() => Promise.all(servers.map((server) => server.stop())));

function command(type: string): AcceptCommand {
  const id = makeEventId(Date.now(), partitionOfType(type, PARTITIONS));
  return { id, type, envelope: Buffer.from(`{}\n${type}`), delayMs: 0, idempotency: null };
}

async function leaseOne(store: RedisStore, type: string): Promise<Lease> {
  const wanted = { types: [type], listener: 'default', max: 1, bytesMax: 1_000_000, leaseMs: null };
  const result = await store.lease({ ...wanted, worker: null, call: randomUUID(), tokens: [randomUUID()] });
  if (result.kind !== 'leased' || !result.leases[0]) throw new Error(`nothing to lease of ${type}`);
  return result.leases[0];
}

async function open(): Promise<RedisStore> {
  const url = `redis+cluster://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  return RedisStore.open({
    url,
    prefix: randomUUID(),
    partitions: PARTITIONS,
    policy: POLICY,
    limits: LIMITS,
  });
}

t.test('every type goes its way through the partition that it lives in', async (t) => {
  const store = await open();
  t.teardown(() => store.close());
  const woken = new Set<string>();
  store.onWake(({ ready }) => {
    for (const { type } of ready) woken.add(type);
  });
  const commands = TYPES.map(command);
  const results = await store.accept(commands);
  t.ok(results.every(({ kind }) => kind === 'accepted'));
  t.equal(woken.size, TYPES.length);
  for (const { id, type } of commands) {
    const { attemptId, token, event } = await leaseOne(store, type);
    t.equal(event.id, id);
    const result = Buffer.from('{}\n');
    const done = { attemptId, token, outcome: 'success' as const, retry: { kind: 'never' as const }, result };
    t.match(await store.complete([{ ...done, fingerprint: 'f' }]), [{ kind: 'completed', type }]);
    t.match(await store.read(id), { status: 'complete', type });
  }
  const page = await store.list({
    type: null,
    status: null,
    outcome: null,
    cursor: null,
    limit: 100,
    scanMax: 100,
  });
  t.match(page, { kind: 'page', cursor: null });
  const listed = page.kind === 'page' ? page.events.map(({ id }) => id) : [];
  t.same(listed.sort(), commands.map(({ id }) => id).sort());
  t.match(await store.health(), { ready: true, durable: 'everysec' });
});

t.test('another process hears what changed, whichever node it changed on', async (t) => {
  const url = `redis+cluster://127.0.0.1:${servers[0]!.port}`;
  const options = { url, prefix: randomUUID(), partitions: PARTITIONS, policy: POLICY, limits: LIMITS };
  const [one, two] = [await RedisStore.open(options), await RedisStore.open(options)];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  const woken = new Set<string>();
  const all = new Promise<void>((resolve) => {
    two.onWake(({ ready }) => {
      for (const { type } of ready) woken.add(type);
      if (woken.size === TYPES.length) resolve();
    });
  });
  await one.accept(TYPES.map(command));
  await all;
  t.equal(woken.size, TYPES.length);
});

t.test('a node that is gone takes its partitions along until it is back, and nothing is lost', async (t) => {
  const store = await open();
  t.teardown(() => store.close());
  const commands = TYPES.map(command);
  await store.accept(commands);
  await servers[1]!.kill();
  const during = await Promise.allSettled(commands.map(({ id }) => store.read(id)));
  for (const end of during) {
    if (end.status === 'rejected') t.ok(end.reason instanceof StoreError, String(end.reason));
    else t.match(end.value, { status: 'pending' });
  }
  t.ok(during.some(({ status }) => status === 'rejected'));
  await servers[1]!.start();
  const deadline = Date.now() + 30_000;
  for (;;) {
    const after = await Promise.allSettled(commands.map(({ id }) => store.read(id)));
    if (after.every((end) => end.status === 'fulfilled' && shown(end.value).status === 'pending')) break;
    if (Date.now() > deadline) throw new Error('the cluster did not heal');
  }
  t.pass('all are known again');
});
