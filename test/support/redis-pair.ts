/** A Redis master and a replica that copies it over a way that can be cut, so that what the master does then is lost with it. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { type RedisServer, startRedisServer } from './redis-server.js';
import { TcpProxy } from './tcp-proxy.js';

/** A replica begins to copy at once, not when others may have come too. */
const SETTINGS = ['--repl-diskless-sync-delay', '0'];
const COPIED_WITHIN_MS = 20_000;

/** A server with a client of the test's own. */
export interface Node {
  readonly server: RedisServer;
  readonly redis: Redis;
  /** May be called twice. */
  stop(): Promise<void>;
}

export async function startNode(t: Test): Promise<Node> {
  const server = await startRedisServer(SETTINGS);
  const redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  // It is killed on purpose.
  redis.on('error', () => undefined);
  const stop = async () => {
    redis.disconnect();
    await server.stop();
  };
  t.teardown(stop);
  return { server, redis, stop };
}

/** Makes `replica` copy `master`; resolves, when it has everything, to what cuts the way between them. */
export async function replicate(t: Test, master: Node, replica: Node): Promise<() => Promise<void>> {
  const way = await TcpProxy.start(master.server.port);
  let cutting: Promise<void> | null = null;
  const cut = () => {
    cutting ??= way.stop();
    return cutting;
  };
  t.teardown(cut);
  await replica.redis.call('REPLICAOF', '127.0.0.1', String(way.port));
  const endsAt = performance.now() + COPIED_WITHIN_MS;
  while (!/master_link_status:up/.test(await replica.redis.info('replication'))) {
    if (performance.now() > endsAt) throw new Error('the replica does not copy its master');
    await delay(10);
  }
  return cut;
}

export async function promote(replica: Node): Promise<void> {
  await replica.redis.call('REPLICAOF', 'NO', 'ONE');
}

/** How many records of its present view the server has. */
export async function recordsOf({ redis }: Node): Promise<number> {
  return Number(await redis.hget('{clockwork:0}:meta', 'n'));
}
