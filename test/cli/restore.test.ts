/** `clockwork restore`, `checkpoint` and `verify --store`, as people run them, on both stores. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { FileBlobStore } from '../../src/blob/file.js';
import { EXIT } from '../../src/cli/context.js';
import { makeEventId } from '../../src/event/id.js';
import { Archiver } from '../../src/log/archiver.js';
import { findLogId } from '../../src/log/identity.js';
import { slotKey } from '../../src/log/slot.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Recoverable, Store } from '../../src/store/store.js';
import { envelopeOf, LIMITS, POLICY } from '../contract/store/scene.js';
import { until } from '../support/archiver-bench.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';
import { loadStore } from '../support/store-load.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const EVENTS = 120;

let server: RedisServer;
let data = '';

t.before(async () => {
  server = await startRedisServer();
  data = await mkdtemp(join(tmpdir(), 'clockwork-restore-'));
});

t.teardown(async () => {
  await server.stop();
  await rm(data, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function clockwork(args: string, env: Record<string, string> = {}): Promise<Ran> {
  const all = {
    PATH: process.env['PATH'] ?? '',
    CLOCKWORK_CI_MARK: process.env['CLOCKWORK_CI_MARK'] ?? '',
    DATA_DIR: data,
    ...env,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args.split(' ')], { env: all }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

/** Runs the archiver of a store as the service does, until `use` is done and all is archived. */
async function served(store: Store & Recoverable, use: () => Promise<unknown>): Promise<void> {
  const blobs = new FileBlobStore(join(data, 'log'));
  const archiver = new Archiver({
    blobs,
    outbox: store,
    recoverable: store,
    logId: (await findLogId(blobs, store)) ?? store.logId,
    partition: 0,
    partitions: 1,
    writer: 'test',
    archiveIntervalMs: 20,
    report: () => undefined,
  });
  archiver.start();
  await until('open', () => archiver.status().state === 'running');
  await use();
  await archiver.stop(20_000);
  await store.close();
}

function openRedis(prefix: string): Promise<RedisStore> {
  const fixed = { partitions: 1, policy: POLICY, limits: LIMITS, restarted: 'recover' } as const;
  return RedisStore.open({ url: server.url, prefix, ...fixed });
}

async function acceptSome(store: Store, count: number): Promise<void> {
  const commands = Array.from({ length: count }, (_, k) => ({
    id: makeEventId(Date.now(), 0),
    type: 'waiting',
    envelope: envelopeOf(`waiting ${k}`),
    delayMs: 0,
    idempotency: { scope: `scope ${k}`, fingerprint: 'f' },
  }));
  await store.accept(commands);
}

t.test('a store, its log, and what is restored from that are the same', async (t) => {
  const store = await EmbeddedStore.open({ dir: join(data, 'store'), policy: POLICY, limits: LIMITS });
  await served(store, async () => {
    await loadStore(store, EVENTS, ['mail', 'order']);
    await acceptSome(store, 10);
    const live = await clockwork('verify --store');
    t.match(live, {
      code: EXIT.ok,
      stdout: /events {4}\d+, \d+ records that the log does not have yet[\s\S]*\nthe same\n$/,
    });
    const taken = await clockwork('restore --yes');
    t.match(taken, { code: EXIT.unreachable, stderr: /cannot be opened: .*in use by process/ });
  });
  const { stdout } = await clockwork('verify --store --json');
  const before = JSON.parse(stdout) as { events: number; storeDigest: string };
  t.match(before, { same: true, events: EVENTS + 10, differing: 0 });
  t.match(await clockwork('restore --yes'), {
    code: EXIT.usage,
    stderr: /is not empty: it holds what happened up to 1-\d+/,
  });

  const made = await clockwork('checkpoint --json');
  t.match(JSON.parse(made.stdout), { partition: 0, made: true, checkpoint: { parts: 1 } });
  t.match(await clockwork('checkpoint'), {
    code: EXIT.ok,
    stdout: /^partition 0: nothing new since slot \d+/,
  });

  await t.test('into another folder', async (t) => {
    const other = join(data, 'other');
    const log = `--log file:${join(data, 'log')}`;
    const plan = await clockwork(`restore ${log}`, { DATA_DIR: other });
    t.match(plan, {
      code: EXIT.ok,
      stdout: /checkpoint {2}slot \d+, \d+ records[\s\S]*nothing was done: say --yes/,
    });
    t.notOk(existsSync(other));
    const done = await clockwork(`restore --yes --json ${log}`, { DATA_DIR: other });
    t.match(JSON.parse(done.stdout), { restored: true, partitions: [{ partition: 0 }] });
    const after = await clockwork(`verify --store --json ${log}`, { DATA_DIR: other });
    t.match(JSON.parse(after.stdout), { same: true, storeDigest: before.storeDigest, events: before.events });
    const again = await clockwork(`restore --yes ${log}`, { DATA_DIR: other });
    t.match(again, { code: EXIT.usage, stderr: /is not empty/ });
  });

  await t.test('into Redis, where a service then goes on', async (t) => {
    const env = { REDIS_URL: server.url, REDIS_PREFIX: 'restored' };
    t.match(await clockwork('restore --yes', env), {
      code: EXIT.ok,
      stdout: /restored \d+ records in .* a second\n$/,
    });
    t.match(await clockwork('verify --store', env), {
      code: EXIT.unreachable,
      stderr: /waits to be brought up to the log/,
    });
    const redis = await openRedis('restored');
    await served(redis, async () => {
      const same = await clockwork('verify --store --json', env);
      t.match(JSON.parse(same.stdout), { same: true, storeDigest: before.storeDigest, ahead: 0 });
      await redis.setType({ kind: 'declare', type: 'mail', policy: { attemptsMax: 9 }, ifVersion: null });
      const load = loadStore(redis, EVENTS, ['mail', 'order']);
      for (let k = 0; k < 3; k += 1)
        t.match(await clockwork('verify --store', env), { code: EXIT.ok, stdout: /\nthe same\n$/ });
      await load;
    });
    const raw = new Redis(server.url);
    t.teardown(() => raw.disconnect());
    const [id = '', lost = ''] = await raw.hkeys('{restored:0}:envelopes');
    const entry = (await raw.hget('{restored:0}:envelopes', id)) ?? '';
    await raw.hset('{restored:0}:envelopes', id, `${entry.slice(0, entry.indexOf(']') + 1)}{}\nanother`);
    await raw.hdel('{restored:0}:envelopes', lost);
    await raw.hdel('{restored:0}:events', lost);
    const ordinal = await raw.hget('{restored:0}:types', 'mail');
    await raw.hset('{restored:0}:policies', `${ordinal}.text`, '{"attemptsMax":8}');
    const differs = await clockwork('verify --store', env);
    t.match(differs, {
      code: EXIT.unsound,
      stderr: /is not what the log at .* says: 3 events or types differ/,
    });
    t.match(differs.stdout, /DIFFERS {3}mail: what is declared of the type is not what the log says/);
    t.match(differs.stdout, new RegExp(`DIFFERS {3}${id}: at version \\d+ it is not what the log says`));
    t.match(differs.stdout, new RegExp(`DIFFERS {3}${lost}: it was accepted at .* the store lacks it`));
  });

  await t.test('up to some moment, as a log of its own', async (t) => {
    const whole = JSON.parse((await clockwork('verify --json')).stdout).partitions[0] as { records: number };
    const until = async (moment: string, name: string) => {
      const dir = join(data, name);
      const copied = await clockwork(`restore --until ${moment} --to-dir ${dir} --yes --json`);
      t.equal(copied.code, EXIT.ok, copied.stderr);
      const { logId, partitions } = JSON.parse(copied.stdout) as { logId: string; partitions: object[] };
      const verified = JSON.parse((await clockwork(`verify --json --log file:${dir}`)).stdout);
      t.match(verified, { sound: true, logId });
      return { dir, copied: partitions[0], records: verified.partitions[0].records as number };
    };
    t.match(await clockwork('restore --until 1-50 --to-dir nowhere'), {
      code: EXIT.ok,
      stdout: /nothing was done/,
    });
    const some = await until('1-50', 'until-position');
    t.match(some, { records: 50, copied: { to: '1-50' } });
    t.equal((await until(new Date().toISOString(), 'until-now')).records, whole.records);
    t.match(await clockwork(`restore --until 1-9 --to-dir ${some.dir} --yes`), {
      code: EXIT.usage,
      stderr: /is not empty/,
    });
    for (const wrong of [
      '--until yesterday --to-dir x',
      '--until 1-50',
      '--to-dir x',
      '--until 1-50 --to-prefix x/',
    ])
      t.match(await clockwork(`restore ${wrong}`), { code: EXIT.usage, stdout: '' }, wrong);

    const env = { DATA_DIR: join(data, 'as-of-then') };
    const log = `--log file:${some.dir}`;
    t.equal((await clockwork(`restore --yes ${log}`, env)).code, EXIT.ok);
    t.match(await clockwork(`verify --store ${log}`, env), { code: EXIT.ok, stdout: /\nthe same\n$/ });
  });

  await t.test('from a log with another number of partitions nothing is taken', async (t) => {
    const env = { REDIS_URL: server.url, PARTITIONS: '3' };
    t.match(await clockwork('restore', env), {
      code: EXIT.usage,
      stderr: /the log has 1 partitions, and PARTITIONS is 3/,
    });
  });

  await t.test('a damaged segment stops it with its name', async (t) => {
    const copy = await copyOfLog(t);
    const path = join(copy, slotKey(0, 2));
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 4;
    writeFileSync(path, bytes);
    const env = { DATA_DIR: join(copy, 'data') };
    const refused = await clockwork(`restore --yes --log file:${copy}`, env);
    t.match(refused, { code: EXIT.unsound, stderr: /segment log\/0\/0{19}2\.ndjson\.gz is corrupt/ });
  });
});

/** Without its checkpoints. */
async function copyOfLog(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clockwork-copy-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const [from, to] = [new FileBlobStore(join(data, 'log')), new FileBlobStore(folder)];
  for (const { key } of await from.list('log/', { limit: 1_000 }))
    await to.putIfAbsent(key, (await from.get(key))!);
  return folder;
}
