/** Every query of `docs/log.md` is run as it stands there, on a real log, and gives what it says that it gives. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import t from 'tap';
import { FileBlobStore } from '../../src/blob/file.js';
import { packEnvelope } from '../../src/event/envelope.js';
import { SEGMENT_RAW_BYTES_MAX, SEGMENT_RECORDS_MAX } from '../../src/log/segment.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { envelopeOf, LIMITS, POLICY, Scene, SECOND } from '../contract/store/scene.js';
import { EVENTS_A_SEGMENT, logDocument, withCosts } from '../support/cost-table.js';
import { openGate } from '../support/open-gate.js';
import { writeSegments } from '../support/written-log.js';

const NOON = Date.UTC(2026, 10, 23, 12);
const BINARY = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 10]);

/** The queries of a kind with the sentence that stands before each. */
function queries(kind: 'sh' | 'sql'): { readonly title: string; readonly text: string }[] {
  const pattern = new RegExp(`([^\\n]+)\\n\\n\`\`\`${kind}\\n(.*?)\`\`\``, 'gs');
  return [...logDocument().matchAll(pattern)].map(([, title = '', text = '']) => ({ title, text }));
}

/**
 * A folder with `data/log`, as a service leaves it: three mails of which one is answered after 40 ms, one is dead
 * after three failures and one waits; an order that was answered after 5 s, and one that is no text.
 */
async function serviceFolder(): Promise<{ folder: string; dead: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'clockwork-queries-'));
  let now = NOON;
  const store = await EmbeddedStore.open({
    dir: join(folder, 'data', 'store'),
    policy: POLICY,
    limits: LIMITS,
    now: () => now,
  });
  await openGate(store);
  const set = (ms: number) => {
    now = ms;
  };
  const never = () => Promise.reject(new Error('not here'));
  const s = new Scene(
    { policy: POLICY, limits: LIMITS, startsAt: NOON },
    { store, clock: { set }, reopen: never, close: never },
  );
  await s.accept('mail', { envelope: envelopeOf('{"to":"ada"}') });
  const dead = await s.accept('mail', { envelope: envelopeOf('{"to":"bob","n":9007199254740993}') });
  await s.accept('order', { envelope: binaryEnvelope() });
  await s.pass(10);
  const [answered, failing] = await s.leaseAll('mail', { max: 2, worker: 'mailer' });
  const [order] = await s.leaseAll('order');
  await s.pass(40);
  await s.complete(answered!);
  await s.fail(failing!, { retry: { kind: 'after', afterMs: 0 } });
  for (let k = 0; k < 2; k += 1) {
    await s.pass(SECOND);
    await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: 0 } });
  }
  await s.setClock(NOON + 10 + 5 * SECOND);
  await s.complete(order!);
  await s.pass(120 * SECOND);
  await s.accept('mail', { envelope: envelopeOf('{"to":"ada"}') });
  const records = await s.outbox('mail');
  await store.close();
  const blobs = new FileBlobStore(join(folder, 'data', 'log'));
  await writeSegments(blobs, [{ records: records.slice(0, 7) }, { records: records.slice(7) }]);
  return { folder, dead };
}

function binaryEnvelope(): Buffer {
  const head = {
    method: 'POST',
    path: '/',
    query: '',
    headers: [],
    clientAddress: null,
    contentType: 'image/jpeg',
    bytes: BINARY.byteLength,
    sha256: '',
    bodyEncoding: 'base64' as const,
    version: null,
    correlationId: null,
    traceparent: null,
    cloudEvent: null,
  };
  return packEnvelope(head, BINARY);
}

const counts = { accepted: 4, completed: 2, dead: 1, granted: 5, retried: 2, typeSet: 2 };

t.test('the queries of the document', async (t) => {
  const { folder, dead } = await serviceFolder();
  t.teardown(() => rm(folder, { recursive: true }));

  await t.test('in the shell', async (t) => {
    /** What each prints, by the first words of the sentence before it. */
    const expected: Record<string, (out: Buffer) => void> = {
      'How many events came': (out) => {
        const lines = out.toString().trim().split('\n');
        const seen = lines.map((line) => line.trim().split(' ')).map(([count, op]) => [op, Number(count)]);
        t.same(Object.fromEntries(seen), counts);
      },
      'The bodies of the requests': (out) =>
        t.equal(out.toString(), '{"to":"ada"}\n{"to":"bob","n":9007199254740993}\n{"to":"ada"}\n'),
      'Bodies that are no UTF-8': (out) => t.ok(out.equals(BINARY)),
      'What happened to one event': (out) => {
        const lines = out.toString().trim().split('\n');
        const ops = lines.map((line) => (JSON.parse(line) as unknown[])[1]);
        t.same(ops, ['accepted', 'granted', 'retried', 'granted', 'retried', 'granted', 'dead']);
        t.same(JSON.parse(lines[1]!), ['2026-11-23T12:00:00Z', 'granted', 1, 'mailer', null]);
      },
      'Who answers slowly': (out) => {
        const rows = out
          .toString()
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as unknown[])[0]);
        t.same(rows, [5_000, 40]);
      },
      'Whether a segment is whole': (out) =>
        t.match(out.toString(), /^(data\/log\/log\/0\/\d{20}\.ndjson\.gz is whole\n){2}$/),
    };
    const found = queries('sh');
    t.equal(found.length, Object.keys(expected).length);
    for (const { title, text } of found) {
      const options = { cwd: folder, encoding: 'buffer' as const };
      const { stdout, stderr } = await promisify(execFile)(
        'bash',
        ['--norc', '-euo', 'pipefail', '-c', text],
        options,
      );
      const [, check] = Object.entries(expected).find(([words]) => title.startsWith(words)) ?? [];
      t.ok(check, title);
      t.equal(stderr.toString(), '', title);
      check?.(stdout);
    }
  });

  await t.test('in DuckDB', async (t) => {
    const [ada, bob] = [
      { recipient: 'ada', mails: '2' },
      { recipient: 'bob', mails: '1' },
    ];
    const order = { accepted: '1', success: '1', fail: '0', dead: '0', cancelled: '0' };
    const expected: Record<string, unknown> = {
      'guess, and does not depend': [],
      'How many events came': Object.entries(counts).map(([op, records]) => ({
        op,
        records: String(records),
      })),
      'How each type is doing': [
        { type: 'mail', accepted: '3', success: '1', fail: '0', dead: '1', cancelled: '0' },
        { type: 'order', ...order },
      ],
      'How long events wait': [
        { type: 'mail', waited_p50_ms: 10, waited_p99_ms: 10, took_p50_ms: 40, took_p99_ms: 40 },
        { type: 'order', waited_p50_ms: 10, waited_p99_ms: 10, took_p50_ms: 5_000, took_p99_ms: 5_000 },
      ],
      'Which events took the most attempts': [{ id: dead, type: 'mail', attempts: 3, ended: 'dead' }],
      'What stood in the requests': [ada, bob],
      'Events a minute': [{ events: '3' }, { events: '1' }],
      'Everything as Parquet': [{ Count: '16' }],
    };
    const database = await DuckDBInstance.create(':memory:');
    const connection = await database.connect();
    const found = queries('sql');
    t.equal(found.length, Object.keys(expected).length);
    for (const { title, text } of found) {
      const there = text
        .replaceAll("'data/", `'${folder}/data/`)
        .replace("'log.parquet'", `'${folder}/log.parquet'`);
      const rows = (await connection.runAndReadAll(there)).getRowObjectsJson();
      const [, wanted] = Object.entries(expected).find(([words]) => title.startsWith(words)) ?? [];
      t.match(rows, wanted, title);
      t.equal(rows.length, (wanted as unknown[] | undefined)?.length, title);
    }
    const parquet = await connection.runAndReadAll(`SELECT count(*) AS n FROM '${folder}/log.parquet'`);
    t.same(parquet.getRowObjectsJson(), [{ n: '16' }]);
    connection.closeSync();
    database.closeSync();
  });
});

t.test('the table of costs is what the formula gives, from the limits that there are', async (t) => {
  const document = logDocument();
  t.equal(document, withCosts(document), 'else: node dist/test/support/cost-table.js');
  const said = (count: number) => t.ok(document.includes(count.toLocaleString('en-US')), `${count} is said`);
  said(EVENTS_A_SEGMENT);
  said(SEGMENT_RECORDS_MAX);
  t.match(document, `${SEGMENT_RAW_BYTES_MAX / 2 ** 20} MiB`);
});

/** What S3 wants to be allowed for each command; others would need another policy. */
const ACTIONS: Readonly<Record<string, string>> = {
  PutObjectCommand: 's3:PutObject',
  GetObjectCommand: 's3:GetObject',
  ListObjectsV2Command: 's3:ListBucket',
  DeleteObjectsCommand: 's3:DeleteObject',
};

t.test('the policy allows what the adapter does, and nothing else', async (t) => {
  const policy = JSON.parse(/```json\n(.*?)```/s.exec(logDocument())?.[1] ?? '') as {
    Statement: { Action: string | string[] }[];
  };
  const allowed = policy.Statement.flatMap(({ Action }) => Action);
  const source = await readFile('src/blob/s3.ts', 'utf8');
  const commands = new Set(source.match(/\b[A-Z]\w+Command\b/g));
  t.same([...commands].map((command) => ACTIONS[command] ?? command).sort(), allowed.sort());
});
