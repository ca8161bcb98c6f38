/** Accept: a batch of commands as one script call, see lua/accept.lua. */
import type { AcceptCommand, AcceptResult } from '../../event/command.js';
import { receiversFor } from '../../event/decide/accept.js';
import { isFirstOnly } from '../../event/listeners.js';
import { asBuffer } from '../../event/packed.js';
import { StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import { type Partition, QueueKeys } from './partition.js';
import { positionOf, writeKey } from './state-codec.js';
import { aboutOf, ELSEWHERE, TypeGuesses, WRONG_GUESSES_MAX } from './type-guesses.js';

export interface AcceptOptions {
  readonly typesMax: number;
  readonly isFull: () => boolean;
  /** Too much waits to be archived. */
  readonly isBehind: () => boolean;
  /** The server itself said that it is full. */
  readonly onFull: () => void;
}

export async function acceptBatch(
  partition: Partition,
  commands: readonly AcceptCommand[],
  options: AcceptOptions,
): Promise<AcceptResult[]> {
  const results: AcceptResult[] = [];
  for (let tries = 0; tries < WRONG_GUESSES_MAX; tries += 1) {
    const rest = commands.slice(results.length);
    const version = partition.listenersVersion;
    const { args, queues, guessed } = argumentsOf(partition, rest, options);
    try {
      const answers = await partition.change('accept', args, queues.list);
      if (String(answers[0]) === 'stale') {
        if (partition.listenersVersion === version) await partition.learnListeners();
        continue;
      }
      results.push(...answers.map(resultOf));
    } catch (error) {
      if (!(error instanceof OutOfMemory)) throw error;
      options.onFull();
      return results.concat(rest.map(() => ({ kind: 'full' })));
    }
    if (guessed) await partition.learnTypes();
    if (results.length === commands.length) return results;
  }
  throw new StoreError('unavailable', 'accept', 'types come faster than they can be learnt');
}

function argumentsOf(partition: Partition, commands: readonly AcceptCommand[], options: AcceptOptions) {
  const queues = new QueueKeys();
  const types = new TypeGuesses(partition);
  const args: Argument[] = [options.typesMax, refusalOf(options), partition.listenersVersion];
  for (const command of commands) {
    const { id, type, envelope, delayMs, idempotency, durability, deadlineMs, emitted, redrive } = command;
    const { ordinal, isGuess } = types.ordinalOf(type);
    const queue = queues.placeOf(partition.keys.fresh(ordinal, 0));
    const about = aboutOf(isGuess, durability) + (emitted ? ELSEWHERE : 0);
    args.push(id, type, ordinal, about, queue, emitted ? emitted.dueAt : delayMs);
    const place = emitted ? `${emitted.parent} ${emitted.root} 0` : (redrive?.of ?? idempotency?.scope ?? '');
    args.push(place, idempotency?.fingerprint ?? '', asBuffer(envelope), deadlineMs ?? '');
    args.push(receiversText(partition, queues, ordinal, command), writeKey(command.key));
  }
  return { args, queues, guessed: types.guessed };
}

/** Who gets the event, as include/accepted.lua reads it. */
export function receiversText(
  partition: Partition,
  queues: QueueKeys,
  typeOrdinal: number,
  command: Pick<AcceptCommand, 'envelope' | 'redrive'>,
): string {
  const receivers = receiversFor(partition.listenersOf(typeOrdinal), command);
  if (receivers === null) return 'gone';
  if (isFirstOnly(receivers)) return '';
  const place = (listener: number) => queues.placeOf(partition.keys.fresh(typeOrdinal, listener));
  return receivers.map((listener) => `${listener}:${place(listener)}`).join(' ') || 'none';
}

const FULL = 3;
const BEHIND = 5;

/** What new events are to be refused as, in the code of the script's answer; 0: they are not. */
function refusalOf({ isFull, isBehind }: AcceptOptions): number {
  if (isFull()) return FULL;
  return isBehind() ? BEHIND : 0;
}

function resultOf(answer: unknown): AcceptResult {
  const [code, id, createdAt, ...position] = answer as [number, Buffer, number, ...number[]];
  switch (code) {
    case 0:
      return { kind: 'accepted', id: id.toString(), createdAt, archive: positionOf(position) };
    case 1:
      return { kind: 'duplicate', id: id.toString(), createdAt, archive: positionOf(position) };
    case 2:
      return { kind: 'conflict', id: id.toString() };
    case FULL:
      return { kind: 'full' };
    case 4:
      return { kind: 'too_many_types' };
    case BEHIND:
      return { kind: 'behind' };
    case 6:
      return { kind: 'too_many_pending' };
    case 7:
      return { kind: 'no_listener' };
    default:
      throw new Error(`accept.lua answered ${code}`);
  }
}
