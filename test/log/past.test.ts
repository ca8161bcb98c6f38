/** Events that have left the store: read as before, at a bounded number of requests, on files and on an S3 server. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { BlobStore } from '../../src/blob/blob.js';
import { FileBlobStore } from '../../src/blob/file.js';
import { S3BlobStore } from '../../src/blob/s3.js';
import { makeEventId } from '../../src/event/id.js';
import { raiseFloor } from '../../src/log/floor.js';
import { PastEvents } from '../../src/log/past.js';
import { CorruptSegmentError } from '../../src/log/segment.js';
import { Pruner } from '../../src/maintenance/pruner.js';
import { Queue } from '../../src/queue/queue.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Store } from '../../src/store/store.js';
import { completionOf, envelopeOf, LIMITS, POLICY, resultOf } from '../contract/store/scene.js';
import { CoreStore } from '../support/core-store.js';
import { CountingBlobs } from '../support/counting-blobs.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { openGate } from '../support/open-gate.js';
import { startRedisServer } from '../support/redis-server.js';
import { TestS3Server } from '../support/s3-server.js';
import { loadStore, startArchivers } from '../support/store-load.js';

process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';

const EVENTS = 300;
const TYPES = ['mail', 'invoice'];
const CACHE = 1 << 20;

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-past-'));
  t.teardown(() => rm(dir, { recursive: true }));
  return dir;
}

async function listAll(store: Store): Promise<string[]> {
  const ids: string[] = [];
  const all = { type: null, status: null, outcome: null, limit: 500, scanMax: 10_000 };
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.list({ ...all, cursor: cursor ?? null });
    if (page.kind !== 'page') throw new Error(page.kind);
    ids.push(...page.events.map(({ id }) => id));
    cursor = page.cursor;
  }
  return ids;
}

async function everythingOf(queue: Queue | Store, id: string) {
  return {
    event: await queue.read(id),
    request: await queue.readRequest(id),
    attempts: await queue.readAttempts(id),
  };
}

function queueOver(t: Test, store: Store, blobs: BlobStore): Queue {
  const past = new PastEvents({ blobs, store, cacheBytesMax: CACHE });
  const queue = new Queue(store, { past, leaseReplyBytesMax: 1 << 20, waitersMax: 10, slowLookMs: 60_000 });
  t.teardown(() => queue.stop());
  return queue;
}

const quiet = pino({ level: 'silent' });

t.test('rounds are as frequent as the shortest retention of all types wants', async (t) => {
  const store = new CoreStore();
  const pruner = new Pruner(
    store,
    new MemoryBlobs(),
    { retentionMs: 86_400_000, intervalMs: 60_000, archives: () => true },
    quiet,
  );
  t.equal(await pruner.shortestRetention(), 86_400_000);
  const declare = (type: string, retentionMs: number) =>
    store.setType({ kind: 'declare', type, policy: { retentionMs }, ifVersion: null });
  await declare('long', 10 * 86_400_000);
  t.equal(await pruner.shortestRetention(), 86_400_000);
  for (let type = 0; type < 600; type += 1) await declare(`type ${type}`, 3_600_000 - type);
  t.equal(await pruner.shortestRetention(), 3_600_000 - 599);
});

function prunerOf(store: Store, blobs: BlobStore, archives = () => true): Pruner {
  return new Pruner(store, blobs, { retentionMs: 0, intervalMs: 60_000, archives }, quiet);
}

/** An event that failed once, was completed, and was then completed late by its first holder. */
async function awkwardEvent(store: Store): Promise<string> {
  const id = makeEventId(Date.now(), 0);
  await store.accept([{ id, type: 'awkward', envelope: envelopeOf('odd'), delayMs: 0, idempotency: null }]);
  const lease = async (token: string) => {
    const about = {
      types: ['awkward'],
      listener: 'default',
      max: 1,
      bytesMax: 1_000,
      leaseMs: null,
      worker: 'w',
    };
    const result = await store.lease({ ...about, call: token, tokens: [token] });
    if (result.kind !== 'leased') throw new Error(result.kind);
    return result.leases[0]!;
  };
  const failed = {
    outcome: 'fail',
    retry: { kind: 'after', afterMs: 0 },
    result: resultOf('not yet', 'fail'),
  } as const;
  await store.complete([completionOf(await lease('a'), failed)]);
  const lost = await lease('b');
  await store.handBack({ attemptId: lost.attemptId, token: lost.token });
  await store.complete([completionOf(await lease('c'))]);
  await store.complete([completionOf(lost, { result: resultOf('too late') })]);
  return id;
}

async function readsBeyond(t: Test, store: Store, inner: BlobStore): Promise<void> {
  const blobs = new CountingBlobs(inner);
  const archivers = startArchivers(store, inner, 50);
  await loadStore(store, EVENTS, TYPES);
  const awkward = await awkwardEvent(store);
  await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
  const ids = await listAll(store);
  t.equal(ids.length, EVENTS + 1);
  const before = new Map<string, Awaited<ReturnType<typeof everythingOf>>>();
  for (const id of ids) before.set(id, await everythingOf(store, id));

  t.equal(await prunerOf(store, blobs, () => false).round(), 0, 'who does not archive does not prune');
  t.equal(await prunerOf(store, blobs).round(), EVENTS + 1);
  t.same(await listAll(store), []);
  const puts = blobs.take().filter((call) => call.startsWith('put'));
  t.ok(puts.length <= store.partitions, 'an index object a partition');

  const queue = queueOver(t, store, blobs);
  for (const id of ids) t.strictSame(await everythingOf(queue, id), before.get(id), `${id} is as it was`);
  t.equal(before.get(awkward)!.attempts!.length, 3);

  const cold: number[] = [];
  const warm: number[] = [];
  let most = 0;
  for (const id of ids.slice(0, 20)) {
    for (const read of ['read', 'readRequest', 'readAttempts'] as const) {
      const another = queueOver(t, store, blobs);
      blobs.take();
      cold.push(await msOf(() => another[read](id)));
      most = Math.max(most, blobs.take().length);
      warm.push(await msOf(() => another[read](id)));
      t.same(blobs.take(), [], 'warm, nothing is asked for');
    }
  }
  t.ok(most <= 3, `${most} requests at most`);
  t.comment(
    `${ids.length} events: cold ${most} requests at most, median ${median(cold)} ms, warm 0, median ${median(warm)} ms`,
  );

  const fresh = queueOver(t, store, blobs);
  const hour = 3_600_000;
  t.equal(await fresh.read(makeEventId(Date.now() - 24 * hour, 0)), null);
  t.equal(blobs.take().filter((call) => call.startsWith('get')).length, 0, 'before the log began');
  t.equal(await fresh.read(makeEventId(Date.now() + hour, 0)), null);
  t.same(blobs.take(), [], 'in the future');
  const id = ids[7]!;
  const stranger = id.slice(0, -4) + (id.endsWith('0000') ? '1111' : '0000');
  t.equal(await fresh.read(stranger), null, 'of the same millisecond');
  t.ok(blobs.take().length <= 1);
  t.equal(await fresh.readRequest(stranger), null);
  t.same(blobs.take(), []);
  t.same(await fresh.cancel(id), { kind: 'complete' });
  const waited = await fresh.waitForEvent(id, { version: null, waitMs: 25_000, signal: null });
  t.strictSame(waited, before.get(id)!.event, 'who waits for it hears at once');
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(values: number[]): string {
  return values.sort((a, b) => a - b)[values.length >> 1]!.toFixed(1);
}

t.test('an event beyond the retention is read as before', async (t) => {
  await t.test('embedded, log in files', async (t) => {
    const dir = await folder(t);
    const store = await openGate(
      await EmbeddedStore.open({ dir: join(dir, 'store'), policy: POLICY, limits: LIMITS }),
    );
    t.teardown(() => store.close());
    await readsBeyond(t, store, new FileBlobStore(join(dir, 'log')));
  });

  await t.test('Redis, log in S3', async (t) => {
    const server = await startRedisServer();
    t.teardown(() => server.stop());
    const store = await RedisStore.open({
      url: server.url,
      prefix: 'past',
      partitions: 1,
      policy: POLICY,
      limits: LIMITS,
    });
    t.teardown(() => store.close());
    const s3 = await TestS3Server.start();
    t.teardown(() => s3.stop());
    const blobs = new S3BlobStore({
      bucket: 'test',
      prefix: '',
      endpoint: s3.endpoint,
      forcePathStyle: true,
      requestTimeoutMs: 10_000,
    });
    t.teardown(() => blobs.close());
    await readsBeyond(t, store, blobs);
  });
});

t.test('what was pruned after an instance has looked is found by it', async (t) => {
  const dir = await folder(t);
  const store = await openGate(
    await EmbeddedStore.open({ dir: join(dir, 'store'), policy: POLICY, limits: LIMITS }),
  );
  t.teardown(() => store.close());
  const blobs = new FileBlobStore(join(dir, 'log'));
  const other = queueOver(t, store, blobs);
  for (let round = 0; round < 3; round += 1) {
    const archivers = startArchivers(store, blobs, 20);
    const id = await awkwardEvent(store);
    await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
    const before = await everythingOf(other, id);
    t.equal(await prunerOf(store, blobs).round(), 1);
    t.strictSame(await everythingOf(other, id), before);
  }
});

t.test('nothing is pruned while the index cannot be written; a damaged index is named', async (t) => {
  const dir = await folder(t);
  const store = await openGate(
    await EmbeddedStore.open({ dir: join(dir, 'store'), policy: POLICY, limits: LIMITS }),
  );
  t.teardown(() => store.close());
  const blobs = new FileBlobStore(join(dir, 'log'));
  const archivers = startArchivers(store, blobs, 20);
  const id = await awkwardEvent(store);
  await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
  const failing: BlobStore = Object.assign(Object.create(blobs) as BlobStore, {
    description: 'failing',
    getRange: blobs.getRange.bind(blobs),
    putIfAbsent: () => Promise.reject(new Error('no room')),
  });
  await t.rejects(prunerOf(store, failing).round(), /no room/);
  t.ok(await store.read(id));
  t.equal(await prunerOf(store, blobs).round(), 1);
  const [index] = await blobs.list('index/', { limit: 1 });
  const damaged: BlobStore = Object.assign(Object.create(blobs) as BlobStore, {
    description: 'damaged',
    list: blobs.list.bind(blobs),
    get: async (key: string) => (await blobs.get(key))!.subarray(0, -9),
  });
  const error = await queueOver(t, store, damaged)
    .read(id)
    .catch((e: unknown) => e);
  t.ok(error instanceof CorruptSegmentError && error.key === index!.key);
});

t.test(
  'of an event whose segments were deleted it is said that it has expired, and later nothing',
  async (t) => {
    const inner = new FileBlobStore(await folder(t));
    const dir = await folder(t);
    const store = await openGate(await EmbeddedStore.open({ dir, policy: POLICY, limits: LIMITS }));
    t.teardown(() => store.close());
    const archivers = startArchivers(store, inner, 50);
    await loadStore(store, 20, TYPES);
    await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
    const [id = ''] = await listAll(store);
    await prunerOf(store, inner).round();
    const head = (await store.archivedTo(0))!.slot;

    // Everything but the index, as far as it is written.
    const { logId } = store;
    await raiseFloor(inner, { logId, partition: 0 }, head + 1);
    const keys = async (prefix: string) => (await inner.list(prefix, { limit: 1_000 })).map(({ key }) => key);
    await inner.delete(await keys('log/'));
    const queue = queueOver(t, store, inner);
    const reads: (() => Promise<unknown>)[] = [
      () => queue.read(id),
      () => queue.readRequest(id),
      () => queue.readAttempts(id),
    ];
    for (const read of reads) await t.rejects(read(), { name: 'ClockworkError', code: 'event-expired' });
    await inner.delete(await keys('index/'));
    t.equal(await queueOver(t, store, inner).read(id), null);
    t.match(
      await queue.read(id).catch((error: unknown) => error),
      { code: 'event-expired' },
      'while it is in memory',
    );
  },
);
