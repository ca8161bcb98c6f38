/**
 * What a pending event of 1 KB takes in Redis beyond its envelope, all keys together and each for itself, once what was
 * recorded of it has been archived; and what it takes on S3: requests and bytes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { envelopeIn } from '../src/store/redis/state-codec.js';
import { Api } from '../test/support/api.js';
import { bodyOf, onceStopped, type S3Figures, startOnRedisAndS3, TYPE } from './contestants.js';
import { report } from './measure/machine.js';
import { markdownTable } from './measure/stats.js';

const BODY_BYTES = 1_024;
const BATCH = 1_000;

export interface BytesOptions {
  readonly events: number;
}

interface Taken {
  /** Of Redis, for each event, by key. */
  readonly byKey: ReadonlyMap<string, number>;
  readonly used: number;
  readonly envelope: number;
  readonly s3: S3Figures;
}

export async function benchBytes({ events }: BytesOptions): Promise<void> {
  const { byKey, used, envelope, s3 } = await pendingBytes(events);
  const rows = [...byKey].map(([key, bytes]) => [key, bytes.toFixed(1)]);
  rows.push(['all, by used_memory', used.toFixed(1)]);
  rows.push(['the envelope itself', envelope.toFixed(1)]);
  rows.push(['beyond the envelope', (used - envelope).toFixed(1)]);
  const s3Rows = [
    ['objects put', s3.puts.toFixed(5)],
    ['bytes', s3.bytes.toFixed(1)],
  ];
  const command = `npm run bench -- bytes --events ${events}`;
  const tables = [
    markdownTable(['Redis', 'bytes an event'], rows),
    markdownTable(['S3', 'an event'], s3Rows),
  ];
  report('bytes', `${command}\n\n${tables.join('\n\n')}`, { command, rows, s3Rows });
}

/** On a Redis and an S3 of its own. */
export async function pendingBytes(events: number): Promise<Taken> {
  return onceStopped(await startOnRedisAndS3(0), async (contestant) => {
    const redis = new Redis(contestant.redisPort!);
    const api = new Api(contestant.url, 4);
    try {
      await submit(api, BATCH);
      await archived(redis);
      const before = await sizes(redis);
      const s3Before = await contestant.s3();
      await submit(api, events);
      await archived(redis);
      const after = await sizes(redis);
      const s3 = await contestant.s3();
      const byKey = [...after.byKey].map(
        ([key, bytes]) => [key, (bytes - (before.byKey.get(key) ?? 0)) / events] as const,
      );
      return {
        byKey: new Map(byKey),
        used: (after.used - before.used) / events,
        envelope: await envelopeBytes(redis),
        s3: { puts: (s3.puts - s3Before.puts) / events, bytes: (s3.bytes - s3Before.bytes) / events },
      };
    } finally {
      await api.close();
      redis.disconnect();
    }
  });
}

async function submit(api: Api, events: number): Promise<void> {
  const body = `[${Array.from({ length: BATCH }, () => `{"type":"${TYPE}","body":${bodyOf(BODY_BYTES)}}`)}]`;
  const headers = { 'content-type': 'application/json' };
  for (let sent = 0; sent < events; sent += BATCH) {
    const reply = await api.call('POST', '/v1/events', { body, headers });
    if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text.slice(0, 300)}`);
  }
}

async function archived(redis: Redis): Promise<void> {
  for (;;) {
    const outboxes = await redis.keys('*:outbox');
    const lengths = await Promise.all(outboxes.map((key) => redis.xlen(key)));
    if (lengths.every((length) => length === 0)) return;
    await delay(100);
  }
}

async function sizes(redis: Redis): Promise<{ used: number; byKey: Map<string, number> }> {
  const byKey = new Map<string, number>();
  for (const key of (await redis.keys('*')).sort()) {
    const bytes = Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0));
    byKey.set(key.replace(/^.*\}:?/, ''), bytes);
  }
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  return { used, byKey };
}

async function envelopeBytes(redis: Redis): Promise<number> {
  const [key] = await redis.keys('*:envelopes');
  const [, fields] = await redis.hscan(key!, 0, 'COUNT', 1);
  return envelopeIn((await redis.hgetBuffer(key!, fields[0]!))!).byteLength;
}
