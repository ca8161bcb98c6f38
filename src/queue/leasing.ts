/** Lease: a listener gets the oldest eligible deliveries, now or when there are some. */
import { randomBytes } from 'node:crypto';
import type { AbandonCommand, Lease, LeaseCommand } from '../event/command.js';
import { sha256Hex } from '../event/envelope.js';
import { partitionOfType, type Store } from '../store/store.js';
import { queueTopic } from './topic.js';
import type { Waiting } from './waiting.js';

export interface LeaseRequest {
  /** Not empty, without doubles. */
  readonly types: readonly string[];
  readonly listener: string;
  readonly max: number;
  /** Null: the type's own. */
  readonly leaseMs: number | null;
  /** 0: answer at once. */
  readonly waitMs: number;
  readonly worker: string | null;
  /** The caller's idempotency key for this call. */
  readonly key: string | null;
  readonly caller: string;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal | null;
}

export interface NextRequest {
  /** Of the attempt that was completed. */
  readonly attemptId: string;
  readonly type: string;
  readonly listener: string;
  readonly max: number;
  readonly leaseMs: number | null;
  readonly worker: string | null;
}

export type LeaseAnswer =
  | {
      readonly kind: 'leased';
      readonly leases: readonly Lease[];
      /** For `Queue.abandon`, when the answer cannot be delivered. */
      readonly undo: readonly AbandonCommand[];
    }
  | { readonly kind: 'not_subscribed'; readonly type: string; readonly listener: string };

type Wanted = Omit<LeaseCommand, 'tokens' | 'bytesMax'>;

const NOTHING: LeaseAnswer = { kind: 'leased', leases: [], undo: [] };

export class Leasing {
  /** Which of several partitions is asked first goes round, so that none starves. */
  #turn = 0;

  constructor(
    private readonly store: Store,
    private readonly waiting: Waiting,
    private readonly replyBytesMax: number,
  ) {}

  async lease(request: LeaseRequest): Promise<LeaseAnswer> {
    const wanted = wantedBy(request);
    if (request.waitMs === 0) return this.#look(wanted);
    const endsAt = performance.now() + request.waitMs;
    const topics = request.types.map((type) => queueTopic(type, request.listener));
    for (;;) {
      const place = this.waiting.register(topics);
      let answer: LeaseAnswer;
      try {
        answer = await this.#look(wanted);
      } catch (error) {
        this.#passOn(place.leave());
        throw error;
      }
      if (answer.kind === 'not_subscribed' || answer.leases.length > 0) {
        this.#passOn(place.leave());
        // A full answer may have left more behind, for which no hint will come again.
        if (answer.kind === 'leased' && answer.leases.length === request.max) topics.forEach(this.#passOn);
        return answer;
      }
      const why = await place.sleep(Math.max(0, endsAt - performance.now()), request.signal);
      if (why !== 'woken') return NOTHING;
      if (request.signal?.aborted) {
        this.#passOn(place.hint);
        return NOTHING;
      }
    }
  }

  /** Leases of the type and listener of an attempt that was just completed, without waiting. */
  leaseNext(request: NextRequest): Promise<LeaseAnswer> {
    return this.#look({
      types: [request.type],
      listener: request.listener,
      max: request.max,
      leaseMs: request.leaseMs,
      worker: request.worker,
      // The same completion sent again asks for the same leases.
      call: `next:${request.attemptId}`,
    });
  }

  readonly #passOn = (topic: string | null): void => {
    if (topic !== null) this.waiting.wake(topic, 1);
  };

  /** One look at each partition concerned, until there are `max` leases. */
  async #look(wanted: Wanted): Promise<LeaseAnswer> {
    const leases: Lease[] = [];
    const undo: AbandonCommand[] = [];
    let bytesLeft = this.replyBytesMax;
    for (const types of this.#byPartition(wanted.types)) {
      const max = wanted.max - leases.length;
      if (max <= 0 || bytesLeft <= 0) break;
      const command = { ...wanted, types, max, bytesMax: bytesLeft, tokens: makeTokens(max) };
      const result = await this.store.lease(command);
      if (result.kind === 'not_subscribed') {
        // What other partitions have given already is not for a call that is refused.
        await Promise.all(undo.map((each) => this.store.abandon(each)));
        return result;
      }
      if (result.leases.length === 0) continue;
      leases.push(...result.leases);
      for (const { event } of result.leases) bytesLeft -= event.envelope.byteLength;
      // Leases under tokens that are not ours were given to the same call before. Whoever made it, and perhaps
      // overtook us, may be at work: they are not ours to take back.
      if (!command.tokens.includes(result.leases[0]!.token)) continue;
      undo.push({ call: wanted.call, claim: result.claim, leases: result.leases });
    }
    return leases.length > 0 ? { kind: 'leased', leases, undo } : NOTHING;
  }

  #byPartition(types: readonly string[]): readonly (readonly string[])[] {
    const { partitions } = this.store;
    if (partitions === 1) return [types];
    const groups = new Map<number, string[]>();
    for (const type of types) {
      const partition = partitionOfType(type, partitions);
      const group = groups.get(partition);
      if (group) group.push(type);
      else groups.set(partition, [type]);
    }
    this.#turn += 1;
    const ordered = [...groups.values()];
    const first = this.#turn % ordered.length;
    return [...ordered.slice(first), ...ordered.slice(0, first)];
  }
}

function wantedBy(request: LeaseRequest): Wanted {
  const { types, listener, max, leaseMs, worker, key, caller } = request;
  const call =
    key === null
      ? randomBytes(16).toString('base64url')
      : sha256Hex(JSON.stringify([caller, key, listener, [...types].sort()]));
  return { types, listener, max, leaseMs, worker, call };
}

/** Tokens of 128 random bits, as 22 characters. */
function makeTokens(count: number): string[] {
  const random = randomBytes(16 * count);
  return Array.from({ length: count }, (_, index) =>
    random.toString('base64url', 16 * index, 16 * (index + 1)),
  );
}
