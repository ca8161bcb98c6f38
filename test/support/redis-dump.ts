/** All that a partition has in Redis as plain values, so that two can be compared. */
import { decode } from '@msgpack/msgpack';
import type { Redis } from 'ioredis';

type State = unknown[];

/** Places in a state, as lua/include/state.lua names them, less one. */
const TYPE = 1;
const DELIVERIES = 13;
const UNARCHIVED = 18;
const RECEIVERS = 21;
const WAITING = 0;

/** By the key's name without what is before the partition's own. */
export async function dumpPartition(redis: Redis, prefix: string): Promise<Map<string, unknown>> {
  const before = `{${prefix}:0}:`;
  const dump = new Map<string, unknown>();
  for (const key of (await redis.keys(`${before}*`)).sort())
    dump.set(key.slice(before.length), await valueAt(redis, key));
  return normal(dump);
}

async function valueAt(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'hash':
      if (key.endsWith(':events')) return states(await redis.hgetallBuffer(key));
      return new Map(Object.entries(await redis.hgetall(key)).sort(([a], [b]) => (a < b ? -1 : 1)));
    case 'list':
      return (await redis.lrangeBuffer(key, 0, -1)).map(textOf);
    case 'zset':
      return redis.zrange(key, '0', '-1', 'WITHSCORES');
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return redis.get(key);
  }
}

function states(packed: Record<string, Buffer>): Map<string, State> {
  return new Map(Object.entries(packed).map(([id, state]) => [id, decode(state) as State]));
}

/** Ids in lists are bytes, see lua/include/short-id.lua. */
function textOf(value: Buffer): string {
  if (value.byteLength !== 16) return value.toString();
  return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Without what depends on how often somebody looked: what is left lying until it is come upon. */
function normal(dump: Map<string, unknown>): Map<string, unknown> {
  const events = statesIn(dump);
  dump.set('events', new Map([...events].map(([id, state]) => [id, withoutNotes(state)])));
  // Each store of a test has one of its own.
  (dump.get('meta') as Map<string, string> | undefined)?.delete('logId');
  const counts = (dump.get('open') ?? new Map()) as Map<string, string>;
  for (const [name, value] of dump) {
    const [, ordinal, listener] = /^(?:fresh|again):(\d+)\.(\d+)$/.exec(name) ?? [];
    if (name === 'ids' || name === 'settled') put(dump, name, behindTheGone(value as string[], events));
    if (ordinal === undefined || listener === undefined) continue;
    const queued = idsIn(name, value as string[]);
    const waiting = queued.filter((id) => isWaiting(events.get(id), Number(ordinal), Number(listener)));
    put(dump, name, waiting);
    const dead = `${ordinal}.${listener}X`;
    counts.set(dead, String(Number(counts.get(dead) ?? 0) - queued.length + waiting.length));
  }
  put(dump, 'open', new Map([...counts].filter(([, count]) => count !== '0')));
  return dump;
}

/** What is kept of events by themselves and before their envelopes, which are left without it. */
function statesIn(dump: Map<string, unknown>): Map<string, State> {
  const entries = (dump.get('envelopes') ?? new Map()) as Map<string, string>;
  const kept = (dump.get('events') ?? new Map()) as Map<string, State>;
  const events = new Map<string, State>();
  for (const [id, entry] of entries) {
    const end = entry.indexOf(']') + 1;
    events.set(id, kept.get(id) ?? (JSON.parse(entry.slice(0, end)) as State));
    entries.set(id, entry.slice(end));
  }
  return events;
}

function put(dump: Map<string, unknown>, name: string, left: string[] | Map<string, string>): void {
  if (('size' in left ? left.size : left.length) > 0) dump.set(name, left);
  else dump.delete(name);
}

function behindTheGone(ids: string[], events: ReadonlyMap<string, State>): string[] {
  const first = ids.findIndex((id) => events.has(id));
  return first < 0 ? [] : ids.slice(first);
}

/** A queue of what came back is sorted: each id has its score behind it. */
function idsIn(name: string, values: string[]): string[] {
  return name.startsWith('again') ? values.filter((_, index) => index % 2 === 0) : values;
}

/** Notes of what is archived are let go when another comes. */
function withoutNotes(state: State): unknown[] {
  return state.map((value, place) => (place === UNARCHIVED ? Boolean(value) : value));
}

function isWaiting(state: State | undefined, ordinal: number, listener: number): boolean {
  if (state === undefined || state[TYPE] !== ordinal) return false;
  const deliveries = state[DELIVERIES] as [number][] | undefined;
  if (deliveries === undefined) return listener === 0;
  const receivers = state[RECEIVERS] as string | false | undefined;
  const place = (receivers || '0').split(' ').map(Number).indexOf(listener);
  return deliveries[place]?.[0] === WAITING;
}
