/**
 * The floor under every queue on Redis: the same bytes kept by bare commands, written to one socket without waiting for the
 * replies to those before. To add is HSET of the body and RPUSH of its id; to process is LPOP, HGET and HDEL.
 */
import { connect, type Socket } from 'node:net';
import { startRedisServer } from '../test/support/redis-server.js';
import type { Run } from './measure/entrants.js';
import { cpuUs } from './measure/process-cost.js';

/** So many a write, and so many writes under way. */
const WAYS = { add: { batch: 1, atOnce: 64 }, addBulk: { batch: 100, atOnce: 8 } } as const;
const PROCESS = { batch: 100, atOnce: 8 };

export async function runBareRedis(
  mode: 'add' | 'addBulk' | 'process',
  events: number,
  bodyBytes: number,
): Promise<Run> {
  const redis = await startRedisServer();
  const pipe = await Pipe.open(redis.port);
  try {
    const body = 'n'.repeat(bodyBytes);
    const ids = Array.from(
      { length: events },
      (_, n) => `0199d1f0-0000-7000-8000-${String(n).padStart(12, '0')}`,
    );
    const add = (id: string) => command('HSET', 'events', id, body) + command('RPUSH', 'pending', id);
    const take = (id: string) =>
      command('LPOP', 'pending') + command('HGET', 'events', id) + command('HDEL', 'events', id);
    if (mode !== 'process') return await measured(pipe, redis.pid, ids, WAYS[mode], 2, add);
    await pipe.run(ids, WAYS.addBulk, 2, add);
    return await measured(pipe, redis.pid, ids, PROCESS, 3, take);
  } finally {
    pipe.close();
    await redis.stop();
  }
}

interface Way {
  readonly batch: number;
  readonly atOnce: number;
}

async function measured(
  pipe: Pipe,
  redisPid: number,
  ids: readonly string[],
  way: Way,
  replies: number,
  commands: (id: string) => string,
): Promise<Run> {
  const cost = { client: process.cpuUsage(), redis: cpuUs(redisPid) };
  const began = performance.now();
  await pipe.run(ids, way, replies, commands);
  const perSecond = (1_000 * ids.length) / (performance.now() - began);
  const { user, system } = process.cpuUsage(cost.client);
  const each = { client: (user + system) / ids.length, Redis: (cpuUs(redisPid) - cost.redis) / ids.length };
  return { perSecond, cpuUs: each, percentilesMs: null };
}

function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

/** Knows of replies only how many have come: integers, or strings by their length. */
class Pipe {
  #replies = 0;
  /** Bytes of a string's reply that are still to come. */
  #skip = 0;
  #line = '';
  #onReplies: () => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true).on('data', (bytes) => this.#read(bytes));
  }

  static open(port: number): Promise<Pipe> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Pipe(socket)));
      socket.once('error', reject);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  run(
    ids: readonly string[],
    { batch, atOnce }: Way,
    replies: number,
    commands: (id: string) => string,
  ): Promise<void> {
    this.#replies = 0;
    let sent = 0;
    return new Promise((resolve, reject) => {
      this.socket.once('error', reject);
      this.#onReplies = () => {
        const done = Math.floor(this.#replies / replies);
        if (done === ids.length) return resolve();
        while (sent < ids.length && sent - done < batch * atOnce) {
          const next = ids.slice(sent, sent + batch);
          this.socket.write(next.map(commands).join(''), 'latin1');
          sent += next.length;
        }
      };
      this.#onReplies();
    });
  }

  #read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        at += skipped;
        if (this.#skip === 0) this.#replies += 1;
        continue;
      }
      const end = bytes.indexOf(10, at);
      this.#line += bytes.toString('latin1', at, end === -1 ? bytes.length : end + 1);
      at = end === -1 ? bytes.length : end + 1;
      if (end !== -1) this.#replied();
    }
    this.#onReplies();
  }

  #replied(): void {
    const line = this.#line;
    this.#line = '';
    if (line.startsWith(':')) this.#replies += 1;
    else if (line.startsWith('$') && !line.startsWith('$-')) this.#skip = Number(line.slice(1)) + 2;
    else this.socket.destroy(new Error(`Redis answered ${line}`));
  }
}
