/** The program `clockwork`: what it prints, how it ends, and that its document says the same. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { BlobError, type BlobStore } from '../../src/blob/blob.js';
import { FileBlobStore } from '../../src/blob/file.js';
import { type CliContext, EXIT, type LogPlace } from '../../src/cli/context.js';
import { logPlace } from '../../src/cli/log-place.js';
import { runCli } from '../../src/cli/program.js';
import { makeEventId } from '../../src/event/id.js';
import type { LogRecord } from '../../src/event/record.js';
import { encodeRecord } from '../../src/log/record-line.js';
import { slotKey } from '../../src/log/slot.js';
import { cliDocument, withHelp } from '../support/cli-doc.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { acceptedRecord, LOG_ID } from '../support/records.js';
import { TestS3Server } from '../support/s3-server.js';
import { writeSegments } from '../support/written-log.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const IDS = Array.from({ length: 7 }, () => makeEventId(1, 0));

const typeSet = (n: number, type: string, ordinal: number): LogRecord => ({
  op: 'typeSet',
  pos: { view: 1, n },
  at: 1,
  type,
  ordinal,
  version: 0,
});
const accepted = (n: number, type: string): LogRecord => ({
  ...acceptedRecord({ view: 1, n }),
  id: IDS[n]!,
  type,
});

const RUNS: LogRecord[][] = [
  [typeSet(1, 'mail', 0), accepted(2, 'mail')],
  [typeSet(3, 'order', 1), accepted(4, 'order'), accepted(5, 'mail')],
  [accepted(6, 'mail')],
];
const LINES = RUNS.map((records) => records.map((record) => `${encodeRecord(record)}\n`));

async function logInMemory(runs = RUNS): Promise<MemoryBlobs> {
  const blobs = new MemoryBlobs();
  await writeSegments(
    blobs,
    runs.map((records) => ({ records })),
  );
  return blobs;
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Where the command looked. */
  readonly places: LogPlace[];
}

async function run(blobs: BlobStore, args: string, more: Partial<CliContext> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const places: LogPlace[] = [];
  const code = await runCli(args.split(' '), {
    env: {},
    version: '1.2.3',
    out: async (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    terminal: false,
    openLog: async (place) => {
      places.push(place);
      return blobs;
    },
    stdin: () => Promise.reject(new Error('the test has no input')),
    openStore: () => Promise.reject(new Error('the test has no store')),
    readStore: () => Promise.reject(new Error('the test has no store')),
    signal: new AbortController().signal,
    ...more,
  });
  return { code, out, err, places };
}

t.test('the document shows the help of every command and every exit code', async (t) => {
  const document = cliDocument();
  t.equal(document, await withHelp(document), 'else: node dist/test/support/cli-doc.js');
  for (const code of Object.values(EXIT)) t.match(document, new RegExp(`^\\| ${code} \\|`, 'm'));
});

t.test('log cat', async (t) => {
  const blobs = await logInMemory();
  await t.test('prints the lines of the log as they stand there', async (t) => {
    t.match(await run(blobs, 'log cat'), { code: 0, out: LINES.flat().join(''), err: '' });
  });
  await t.test('prints some of the slots', async (t) => {
    t.equal((await run(blobs, 'log cat --from-slot 2')).out, [...LINES[1]!, ...LINES[2]!].join(''));
    t.equal((await run(blobs, 'log cat --to-slot 1')).out, LINES[0]!.join(''));
    t.equal((await run(blobs, 'log cat --from-slot 2 --to-slot 2')).out, LINES[1]!.join(''));
    t.match(await run(blobs, 'log cat --from-slot 9'), { code: 0, out: '' });
  });
  await t.test('prints some of the operations and one type', async (t) => {
    t.equal((await run(blobs, 'log cat --op typeSet')).out, [LINES[0]![0], LINES[1]![0]].join(''));
    t.equal((await run(blobs, 'log cat --op typeSet,accepted')).out, LINES.flat().join(''));
    t.equal((await run(blobs, 'log cat --type order')).out, LINES[1]!.slice(0, 2).join(''));
    t.equal((await run(blobs, 'log cat --type order --op accepted')).out, LINES[1]![1]);
  });
  await t.test('prints what is there before a segment that is damaged, and then stops', async (t) => {
    const damaged = await logInMemory();
    damaged.objects.set(slotKey(0, 2), Buffer.from('no gzip'));
    const { code, out, err } = await run(damaged, 'log cat');
    t.equal(code, EXIT.unsound);
    t.equal(out, LINES[0]!.join(''));
    t.match(
      err,
      /^clockwork: segment log\/0\/0{19}2\.ndjson\.gz is corrupt: it does not unpack.*verify.*\n$/,
    );
  });
  await t.test('prints partition after partition, or one', async (t) => {
    const two = new MemoryBlobs();
    await writeSegments(two, [{ records: RUNS[0]! }], { partition: 0, partitions: 3 });
    await writeSegments(two, [{ records: RUNS[1]! }], { partition: 2, partitions: 3 });
    t.equal((await run(two, 'log cat')).out, [...LINES[0]!, ...LINES[1]!].join(''));
    t.equal((await run(two, 'log cat --partition 2')).out, LINES[1]!.join(''));
    t.match(await run(two, 'log cat --partition 3'), {
      code: EXIT.usage,
      err: /no partition 3: the highest is 2/,
    });
  });
});

t.test('log tail prints the newest records and goes on until it is stopped', async (t) => {
  const blobs = await logInMemory(RUNS.slice(0, 2));
  const stop = new AbortController();
  let out = '';
  const tailing = run(blobs, 'log tail --records 2 --interval-ms 10', {
    signal: stop.signal,
    out: async (text) => {
      out += text;
    },
  });
  const begin = LINES[1]!.slice(-2).join('');
  while (out.length < begin.length) await delay(2);
  t.equal(out, begin);
  await writeSegments(
    blobs,
    RUNS.map((records) => ({ records })),
  );
  const all = begin + LINES[2]!.join('');
  while (out.length < all.length) await delay(2);
  t.equal(out, all);
  stop.abort();
  t.match(await tailing, { code: EXIT.ok, err: '' });
});

t.test('verify', async (t) => {
  await t.test('tells what a sound log holds', async (t) => {
    const { code, out, err } = await run(await logInMemory(), 'verify');
    t.equal(code, EXIT.ok);
    t.equal(err, '');
    t.match(out, new RegExp(`^log memory, logId ${LOG_ID}\npartition 0:\n`));
    t.match(out, /segments {2}3, slots 1 to 3, 0 fences, \d+ bytes/);
    t.match(out, /records {3}6, positions 1-1 to 1-6 \(typeSet 2, accepted 4\)/);
    t.match(out, /events {4}4: 4 pending, 0 in process, 0 success, 0 fail/);
    t.match(out, /digest {4}[0-9a-f]{64}\nsound\n$/);
  });
  await t.test('tells it as JSON', async (t) => {
    const { out } = await run(await logInMemory(), 'verify --json');
    t.match(JSON.parse(out), {
      logId: LOG_ID,
      sound: true,
      partitions: [{ partition: 0, records: 6, fault: null }],
    });
  });
  await t.test(
    'ends with 1 and names the segment when one is wrong, after the other partitions',
    async (t) => {
      const blobs = new MemoryBlobs();
      await writeSegments(blobs, [{ records: [] }, { records: [] }], { partition: 0, partitions: 2 });
      await writeSegments(blobs, [{ records: [] }], { partition: 1, partitions: 2 });
      blobs.objects.set(slotKey(0, 2), Buffer.from('no gzip'));
      const { code, out, err } = await run(blobs, 'verify');
      t.equal(code, EXIT.unsound);
      t.match(out, /FAULT {5}log\/0\/0{19}2\.ndjson\.gz: .*\npartition 1:\n[\s\S]*NOT SOUND\n$/);
      t.match(
        err,
        /^clockwork: the log at memory is not sound: log\/0\/0{19}2.*never delete or skip it\.\n$/,
      );
      const json = await run(blobs, 'verify --json');
      t.match(JSON.parse(json.out), { sound: false });
      t.match(JSON.parse(json.err), { error: { exitCode: 1, message: /not sound/, hint: /never delete/ } });
    },
  );
  await t.test('shows on a terminal how far it is, and leaves nothing behind', async (t) => {
    const blobs = await logInMemory();
    const { get } = blobs;
    blobs.get = async (key) => {
      await delay(60);
      return get.call(blobs, key);
    };
    const { err } = await run(blobs, 'verify', { terminal: true });
    t.match(err, /\r[█░]{24} \d+ % partition 0, segments: \d of 3/);
    t.ok(err.endsWith('\r\u001b[K'));
  });
});

t.test('where the log is', async (t) => {
  const s3 = { kind: 's3', endpoint: null, forcePathStyle: false };
  const cases: [given: string | undefined, env: Record<string, string>, place: object][] = [
    [undefined, {}, { kind: 'file', folder: join(process.cwd(), 'data', 'log') }],
    [undefined, { DATA_DIR: '/var/lib/clockwork' }, { kind: 'file', folder: '/var/lib/clockwork/log' }],
    [undefined, { S3_BUCKET: 'bucket', S3_PREFIX: 'a/b/' }, { ...s3, bucket: 'bucket', prefix: 'a/b/' }],
    ['file:/somewhere', { S3_BUCKET: 'bucket' }, { kind: 'file', folder: '/somewhere' }],
    ['file:///somewhere', {}, { kind: 'file', folder: '/somewhere' }],
    ['s3://bucket', {}, { ...s3, bucket: 'bucket', prefix: '' }],
    [
      's3://bucket/a/b',
      { S3_BUCKET: 'other', S3_ENDPOINT: 'http://localhost:9000', S3_FORCE_PATH_STYLE: 'true' },
      { ...s3, bucket: 'bucket', prefix: 'a/b', endpoint: 'http://localhost:9000', forcePathStyle: true },
    ],
  ];
  for (const [given, env, place] of cases)
    t.same(logPlace(given, env), place, `${given} ${JSON.stringify(env)}`);
  for (const given of ['nowhere', 'file:', 's3:bucket', 's3://', 'http://x']) {
    t.throws(() => logPlace(given, {}), /is no place of a log/, given);
  }
});

t.test('what is wrong is one line, with what to do about it', async (t) => {
  const cases: [title: string, args: string, blobs: BlobStore, code: number, said: RegExp][] = [
    [
      'no log there',
      'verify',
      new MemoryBlobs(),
      EXIT.unsound,
      /^clockwork: there is no log at memory.*--log file:PATH.*\n$/,
    ],
    [
      'out of reach',
      'verify',
      failing('unavailable'),
      EXIT.unreachable,
      /^clockwork: memory: list log\/: boom\..*S3_ENDPOINT.*\n$/,
    ],
    [
      'refused',
      'log cat',
      failing('refused'),
      EXIT.unreachable,
      /^clockwork: memory: list log\/: boom\..*credentials.*\n$/,
    ],
    [
      'a place that is none',
      'verify --log here',
      new MemoryBlobs(),
      EXIT.usage,
      /^clockwork: --log "here".*s3:\/\/BUCKET\/PREFIX\.\n$/,
    ],
    ['an unknown option', 'verify --fast', new MemoryBlobs(), EXIT.usage, /unknown option '--fast'/],
    ['an unknown command', 'verfy', new MemoryBlobs(), EXIT.usage, /unknown command 'verfy'[\s\S]*verify/],
    [
      'an unknown operation',
      'log cat --op posted',
      new MemoryBlobs(),
      EXIT.usage,
      /posted is none of typeSet, accepted/,
    ],
    ['a slot that is none', 'log cat --from-slot 0', new MemoryBlobs(), EXIT.usage, /whole number from 1 on/],
  ];
  for (const [title, args, blobs, code, said] of cases) {
    t.match(await run(blobs, args), { code, out: '', err: said }, title);
  }
  const wrongVariable = await run(new MemoryBlobs(), 'verify', { env: { S3_FORCE_PATH_STYLE: 'perhaps' } });
  t.match(wrongVariable, { code: EXIT.usage, err: /S3_FORCE_PATH_STYLE must be/ });
});

t.test('help and version are no failures', async (t) => {
  t.match(await run(new MemoryBlobs(), '--version'), { code: EXIT.ok, out: '1.2.3\n' });
  t.match(await run(new MemoryBlobs(), 'log cat --help'), { code: EXIT.ok, out: /Examples:/ });
});

t.test('the program itself', async (t) => {
  const folder = await logFolder(t);
  const args = [MAIN, 'log', 'cat', '--log', `file:${folder}`];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  t.equal(stdout, LINES.flat().join(''));

  await t.test('ends quietly when nobody reads on', async (t) => {
    const { stdout: first, stderr } = await promisify(execFile)('bash', [
      '-o',
      'pipefail',
      '-c',
      `"$0" "$@" | head -n 1`,
      process.execPath,
      ...args,
    ]);
    t.equal(first, LINES[0]![0]);
    t.equal(stderr, '');
  });

  await t.test('reads a log in S3, says what is wrong there, and writes nothing', async (t) => {
    const server = await TestS3Server.start();
    t.teardown(() => server.stop());
    const bucket = server.buckets.get('test')!;
    for (const [key, bytes] of (await logInMemory()).objects)
      bucket.set(`some/where/${key}`, { body: bytes, etag: '"e"', modifiedAt: new Date(0) });
    const env = {
      PATH: process.env['PATH'],
      CLOCKWORK_CI_MARK: process.env['CLOCKWORK_CI_MARK'] ?? '',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      S3_ENDPOINT: server.endpoint,
      S3_FORCE_PATH_STYLE: 'true',
      NODE_NO_WARNINGS: '1',
    };
    const verify = (place: string) =>
      promisify(execFile)(process.execPath, [MAIN, 'verify', '--json', '--log', place], { env });
    t.match(JSON.parse((await verify('s3://test/some/where')).stdout), {
      sound: true,
      log: 's3://test/some/where',
    });
    const refused = await verify('s3://nobucket').catch((error: unknown) => error);
    t.match(refused, { code: EXIT.unreachable, stderr: /s3:\/\/nobucket: list log\// });
    t.same(new Set(server.calls.map(({ operation }) => operation)), new Set(['list', 'get']));
  });

  await t.test('log tail ends with 0 on Ctrl-C', async (t) => {
    const child = spawn(process.execPath, [MAIN, 'log', 'tail', '--log', `file:${folder}`]);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    t.same(await once(child, 'exit'), [0, null]);
  });
});

async function logFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clockwork-cli-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeSegments(
    new FileBlobStore(folder),
    RUNS.map((records) => ({ records })),
  );
  return folder;
}

function failing(failure: BlobError['failure']): BlobStore {
  const blobs = new MemoryBlobs();
  blobs.list = () => Promise.reject(new BlobError(failure, 'list', 'log/', new Error('boom')));
  return blobs;
}
