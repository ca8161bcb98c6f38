/**
 * What the servers are and how durable what they keep is; what is asked of them at the start, and how full they are.
 */
import type { Durable } from '../store.js';
import type { Connection } from './connection.js';

const MAJOR_MIN = 7;
/** New events are refused above this part of `maxmemory`, so that there is room left to drain. */
const FULL_FROM = 0.85;

export interface ServerFacts {
  readonly durable: Durable;
  readonly notes: readonly string[];
  /** Why these servers cannot be used; null when they can. */
  readonly refusal: string | null;
}

const LESS_FIRST: readonly Durable[] = ['memory', 'everysec', 'fsync'];

/** Of several servers the least durable counts. */
export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const infos = (await connection.ask('INFO')).map((info) => parseInfo(String(info)));
  const settings = await readSettings(connection);
  const each = infos.map((info, index) => factsOf(info, settings?.[index] ?? null));
  return {
    durable: LESS_FIRST.find((durable) => each.some((facts) => facts.durable === durable)) ?? 'memory',
    notes: [...new Set(each.flatMap((facts) => facts.notes))],
    refusal: each.find((facts) => facts.refusal !== null)?.refusal ?? null,
  };
}

/** Whether one of the servers is so full that no new events should come. */
export async function readIsFull(connection: Connection): Promise<boolean> {
  const infos = (await connection.ask('INFO', 'memory')).map((info) => parseInfo(String(info)));
  return infos.some((info) => {
    const max = Number(info.get('maxmemory') ?? 0);
    return max > 0 && Number(info.get('used_memory') ?? 0) >= FULL_FROM * max;
  });
}

/** Null when CONFIG is forbidden, as it is on many managed servers. */
async function readSettings(connection: Connection): Promise<Map<string, string>[] | null> {
  try {
    const replies = await connection.ask('CONFIG', 'GET', 'append*');
    return replies.map((reply) => {
      const flat = (reply as unknown[]).map(String);
      return new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]!]] : [])));
    });
  } catch (error) {
    if (isForbidden(error)) return null;
    throw error;
  }
}

export function isForbidden(error: unknown): boolean {
  return /NOPERM|unknown command|not allowed/i.test(String(error));
}

function factsOf(info: Map<string, string>, settings: Map<string, string> | null): ServerFacts {
  const notes: string[] = [];
  const durable = durableOf(info, settings, notes);
  return { durable, notes, refusal: refusalOf(info) };
}

function durableOf(
  info: Map<string, string>,
  settings: Map<string, string> | null,
  notes: string[],
): Durable {
  if (info.get('aof_enabled') !== '1') {
    notes.push('Redis keeps no append-only file: a crash of it loses what is not archived yet.');
    return 'memory';
  }
  const appendfsync = settings?.get('appendfsync');
  if (appendfsync === undefined) {
    notes.push('Redis does not tell its appendfsync: taken for everysec.');
    return 'everysec';
  }
  if (appendfsync === 'no') {
    notes.push('Redis has appendfsync no: a crash of the machine loses what the system had not written yet.');
    return 'memory';
  }
  return appendfsync === 'always' ? 'fsync' : 'everysec';
}

function refusalOf(info: Map<string, string>): string | null {
  const version = info.get('redis_version') ?? '';
  // Valkey gives the version of Redis that it is compatible with under the same name.
  if (Number.parseInt(version, 10) < MAJOR_MIN)
    return `Redis ${MAJOR_MIN} or newer is needed, this is ${version}`;
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    return `Redis has maxmemory-policy ${policy}, under which it would throw events away: set it to noeviction`;
  }
  return null;
}

export function parseInfo(text: string): Map<string, string> {
  const pairs = text.split(/\r?\n/).map((line) => /^([^#:]+):(.*)$/.exec(line));
  return new Map(pairs.flatMap((pair) => (pair ? [[pair[1]!, pair[2]!]] : [])));
}
