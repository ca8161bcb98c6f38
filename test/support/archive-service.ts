/** The real service on each store, beside an S3 that tests lead, and what its clients do with events that wait for the archive. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { Api, type Reply } from './api.js';
import { startRedisServer } from './redis-server.js';
import { TestS3Server } from './s3-server.js';
import { s3Settings } from './s3-settings.js';
import { Service } from './service.js';

export const ARCHIVE = { 'event-durability': 'archive' };
export const TIMEOUT_MS = 1_000;
/** Longer than a log that is away is waited for before it is tried again. */
const HEALED_WITHIN_MS = 20_000;
export const AWAY = { kind: 'status', status: 503, code: 'SlowDown' } as const;

export interface Event {
  readonly id: string;
  readonly status: string;
  readonly durable?: string;
  readonly code?: string;
}

export interface Held {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string };
}

export async function open(
  t: Test,
  store: string,
  more: Record<string, string> = {},
  misbehave: TestS3Server['misbehave'] = () => null,
) {
  const s3 = await TestS3Server.start();
  s3.misbehave = misbehave;
  t.teardown(() => s3.stop());
  const redis = store === 'redis' ? await startRedisServer() : null;
  if (redis) t.teardown(() => redis.stop());
  const env = {
    ...s3Settings(s3.endpoint),
    ARCHIVE_TIMEOUT_MS: String(TIMEOUT_MS),
    LOG_LEVEL: 'silent',
    ...(redis ? { REDIS_URL: redis.url } : {}),
    ...more,
  };
  const service = await Service.start({ env });
  t.teardown(() => service.stop());
  // What it cannot archive any more need not hold up its end.
  t.teardown(() => {
    s3.misbehave = () => null;
  });
  const api = new Api(service.url);
  t.teardown(() => api.close());
  return { s3, api, env, service };
}

export function submit(
  api: Api,
  headers: Record<string, string> = ARCHIVE,
  body: unknown = { n: 1 },
): Promise<Reply> {
  return api.call('POST', '/v1/types/a/events', { headers, body });
}

export async function lease(api: Api, waitMs = 0): Promise<Held[]> {
  const reply = await api.call('POST', '/v1/leases', { body: { types: ['a'], max: 1, waitMs } });
  return reply.json<{ leases: Held[] }>().leases;
}

export function complete(api: Api, { attemptId, token }: Held): Promise<Reply> {
  return api.call('PUT', `/v1/attempts/${attemptId}/completion`, {
    headers: { 'lease-token': token },
    body: { outcome: 'success', response: { body: 'done' } },
  });
}

export async function read(api: Api, id: string): Promise<[status: number, event: Event]> {
  const reply = await api.call('GET', `/v1/events/${id}`);
  return [reply.status, reply.json<Event>()];
}

export async function until<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  for (const endsAt = performance.now() + HEALED_WITHIN_MS; performance.now() < endsAt; ) {
    const found = await look();
    if (found !== null) return found;
    await delay(20);
  }
  throw new Error(`never: ${what}`);
}
