/**
 * Setting up a store on Redis: what it is told, the partitions with their scripts, and the wait until Redis is up and fits.
 */
import { randomUUID } from 'node:crypto';
import type { Policy } from '../../event/policy.js';
import type { Limits } from '../../event/state.js';
import type { Claim } from '../store.js';
import { describeAddress, parseAddress } from './address.js';
import type { Connection, Logger } from './connection.js';
import type { Restarted } from './gate.js';
import { Keys } from './keys.js';
import { Partition } from './partition.js';
import { Recovery } from './recovery.js';
import { loadScripts, type Scripts } from './scripts.js';
import { readServerFacts, type ServerFacts } from './server-facts.js';
import type { Wakes } from './wakes.js';

export interface RedisStoreOptions {
  /** See address.ts. */
  readonly url: string;
  /** What every key begins with. */
  readonly prefix: string;
  /** Kept in Redis at the first start; another number later is refused. */
  readonly partitions: number;
  readonly policy: Policy;
  /** Of these, `bytesMax` is the embedded store's; Redis has its `maxmemory`. */
  readonly limits: Limits;
  /** What may wait to be archived in each partition, about; new events are refused beyond it. Left out: anything. */
  readonly outboxBytesMax?: number;
  readonly logger?: Logger;
  /** Ends waiting for a Redis that is not up. */
  readonly signal?: AbortSignal;
  /**
   * `adopt`, unless said otherwise: a server that has restarted, or is new, is taken as it is. `recover`: the gate is
   * closed until a recovery has opened it for that run of the server.
   */
  readonly restarted?: Restarted;
  /** With `recover`: whether the log has gone on with a server that this process did not have open last; left out: it has. */
  readonly isCurrent?: (partition: number, claim: Claim) => Promise<boolean>;
  /** Other scripts than the folder's; for tests. */
  readonly scripts?: Scripts;
}

export function makePartitions(
  options: RedisStoreOptions,
  connection: Connection,
  instance: string,
  wakes: Wakes,
): Partition[] {
  const { prefix, partitions, policy, limits } = options;
  const { attemptsMax, backoffFirstMs, backoffFactor, backoffMsMax, backoffJitter } = policy;
  const head = [
    instance,
    limits.leaseMsMax,
    attemptsMax,
    backoffFirstMs,
    backoffFactor,
    backoffMsMax,
    backoffJitter,
  ];
  const scripts = options.scripts ?? loadScripts();
  const restarted = options.restarted ?? 'adopt';
  const isCurrent = options.isCurrent ?? (async () => true);
  const woken = (partition: Partition, message: string) => wakes.own(partition, message);
  const changing = { head, restarted, isCurrent, woken };
  return Array.from(
    { length: partitions },
    (_, number) => new Partition(number, new Keys(prefix, number), connection, scripts, changing),
  );
}

/** What Redis is or holds does not fit; waiting would not help. */
class Misfit extends Error {}

/** Waits for Redis; rejects when it does not fit, with what to change. */
export function setUp(
  options: RedisStoreOptions,
  connection: Connection,
  partitions: readonly Partition[],
): Promise<SetUp> {
  return untilUp(options, connection, () => look(options, connection, partitions));
}

interface SetUp {
  readonly logId: string;
  readonly facts: ServerFacts;
}

async function look(
  options: RedisStoreOptions,
  connection: Connection,
  partitions: readonly Partition[],
): Promise<SetUp> {
  const facts = await readServerFacts(connection);
  if (facts.refusal !== null) throw new Misfit(facts.refusal);
  let logId: string | null = null;
  for (const partition of partitions) {
    const found: Found =
      options.restarted === 'recover'
        ? await new Recovery(partition).standing()
        : await adopt(partition, logId, options.partitions);
    const itsPartitions = found.partitions ?? options.partitions;
    if (itsPartitions !== options.partitions) {
      throw new Misfit(
        `Redis keeps ${itsPartitions} partitions under the prefix ${options.prefix}, PARTITIONS says ${options.partitions}: set it to ${itsPartitions}, or choose another REDIS_PREFIX to begin anew`,
      );
    }
    logId ??= found.logId;
    if (found.logId !== null && found.logId !== logId)
      throw new Misfit(`partition ${partition.number} belongs to the log ${found.logId}, not ${logId}`);
  }
  if (options.restarted !== 'recover')
    await Promise.all(partitions.map((partition) => partition.learnTypes()));
  return { logId: logId ?? randomUUID(), facts };
}

interface Found {
  readonly logId: string | null;
  readonly partitions: number | null;
}

/** Takes what the server has as it is, without a log; what is new is set up. */
async function adopt(partition: Partition, logId: string | null, partitions: number): Promise<Found> {
  const reply = await partition.run('adopt', [logId ?? randomUUID(), partitions]);
  const [itsLogId = null, itsPartitions = null] = reply as (Buffer | null)[];
  return { logId: itsLogId && String(itsLogId), partitions: itsPartitions && Number(itsPartitions) };
}

const WAIT_MS = 500;

async function untilUp<T>(
  options: RedisStoreOptions,
  connection: Connection,
  start: () => Promise<T>,
): Promise<T> {
  const where = describeAddress(parseAddress(options.url));
  for (let said = ''; ; ) {
    await connection.untilReady(WAIT_MS);
    try {
      return await start();
    } catch (error) {
      if (error instanceof Misfit || options.signal?.aborted) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== said)
        options.logger?.warn({ redis: where, reason }, 'Redis is not ready, waiting for it');
      said = reason;
    }
    // It may be there and still loading, or refuse for a while.
    if (connection.ready) await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}
