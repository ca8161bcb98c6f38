/** The archiver on S3: a server that misbehaves, and two archivers on one log of a real one. */
import t from 'tap';
import { S3BlobStore } from '../../src/blob/s3.js';
import { slotKey } from '../../src/log/slot.js';
import { positionsIn, positionsOf, segmentsOf, startArchiver, until } from '../support/archiver-bench.js';
import { MemoryOutbox } from '../support/memory-outbox.js';
import { acceptedRecord, acceptedRecords } from '../support/records.js';
import { TestS3Server } from '../support/s3-server.js';

/** Real time. */
const PATIENT_MS = 30_000;
const IMPATIENT_MS = 200;

process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';

t.test('a server that misbehaves', async (t) => {
  const server = await TestS3Server.start();
  t.teardown(() => server.stop());
  const open = (requestTimeoutMs: number) =>
    new S3BlobStore({
      bucket: 'test',
      prefix: '',
      endpoint: server.endpoint,
      forcePathStyle: true,
      requestTimeoutMs,
    });
  const blobs = open(PATIENT_MS);
  // Only where the server keeps silent: on a busy machine an honest answer may take longer than this.
  const impatient = open(IMPATIENT_MS);
  t.teardown(() => Promise.all([blobs.close(), impatient.close()]));
  t.beforeEach(() => {
    server.misbehave = () => null;
    server.buckets.get('test')?.clear();
  });
  const records = acceptedRecords(1, 1, 3);

  const troubles: [string, Parameters<TestS3Server['failNext']>[1][]][] = [
    ['a time-out after the put was done', [{ kind: 'silence' }]],
    ['a connection that breaks before the put is done', [{ kind: 'reset', when: 'before' }]],
    ['a connection that breaks after the put was done', [{ kind: 'reset', when: 'after' }]],
    ['a 409', [{ kind: 'status', status: 409, code: 'ConditionalRequestConflict' }]],
    ['a 500 after the put was done', [{ kind: 'status', status: 500, code: 'InternalError', commit: true }]],
    [
      'a 503 to slow down, three times',
      [1, 2, 3].map(() => ({ kind: 'status', status: 503, code: 'SlowDown' })),
    ],
    ['a 200 with an error in it', [{ kind: 'errorBody' }]],
    ['an error page of a proxy', [{ kind: 'proxyPage', status: 502 }]],
    ['one after another', [{ kind: 'reset', when: 'before' }, { kind: 'silence' }, { kind: 'errorBody' }]],
  ];
  for (const [title, faults] of troubles) {
    await t.test(`${title}: the same segment is sent again, and is in the log once`, async (t) => {
      server.failNext('put', ...faults);
      const silent = faults.some(({ kind }) => kind === 'silence');
      const { bench, outbox } = startArchiver(t, records, { blobs: silent ? impatient : blobs });
      await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
      const [segment, ...others] = await segmentsOf(blobs);
      t.same(others, []);
      t.same(positionsOf(segment?.records ?? []), positionsOf(records));
      const failures = bench.of('failed').length;
      t.ok(silent ? failures >= faults.length : failures === faults.length, `${failures} failures`);
      t.equal(bench.of('overtaken').length, 0, 'it knows its own');
      t.same(outbox.archived, { pos: { view: 1, n: 3 }, slot: 1 });
      t.same(outbox.records, []);
    });
  }

  await t.test(
    'a slow server has one put at a time, and what comes meanwhile goes with the next',
    async (t) => {
      let answer: () => void = () => undefined;
      const slow = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const puts = () => server.calls.filter(({ operation }) => operation === 'put').length;
      const before = puts();
      server.failNext('put', { kind: 'delay', until: slow });
      const { bench, outbox } = startArchiver(t, records, { blobs });
      await until('a put is under way', () => puts() > before);
      for (const record of acceptedRecords(1, 4, 5)) {
        outbox.add(record);
        bench.archiver.nudge();
      }
      t.same([puts() - before, outbox.archived], [1, null]);
      answer();
      await bench.goOnUntil('all archived', () => outbox.records.length === 0);
      const segments = await segmentsOf(blobs);
      t.same(
        segments.map(({ records: each }) => positionsOf(each)),
        [
          ['1-1', '1-2', '1-3'],
          ['1-4', '1-5', '1-6', '1-7', '1-8'],
        ],
      );
      t.same(bench.of('failed'), []);
    },
  );

  await t.test('a put that arrives long after its repeat changes nothing', async (t) => {
    let arrive: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    server.failNext('put', { kind: 'silence', until: late });
    const { bench, outbox } = startArchiver(t, records, { blobs: impatient });
    await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
    const before = server.buckets.get('test')?.get(slotKey(0, 1))?.etag;
    arrive();
    outbox.add(acceptedRecord({ view: 1, n: 4 }));
    await bench.goOnUntil('archived again', () => bench.of('archived').length > 1);
    t.equal(server.buckets.get('test')?.get(slotKey(0, 1))?.etag, before);
    t.same(await positionsIn(blobs), ['1-1', '1-2', '1-3', '1-4']);
  });

  await t.test(
    'a read-back that fails, is cut short or finds nothing is done again, never believed',
    async (t) => {
      server.failNext('put', { kind: 'silence' });
      const answers = [{ kind: 'truncate' }, { kind: 'status', status: 500, code: 'InternalError' }] as const;
      let reads = 0;
      const putFault = server.misbehave;
      server.misbehave = (call) => (call.operation === 'get' ? (answers[reads++] ?? null) : putFault(call));
      const { bench } = startArchiver(t, records, { blobs: impatient });
      await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
      t.ok(reads >= 3);
      t.same(await positionsIn(blobs), ['1-1', '1-2', '1-3']);
    },
  );

  await t.test(
    'while it is away everything stays in the outbox, tries come ever slower, and it heals by itself',
    async (t) => {
      server.misbehave = () => ({ kind: 'status', status: 503, code: 'SlowDown' });
      const { bench, outbox } = startArchiver(t, records, { blobs });
      await bench.goOnUntil('ten failures', () => bench.of('failed').length >= 10);
      const pauses = bench.of('failed').map((event) => event.againInMs);
      t.same(pauses.slice(0, 8), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
      t.same(outbox.records, records);
      t.match(bench.archiver.status(), { state: 'retrying', error: /SlowDown/ });
      t.ok(bench.archiver.status().lagMs > 10_000, 'and the lag grows');
      server.misbehave = () => null;
      await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
      t.match(bench.archiver.status(), { state: 'running', lagMs: 0, error: null });
      t.same(outbox.records, []);
    },
  );

  await t.test(
    'refused: it says so, keeps the outbox, tries slowly, and goes on when it is let',
    async (t) => {
      server.misbehave = (call) =>
        call.operation === 'put' ? { kind: 'status', status: 403, code: 'AccessDenied' } : null;
      const { bench, outbox } = startArchiver(t, records, { blobs });
      await bench.rested();
      t.match(bench.archiver.status(), {
        state: 'refused',
        error: /put log\/0\/0+1\.ndjson\.gz: AccessDenied/,
      });
      t.same(
        bench.of('failed').map((event) => event.againInMs),
        [15_000],
      );
      t.same(outbox.records, records);
      server.misbehave = () => null;
      await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
      t.equal(bench.archiver.status().state, 'running');
      t.same(outbox.records, []);
    },
  );

  await t.test(
    'stop does not wait for ever on a server that keeps silent, and says that something is left',
    async (t) => {
      const { bench, outbox } = startArchiver(t, [], { blobs: impatient });
      await bench.rested();
      server.misbehave = () => ({ kind: 'silence', until: new Promise(() => undefined) });
      outbox.add(...records);
      const stopped = bench.archiver.stop(5_000);
      await until('tried', () => bench.of('failed').length > 0);
      bench.clock.advance(5_000);
      t.equal(await stopped, false);
      t.equal(bench.archiver.status().state, 'stopped');
      t.equal(bench.clock.waiting, 0);
      t.same(outbox.records, records);
      t.equal(outbox.archived, null);
    },
  );
});

const REAL_ENDPOINT = process.env['S3_TEST_ENDPOINT'];

t.test(
  'on a real S3 server two archivers write one log',
  { skip: !REAL_ENDPOINT && 'S3_TEST_ENDPOINT is not set' },
  async (t) => {
    const blobs = new S3BlobStore({
      bucket: process.env['S3_TEST_BUCKET'] ?? 'clockwork-test',
      prefix: `archiver-${Date.now()}-${process.pid}`,
      endpoint: String(REAL_ENDPOINT),
      forcePathStyle: true,
      requestTimeoutMs: 20_000,
    });
    t.teardown(() => blobs.close());
    const records = acceptedRecords(1, 1, 40_000);
    const outbox = new MemoryOutbox();
    outbox.add(...records);
    const { bench: a } = startArchiver(t, [], { blobs, writer: 'a' }, outbox);
    const { bench: b } = startArchiver(t, [], { blobs, writer: 'b' }, outbox);
    for (const bench of [a, b]) await bench.goOnUntil('all archived', () => outbox.records.length === 0);
    t.same(await positionsIn(blobs), positionsOf(records));
    t.same(a.of('failed').concat(b.of('failed')), []);
    const segments = a.of('archived').length + b.of('archived').length;
    t.equal(segments, 4);
    t.comment(
      `${records.length} records, ${segments} segments, ${a.of('overtaken').length + b.of('overtaken').length} races lost`,
    );
  },
);
