/**
 * In bulk, beside a peer: events submitted a hundred a request, and leased and completed a hundred a call, over HTTP; against
 * BullMQ's `addBulk` and its worker, which run in the caller's own process, on a Redis of the same settings. BullMQ does less:
 * no HTTP, no log, no fencing, no answer for who asked.
 */
import { Pool } from 'undici';
import { startRedisServer } from '../test/support/redis-server.js';
import { Service } from '../test/support/service.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { cpuUs } from './measure/process-cost.js';
import { markdownTable, spreadOf, spreadText } from './measure/stats.js';
import { installPeers, runBullMq } from './peers.js';

const BODY_BYTES = 1_024;
const BATCH = 100;
/** Calls under way at one time. */
const CLIENTS = 4;
const TYPE = 'order.created';
const JSON_HEADERS = { 'content-type': 'application/json' };

export interface BulkOptions {
  readonly rounds: number;
  readonly events: number;
}

interface Run {
  readonly perSecond: number;
  /** Of the service or the peer, without Redis and without who asks over HTTP. */
  readonly cpuUs: number;
  readonly redisCpuUs: number | null;
}

interface Contestant {
  readonly does: 'submit' | 'lease and complete';
  readonly name: string;
  run(events: number): Promise<Run>;
}

const CONTESTANTS: readonly Contestant[] = [
  { does: 'submit', name: 'BullMQ addBulk, in process', run: (events) => onBullMq('addBulk', events) },
  { does: 'submit', name: 'Redis', run: (events) => onRedis(events, submitAll) },
  { does: 'submit', name: 'embedded', run: (events) => onEmbedded(events, submitAll) },
  {
    does: 'lease and complete',
    name: 'BullMQ worker, in process',
    run: (events) => onBullMq('process', events),
  },
  { does: 'lease and complete', name: 'Redis', run: (events) => onRedis(events, completeAll, submitAll) },
  {
    does: 'lease and complete',
    name: 'embedded',
    run: (events) => onEmbedded(events, completeAll, submitAll),
  },
];

type Work = (pool: Pool, events: number) => Promise<void>;

export async function benchBulk({ rounds, events }: BulkOptions): Promise<void> {
  installPeers();
  const runs = CONTESTANTS.map(() => [] as Run[]);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [place, contestant] of CONTESTANTS.entries()) {
      const run = await contestant.run(events);
      runs[place]!.push(run);
      const { does, name } = contestant;
      console.error(`${round}/${rounds} ${does}, ${name}: ${run.perSecond.toFixed(0)}/s`);
    }
  }
  const command = `npm run bench -- bulk --rounds ${rounds} --events ${events}`;
  const json = CONTESTANTS.map(({ does, name }, place) => ({ does, name, runs: runs[place] }));
  const plot = (does: Contestant['does']) =>
    barPlot(
      `${does}, ${BATCH} a call`,
      'events a second',
      json
        .filter((each) => each.does === does)
        .map(({ name }) => ({
          name,
          value: spreadOf(
            runs[CONTESTANTS.findIndex((each) => each.does === does && each.name === name)]!.map(
              ({ perSecond }) => perSecond,
            ),
          ),
        })),
    );
  report(
    'bulk',
    `${command}\n\n${tableOf(runs)}`,
    { command, results: json },
    { 'bulk-submit': plot('submit'), 'bulk-lease-complete': plot('lease and complete') },
  );
}

function tableOf(runs: readonly (readonly Run[])[]): string {
  const rates = runs.map((each) => spreadOf(each.map(({ perSecond }) => perSecond)));
  const rows = CONTESTANTS.map(({ does, name }, place) => {
    const peer = rates[CONTESTANTS.findIndex((other) => other.does === does)]!;
    const redis = runs[place]!.map(({ redisCpuUs }) => redisCpuUs ?? Number.NaN);
    return [
      does,
      name,
      spreadText(rates[place]!),
      (rates[place]!.median / peer.median).toFixed(2),
      spreadOf(runs[place]!.map((run) => run.cpuUs)).median.toFixed(0),
      Number.isNaN(redis[0]) ? '–' : spreadOf(redis).median.toFixed(0),
    ];
  });
  return markdownTable(['', '', 'events/s', 'of BullMQ', 'CPU µs an event', 'Redis CPU µs an event'], rows);
}

async function onBullMq(mode: 'addBulk' | 'process', events: number): Promise<Run> {
  const redis = await startRedisServer();
  try {
    return { ...(await runBullMq(mode, redis.port, events, BODY_BYTES)), redisCpuUs: null };
  } finally {
    await redis.stop();
  }
}

async function onRedis(events: number, work: Work, before?: Work): Promise<Run> {
  const redis = await startRedisServer();
  try {
    return await onService({ REDIS_URL: redis.url }, redis.pid, events, work, before);
  } finally {
    await redis.stop();
  }
}

function onEmbedded(events: number, work: Work, before?: Work): Promise<Run> {
  return onService({ EMBEDDED_BYTES_MAX: String(8 * 2 ** 30) }, null, events, work, before);
}

/** A tenth of it first, for the compiler to have seen the code at work. */
async function onService(
  env: Record<string, string>,
  redisPid: number | null,
  events: number,
  work: Work,
  before: Work | undefined,
): Promise<Run> {
  const service = await Service.start({ env });
  const pool = new Pool(service.url, { connections: CLIENTS });
  const redisUs = () => (redisPid === null ? 0 : cpuUs(redisPid));
  try {
    await before?.(pool, events / 10);
    await work(pool, events / 10);
    await before?.(pool, events);
    const cost = { service: cpuUs(service.pid), redis: redisUs() };
    const began = performance.now();
    await work(pool, events);
    const perSecond = (1_000 * events) / (performance.now() - began);
    const each = (after: number, start: number) => (after - start) / events;
    const redisCpuUs = redisPid === null ? null : each(redisUs(), cost.redis);
    return { perSecond, cpuUs: each(cpuUs(service.pid), cost.service), redisCpuUs };
  } finally {
    await pool.close();
    await service.stop();
  }
}

/** Made once: what it costs to make requests is not the service's. */
const ORDER = { type: TYPE, body: { orderId: 4711, note: 'n'.repeat(BODY_BYTES - 26) } };
const ORDERS = JSON.stringify(Array.from({ length: BATCH }, () => ORDER));

async function submitAll(pool: Pool, events: number): Promise<void> {
  let left = events / BATCH;
  await together(async () => {
    while (left-- > 0) await call(pool, '/v1/events', ORDERS);
  });
}

async function completeAll(pool: Pool, events: number): Promise<void> {
  let left = events;
  const ask = JSON.stringify({ types: [TYPE], max: BATCH, leaseMs: 60_000 });
  await together(async () => {
    while (left > 0) {
      const leases = leasesIn(await call(pool, '/v1/leases', ask));
      if (leases.length === 0) return;
      left -= leases.length;
      await call(pool, '/v1/completions', JSON.stringify(leases));
    }
  });
  if (left > 0) throw new Error(`${left} of ${events} events were not leased`);
}

/** Cut out of the text: to parse the events would cost more than to complete them. */
function leasesIn(text: string): object[] {
  const found = text.matchAll(/"attemptId":"([^"]+)"[^{}]*?"token":"([^"]+)"/g);
  return Array.from(found, ([, attemptId, token]) => ({ attemptId, token, outcome: 'success' }));
}

async function together(work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: CLIENTS }, work));
}

async function call(pool: Pool, path: string, body: string): Promise<string> {
  const { statusCode, body: reply } = await pool.request({
    method: 'POST',
    path,
    headers: JSON_HEADERS,
    body,
  });
  const text = await reply.text();
  if (statusCode !== 200) throw new Error(`${path}: ${statusCode}: ${text.slice(0, 300)}`);
  return text;
}
