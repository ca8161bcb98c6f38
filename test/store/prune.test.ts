/** What pruning frees: bytes of the embedded store's budget, and memory of Redis. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import t from 'tap';
import { makeEventId } from '../../src/event/id.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Store } from '../../src/store/store.js';
import { completionOf, envelopeOf, LIMITS, POLICY } from '../contract/store/scene.js';
import { openGate } from '../support/open-gate.js';
import { startRedisServer } from '../support/redis-server.js';

const BODY = 'x'.repeat(1_000);
const BATCH = 100;

async function accept(store: Store): Promise<string[]> {
  const commands = Array.from({ length: BATCH }, () => {
    const id = makeEventId(Date.now(), 0);
    return { id, type: 'mail', envelope: envelopeOf(BODY), delayMs: 0, idempotency: null };
  });
  return (await store.accept(commands)).map(({ kind }) => kind);
}

async function completeAll(store: Store): Promise<void> {
  for (let call = 0; ; call += 1) {
    const tokens = Array.from({ length: BATCH }, (_, k) => `${Date.now()} ${call} ${k}`);
    const about = { listener: 'default', max: BATCH, bytesMax: 1 << 20, leaseMs: null, worker: null };
    const result = await store.lease({ types: ['mail'], ...about, call: tokens[0]!, tokens });
    if (result.kind !== 'leased' || result.leases.length === 0) return;
    await store.complete(result.leases.map((lease) => completionOf(lease)));
  }
}

async function archiveAll(store: Store): Promise<void> {
  for (let slot = 1; ; slot += 1) {
    const records = await store.readOutbox(0, null, { records: 10_000, bytes: 1 << 24 });
    if (records.length === 0) return;
    await store.markArchived(0, records.at(-1)!.pos, slot);
  }
}

async function pruneAll(store: Store): Promise<number> {
  for (let pruned = 0; ; ) {
    const settled = await store.settled(0, 0, 1_000);
    if (settled.length === 0) return pruned;
    const events = settled.map(({ event: { id, version } }) => ({ id, version }));
    pruned += await store.prune(0, { events, index: 1 });
  }
}

t.test('a full embedded store takes events again when others have been pruned', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-prune-'));
  const limits = { ...LIMITS, bytesMax: 4 << 20 };
  const store = await openGate(await EmbeddedStore.open({ dir, policy: POLICY, limits }));
  t.teardown(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });
  let taken = 0;
  for (let kinds = await accept(store); !kinds.includes('full'); kinds = await accept(store)) taken += BATCH;
  await completeAll(store);
  await archiveAll(store);
  t.ok(
    (await accept(store)).every((kind) => kind === 'full'),
    `full with ${taken} events`,
  );
  const pruned = await pruneAll(store);
  t.ok(pruned >= taken);
  t.ok((await accept(store)).every((kind) => kind === 'accepted'));
  await archiveAll(store);
  t.equal((await store.depths(0)).events, BATCH);
});

t.test('Redis has its memory back', async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());
  const redis = new Redis(server.url);
  t.teardown(() => redis.quit());
  const store = await RedisStore.open({
    url: server.url,
    prefix: 'p',
    partitions: 1,
    policy: POLICY,
    limits: LIMITS,
  });
  t.teardown(() => store.close());
  const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1]);
  await accept(store);
  const empty = await used();
  const events = 5_000;
  for (let k = 0; k < events; k += BATCH) await accept(store);
  await completeAll(store);
  await archiveAll(store);
  const full = await used();
  const settled = Number(await redis.memory('USAGE', '{p:0}:settled', 'SAMPLES', 0));
  t.ok(settled / events <= 45, `${(settled / events).toFixed(1)} bytes an event to know the order`);
  t.equal(await pruneAll(store), events + BATCH);
  await archiveAll(store);
  const after = await used();
  t.comment(
    `an event of 1 KB: ${Math.round((full - empty) / events)} bytes, after pruning ${Math.round((after - empty) / events)}`,
  );
  // Lease calls are remembered until they expire.
  t.ok(after - empty < (full - empty) / 8);
  t.same(await redis.lrange('{p:0}:ids', 0, -1), []);
  t.same(await redis.lrange('{p:0}:settled', 0, -1), []);
});
