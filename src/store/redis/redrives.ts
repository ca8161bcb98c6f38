/** Redrives: jobs that send past events again, see lua/set-redrive.lua; and how past events ended. */
import type { PastEnd, RedriveState, SetRedriveCommand, SetRedriveResult } from '../../event/command.js';
import { ordinalFor } from '../../event/listeners.js';
import { parsePosition } from '../../event/record.js';
import { REDRIVES_KEPT_MAX, REDRIVES_RUNNING_MAX } from '../../event/redrive.js';
import {
  NO_PROGRESS,
  progressText,
  type RedriveProgress,
  type RedriveStatus,
  type RedriveWish,
  wishText,
} from '../../event/redrive-job.js';
import { StoreError } from '../store.js';
import type { Argument } from './connection.js';
import type { Partition } from './partition.js';
import { readPastEnd } from './state-codec.js';

/** Listeners change at the same time; so many times in a row mean that something is wrong. */
const TRIES_MAX = 100;

/** As lua/include/redrive.lua keeps it. */
type PackedJob = readonly [
  ordinal: number,
  step: number,
  status: RedriveStatus,
  startedAt: number,
  endedAt: number | false,
  until: string,
  wish: string,
  progress: string,
  scope: string | false,
  fingerprint: string | false,
];

export async function setRedrive(
  partition: Partition,
  command: SetRedriveCommand,
): Promise<SetRedriveResult> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const args = command.kind === 'create' ? await creation(partition, command) : change(command);
    const [answer] = await partition.change('set-redrive', [command.kind, command.id, ...args]);
    const [code, id, packed] = answer as [number, Buffer?, Buffer?];
    if (code === STALE_LISTENERS) continue;
    const kind = KINDS[code];
    if (kind === undefined) throw new Error(`set-redrive.lua answered ${code}`);
    if (kind === 'unknown_type' || kind === 'unknown_listener' || kind === 'too_many' || kind === 'unknown')
      return { kind };
    const [redrive] = await named(partition, [[id!.toString(), packed!]]);
    return { kind, redrive: redrive! };
  }
  throw new StoreError(
    'unavailable',
    'set-redrive',
    new Error('listeners change faster than they can be learnt'),
  );
}

const KINDS = [
  'set',
  'conflict',
  'unknown_type',
  'unknown_listener',
  'too_many',
  'stale',
  'ended',
  'unknown',
] as const;
const STALE_LISTENERS = KINDS.length;

async function creation(
  partition: Partition,
  { type, listener, wish, idempotency }: Extract<SetRedriveCommand, { kind: 'create' }>,
): Promise<Argument[]> {
  await partition.learnTypes();
  await partition.learnListeners();
  const ofType = partition.ordinalOf(type);
  const found =
    listener === null || ofType === null ? null : ordinalFor(partition.listenersOf(ofType), listener);
  const isThere = listener === null || found !== null ? 1 : 0;
  const named = listener === null ? null : { name: listener, ordinal: found ?? 0 };
  const { scope = '', fingerprint = '' } = idempotency ?? {};
  const texts = [wishText({ ...wish, listener: named }), progressText(NO_PROGRESS)];
  const limits = [REDRIVES_KEPT_MAX, REDRIVES_RUNNING_MAX];
  return [partition.listenersVersion, type, isThere, ...texts, scope, fingerprint, ...limits];
}

function change(command: Exclude<SetRedriveCommand, { kind: 'create' }>): Argument[] {
  return command.kind === 'cancel' ? [] : [command.after, command.status, progressText(command.progress)];
}

export async function readRedrives(partition: Partition, which: 'all' | 'running'): Promise<RedriveState[]> {
  return partition.whileOpen('readRedrives', async () => {
    const reply = (await partition.run('read-redrives', [which])) as Buffer[];
    const jobs: [string, Buffer][] = [];
    for (let at = 0; at < reply.length; at += 2) jobs.push([reply[at]!.toString(), reply[at + 1]!]);
    return named(partition, jobs);
  });
}

async function named(
  partition: Partition,
  jobs: readonly (readonly [id: string, packed: Buffer])[],
): Promise<RedriveState[]> {
  const parsed = jobs.map(([id, packed]) => [id, JSON.parse(packed.toString()) as PackedJob] as const);
  await partition.learnNames(parsed.map(([, [ordinal]]) => ordinal));
  return parsed.map(([id, job]) => {
    const [ordinal, step, status, startedAt, endedAt, until, wish, progress, scope, fingerprint] = job;
    return {
      id,
      type: partition.nameOf(ordinal),
      step,
      status,
      startedAt,
      endedAt: endedAt === false ? null : endedAt,
      until: parsePosition(until)!,
      wish: JSON.parse(wish) as RedriveWish,
      progress: JSON.parse(progress) as RedriveProgress,
      idempotency: scope === false || fingerprint === false ? null : { scope, fingerprint },
    };
  });
}

/** What one script looks at, at most. */
const BATCH_ENDS = 250;

export async function readEnds(partition: Partition, ids: readonly string[]): Promise<(PastEnd | null)[]> {
  const ends: (PastEnd | null)[] = [];
  for (let at = 0; at < ids.length; at += BATCH_ENDS) {
    const states = (await partition.run('read-ends', ids.slice(at, at + BATCH_ENDS))) as (Buffer | null)[];
    for (const packed of states) ends.push(packed && readPastEnd(packed));
  }
  return ends;
}
