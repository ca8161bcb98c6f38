/** Accept: a batch of commands as one script call, see lua/accept.lua. */
import type { AcceptCommand, AcceptResult } from '../../event/command.js';
import { receiversFor } from '../../event/decide/accept.js';
import { isFirstOnly } from '../../event/listeners.js';
import { asBuffer } from '../../event/packed.js';
import { StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import { type Partition, QueueKeys } from './partition.js';
import { positionOf, writeKey } from './state-codec.js';
import { TypeGuesses, WRONG_GUESSES_MAX } from './type-guesses.js';

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
      const [reply] = await partition.change('accept', args, queues.list);
      const text = String(reply);
      if (text === 'stale') {
        if (partition.listenersVersion === version) await partition.learnListeners();
        continue;
      }
      const [now, ...answers] = JSON.parse(text) as [number, ...Answer[]];
      for (const [index, answer] of answers.entries()) results.push(resultOf(answer, rest[index]!, now));
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
  const items: Item[] = [];
  for (const command of commands) {
    const { ordinal, isGuess } = types.ordinalOf(command.type);
    const queue = queues.placeOf(partition.keys.fresh(ordinal, 0));
    const delay = command.emitted ? command.emitted.dueAt : command.delayMs;
    const more = moreOf(command, isGuess, receiversText(partition, queues, ordinal, command));
    items.push(
      more === null ? [command.id, ordinal, queue, delay] : [command.id, ordinal, queue, delay, more],
    );
  }
  const settings = [options.typesMax, refusalOf(options), partition.listenersVersion];
  const args: Argument[] = [...settings, JSON.stringify(items)];
  for (const { envelope } of commands) args.push(asBuffer(envelope));
  return { args, queues, guessed: types.guessed };
}

/** As lua/accept.lua reads it. */
type Item = readonly [id: string, ordinal: number, queue: number, delay: number, more?: More];
type More = { readonly [name: string]: string | number | true | undefined };

/** What is to be said of an event that is not as most are; null: nothing. */
function moreOf(command: AcceptCommand, isGuess: boolean, listeners: string): More | null {
  const { type, durability, idempotency, deadlineMs, key, redrive, emitted } = command;
  const isArchive = durability === 'archive';
  const isPlain = !isGuess && !isArchive && !idempotency && deadlineMs == null && listeners === '';
  if (isPlain && !key && !redrive && !emitted) return null;
  return {
    type: isGuess ? type : undefined,
    archive: isArchive || undefined,
    scope: idempotency?.scope,
    fingerprint: idempotency?.fingerprint,
    deadlineMs: deadlineMs ?? undefined,
    listeners: listeners || undefined,
    key: writeKey(key) || undefined,
    redriveOf: redrive?.of,
    tree: emitted ? `${emitted.parent} ${emitted.root} 0` : undefined,
  };
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

type Answer = 0 | readonly [code: number, id: string, createdAt: number, ...position: number[]];

const FULL = 3;
const BEHIND = 5;

/** What new events are to be refused as, in the code of the script's answer; 0: they are not. */
function refusalOf({ isFull, isBehind }: AcceptOptions): number {
  if (isFull()) return FULL;
  return isBehind() ? BEHIND : 0;
}

/** `answer` is one of lua/accept.lua's, given at `now`. */
function resultOf(answer: Answer, { id }: AcceptCommand, now: number): AcceptResult {
  if (answer === 0) return { kind: 'accepted', id, createdAt: now, archive: null };
  const [code, known, createdAt, ...position] = answer;
  switch (code) {
    case 0:
      return { kind: 'accepted', id: known, createdAt, archive: positionOf(position) };
    case 1:
      return { kind: 'duplicate', id: known, createdAt, archive: positionOf(position) };
    case 2:
      return { kind: 'conflict', id: known };
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
