/**
 * The use cases: what a client and a listener can ask of the queue, over any store. Routes call these and nothing
 * else; here ids and tokens are made, calls wait and wake, and work for several partitions is split and joined.
 */
import type {
  AbandonCommand,
  AttemptView,
  CancelResult,
  CompleteCommand,
  CompleteResult,
  EventView,
  ExtendCommand,
  ExtendResult,
  HandBackCommand,
  HandBackResult,
  ListQuery,
  ListResult,
} from '../event/command.js';
import type { Durable, Store, StoreHealth, Wake } from '../store/store.js';
import { type LeaseAnswer, type LeaseRequest, Leasing, type NextRequest } from './leasing.js';
import { type Count, countNothing, endOf } from './meter.js';
import { type Submission, type SubmitResult, submit } from './submit.js';
import { eventTopic, queueTopic } from './topic.js';
import { Waiting } from './waiting.js';

/** Where events are found that have left the store. */
export interface Past {
  read(id: string): Promise<EventView | null>;
  readRequest(id: string): Promise<Uint8Array | null>;
  readAttempts(id: string): Promise<AttemptView[] | null>;
}

export interface QueueOptions {
  /** Null: none ever leaves. */
  readonly past?: Past | null;
  /** Envelope bytes in one lease reply. */
  readonly leaseReplyBytesMax: number;
  /** Calls that may wait at one time. */
  readonly waitersMax: number;
  /** How often waiting calls look without having been woken. */
  readonly slowLookMs: number;
  /** Told how operations ended; left out, nobody counts. */
  readonly count?: Count;
}

export interface EventWait {
  /** A version other than this one ends the wait too. */
  readonly version: number | null;
  readonly waitMs: number;
  readonly signal: AbortSignal | null;
}

export class Queue {
  readonly #waiting: Waiting;
  readonly #leasing: Leasing;
  readonly #unsubscribe: () => void;
  readonly #past: Past | null;
  readonly #count: Count;
  #durable: Durable = 'memory';

  constructor(
    private readonly store: Store,
    options: QueueOptions,
  ) {
    this.#waiting = new Waiting({ sleepersMax: options.waitersMax, slowLookMs: options.slowLookMs });
    this.#leasing = new Leasing(store, this.#waiting, options.leaseReplyBytesMax);
    this.#past = options.past ?? null;
    this.#count = options.count ?? countNothing;
    this.#unsubscribe = store.onWake((wake) => this.#wake(wake));
  }

  /** Results in the order of the submissions; a refused one does not sink the others. */
  async submit(submissions: readonly Submission[], caller: string): Promise<SubmitResult[]> {
    const results = await submit(this.store, submissions, caller);
    for (const { kind } of results) this.#count('submit', kind, 1);
    return results;
  }

  /** Also when it has left the store; null: not known. */
  async read(id: string): Promise<EventView | null> {
    return (await this.store.read(id)) ?? (await this.#past?.read(id)) ?? null;
  }

  /** The event once it is complete (or of another version), or as it is when the time is up; null: not known. */
  async waitForEvent(id: string, wait: EventWait): Promise<EventView | null> {
    const topic = eventTopic(id);
    const endsAt = performance.now() + wait.waitMs;
    const isDue = (event: EventView | null) =>
      !event || event.status === 'complete' || (wait.version !== null && event.version !== wait.version);
    for (;;) {
      const place = this.#waiting.register([topic]);
      const event = await this.read(id).catch((error: unknown) => {
        place.leave();
        throw error;
      });
      const left = endsAt - performance.now();
      if (isDue(event)) {
        place.leave();
        // Others may wait for the same event, and the hint for it may have been lost.
        this.#waiting.wake(topic);
        return event;
      }
      if ((await place.sleep(Math.max(0, left), wait.signal)) !== 'woken') return event;
    }
  }

  async readRequest(id: string): Promise<Uint8Array | null> {
    return (await this.store.readRequest(id)) ?? (await this.#past?.readRequest(id)) ?? null;
  }

  async readAttempts(id: string): Promise<AttemptView[] | null> {
    return (await this.store.readAttempts(id)) ?? (await this.#past?.readAttempts(id)) ?? null;
  }

  list(query: ListQuery): Promise<ListResult> {
    return this.store.list(query);
  }

  async cancel(id: string): Promise<CancelResult> {
    const result = await this.#cancel(id);
    this.#count('cancel', result.kind, 1);
    return result;
  }

  async #cancel(id: string): Promise<CancelResult> {
    const result = await this.store.cancel(id);
    const event = result.kind === 'unknown' ? ((await this.#past?.read(id)) ?? null) : null;
    return event === null ? result : { kind: event.reason === 'cancelled' ? 'cancelled' : 'complete' };
  }

  async lease(request: LeaseRequest): Promise<LeaseAnswer> {
    return this.#leased(await this.#leasing.lease(request));
  }

  /** Leases for the `next` of a completion: of the same type and listener, without waiting. */
  async leaseNext(request: NextRequest): Promise<LeaseAnswer> {
    return this.#leased(await this.#leasing.leaseNext(request));
  }

  /** The answer with these leases could not be written: they go back, unless a repeat has taken them over. */
  async abandon(undo: readonly AbandonCommand[]): Promise<void> {
    const results = await Promise.all(undo.map((command) => this.store.abandon(command)));
    for (const { handedBack } of results) this.#count('handBack', 'abandoned', handedBack);
  }

  async extend(command: ExtendCommand): Promise<ExtendResult> {
    const result = await this.store.extend(command);
    this.#count('extend', result.kind, 1);
    return result;
  }

  /** Results in the order of the commands. */
  async complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]> {
    const results = await this.store.complete(commands);
    for (const result of results) this.#count('complete', endOf(result), 1);
    return results;
  }

  async handBack(command: HandBackCommand): Promise<HandBackResult> {
    const result = await this.store.handBack(command);
    this.#count('handBack', result.kind, 1);
    return result;
  }

  /** What a receipt given now may promise, as last seen by `health`. */
  get durable(): Durable {
    return this.#durable;
  }

  async health(): Promise<StoreHealth> {
    const health = await this.store.health();
    this.#durable = health.durable;
    return health;
  }

  /** Whether one more call may wait. */
  get hasRoomToWait(): boolean {
    return this.#waiting.hasRoom;
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Answers every waiting call with what there is; later calls do not wait. */
  stop(): void {
    this.#unsubscribe();
    this.#waiting.stop();
  }

  #leased(answer: LeaseAnswer): LeaseAnswer {
    if (answer.kind === 'leased') this.#count('lease', 'leased', answer.leases.length);
    return answer;
  }

  #wake(wake: Wake): void {
    for (const { type, listener, count } of wake.ready) this.#waiting.wake(queueTopic(type, listener), count);
    for (const id of wake.changed) this.#waiting.wake(eventTopic(id));
  }
}
