/**
 * The log of a real load: 20,000 events at 2,000 a second, each leased and completed, on Redis and S3. What lies in the
 * bucket afterwards is what others find there: whole, complete, in few objects; and nothing is written when nothing happens.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import t from 'tap';
import type { BlobStore } from '../../src/blob/blob.js';
import { S3BlobStore } from '../../src/blob/s3.js';
import { discoverLog, objectsUnder } from '../../src/log/discovery.js';
import { verifyPartition } from '../../src/log/verify.js';
import { Api, type Reply } from '../support/api.js';
import { startRedisServer } from '../support/redis-server.js';
import { TestS3Server } from '../support/s3-server.js';
import { REAL_S3_BUCKET, REAL_S3_ENDPOINT, s3Settings } from '../support/s3-settings.js';
import { Service } from '../support/service.js';

const EVENTS = 20_000;
const EVENTS_A_SECOND = 2_000;
const BATCH = 100;
const LISTENERS = 4;
const EVENTS_A_PUT_MIN = 300;
/** A minute where it is paid for. */
const IDLE_MS = REAL_S3_ENDPOINT === undefined ? 5_000 : 60_000;
/** Longer than the load and the idle minute: to move events out of the store costs PUTs. */
const RETENTION_MS = 80_000;
const READS = 5;
const REQUESTS_COLD_MAX = 3;
const TYPE = 'loop';

t.setTimeout(240_000);

process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';
process.env['AWS_REGION'] ??= 'us-east-1';

t.test('20,000 events through the loop', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const { endpoint, bucket } = await s3(t.teardown.bind(t));
  const prefix = `loop-${Date.now()}-${process.pid}/`;
  const place = { ...s3Settings(endpoint, bucket), S3_PREFIX: prefix };
  const env = { REDIS_URL: redis.url, ...place, RETENTION_MS: String(RETENTION_MS) };
  const service = await Service.start({ env });
  t.teardown(() => service.stop());
  const api = new Api(service.url);
  t.teardown(() => api.close());
  const blobs = new S3BlobStore({ bucket, prefix, endpoint, forcePathStyle: true, requestTimeoutMs: 20_000 });
  t.teardown(() => blobs.close());

  const putsBefore = await putsOf(api);
  const beganMs = performance.now();
  const [ids] = await Promise.all([submitAll(api), ...Array.from({ length: LISTENERS }, () => listen(api))]);
  const seconds = (performance.now() - beganMs) / 1_000;
  await untilArchived(api);
  const puts = (await putsOf(api)) - putsBefore;
  t.comment(
    `${EVENTS} events in ${seconds.toFixed(1)} s: ${puts} PUTs, ${(EVENTS / puts).toFixed(0)} events a PUT`,
  );
  t.ok(EVENTS / puts >= EVENTS_A_PUT_MIN, 'a PUT takes many events');

  await t.test('every record is there once, for people and for query engines', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'clockwork-loop-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const segments = await download(blobs, folder);
    t.comment(`${segments.length} segments, ${segments.reduce((sum, each) => sum + each.bytes, 0)} bytes`);
    for (const { key, bytes } of segments) t.comment(`${key} ${bytes}`);
    t.same(await countWithJq(folder), { accepted: EVENTS, completed: EVENTS });
    t.same(await countWithDuckDb(folder), { accepted: EVENTS, completed: EVENTS });
  });

  await t.test('the log is whole', async (t) => {
    const report = await verifyPartition(blobs, (await discoverLog(blobs))!, 0, () => undefined);
    t.equal(report.fault, null);
    t.match(report.events, { accepted: EVENTS, pending: 0, inProcess: 0, success: EVENTS });
  });

  await t.test(`${IDLE_MS / 1_000} idle seconds cost no PUT`, async (t) => {
    const before = await putsOf(api);
    await delay(IDLE_MS);
    t.equal((await putsOf(api)) - before, 0);
  });

  const skip = REAL_S3_ENDPOINT === undefined && 'S3_TEST_ENDPOINT is not set';
  await t.test('an event past its retention costs few requests cold, and none warm', { skip }, async (t) => {
    while ((await metric(api, 'clockwork_events_stored', 'partition="0"')) !== 0) await delay(500);
    for (let n = 0; n < READS; n += 1) {
      const id = ids[Math.floor((n * EVENTS) / READS)];
      // A new process has read nothing yet.
      await service.pause();
      await service.restart();
      while ((await metric(api, 'clockwork_archive_state', 'state="running"')) !== 1) await delay(50);
      const [cold, warm] = [await readCounted(api, id!), await readCounted(api, id!)];
      t.comment(
        `cold ${cold.requests} requests, ${cold.ms.toFixed(1)} ms; warm ${warm.requests} requests, ${warm.ms.toFixed(1)} ms`,
      );
      t.same([cold.status, warm.status], ['complete', 'complete']);
      t.ok(cold.requests > 0 && cold.requests <= REQUESTS_COLD_MAX, 'cold');
      t.equal(warm.requests, 0, 'warm');
    }
  });
});

async function readCounted(api: Api, id: string) {
  const before = await requestsOf(api);
  const beganMs = performance.now();
  const reply = await api.call('GET', `/v1/events/${id}`);
  const ms = performance.now() - beganMs;
  const requests = (await requestsOf(api)) - before;
  return { status: reply.json<{ status: string }>().status, ms, requests };
}

async function s3(teardown: (end: () => Promise<unknown>) => void) {
  if (REAL_S3_ENDPOINT !== undefined) return { endpoint: REAL_S3_ENDPOINT, bucket: REAL_S3_BUCKET };
  const server = await TestS3Server.start();
  teardown(() => server.stop());
  return { endpoint: server.endpoint, bucket: 'test' };
}

/** At an even pace, as many calls at one time as that takes. The ids, in order. */
async function submitAll(api: Api): Promise<string[]> {
  const lines = `${JSON.stringify({ type: TYPE, body: { hello: 'world' } })}\n`.repeat(BATCH);
  const headers = { 'content-type': 'application/x-ndjson' };
  const beganMs = performance.now();
  const calls: Promise<Reply>[] = [];
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    const dueMs = beganMs + (1_000 * sent) / EVENTS_A_SECOND;
    await delay(Math.max(0, dueMs - performance.now()));
    calls.push(api.call('POST', '/v1/events', { body: lines, headers }));
  }
  return (await Promise.all(calls)).flatMap((reply) => {
    if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
    return reply.json<{ results: { event: { id: string } }[] }>().results.map(({ event }) => event.id);
  });
}

interface Held {
  readonly attemptId: string;
  readonly token: string;
}

/** Until nothing has come for a second. */
async function listen(api: Api): Promise<void> {
  for (;;) {
    const wish = { types: [TYPE], max: BATCH, waitMs: 1_000 };
    const { leases } = (await api.call('POST', '/v1/leases', { body: wish })).json<{ leases: Held[] }>();
    if (leases.length === 0) return;
    const completions = leases.map(({ attemptId, token }) => ({
      attemptId,
      token,
      outcome: 'success',
      response: { body: { done: true } },
    }));
    await api.call('POST', '/v1/completions', { body: completions });
  }
}

async function metric(api: Api, name: string, labels: string): Promise<number | null> {
  const { text } = await api.call('GET', '/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes(labels));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1));
}

/** All to the log's place. */
async function requestsOf(api: Api): Promise<number> {
  const { text } = await api.call('GET', '/metrics');
  const lines = text.split('\n').filter((each) => each.startsWith('clockwork_log_requests_total{'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const putsOf = async (api: Api) =>
  (await metric(api, 'clockwork_log_requests_total', 'operation="put",result="ok"')) ?? Number.NaN;

async function untilArchived(api: Api): Promise<void> {
  while ((await metric(api, 'clockwork_archive_lag_records', 'partition="0"')) !== 0) await delay(50);
}

async function download(blobs: BlobStore, folder: string): Promise<{ key: string; bytes: number }[]> {
  const segments: { key: string; bytes: number }[] = [];
  for await (const { key, bytes } of objectsUnder(blobs, 'log/')) {
    const path = join(folder, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, (await blobs.get(key))!);
    segments.push({ key, bytes });
  }
  return segments;
}

async function countWithJq(folder: string): Promise<Record<string, number>> {
  const query = 'zcat log/*/*.gz | jq -r ".op // empty" | grep -xE "accepted|completed" | sort | uniq -c';
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', query], {
    cwd: folder,
  });
  const counts = stdout.trim().split('\n');
  return Object.fromEntries(
    counts.map((line) => line.trim().split(' ').reverse()).map(([op, n]) => [op, Number(n)]),
  );
}

async function countWithDuckDb(folder: string): Promise<Record<string, number>> {
  const database = await DuckDBInstance.create(':memory:');
  const connection = await database.connect();
  const rows = await connection.runAndReadAll(
    `SELECT op, count(*) AS n FROM read_json('${folder}/log/*/*.ndjson.gz', format = 'newline_delimited',
     columns = {op: 'VARCHAR'}) WHERE op IN ('accepted', 'completed') GROUP BY op ORDER BY op`,
  );
  const counts = rows.getRowObjectsJson().map(({ op, n }) => [op, Number(n)]);
  connection.closeSync();
  database.closeSync();
  return Object.fromEntries(counts);
}
