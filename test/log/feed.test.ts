/** The feed: every archived record once and in order, whoever reads, whatever happens to the outbox meanwhile. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { BlobStore } from '../../src/blob/blob.js';
import { FileBlobStore } from '../../src/blob/file.js';
import type { LogRecord, Position } from '../../src/event/record.js';
import { recordText } from '../../src/http/record-json.js';
import { Feed, type FeedOptions, type FeedQuery } from '../../src/log/feed.js';
import { formatCursor, parseCursor } from '../../src/log/feed-cursor.js';
import { LogReader } from '../../src/log/reader.js';
import { CorruptSegmentError, encodeSegment } from '../../src/log/segment.js';
import { encodeHeader } from '../../src/log/segment-header.js';
import { slotKey } from '../../src/log/slot.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Store, Wake } from '../../src/store/store.js';
import { envelopeOf, LIMITS, POLICY } from '../contract/store/scene.js';
import { CountingBlobs } from '../support/counting-blobs.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { openGate } from '../support/open-gate.js';
import { acceptedRecord, acceptedRecords, LOG_ID } from '../support/records.js';
import { startRedisServer } from '../support/redis-server.js';
import { loadStore, startArchivers } from '../support/store-load.js';

interface Shown {
  readonly partition: number;
  readonly position: string;
  readonly op: string;
  readonly type: string;
  readonly id?: string;
}

const BOUNDS = {
  render: recordText,
  cacheBytesMax: 1 << 20,
  pageBytesMax: 1 << 20,
  pageSegmentsMax: 100,
  waitersMax: 10,
  slowLookMs: 60_000,
};

/** As much of a store as the feed sees. */
class Seen {
  readonly logId = LOG_ID;
  slot = 0;
  readonly listeners = new Set<(wake: Wake) => void>();
  /** Partitions of which somebody has said that he waits. */
  readonly hurried: number[] = [];

  constructor(readonly partitions = 1) {}

  async archivedTo(): Promise<{ pos: Position; slot: number } | null> {
    return this.slot === 0 ? null : { pos: { view: 1, n: this.slot }, slot: this.slot };
  }

  async hurryArchiving(partition: number): Promise<void> {
    this.hurried.push(partition);
  }

  onWake(wake: (wake: Wake) => void): () => void {
    this.listeners.add(wake);
    return () => this.listeners.delete(wake);
  }

  tell(): void {
    for (const wake of this.listeners) wake({ ready: [], changed: [], archived: [0], wanted: [] });
  }
}

class Bench {
  readonly memory = new MemoryBlobs();
  readonly blobs = new CountingBlobs(this.memory);
  readonly store: Seen;
  readonly feed: Feed;

  constructor(
    t: Test,
    private readonly options: Partial<FeedOptions> & { partitions?: number } = {},
  ) {
    this.store = new Seen(options.partitions ?? 1);
    this.feed = this.another(t);
  }

  another(t: Test): Feed {
    const feed = new Feed({ ...BOUNDS, blobs: this.blobs, store: this.store, ...this.options });
    t.teardown(() => feed.stop());
    return feed;
  }

  /** Writes the next slot. */
  async write(records: readonly LogRecord[], partition = 0): Promise<void> {
    const slot =
      [...this.memory.objects.keys()].filter((key) => key.startsWith(`log/${partition}/`)).length + 1;
    const { partitions } = this.store;
    const place = { kind: 'data', logId: LOG_ID, partition, partitions, slot, epoch: 1, view: 1 } as const;
    const { bytes } = await encodeSegment(
      { ...place, writer: 'w', putId: `${slot}`, previous: null },
      records,
    );
    await this.memory.putIfAbsent(slotKey(partition, slot), bytes);
    this.store.slot = Math.max(this.store.slot, slot);
  }

  /** A fence in the next slot. */
  async fence(): Promise<void> {
    const slot = this.memory.objects.size + 1;
    const header = encodeHeader({
      v: 1,
      kind: 'fence',
      logId: LOG_ID,
      partition: 0,
      partitions: 1,
      slot,
      epoch: 2,
      view: 2,
      writer: 'w',
      putId: `${slot}`,
      previous: null,
      from: null,
      to: null,
      count: 0,
    });
    const sha256 = createHash('sha256').update(`${header}\n`).digest('hex');
    const footer = JSON.stringify({ end: true, count: 0, sha256 });
    await this.memory.putIfAbsent(slotKey(0, slot), gzipSync(`${header}\n${footer}\n`));
    this.store.slot = slot;
  }
}

async function page(feed: Feed, query: Partial<FeedQuery> = {}) {
  const result = await feed.read({ after: null, types: null, limit: 100, waitMs: 0, signal: null, ...query });
  if (result.kind !== 'page') throw new Error(`no page: ${result.kind}`);
  return { ...result, shown: result.records.map((record) => JSON.parse(record.toString()) as Shown) };
}

async function readAll(feed: Feed, query: Partial<FeedQuery> = {}) {
  const shown: Shown[] = [];
  let after = query.after ?? null;
  for (let pages = 1; ; pages += 1) {
    const { shown: more, cursor, atEnd } = await page(feed, { ...query, after });
    shown.push(...more);
    after = cursor;
    if (atEnd) return { shown, cursor, pages };
  }
}

const positionsOf = (records: readonly Shown[]) => records.map(({ position }) => position);
const numbered = (from: number, count: number) => Array.from({ length: count }, (_, k) => `1-${from + k}`);

t.test('a page', async (t) => {
  await t.test('goes over the edges of segments, fences and limits, each record once', async (t) => {
    const bench = new Bench(t);
    await bench.write(acceptedRecords(1, 1, 7));
    await bench.fence();
    await bench.write(acceptedRecords(1, 8, 1));
    await bench.fence();
    await bench.fence();
    await bench.write(acceptedRecords(1, 9, 12));
    for (const limit of [1, 2, 3, 7, 8, 19, 20, 21, 100]) {
      const { shown, pages } = await readAll(bench.feed, { limit });
      t.same(positionsOf(shown), numbered(1, 20), `pages of ${limit}`);
      t.ok(pages <= Math.ceil(20 / limit) + 1);
    }
  });

  await t.test('is empty at the end, and goes on from there', async (t) => {
    const bench = new Bench(t);
    const first = await page(bench.feed);
    t.match(first, { shown: [], atEnd: true });
    await bench.write(acceptedRecords(1, 1, 2));
    const second = await page(bench.feed, { after: first.cursor });
    t.same(positionsOf(second.shown), ['1-1', '1-2']);
    t.match(await page(bench.feed, { after: second.cursor }), { shown: [], atEnd: true });
    t.same(positionsOf((await page(bench.another(t), { after: first.cursor })).shown), ['1-1', '1-2']);
  });

  await t.test('is bounded in bytes, but the first record comes whatever it weighs', async (t) => {
    const bench = new Bench(t, { pageBytesMax: 2_000 });
    await bench.write([
      acceptedRecord({ view: 1, n: 1 }, Buffer.alloc(5_000, 'x')),
      ...acceptedRecords(1, 2, 30),
    ]);
    const first = await page(bench.feed);
    t.same(positionsOf(first.shown), ['1-1']);
    const second = await page(bench.feed, { after: first.cursor });
    t.ok(second.records.reduce((sum, record) => sum + record.byteLength, 0) <= 2_000);
    t.same(positionsOf((await readAll(bench.feed)).shown), numbered(1, 31));
  });

  await t.test('has the types asked for, and looks at a bounded part of the log for them', async (t) => {
    const bench = new Bench(t, { pageSegmentsMax: 3 });
    const rare = { ...acceptedRecord({ view: 1, n: 10 }), type: 'rare' };
    for (let n = 1; n < 10; n += 1) await bench.write(acceptedRecords(1, n, 1));
    await bench.write([rare]);
    const first = await page(bench.feed, { types: ['rare', 'none'] });
    t.match(first, { shown: [], atEnd: false });
    t.equal(bench.blobs.take().filter((call) => call.startsWith('get')).length, 3);
    const { shown, pages } = await readAll(bench.feed, { types: ['rare'] });
    t.same(positionsOf(shown), ['1-10']);
    t.equal(pages, 4, 'of three segments each, the last of one');
  });

  await t.test('takes a segment of each partition in turn', async (t) => {
    const bench = new Bench(t, { partitions: 3 });
    for (let n = 1; n <= 3; n += 1) {
      for (const partition of [0, 1, 2]) await bench.write(acceptedRecords(1, n, 1), partition);
    }
    const { shown } = await readAll(bench.feed, { limit: 2 });
    t.same(
      shown.map(({ partition, position }) => `${partition} ${position}`),
      [1, 2, 3].flatMap((n) => [0, 1, 2].map((partition) => `${partition} 1-${n}`)),
    );
  });
});

t.test('a cursor', async (t) => {
  await t.test('comes back as it was, also with slots beyond 32 bits', (t) => {
    const cursor = {
      places: [
        { slot: 2 ** 50, index: 9_999 },
        { slot: 1, index: 0 },
      ],
      turn: 1,
    };
    t.same(parseCursor(formatCursor(cursor, 'log'), 'log', 2), { kind: 'cursor', cursor });
    t.end();
  });

  await t.test('of another log is told from one that was changed on the way', async (t) => {
    const bench = new Bench(t);
    const { cursor } = await page(bench.feed);
    const kindOf = async (after: string) =>
      (await bench.feed.read({ after, types: null, limit: 1, waitMs: 0, signal: null })).kind;
    t.equal(await kindOf(cursor), 'page');
    const place = { slot: 1, index: 0 };
    t.equal(await kindOf(formatCursor({ places: [place], turn: 0 }, 'another')), 'foreign');
    t.equal(await kindOf(formatCursor({ places: [place, place], turn: 0 }, LOG_ID)), 'foreign');
    for (const bad of ['', 'x', cursor.slice(1), `${cursor}A`, `${cursor}=`, cursor.toLowerCase()])
      t.equal(await kindOf(bad), 'garbled', bad);
    for (let at = 0; at < cursor.length; at += 1) {
      const other = cursor[at] === 'A' ? 'B' : 'A';
      t.equal(await kindOf(cursor.slice(0, at) + other + cursor.slice(at + 1)), 'garbled');
    }
  });

  await t.test('below the floor of the log is refused with the earliest one there is', async (t) => {
    const bench = new Bench(t);
    for (let n = 1; n <= 6; n += 1) await bench.write(acceptedRecords(1, n, 1));
    const { cursor: old } = await page(bench.feed, { limit: 2 });
    const { cursor: young } = await page(bench.feed, { limit: 4 });
    await bench.memory.delete([1, 2, 3, 4].map((slot) => slotKey(0, slot)));
    const feed = bench.another(t);
    const gone = await feed.read({ after: old, types: null, limit: 9, waitMs: 0, signal: null });
    if (gone.kind !== 'gone') throw new Error(gone.kind);
    t.same(positionsOf((await page(feed, { after: gone.earliest })).shown), ['1-5', '1-6']);
    t.same(positionsOf((await page(feed, { after: young })).shown), ['1-5', '1-6'], 'what was read may go');
    t.same(positionsOf((await page(feed)).shown), ['1-5', '1-6'], 'without a cursor it begins there');
  });

  await t.test('that meets a hole in the log is told which segment is missing', async (t) => {
    const bench = new Bench(t);
    for (let n = 1; n <= 3; n += 1) await bench.write(acceptedRecords(1, n, 1));
    await bench.memory.delete([slotKey(0, 2)]);
    const error = await bench.feed
      .read({ after: null, types: null, limit: 9, waitMs: 0, signal: null })
      .catch((e: unknown) => e);
    t.ok(error instanceof CorruptSegmentError && error.key === slotKey(0, 2));
  });
});

t.test('waiting and the cache', async (t) => {
  await t.test('a reader at the end wakes when records have been archived', async (t) => {
    const bench = new Bench(t);
    const waiting = page(bench.feed, { waitMs: 25_000 });
    await bench.write(acceptedRecords(1, 1, 1));
    bench.store.tell();
    t.same(positionsOf((await waiting).shown), ['1-1']);
  });

  await t.test('who is in a hurry says so once, and only when he has to wait', async (t) => {
    const bench = new Bench(t);
    await bench.write(acceptedRecords(1, 1, 1));
    const { cursor } = await page(bench.feed, { waitMs: 25_000, hurry: true });
    t.same(bench.store.hurried, []);
    await page(bench.feed, { after: cursor, waitMs: 20 });
    t.same(bench.store.hurried, [], 'others leave the archiver to its interval');
    const waiting = page(bench.feed, { after: cursor, waitMs: 300, hurry: true, types: ['rare'] });
    await bench.write(acceptedRecords(1, 2, 1));
    bench.store.tell();
    await waiting;
    t.same(bench.store.hurried, [0]);
  });

  await t.test('it waits on when what came is of other types, and hears when the time is up', async (t) => {
    const bench = new Bench(t);
    const waiting = page(bench.feed, { waitMs: 300, types: ['rare'] });
    await bench.write(acceptedRecords(1, 1, 1));
    bench.store.tell();
    const { shown, cursor, atEnd } = await waiting;
    t.match({ shown, atEnd }, { shown: [], atEnd: true });
    await bench.write(acceptedRecords(1, 2, 1));
    t.same(
      positionsOf((await page(bench.feed, { after: cursor })).shown),
      ['1-2'],
      'and need not look again',
    );
  });

  await t.test('stopping answers those that wait; who has gone is not waited for', async (t) => {
    const bench = new Bench(t, { waitersMax: 2 });
    const gone = new AbortController();
    const waiting = page(bench.feed, { waitMs: 25_000, signal: gone.signal });
    const other = page(bench.feed, { waitMs: 25_000 });
    await new Promise((resolve) => setImmediate(resolve));
    t.notOk(bench.feed.hasRoomToWait);
    gone.abort();
    t.match(await waiting, { shown: [] });
    t.ok(bench.feed.hasRoomToWait);
    bench.feed.stop();
    t.match(await other, { shown: [] });
    t.match(await page(bench.feed, { waitMs: 25_000 }), { shown: [] });
  });

  await t.test('a segment is fetched once for many readers, and kept within a bound', async (t) => {
    const bench = new Bench(t, { cacheBytesMax: 40_000 });
    for (let n = 0; n < 20; n += 1) await bench.write(acceptedRecords(1, 1 + 20 * n, 20));
    await Promise.all(Array.from({ length: 5 }, () => page(bench.feed, { limit: 1 })));
    t.equal(bench.blobs.take().filter((call) => call.startsWith('get')).length, 1);
    await readAll(bench.feed, { limit: 5 });
    const { cursor } = await readAll(bench.feed, { limit: 5 });
    bench.blobs.take();
    await bench.write(acceptedRecords(1, 401, 20));
    await readAll(bench.feed, { after: cursor, limit: 2 });
    await readAll(bench.feed, { after: cursor, limit: 2 });
    t.same(bench.blobs.take(), [`get ${slotKey(0, 21)}`], 'the newest is still there');
  });
});

interface Setting {
  readonly instances: readonly Store[];
  readonly blobs: BlobStore;
}

const EVENTS = 1_000;
const TYPES = ['mail', 'invoice', 'Zürich {0}'];

t.test(
  'while a load runs and the outbox is trimmed, each reader sees every record once and in order',
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'clockwork-feed-'));
    t.teardown(() => rm(dir, { recursive: true }));

    await t.test('embedded', async (t) => {
      const options = { dir: join(dir, 'store'), policy: POLICY, limits: LIMITS };
      const store = await openGate(await EmbeddedStore.open(options));
      t.teardown(() => store.close());
      const blobs = new FileBlobStore(join(dir, 'log'));
      await readUnderLoad(t, { instances: [store], blobs });
    });

    await t.test('Redis, three partitions and two instances', async (t) => {
      const server = await startRedisServer();
      t.teardown(() => server.stop());
      const options = { url: server.url, prefix: 'feed', partitions: 3, policy: POLICY, limits: LIMITS };
      const instances = [await RedisStore.open(options), await RedisStore.open(options)];
      t.teardown(() => Promise.all(instances.map((store) => store.close())));
      await readUnderLoad(t, { instances, blobs: new FileBlobStore(join(dir, 'log of redis')) });
    });
  },
);

async function readUnderLoad(t: Test, { instances, blobs }: Setting): Promise<void> {
  const [first, last] = [instances[0]!, instances.at(-1)!];
  const archivers = startArchivers(first, blobs, 50);
  const working = new AbortController();
  const openFeed = (store: Store) => new Feed({ ...BOUNDS, blobs, store });
  const readers = [
    follow(() => openFeed(first), { limit: 37 }, 1_000, working.signal),
    follow(() => openFeed(last), { limit: 1_000 }, 1_000, working.signal),
    follow(() => openFeed(last), { limit: 100 }, 3, working.signal),
    follow(() => openFeed(last), { limit: 100, types: [TYPES[2]!] }, 1_000, working.signal),
  ];
  await loadStore(first, EVENTS, TYPES);
  await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
  working.abort();
  const seen = await Promise.all(readers);

  const written = await logOf(first, blobs);
  const count = (op: string) => written.filter((record) => record.op === op).length;
  t.equal(count('accepted'), EVENTS);
  t.equal(count('completed'), EVENTS);
  for (let partition = 0; partition < first.partitions; partition += 1)
    t.same(await first.readOutbox(partition, null, { records: 1, bytes: 1 }), [], 'the outbox is empty');
  const whole = seen.slice(0, 3);
  for (const shown of whole) sameInEachPartition(t, shown, written);
  sameInEachPartition(
    t,
    seen[3]!,
    written.filter(({ type }) => type === TYPES[2]),
  );
  t.comment(
    `${written.length} records, each seen once by ${whole.length} readers, and ${seen[3]!.length} of one type`,
  );
}

/** Reads to the end; with a new feed, as after a restart, every so many pages. */
async function follow(
  open: () => Feed,
  query: Partial<FeedQuery>,
  pagesAFeed: number,
  stopped: AbortSignal,
): Promise<Shown[]> {
  const shown: Shown[] = [];
  let after: string | null = null;
  let feed = open();
  for (let pages = 1; ; pages += 1) {
    const last = stopped.aborted;
    const result: Awaited<ReturnType<typeof page>> = await page(feed, {
      ...query,
      after,
      waitMs: last ? 0 : 200,
    });
    shown.push(...result.shown);
    after = result.cursor;
    if (last && result.atEnd) break;
    if (pages % pagesAFeed > 0) continue;
    feed.stop();
    feed = open();
  }
  feed.stop();
  return shown;
}

function sameInEachPartition(t: Test, shown: readonly Shown[], written: readonly Shown[]): void {
  const linesOf = (records: readonly Shown[], partition: number) =>
    records
      .filter((record) => record.partition === partition)
      .map(({ position, op, id }) => `${position} ${op} ${id}`);
  t.equal(shown.length, written.length);
  for (const partition of new Set(written.map((record) => record.partition)))
    t.strictSame(linesOf(shown, partition), linesOf(written, partition));
}

async function logOf({ logId, partitions }: Store, blobs: BlobStore): Promise<Shown[]> {
  const written: Shown[] = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    for await (const { records } of new LogReader(blobs, { logId, partitions }).segments(partition))
      for (const record of records) written.push(JSON.parse(recordText(record, partition)) as Shown);
  }
  return written;
}

t.test('a record as readers see it', async (t) => {
  await t.test('has no secrets, and its body as a lease shows it', async (t) => {
    const body = Buffer.from('{"big":9007199254740993,"a":1,"a":2}');
    const { payload: _, ...record } = acceptedRecord({ view: 1, n: 1 }, body);
    const envelope = envelopeOf(body);
    const claim = { scope: 'hidden scope', fingerprint: 'hidden print', expiresAt: 1_795_420_800_000 };
    const accepted = recordText({ ...record, idempotency: claim, payload: envelope }, 0);
    t.match(accepted, '"idempotentUntil":"2026-11-23T08:00:00.000Z"');
    t.notMatch(accepted, /hidden/);
    const text = accepted.replace('"bodyEncoding":"text"', '');
    t.match(text, `"body":${JSON.stringify(body.toString())}`);
    const json = Buffer.from(envelope.toString().replace('"bodyEncoding":"text"', '"bodyEncoding":"json"'));
    t.match(recordText({ ...record, payload: json }, 0), `"body":${body.toString()}}`);
    const granted = recordText(
      {
        op: 'granted',
        pos: { view: 1, n: 2 },
        at: 1,
        id: 'e',
        type: 'mail',
        listener: 0,
        grant: 1,
        attempt: 1,
        token: 'hidden token',
        worker: 'w',
        expiresAt: 2,
        call: 'hidden call',
        claim: 7,
      },
      4,
    );
    t.notMatch(granted, /hidden|claim/);
    t.match(JSON.parse(granted), { partition: 4, op: 'granted', attempt: 1, worker: 'w', type: 'mail' });
  });
});
