/** Lease and abandon: what a lease call takes and what goes back when its answer could not be delivered. */
import { formatAttemptId, parseAttemptId } from '../../event/attempt-id.js';
import type { AbandonCommand, AbandonResult, Lease, LeaseCommand, LeaseResult } from '../../event/command.js';
import { ordinalFor } from '../../event/listeners.js';
import { StoreError } from '../store.js';
import type { Argument } from './connection.js';
import { endOverdue, promoteAll } from './expire.js';
import { type Partition, QueueKeys } from './partition.js';
import { envelopeIn, readKey } from './state-codec.js';

/** What a script can give back in one reply; the service's own limit is no higher. */
const LEASES_MAX = 500;
const FIELDS = 13;
/** A script that asks for something to be done first asks once or twice. So many times mean that something is wrong. */
const ROUNDS_MAX = 1_000;

export async function lease(
  partition: Partition,
  command: LeaseCommand,
  defaultLeaseMs: number,
): Promise<LeaseResult> {
  let promotedTo: number | null = null;
  let hasLearnt = false;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const version = partition.listenersVersion;
    const missing = missingIn(partition, command);
    if (missing !== null) {
      if (hasLearnt) return { kind: 'not_subscribed', type: missing, listener: command.listener };
      hasLearnt = true;
      await partition.learnTypes();
      await partition.learnListeners();
      continue;
    }
    const known = command.types.flatMap((type) => partition.ordinalOf(type) ?? []);
    const unknown = command.types.filter((type) => partition.ordinalOf(type) === null);
    const queues = known.map((type) => {
      return { type, listener: ordinalFor(partition.listenersOf(type), command.listener)! };
    });
    const unmarked = queues.filter(({ type, listener }) => isUnmarked(partition, type, listener));
    const max = Math.min(command.max, LEASES_MAX);
    const args: Argument[] = [...partition.head, command.call, max, command.bytesMax];
    args.push(command.leaseMs ?? `~${defaultLeaseMs}`);
    args.push(command.worker === null ? 0 : 1, command.worker ?? '', promotedTo ?? '');
    const asks = queues.filter(({ type, listener }) => partition.isAskDue(type, listener));
    const marks = unmarked.map(({ type }) => type).join();
    args.push(version, asks.length > 0 ? `!${marks}` : marks, unknown.length, ...unknown);
    args.push(...known, ...queues.map(({ listener }) => listener), ...command.tokens.slice(0, max));
    const { keys } = partition;
    const more = [
      keys.call(command.call),
      ...queues.flatMap(({ type, listener }) => [keys.fresh(type, listener), keys.again(type, listener)]),
    ];
    const [answer, ...rest] = (await partition.run('lease', args, more)) as [Buffer, ...unknown[]];
    switch (answer.toString()) {
      case 'leased':
        return leased(partition, rest, unmarked.length > 0);
      case 'promote':
        promotedTo = await promoteAll(partition);
        break;
      case 'deadline':
        await endOverdue(partition);
        break;
      case 'types':
        await partition.learnTypes();
        break;
      case 'stale':
        if (partition.listenersVersion === version) await partition.learnListeners();
        break;
      case 'again':
        break;
      default:
        throw new Error(`lease.lua answered ${answer}`);
    }
  }
  throw new StoreError('unavailable', 'lease', 'the queues do not come to rest');
}

/** The first of the types that is not known to have such a listener. */
function missingIn(partition: Partition, { types, listener }: LeaseCommand): string | null {
  const isMissing = (type: string) => {
    const ordinal = partition.ordinalOf(type);
    return ordinalFor(ordinal === null ? [] : partition.listenersOf(ordinal), listener) === null;
  };
  return types.find(isMissing) ?? null;
}

/** The first lease from the vacant ordinal is marked by the script, see listeners.ts of the core. */
function isUnmarked(partition: Partition, type: number, listener: number): boolean {
  return listener === partition.listenersOf(type).length && !partition.isLeased(type);
}

async function leased(partition: Partition, reply: unknown[], marks: boolean): Promise<LeaseResult> {
  const [message, claim, ...fields] = reply as [Buffer, number, ...unknown[]];
  partition.heard(message);
  const replies: unknown[][] = [];
  for (let at = 0; at < fields.length; at += FIELDS) replies.push(fields.slice(at, at + FIELDS));
  // While the script was under way the names that were known here may have been forgotten, see `closeGate`.
  await partition.learnNames(replies.map(([, type]) => type as number));
  if (marks) {
    for (const [, type, listener] of replies)
      if (listener === partition.listenersOf(type as number).length) partition.noteLeased(type as number);
  }
  const leases = replies.map((each) => leaseOf(partition, each));
  return { kind: 'leased', leases, claim };
}

function leaseOf(partition: Partition, fields: unknown[]): Lease {
  const [
    idBytes,
    type,
    listener,
    grant,
    attempt,
    token,
    expiresAt,
    view,
    n,
    createdAt,
    entry,
    deadline,
    key,
  ] = fields as [
    Buffer,
    number,
    number,
    number,
    number,
    Buffer,
    number,
    number,
    number,
    number,
    Buffer,
    number,
    Buffer | null,
  ];
  const id = idBytes.toString();
  return {
    attemptId: formatAttemptId(id, type, listener, grant),
    attempt,
    token: token.toString(),
    expiresAt,
    deadlineAt: deadline || null,
    position: { view, n },
    event: {
      id,
      type: partition.nameOf(type),
      createdAt,
      key: readKey(key?.toString()),
      envelope: envelopeIn(entry),
    },
  };
}

/** All leases of the command are of this partition. */
export async function abandon(partition: Partition, command: AbandonCommand): Promise<AbandonResult> {
  const queues = new QueueKeys();
  const args: Argument[] = [command.claim];
  for (const { attemptId, token } of command.leases) {
    const attempt = parseAttemptId(attemptId);
    if (!attempt) continue;
    const queue = queues.placeOf(partition.keys.again(attempt.typeOrdinal, attempt.listener));
    args.push(attempt.id, attempt.typeOrdinal, attempt.listener, attempt.grant, queue, token);
  }
  const [handedBack] = await partition.change('abandon', args, [
    partition.keys.call(command.call),
    ...queues.list,
  ]);
  return { handedBack: handedBack as number };
}
