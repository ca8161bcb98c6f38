/**
 * In bulk: events submitted a hundred a request, and leased and completed a hundred a call, over HTTP; beside the bare
 * commands of Redis, and beside what others would pick, which runs in its callers' own processes and does less.
 */
import { Pool } from 'undici';
import { runBareRedis } from './bare-redis.js';
import {
  type Contestant,
  costsEach,
  costsOf,
  onceStopped,
  startEmbedded,
  startOnRedis,
  startOnRedisAndS3,
  TYPE,
} from './contestants.js';
import {
  type Entrant,
  entrantsTable,
  generatorText,
  inTurns,
  type Run,
  rateBars,
} from './measure/entrants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { BULLMQ, bullMq, peersFor } from './peers.js';
import { chosen } from './post.js';

const BODY_BYTES = 1_024;
const BATCH = 100;
/** Calls under way at one time. */
const CLIENTS = 4;
/** With `archive`, where a call waits for S3 most of the time. */
const WAITING_CLIENTS = 64;
const S3_MS = 50;
const JSON_HEADERS = { 'content-type': 'application/json' };

export const ON_REDIS = 'Redis, file log';

export interface BulkOptions {
  readonly rounds: number;
  readonly events: number;
  readonly only: readonly string[];
}

/** What is measured, and what is done before it with as many events. */
interface Job {
  readonly before: Work | null;
  readonly work: Work;
}

type Work = (pool: Pool, events: number) => Promise<void>;

const SUBMIT: Job = { before: null, work: (pool, events) => submitAll(pool, events, ORDERS, CLIENTS) };
const COMPLETE: Job = { before: SUBMIT.work, work: (pool, events) => completeAll(pool, events) };
const ARCHIVE: Job = {
  before: null,
  work: (pool, events) => submitAll(pool, events, ARCHIVED_ORDERS, WAITING_CLIENTS),
};
const BARE_LACKS = 'no HTTP, no ids, no checks, no log, no fencing, no answer';

export const PEER = { submit: `${BULLMQ}, addBulk`, complete: `${BULLMQ}, worker` };

/** The service on Redis and BullMQ. */
export function bulkPair(does: 'submit' | 'complete', events: number): Entrant[] {
  const job = does === 'submit' ? SUBMIT : COMPLETE;
  const mode = does === 'submit' ? 'addBulk' : 'process';
  return [
    { ...bullMq(mode, events, BODY_BYTES), name: PEER[does] },
    service(ON_REDIS, () => startOnRedis(), job, events),
  ];
}

async function entrantsFor(does: 'submit' | 'complete', events: number): Promise<Entrant[]> {
  const mode = does === 'submit' ? 'addBulk' : 'process';
  const job = does === 'submit' ? SUBMIT : COMPLETE;
  const onS3 = () => startOnRedisAndS3(S3_MS);
  const durable =
    does === 'submit' ? [service(`Redis, S3 of ${S3_MS} ms, \`archive\``, onS3, ARCHIVE, events)] : [];
  return [
    ...bulkPair(does, events),
    service(`Redis, S3 of ${S3_MS} ms, \`store\``, onS3, job, events),
    ...durable,
    service('embedded, file log', () => startEmbedded(), job, events),
    {
      name: 'bare Redis, pipelined',
      doesLess: BARE_LACKS,
      run: () => runBareRedis(mode, 5 * events, BODY_BYTES),
    },
    ...(await peersFor(mode, events, BODY_BYTES)).filter(({ name }) => name !== BULLMQ),
  ];
}

export async function benchBulk({ rounds, events, only }: BulkOptions): Promise<void> {
  const command = `npm run bench -- bulk --rounds ${rounds} --events ${events}`;
  const texts: string[] = [];
  const plots: Record<string, string> = {};
  const kept: Record<string, unknown> = {};
  for (const [title, does] of [
    ['submit', 'submit'],
    ['lease and complete', 'complete'],
  ] as const) {
    const entrants = chosen(await entrantsFor(does, events), only, [PEER[does]]);
    const runs = await inTurns(entrants, rounds);
    const table = entrantsTable(entrants, runs, { 'of BullMQ': PEER[does] });
    texts.push(`${title}, ${BATCH} a call\n\n${table}\n\n${generatorText(entrants, runs)}`);
    plots[`bulk-${does}`] = barPlot(`${title}, ${BATCH} a call`, 'events a second', rateBars(entrants, runs));
    kept[title] = Object.fromEntries(runs);
  }
  report('bulk', [command, ...texts].join('\n\n'), { command, ...kept }, plots);
}

function service(name: string, start: () => Promise<Contestant>, job: Job, events: number): Entrant {
  return {
    name,
    doesLess: '',
    run: async () => onceStopped(await start(), (contestant) => measure(contestant, job, events)),
  };
}

/** A quarter of it first, for the compiler to have seen the code at work. */
async function measure(contestant: Contestant, { before, work }: Job, events: number): Promise<Run> {
  const pool = new Pool(contestant.url, { connections: WAITING_CLIENTS });
  try {
    const warm = BATCH * Math.ceil(events / 4 / BATCH);
    await before?.(pool, warm);
    await work(pool, warm);
    await before?.(pool, events);
    const cost = { them: costsOf(contestant), generator: process.cpuUsage() };
    const began = performance.now();
    await work(pool, events);
    const perSecond = (1_000 * events) / (performance.now() - began);
    const { user, system } = process.cpuUsage(cost.generator);
    const cpuUs = { ...costsEach(contestant, cost.them, events), generator: (user + system) / events };
    return { perSecond, cpuUs, percentilesMs: null };
  } finally {
    await pool.close();
  }
}

/** Made once: what it costs to make requests is not the service's. */
const ORDER = { type: TYPE, body: { orderId: 4711, note: 'n'.repeat(BODY_BYTES - 26) } };
const ORDERS = JSON.stringify(Array.from({ length: BATCH }, () => ORDER));
const ARCHIVED_ORDERS = JSON.stringify(
  Array.from({ length: BATCH }, () => ({ ...ORDER, durability: 'archive' })),
);

async function submitAll(pool: Pool, events: number, orders: string, clients: number): Promise<void> {
  let left = events / BATCH;
  await together(clients, async () => {
    while (left-- > 0) await call(pool, '/v1/events', orders);
  });
}

async function completeAll(pool: Pool, events: number): Promise<void> {
  let left = events;
  const ask = JSON.stringify({ types: [TYPE], max: BATCH, leaseMs: 60_000 });
  await together(CLIENTS, async () => {
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

async function together(clients: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: clients }, work));
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
