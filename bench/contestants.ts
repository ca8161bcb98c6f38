/**
 * What is measured beside what: the floor, which does nothing, and the service on its stores, each a fresh process on a
 * free port with a folder of its own.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endWithMe } from '../test/support/end-with-me.js';
import { freePort } from '../test/support/free-port.js';
import { startRedisServer } from '../test/support/redis-server.js';
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
export async function startFloor(mode: 'parsed' | 'raw' | 'socket', replyBytes: number): Promise<Contestant> {
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
  const service = await Service.start({ env: { REDIS_URL: redis.url, ...env } }).catch(async (error) => {
    await redis.stop();
    throw error;
  });
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

/** What an S3 holds. */
export interface S3Figures {
  readonly puts: number;
  readonly bytes: number;
}

export interface S3Contestant extends Contestant {
  s3(): Promise<S3Figures>;
}

/** With its log on an S3 that takes `s3Ms` for every call, see s3-program.ts. */
export async function startOnRedisAndS3(s3Ms: number): Promise<S3Contestant> {
  const s3 = fork(fileURLToPath(new URL('./s3-program.js', import.meta.url)), [String(s3Ms)]);
  endWithMe(s3);
  const [{ endpoint }] = (await once(s3, 'message')) as [{ endpoint: string }];
  const figures = async () => {
    s3.send('figures');
    const [held] = (await once(s3, 'message')) as [S3Figures];
    return held;
  };
  const end = async () => {
    s3.disconnect();
    await once(s3, 'exit');
  };
  try {
    const service = await startOnRedis({
      S3_BUCKET: 'bench',
      S3_ENDPOINT: endpoint,
      S3_FORCE_PATH_STYLE: 'true',
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
      AWS_REGION: 'us-east-1',
    });
    const stop = async () => {
      await service.stop();
      await end();
    };
    return { ...service, pids: { ...service.pids, S3: s3.pid! }, s3: figures, stop };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Does the work and stops the contestant, whatever comes of it. */
export async function onceStopped<Started extends Contestant, Result>(
  contestant: Started,
  work: (contestant: Started) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(contestant);
  } finally {
    await contestant.stop();
  }
}

/** What each process cost for each of `count`, `before` having been taken at the start. */
export function costsEach(
  contestant: Contestant,
  before: Readonly<Record<string, number>>,
  count: number,
): Record<string, number> {
  const each = Object.entries(costsOf(contestant)).map(([name, us]) => [name, (us - before[name]!) / count]);
  return Object.fromEntries(each);
}
