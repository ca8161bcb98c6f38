/**
 * The digest of a state: one number for everything that the log fixes about the events of a store, so that a store
 * and the fold of its log can be compared without holding either in memory.
 *
 * It is a sum over facts: what is declared of a type, that an event was accepted, that an attempt was granted, how it ended, what came late, that
 * the event is complete. Each fact is hashed with the id it belongs to and added up (eight lanes, modulo 2^32), so the
 * order in which facts are added means nothing, and a fact that is added twice does not cancel itself out. What the
 * log does not fix is in no fact: when a lease ends, and counts that follow from the facts.
 */
import { createHash } from 'node:crypto';
import { parseAttemptId } from '../event/attempt-id.js';
import type { AttemptView, EventView, ListenerView, TypeView } from '../event/command.js';
import { policyText } from '../event/policy.js';
import { formatPosition, type Late } from '../event/record.js';
import { progressText, wishText } from '../event/redrive-job.js';
import type { RedriveState } from '../event/state.js';
import { NOT_ARCHIVED, type NotArchived } from '../event/unarchived.js';
import type { Store } from '../store/store.js';

/** What the log fixes about a type. */
export interface TypeFacts extends Pick<TypeView, 'type' | 'version' | 'declared' | 'paused'> {
  /** Those that are living, by ordinal. */
  readonly listeners: readonly ListenerView[];
}

const LANES = 8;
const LANE_BYTES = 4;

export class Digest {
  readonly #lanes = new Uint32Array(LANES);

  /** `hashOf` gives the SHA-256 of what an event carries; for who keeps only hashes, what it is given. */
  constructor(private readonly hashOf: (payload: Uint8Array) => Uint8Array = sha256) {}

  /** All that is to be known of one event. */
  addEvent(event: EventView, request: Uint8Array, attempts: readonly AttemptView[]): void {
    const { id, type, createdAt, position, cancelRequested } = event;
    this.#add('accepted', id, type, createdAt, formatPosition(position), this.#hashed(request));
    if (event.parent !== null) this.#add('emitted', id, event.parent, event.root);
    if (event.redriveOf !== null) this.#add('redriveOf', id, event.redriveOf);
    if (event.key !== null) this.#add('key', id, event.key);
    if (cancelRequested) this.#add('cancelRequested', id);
    if (event.status === 'complete') {
      this.#add('complete', id, event.outcome, event.reason, event.completedAt, this.#hashed(event.result));
      if (!event.settled) this.#add('unsettled', id);
    }
    for (const attempt of attempts) this.#addAttempt(id, attempt);
  }

  /** Nothing of a type that exists by use only and goes its way: listeners are there only when they were declared. */
  addType({ type, version, declared, paused, listeners }: TypeFacts): void {
    if (version > 0 || paused)
      this.#add('type', type, version, declared && policyText(declared), Number(paused));
    for (const { ordinal, name, responder, filter } of listeners)
      this.#add('listener', type, ordinal, name, Number(responder), filter && JSON.stringify(filter));
  }

  addRedrive(redrive: RedriveState): void {
    const { id, type, step, status, startedAt, endedAt, until, wish, progress } = redrive;
    const place = [id, type, step, status, startedAt, endedAt, formatPosition(until)] as const;
    this.#add('redrive', ...place, wishText(wish), progressText(progress));
  }

  /** A completion that came too late, for an event of which the rest was added before. */
  addLate({
    id,
    listener,
    grant,
    at,
    payload,
  }: Pick<Late, 'id' | 'listener' | 'grant' | 'at' | 'payload'>): void {
    this.#add('late', id, listener, grant, at, this.#hashed(payload));
  }

  /** Hexadecimal; 64 zeros for no events. */
  toString(): string {
    return Array.from(this.#lanes, (lane) => lane.toString(16).padStart(2 * LANE_BYTES, '0')).join('');
  }

  #addAttempt(id: string, view: AttemptView): void {
    const parsed = parseAttemptId(view.attemptId);
    if (parsed === null) throw new Error(`not the id of an attempt: ${view.attemptId}`);
    const { listener, grant } = parsed;
    this.#add('granted', id, listener, grant, view.worker, view.grantedAt);
    if (view.end !== null)
      this.#add('ended', id, listener, grant, view.end, view.endedAt, this.#hashed(view.result));
    if (view.emitted) this.#add('emits', id, listener, grant, ...view.emitted);
    if (view.late) this.addLate({ id, listener, grant, at: view.late.at, payload: view.late.result });
  }

  #hashed(payload: Uint8Array | null): string | null {
    return payload && Buffer.from(this.hashOf(payload)).toString('base64url');
  }

  #add(...fact: readonly (string | number | null)[]): void {
    const hash = sha256(Buffer.from(JSON.stringify(fact)));
    // A typed array keeps what fits into a lane, which is the sum modulo 2^32.
    for (let lane = 0; lane < LANES; lane += 1) this.#lanes[lane]! += hash.readUInt32LE(lane * LANE_BYTES);
  }
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function isShown<Value>(value: Value | NotArchived | null): value is Value {
  return value !== null && value !== NOT_ARCHIVED;
}

const PAGE = { limit: 500, scanMax: 10_000 };

/** Of everything that the store keeps. It must not change meanwhile, or the digest is of no moment that ever was. */
export async function digestOfStore(
  store: Pick<
    Store,
    | 'partitions'
    | 'list'
    | 'listTypes'
    | 'listListeners'
    | 'readRedrives'
    | 'read'
    | 'readRequest'
    | 'readAttempts'
  >,
): Promise<string> {
  const digest = new Digest();
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.list({
      type: null,
      status: null,
      outcome: null,
      cursor: cursor ?? null,
      ...PAGE,
    });
    if (page.kind !== 'page') throw new Error(`the store does not know its own cursor ${cursor}`);
    for (const { id } of page.events) {
      const [event, request, attempts] = await Promise.all([
        store.read(id),
        store.readRequest(id),
        store.readAttempts(id),
      ]);
      if (!isShown(event) || !isShown(request) || !isShown(attempts))
        throw new Error(`the store lists ${id} and does not know it`);
      digest.addEvent(event, request, attempts);
    }
    cursor = page.cursor;
  }
  for await (const type of typesOf(store)) digest.addType(type);
  for (let partition = 0; partition < store.partitions; partition += 1)
    for (const redrive of await store.readRedrives(partition, 'all')) digest.addRedrive(redrive);
  return digest.toString();
}

/** All types, page by page. */
export async function* typesOf(store: Pick<Store, 'listTypes' | 'listListeners'>): AsyncGenerator<TypeFacts> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.listTypes({ cursor: cursor ?? null, limit: PAGE.limit });
    if (page.kind !== 'page') throw new Error(`the store does not know its own cursor ${cursor}`);
    for (const type of page.types) yield { ...type, listeners: (await store.listListeners(type.type)) ?? [] };
    cursor = page.cursor;
  }
}
