/** Extend, complete and hand back: the operations on an attempt, the first two in batches. */
import { type AttemptRef, parseAttemptId } from '../../event/attempt-id.js';
import type {
  CompleteCommand,
  CompleteResult,
  ExtendCommand,
  ExtendResult,
  HandBackCommand,
  HandBackResult,
} from '../../event/command.js';
import { partitionOfId } from '../../event/id.js';
import { asBuffer } from '../../event/packed.js';
import { StoreError } from '../store.js';
import { receiversText } from './accept.js';
import type { Argument } from './connection.js';
import { type Partition, QueueKeys } from './partition.js';
import { outcomeCode, outcomeOf, positionOf, reasonOf, statusOf, writeKey } from './state-codec.js';
import { aboutOf, ELSEWHERE, TypeGuesses, WRONG_GUESSES_MAX } from './type-guesses.js';

/** A command with what its attempt's id names. */
export interface OnAttempt<Command> {
  readonly command: Command;
  readonly attempt: AttemptRef;
  readonly partition: number;
}

/** Null: no attempt can have that id. */
export function onAttempt<Command extends { readonly attemptId: string }>(
  command: Command,
): OnAttempt<Command> | null {
  const attempt = parseAttemptId(command.attemptId);
  const partition = attempt && partitionOfId(attempt.id);
  return attempt && partition !== null ? { command, attempt, partition } : null;
}

export async function extendBatch(
  partition: Partition,
  items: readonly OnAttempt<ExtendCommand>[],
): Promise<ExtendResult[]> {
  const args: Argument[] = [...partition.head];
  for (const { command, attempt } of items) args.push(...place(attempt), command.token, command.leaseMs);
  return ((await partition.run('extend', args)) as unknown[]).map((answer): ExtendResult => {
    const [code, expiresAt, cancelRequested] = answer as [number, number, number];
    if (code === 2) return { kind: 'unknown' };
    if (code === 1) return { kind: 'lease_lost' };
    return { kind: 'extended', expiresAt, cancelRequested: cancelRequested === 1 };
  });
}

/** As lua/complete.lua answers. */
type CompleteReply = readonly [
  code: number,
  status: number,
  outcome: number,
  reason: number,
  retryAt: number,
  emitted: readonly Buffer[] | 0,
  ...position: number[],
];

/** A type was new to this process, and its ordinal is not the one that was guessed. */
const GUESSED_WRONG = 5;

export function completeBatch(
  partition: Partition,
  items: readonly OnAttempt<CompleteCommand>[],
  typesMax: number,
): Promise<CompleteResult[]> {
  return partition.whileOpen('complete', () => completeNamed(partition, items, typesMax));
}

async function completeNamed(
  partition: Partition,
  items: readonly OnAttempt<CompleteCommand>[],
  typesMax: number,
): Promise<CompleteResult[]> {
  const answers: CompleteReply[] = [];
  let left = items.map((_item, index) => index);
  for (let tries = 0; left.length > 0; tries += 1) {
    if (tries === WRONG_GUESSES_MAX)
      throw new StoreError('unavailable', 'complete', 'types come faster than they can be learnt');
    const { args, queues, guessed } = argumentsOf(
      partition,
      left.map((index) => items[index]!),
    );
    const head = [typesMax, partition.listenersVersion];
    const reply = await partition.change('complete', [...head, ...args], queues.list);
    const [version, ...some] = reply as [number, ...CompleteReply[]];
    await partition.reachListeners(version);
    for (const [at, index] of left.entries()) answers[index] = some[at]!;
    if (guessed) await partition.learnTypes();
    left = left.filter((index) => answers[index]![0] === GUESSED_WRONG);
  }
  const completed = items.filter((_item, index) => answers[index]![0] === 0);
  await partition.learnNames(completed.map(({ attempt }) => attempt.typeOrdinal));
  return answers.map((answer, index) => completeResult(partition, items[index]!.attempt, answer));
}

function argumentsOf(partition: Partition, items: readonly OnAttempt<CompleteCommand>[]) {
  const queues = new QueueKeys();
  const types = new TypeGuesses(partition);
  const args: Argument[] = [];
  for (const { command, attempt } of items) {
    const queue = queues.placeOf(partition.keys.again(attempt.typeOrdinal, attempt.listener));
    const { token, outcome, retry, fingerprint, result, emit = [] } = command;
    args.push(...place(attempt), queue, token, outcomeCode(outcome), retry.kind);
    args.push(retry.kind === 'after' ? retry.afterMs : 0, fingerprint, asBuffer(result), emit.length);
    for (const { id, type, delayMs, durability, envelope, key } of emit) {
      if (partitionOfId(id) !== partition.number) {
        args.push(id, type, 0, ELSEWHERE + aboutOf(false, durability), 0, delayMs);
        args.push(asBuffer(envelope), '', writeKey(key));
        continue;
      }
      const { ordinal, isGuess } = types.ordinalOf(type);
      const fresh = queues.placeOf(partition.keys.fresh(ordinal, 0));
      const receivers = receiversText(partition, queues, ordinal, { envelope });
      args.push(
        id,
        type,
        ordinal,
        aboutOf(isGuess, durability),
        fresh,
        delayMs,
        asBuffer(envelope),
        receivers,
        writeKey(key),
      );
    }
  }
  return { args, queues, guessed: types.guessed };
}

function completeResult(partition: Partition, attempt: AttemptRef, answer: CompleteReply): CompleteResult {
  const [code, status, outcome, reason, retryAt, emitted, ...position] = answer;
  if (code === 1) return { kind: 'lease_lost' };
  if (code === 2) return { kind: 'conflict' };
  if (code === 3) return { kind: 'unknown' };
  if (code === 4) return { kind: 'too_many_types' };
  return {
    kind: 'completed',
    id: attempt.id,
    type: partition.nameOf(attempt.typeOrdinal),
    listener: partition.listenerName(attempt.typeOrdinal, attempt.listener),
    status: statusOf(status),
    outcome: outcomeOf(outcome),
    reason: reasonOf(reason),
    retryAt: retryAt || null,
    emitted: emitted === 0 ? [] : emitted.map(String),
    archive: positionOf(position),
  };
}

export async function handBack(
  partition: Partition,
  { command, attempt }: OnAttempt<HandBackCommand>,
): Promise<HandBackResult> {
  const queue = partition.keys.again(attempt.typeOrdinal, attempt.listener);
  const [code] = await partition.change('hand-back', [...place(attempt), command.token], [queue]);
  if (code === 2) return { kind: 'unknown' };
  return { kind: code === 1 ? 'lease_lost' : 'handed_back' };
}

function place({ id, typeOrdinal, listener, grant }: AttemptRef): Argument[] {
  return [id, typeOrdinal, listener, grant];
}
