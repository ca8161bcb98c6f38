/**
 * The whole loop, for orientation: post, lease, complete, until every event is complete; one by one and in bulk, on
 * both stores. Clients and listeners run in this one process beside the service, so the figures say as much of them.
 */
import { Api } from '../test/support/api.js';
import { startRedisServer } from '../test/support/redis-server.js';
import { Service } from '../test/support/service.js';
import { report } from './measure/machine.js';
import { cpuUs } from './measure/process-cost.js';
import { markdownTable } from './measure/stats.js';

const TYPE = 'loop';
const BODY = { orderId: 4711, note: 'n'.repeat(200) };

export interface LoopOptions {
  readonly events: number;
}

interface Way {
  readonly name: string;
  readonly clients: number;
  readonly listeners: number;
  /** Events, leases and completions in one call. */
  readonly batch: number;
}

const WAYS: readonly Way[] = [
  { name: 'one by one', clients: 16, listeners: 16, batch: 1 },
  { name: 'in bulk', clients: 2, listeners: 2, batch: 200 },
];

interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
}

export async function benchLoop({ events }: LoopOptions): Promise<void> {
  const rows: string[][] = [];
  for (const way of WAYS) {
    rows.push(await measure('embedded', {}, way, events));
    const redis = await startRedisServer();
    try {
      rows.push(await measure('redis', { REDIS_URL: redis.url }, way, events));
    } finally {
      await redis.stop();
    }
  }
  const command = `npm run bench -- loop --events ${events}`;
  const head = ['store', 'way', 'events/s, whole loop', 'service CPU µs an event', 'client CPU µs an event'];
  report('loop', `${command}\n\n${markdownTable(head, rows)}`, { command, rows });
}

async function measure(
  store: string,
  env: Record<string, string>,
  way: Way,
  events: number,
): Promise<string[]> {
  const service = await Service.start({ env });
  const api = new Api(service.url);
  try {
    await run(api, way, Math.ceil(events / 10));
    const before = { service: cpuUs(service.pid), client: process.cpuUsage(), at: performance.now() };
    await run(api, way, events);
    const perSecond = (1_000 * events) / (performance.now() - before.at);
    const { user, system } = process.cpuUsage(before.client);
    const serviceUs = (cpuUs(service.pid) - before.service) / events;
    console.error(`${store}, ${way.name}: ${perSecond.toFixed(0)}/s`);
    return [
      store,
      way.name,
      perSecond.toFixed(0),
      serviceUs.toFixed(0),
      ((user + system) / events).toFixed(0),
    ];
  } finally {
    await api.close();
    await service.stop();
  }
}

async function run(api: Api, way: Way, events: number): Promise<void> {
  let toPost = events;
  let toComplete = events;
  const client = async () => {
    while (toPost > 0) {
      const count = Math.min(way.batch, toPost);
      toPost -= count;
      await post(api, count);
    }
  };
  const listener = async () => {
    while (toComplete > 0) {
      const leases = await lease(api, way.batch);
      await complete(api, leases);
      toComplete -= leases.length;
    }
  };
  const clients = Array.from({ length: way.clients }, client);
  await Promise.all([...clients, ...Array.from({ length: way.listeners }, listener)]);
}

async function post(api: Api, count: number): Promise<void> {
  const one = count === 1;
  const path = one ? `/v1/types/${TYPE}/events` : '/v1/events';
  const body = one ? BODY : Array.from({ length: count }, () => ({ type: TYPE, body: BODY }));
  const reply = await api.call('POST', path, { body });
  if (reply.status !== (one ? 202 : 200)) throw new Error(`${reply.status}: ${reply.text}`);
}

/** A short wait: at the end every listener but one waits in vain. */
async function lease(api: Api, max: number): Promise<LeaseBody[]> {
  const reply = await api.call('POST', '/v1/leases', { body: { types: [TYPE], max, waitMs: 50 } });
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply.json<{ leases: LeaseBody[] }>().leases;
}

async function complete(api: Api, leases: readonly LeaseBody[]): Promise<void> {
  const [only, ...more] = leases;
  if (!only) return;
  const reply =
    more.length === 0
      ? await api.call('PUT', `/v1/attempts/${only.attemptId}/completion`, {
          body: { outcome: 'success' },
          headers: { 'lease-token': only.token },
        })
      : await api.call('POST', '/v1/completions', {
          body: leases.map(({ attemptId, token }) => ({ attemptId, token, outcome: 'success' })),
        });
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
}
