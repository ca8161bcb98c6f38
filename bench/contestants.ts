/**
 * What is measured beside what: the floor, which does nothing, and the service on its stores, each a fresh process on a
 * free port with a folder of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endWithMe } from '../test/support/end-with-me.js';
import { freePort } from '../test/support/free-port.js';
import { startRedisServer } from '../test/support/redis-server.js';
import { TestS3Server } from '../test/support/s3-server.js';
import { Service } from '../test/support/service.js';
import { cpuUs } from './measure/process-cost.js';

export const TYPE = 'order.created';
export const POST_PATH = `/v1/types/${TYPE}/events`;

/** Something to call, and the processes that it costs. */
export interface Contestant {
  readonly url: string;
  readonly pids: Readonly<Record<string, number>>;
  /** Of its Redis, when it has one. */
  readonly redisPort: number | null;
  stop(): Promise<void>;
}

/** Processor time of each process so far, in microseconds. */
export function costsOf({ pids }: Contestant): Record<string, number> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuUs(pid)]));
}

/** JSON of so many bytes, 80 at the least. */
export function bodyOf(bytes: number): string {
  const order = { orderId: 4711, customer: 'Ada', items: [{ sku: 'A-1', quantity: 2 }], note: '' };
  return JSON.stringify({ ...order, note: 'n'.repeat(Math.max(0, bytes - JSON.stringify(order).length)) });
}

/** Fastify with an empty handler, see floor-server.ts. */
export async function startFloor(mode: 'parsed' | 'raw', replyBytes: number): Promise<Contestant> {
  const port = await freePort();
  const program = fileURLToPath(new URL('./floor-server.js', import.meta.url));
  const child = spawn(process.execPath, [program, String(port), mode, String(replyBytes)], {
    stdio: 'inherit',
  });
  endWithMe(child);
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/readyz`).catch(() => null))) await delay(20);
  const stop = async () => {
    child.kill();
    await once(child, 'exit');
  };
  return { url, pids: { service: child.pid! }, redisPort: null, stop };
}

export async function startEmbedded(env: Record<string, string> = {}): Promise<Contestant> {
  const service = await Service.start({ env: { EMBEDDED_BYTES_MAX: String(8 * 2 ** 30), ...env } });
  return {
    url: service.url,
    pids: { service: service.pid },
    redisPort: null,
    stop: () => service.stop(),
  };
}

export async function startOnRedis(env: Record<string, string> = {}): Promise<Contestant> {
  const redis = await startRedisServer();
  const service = await Service.start({ env: { REDIS_URL: redis.url, ...env } });
  const stop = async () => {
    await service.stop();
    await redis.stop();
  };
  return {
    url: service.url,
    pids: { service: service.pid, Redis: redis.pid },
    redisPort: redis.port,
    stop,
  };
}

export interface S3Contestant extends Contestant {
  readonly s3: TestS3Server;
}

/** With its log on an S3 that takes `s3Ms` for every call. The S3 runs in this process. */
export async function startOnRedisAndS3(s3Ms: number): Promise<S3Contestant> {
  const s3 = await TestS3Server.start(['bench']);
  s3.misbehave = () => ({ kind: 'delay', until: delay(s3Ms) });
  const service = await startOnRedis({
    S3_BUCKET: 'bench',
    S3_ENDPOINT: s3.endpoint,
    S3_FORCE_PATH_STYLE: 'true',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_REGION: 'us-east-1',
  });
  const stop = async () => {
    await service.stop();
    await s3.stop();
  };
  return { ...service, s3, stop };
}
