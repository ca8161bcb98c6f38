/** Emissions: events that a completion brings about, made ready for the store with an id and an envelope each. */
import { parseAttemptId } from '../event/attempt-id.js';
import type { CompleteCommand, EmitCommand } from '../event/command.js';
import { type EnvelopeHead, packEnvelope } from '../event/envelope.js';
import { makeEventId } from '../event/id.js';
import { split } from '../event/packed.js';
import { type Durability, NOT_ARCHIVED } from '../event/unarchived.js';
import { partitionOfType, type Store } from '../store/store.js';

export interface Emission {
  readonly type: string;
  /** Correlation id and traceparent are its parent's where it names none. */
  readonly head: EnvelopeHead;
  readonly body: Uint8Array;
  /** 0: may be leased at once. */
  readonly delayMs: number;
  readonly durability: Durability;
  /** The ordering key; left out where there is none. */
  readonly key?: string;
}

/** A completion as it is posted. */
export interface Completion extends Omit<CompleteCommand, 'emit'> {
  /** Left out when there is none. */
  readonly emit?: readonly Emission[];
}

export function isPlain(completion: Completion): completion is Completion & { readonly emit?: never } {
  return completion.emit === undefined;
}

export async function completeCommand(store: Store, completion: Completion): Promise<CompleteCommand> {
  if (isPlain(completion)) return completion;
  const { emit = [], ...rest } = completion;
  const carried = await carriedBy(store, completion.attemptId);
  return { ...rest, emit: emit.map((each) => emitCommand(store, each, carried)) };
}

type Carried = Pick<EnvelopeHead, 'correlationId' | 'traceparent'>;

/** What the event of the attempt hands on; of one that is not known, nothing: its completion is refused. */
async function carriedBy(store: Store, attemptId: string): Promise<Carried> {
  const id = parseAttemptId(attemptId)?.id;
  const request = id === undefined ? null : await store.readRequest(id);
  if (request === null || request === NOT_ARCHIVED) return { correlationId: null, traceparent: null };
  return JSON.parse(split(request).headText) as EnvelopeHead;
}

function emitCommand(store: Store, emission: Emission, carried: Carried): EmitCommand {
  const { type, body, delayMs, durability, key } = emission;
  const head = {
    ...emission.head,
    correlationId: emission.head.correlationId ?? carried.correlationId,
    traceparent: emission.head.traceparent ?? carried.traceparent,
  };
  const id = makeEventId(Date.now(), partitionOfType(type, store.partitions));
  const keyed = key === undefined ? {} : { key };
  return { id, type, envelope: packEnvelope(head, body), delayMs, durability, ...keyed };
}
