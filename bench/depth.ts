/**
 * What post, poll, and lease with completion cost with a thousand and with a million events stored: one call after
 * the other, so that a median is the cost of a call and not of a crowd. On Redis also what its scripts take by its own
 * account. Then how long a start takes and how much memory is held with that many events.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Api, type Method } from '../test/support/api.js';
import { type RedisServer, startRedisServer } from '../test/support/redis-server.js';
import { Service } from '../test/support/service.js';
import { report } from './measure/machine.js';
import { linePlot } from './measure/plot.js';
import { cpuUs, residentMib } from './measure/process-cost.js';
import { commandStats, isRewriting, resetCommandStats, usedMemoryMib } from './measure/redis-stats.js';
import { markdownTable, percentile } from './measure/stats.js';

const TYPE = 'depth';
const BULK_ITEMS = 1_000;
const FILLERS = 4;
const POLLED_IDS = 10_000;
const START_WITHIN_MS = 600_000;
const QUIET_SECONDS = 3;
/** Of a second. */
const QUIET_CPU_US = 50_000;

export interface DepthOptions {
  readonly depths: readonly number[];
  /** Calls of each kind that are measured. */
  readonly calls: number;
}

interface Cost {
  readonly medianUs: number;
  readonly p99Us: number;
  readonly serviceCpuUs: number;
  /** Of Redis by its own account, a call; null on the embedded store. */
  readonly scriptUs: number | null;
  readonly scriptCalls: number | null;
}

interface Started {
  readonly ms: number;
  /** What of it was the processor's. */
  readonly cpuMs: number;
}

interface Result {
  readonly store: string;
  readonly depth: number;
  readonly fillPerSecond: number;
  readonly costs: Readonly<Record<string, Cost>>;
  readonly serviceMib: number;
  readonly redisMib: number | null;
  readonly start: Started;
  readonly startAfterKill: Started;
  readonly restartedMib: number;
}

export async function benchDepth({ depths, calls }: DepthOptions): Promise<void> {
  const results: Result[] = [];
  for (const depth of depths) {
    results.push(await measureStore('embedded', null, depth, calls));
    const redis = await startRedisServer();
    try {
      results.push(await measureStore('redis', redis, depth, calls));
    } finally {
      await redis.stop();
    }
  }
  const command = `npm run bench -- depth --depths ${depths.join(',')} --calls ${calls}`;
  const markdown = `${command}\n\n${costTable(results)}\n\n${startTable(results)}`;
  report('depth', markdown, { command, results }, plotsOf(results));
}

async function measureStore(
  store: string,
  redis: RedisServer | null,
  depth: number,
  calls: number,
): Promise<Result> {
  const service = await startService(redis);
  const api = new Api(service.url, FILLERS);
  try {
    const { ids, perSecond } = await fill(api, depth);
    console.error(`${store}: ${depth} events stored, ${perSecond.toFixed(0)}/s`);
    await settle(service, redis);
    const measured = (call: () => Promise<unknown>) => measure(service, redis, calls, call);
    const costs = {
      post: await measured(() => post(api)),
      poll: await measured(() => poll(api, ids)),
      'lease + complete': await measured(() => leaseAndComplete(api)),
    };
    const serviceMib = residentMib(service.pid);
    const redisMib = redis && (await usedMemoryMib(redis.port));
    await service.pause();
    const start = await timeStart(service);
    const restartedMib = residentMib(service.pid);
    await service.kill();
    const startAfterKill = await timeStart(service);
    const memory = { serviceMib, redisMib, restartedMib };
    return { store, depth, fillPerSecond: perSecond, costs, ...memory, start, startAfterKill };
  } finally {
    await api.close();
    await service.stop();
  }
}

function startService(redis: RedisServer | null): Promise<Service> {
  const env = redis ? { REDIS_URL: redis.url } : { EMBEDDED_BYTES_MAX: String(16 * 2 ** 30) };
  return Service.start({ env, readyWithinMs: START_WITHIN_MS });
}

/** A service on Redis with so many pending events, for one kind of call again and again. */
export class FilledRedis {
  private constructor(
    private readonly redis: RedisServer,
    private readonly service: Service,
    private readonly api: Api,
  ) {}

  static async start(depth: number): Promise<FilledRedis> {
    const redis = await startRedisServer();
    try {
      const service = await startService(redis);
      const filled = new FilledRedis(redis, service, new Api(service.url, FILLERS));
      const { perSecond } = await fill(filled.api, depth);
      console.error(`${depth} events stored, ${perSecond.toFixed(0)}/s`);
      await settle(service, redis);
      return filled;
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  /** Puts in what will be taken out, and waits until that is all that is left to do. */
  async refill(count: number): Promise<void> {
    await fill(this.api, count);
    await settle(this.service, this.redis, 1);
  }

  /** What Redis itself says that its scripts take for a lease and a completion, in µs; takes out a quarter more for warmth. */
  async leaseAndCompleteUs(calls: number): Promise<number> {
    const cost = await measure(this.service, this.redis, calls, () => leaseAndComplete(this.api));
    return cost.scriptUs!;
  }

  async stop(): Promise<void> {
    await this.api.close();
    await this.service.stop();
    await this.redis.stop();
  }
}

async function fill(api: Api, depth: number): Promise<{ ids: string[]; perSecond: number }> {
  const ids: string[] = [];
  const startedAt = performance.now();
  let left = depth;
  const filler = async () => {
    while (left > 0) {
      const count = Math.min(BULK_ITEMS, left);
      left -= count;
      const body = Array.from({ length: count }, (_, n) => ({
        type: TYPE,
        body: { n, text: 'x'.repeat(64) },
      }));
      const reply = await expect(api, 'POST', '/v1/events', 200, { body });
      const { results } = JSON.parse(reply) as { results: { event: { id: string } }[] };
      if (ids.length < POLLED_IDS) ids.push(...results.map(({ event }) => event.id));
    }
  };
  await Promise.all(Array.from({ length: FILLERS }, filler));
  return { ids, perSecond: (1_000 * depth) / (performance.now() - startedAt) };
}

async function measure(
  service: Service,
  redis: RedisServer | null,
  calls: number,
  call: () => Promise<unknown>,
): Promise<Cost> {
  for (let n = 0; n < calls / 4; n += 1) await call();
  if (redis) await resetCommandStats(redis.port);
  const cpuBefore = cpuUs(service.pid);
  const times: number[] = [];
  for (let n = 0; n < calls; n += 1) {
    const startedAt = performance.now();
    await call();
    times.push(1_000 * (performance.now() - startedAt));
  }
  const serviceCpuUs = (cpuUs(service.pid) - cpuBefore) / calls;
  const scripts = redis && (await scriptCost(redis.port));
  times.sort((a, b) => a - b);
  return {
    medianUs: percentile(times, 0.5),
    p99Us: percentile(times, 0.99),
    serviceCpuUs,
    scriptUs: scripts && scripts.us / calls,
    scriptCalls: scripts && scripts.calls / calls,
  };
}

/** Of all scripts, the archiver's and the reaper's too. */
async function scriptCost(port: number): Promise<{ us: number; calls: number }> {
  const stats = await commandStats(port);
  const scripts = ['evalsha', 'eval', 'fcall'].map((name) => stats.get(name) ?? { calls: 0, us: 0 });
  return scripts.reduce((sum, each) => ({ us: sum.us + each.us, calls: sum.calls + each.calls }));
}

async function post(api: Api): Promise<void> {
  await expect(api, 'POST', `/v1/types/${TYPE}/events`, 202, { body: { text: 'x'.repeat(64) } });
}

async function poll(api: Api, ids: readonly string[]): Promise<void> {
  const id = ids[Math.floor(Math.random() * ids.length)]!;
  await expect(api, 'GET', `/v1/events/${id}`, 200, {});
}

async function leaseAndComplete(api: Api): Promise<void> {
  const text = await expect(api, 'POST', '/v1/leases', 200, { body: { types: [TYPE] } });
  const [lease] = (JSON.parse(text) as { leases: { attemptId: string; token: string }[] }).leases;
  const path = `/v1/attempts/${lease!.attemptId}/completion`;
  await expect(api, 'PUT', path, 200, {
    body: { outcome: 'success' },
    headers: { 'lease-token': lease!.token },
  });
}

async function expect(
  api: Api,
  method: Method,
  path: string,
  status: number,
  call: { body?: unknown; headers?: Record<string, string> },
): Promise<string> {
  const reply = await api.call(method, path, call);
  if (reply.status !== status) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.text;
}

async function timeStart(service: Service): Promise<Started> {
  const startedAt = performance.now();
  await service.restart();
  return { ms: performance.now() - startedAt, cpuMs: cpuUs(service.pid) / 1_000 };
}

/**
 * Until archiving and compaction have caught up with the filling, and Redis has written its file anew, which else would be
 * measured too.
 */
async function settle(
  service: Service,
  redis: RedisServer | null = null,
  seconds = QUIET_SECONDS,
): Promise<void> {
  for (let quiet = 0; quiet < seconds; ) {
    const before = cpuUs(service.pid);
    await delay(1_000);
    const calm = cpuUs(service.pid) - before < QUIET_CPU_US && !(redis && (await isRewriting(redis.port)));
    quiet = calm ? quiet + 1 : 0;
  }
}

function plotsOf(results: readonly Result[]): Record<string, string> {
  const series = (value: (cost: Cost) => number | null) =>
    [...new Set(results.map(({ store }) => store))].flatMap((store) =>
      ['post', 'poll', 'lease + complete'].map((call) => ({
        name: `${store}, ${call}`,
        points: results
          .filter((each) => each.store === store)
          .map(({ depth, costs }) => [depth, value(costs[call]!) ?? 0] as const),
      })),
    );
  const ofRedis = series(({ scriptUs }) => scriptUs).filter(({ name }) => name.startsWith('redis'));
  return {
    'depth-median': linePlot(
      'A call, median',
      'events stored',
      'µs',
      series(({ medianUs }) => medianUs),
    ),
    'depth-scripts': linePlot('Scripts of a call on Redis', 'events stored', 'µs', ofRedis),
  };
}

function costTable(results: readonly Result[]): string {
  const head = [
    'store',
    'call',
    'events',
    'median µs',
    'p99 µs',
    'service CPU µs',
    'scripts µs',
    'scripts a call',
  ];
  const rows = results.flatMap(({ store, depth, costs }) =>
    Object.entries(costs).map(([call, cost]) => [
      store,
      call,
      String(depth),
      cost.medianUs.toFixed(0),
      cost.p99Us.toFixed(0),
      cost.serviceCpuUs.toFixed(0),
      cost.scriptUs?.toFixed(1) ?? '–',
      cost.scriptCalls?.toFixed(2) ?? '–',
    ]),
  );
  const order = (row: readonly string[]) => `${row[0]} ${row[1]}`;
  rows.sort((a, b) => order(a).localeCompare(order(b)));
  return markdownTable(head, rows);
}

function startTable(results: readonly Result[]): string {
  const head = ['store', 'events', 'filled/s', 'RSS MiB', 'Redis MiB', 'start', 'RSS MiB', 'after kill -9'];
  const rows = results.map((result) => [
    result.store,
    String(result.depth),
    result.fillPerSecond.toFixed(0),
    result.serviceMib.toFixed(0),
    result.redisMib?.toFixed(0) ?? '–',
    startText(result.start),
    result.restartedMib.toFixed(0),
    startText(result.startAfterKill),
  ]);
  return markdownTable(head, rows);
}

function startText({ ms, cpuMs }: Started): string {
  return `${ms.toFixed(0)} ms, CPU ${cpuMs.toFixed(0)} ms`;
}
