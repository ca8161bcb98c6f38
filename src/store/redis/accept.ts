/** Accept: a batch of commands as one script call, see lua/accept.lua. */
import type { AcceptCommand, AcceptResult } from '../../event/command.js';
import { asBuffer } from '../../event/packed.js';
import { StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import { type Partition, QueueKeys } from './partition.js';
import { positionOf } from './state-codec.js';

export interface AcceptOptions {
  readonly typesMax: number;
  readonly isFull: () => boolean;
  /** Too much waits to be archived. */
  readonly isBehind: () => boolean;
  /** The server itself said that it is full. */
  readonly onFull: () => void;
}

/** Each wrong guess of a new type's ordinal costs a round trip; so many in a row mean that something else is wrong. */
const WRONG_GUESSES_MAX = 100;

export async function acceptBatch(
  partition: Partition,
  commands: readonly AcceptCommand[],
  options: AcceptOptions,
): Promise<AcceptResult[]> {
  const results: AcceptResult[] = [];
  for (let tries = 0; tries < WRONG_GUESSES_MAX; tries += 1) {
    const rest = commands.slice(results.length);
    const { args, queues, guessed } = argumentsOf(partition, rest, options);
    try {
      const answers = await partition.change('accept', args, queues.list);
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
  const guesses = new Map<string, number>();
  const args: Argument[] = [options.typesMax, refusalOf(options)];
  for (const { id, type, envelope, delayMs, idempotency, durability } of commands) {
    const known = partition.ordinalOf(type);
    const ordinal = known ?? guesses.get(type) ?? partition.typesKnown + guesses.size;
    if (known === null) guesses.set(type, ordinal);
    const queue = queues.placeOf(partition.keys.fresh(ordinal, 0));
    const about = (known === null ? 1 : 0) + (durability === 'archive' ? 2 : 0);
    args.push(id, type, ordinal, about, queue, delayMs);
    args.push(idempotency?.scope ?? '', idempotency?.fingerprint ?? '', asBuffer(envelope));
  }
  return { args, queues, guessed: guesses.size > 0 };
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
    default:
      throw new Error(`accept.lua answered ${code}`);
  }
}
