/**
 * The listener: a program that leases events and answers them. Its owner writes up to three functions: `filterEvent` says what is its
 * business, `handleStateUpdate` brings a state of its own up to date, `handleSideEffects` does the work and gives the answer. What
 * they throw ends an attempt, never the listener.
 *
 * A slot holds one event at a time; there are `concurrency` of them. One long poll asks for as many events as slots are free, and each
 * completion brings the next event for its slot along:
 *
 *   free ── leased by the poll ──► filter, state, side effects ── complete ──► the next one, or free
 */
import { type Answer, completionText, describeError, failureText } from './answer.js';
import { Attempt, isLost } from './attempt.js';
import { sleep } from './clock.js';
import { decodeBody } from './content.js';
import { ClockworkError } from './error.js';
import type { AnyPayloads, LeasedEvent, Payloads } from './payload.js';
import { type StateStore, StateSync } from './state-sync.js';
import { type Call, jsonOf, type Reply, randomKey, Transport, type TransportOptions } from './transport.js';
import type { Lease } from './wire.js';

export type { Answer } from './answer.js';
export type { SubmitItem } from './bulk.js';
export type { Clock } from './clock.js';
export { ClockworkError, type OwnCode } from './error.js';
export type { AnyPayloads, LeasedEvent, Payload, Payloads } from './payload.js';
export type { StateStore } from './state-sync.js';
export type { Problem } from './wire.js';

/** An event of one of the types; its `type` says which body it has. */
export type ListenedEvent<P extends Payloads<P>> = {
  [Type in keyof P & string]: LeasedEvent<P[Type]['request'], Type>;
}[keyof P & string];

// biome-ignore lint/suspicious/noConfusingVoidType: a handler that has nothing to say is written without a return.
export type Handled<P extends Payloads<P>> = Answer<P[keyof P & string]['response'], P> | undefined | void;

export interface HandlerContext {
  /** Aborts when the work is no longer wanted: the lease is lost, somebody asked to cancel the event, or a stop takes too long. */
  readonly signal: AbortSignal;
  readonly attemptId: string;
  /** From 1; a higher one says that somebody has tried before. */
  readonly attempt: number;
  /** Of the event in the log. */
  readonly position: string;
}

export interface ErrorContext {
  readonly during: 'lease' | 'extend' | 'complete' | 'handBack' | 'sync' | 'handler';
  /** Of the event, if it is about one. */
  readonly id: string | null;
}

export interface ListenerOptions<P extends Payloads<P> = AnyPayloads> extends TransportOptions {
  readonly types: readonly (keyof P & string)[];
  /** As which listener of the types it leases; `default` unless said. Another must have been declared. */
  readonly listener?: string;
  /** Whether the event is this listener's business. One that is not fails, since nobody else can have it. */
  filterEvent?(event: ListenedEvent<P>): boolean | Promise<boolean>;
  /** Brings the listener's state up to date; without any other effect. */
  handleStateUpdate?(event: ListenedEvent<P>): void | Promise<void>;
  /** Does the work and gives the answer. */
  handleSideEffects(event: ListenedEvent<P>, context: HandlerContext): Handled<P> | Promise<Handled<P>>;
  /** With it, the state is built from the log: `handleStateUpdate` sees every event of the types, also those that others answered. */
  readonly state?: StateStore;
  /** Hears of everything that goes wrong; the listener goes on. */
  onError(error: unknown, context: ErrorContext): void;
  /** What the client is shown of an error that a handler threw: a JSON value. Name and message unless said. */
  describeError?(error: unknown): unknown;
  /** Events in work at one time; 10 unless said. */
  readonly concurrency?: number;
  /** How long an event is leased for, and extended by as long as its handler takes; 30,000 unless said. */
  readonly leaseMs?: number;
  /** Names this process, for people. */
  readonly worker?: string;
}

export interface StopOptions {
  /** How long handlers may go on; then they are aborted and their events handed back. As long as they take unless said. */
  readonly graceMs?: number;
}

/** What the service gives in one call. */
const LEASES_MAX = 500;
const WAIT_MS = 20_000;
/** A service that does not wait is not asked without a pause. */
const PAUSE_MS = 250;
/** Events of one type that a slot takes in a row, while there are other types to be asked for. */
const NEXT_MAX = 16;

export class Listener<P extends Payloads<P> = AnyPayloads> {
  readonly #options: ListenerOptions<P>;
  readonly #transport: Transport;
  readonly #concurrency: number;
  readonly #leaseMs: number;
  readonly #sync: StateSync | null;
  readonly #working = new Set<Attempt>();
  /** Aborts when the listener is to stop; null while it does not run. */
  #stopping: AbortController | null = null;
  #leasing: Promise<void> = Promise.resolve();
  #busy = 0;
  #onSlotFree: () => void = () => {};

  constructor(options: ListenerOptions<P>) {
    const { concurrency = 10, leaseMs = 30_000, types, state } = options;
    if (types.length === 0) throw new TypeError('A listener needs a type to listen to.');
    if (!Number.isInteger(concurrency) || concurrency < 1) throw new TypeError('`concurrency` is 1 or more.');
    this.#options = options;
    this.#concurrency = concurrency;
    this.#leaseMs = leaseMs;
    this.#transport = new Transport(options);
    const apply = (event: LeasedEvent) => this.#applyToState(event as ListenedEvent<P>);
    this.#sync = state ? new StateSync({ transport: this.#transport, types, store: state, apply }) : null;
  }

  get isRunning(): boolean {
    return this.#stopping !== null;
  }

  /** Begins to lease; with a state, as soon as that is up to date. */
  start(): void {
    if (this.#stopping) throw new Error('The listener runs already.');
    this.#stopping = new AbortController();
    this.#leasing = this.#lease(this.#stopping.signal);
  }

  /** Leases no more, lets handlers end, and hands back what none has begun. Resolves when nothing is left to do. */
  async stop({ graceMs = Number.POSITIVE_INFINITY }: StopOptions = {}): Promise<void> {
    const stopping = this.#stopping;
    if (!stopping) return;
    if (!stopping.signal.aborted) stopping.abort(new ClockworkError('stopped', 'The listener stops.'));
    let cancel = () => {};
    if (graceMs !== Number.POSITIVE_INFINITY) {
      cancel = this.#transport.clock.after(graceMs, () => this.#giveUp());
    }
    await this.#leasing;
    while (this.#busy > 0) await this.#slotFree();
    cancel();
    this.#stopping = null;
  }

  /** Brings the state up to the end of the log now; while the listener runs each event sees to it by itself. */
  async sync(): Promise<void> {
    await this.#ownSync().toEnd();
  }

  /** Empties the state (`clear`) and builds it again from the whole log. No event is touched by that. */
  async rebuild(): Promise<void> {
    if (this.#stopping) throw new Error('Stop the listener before its state is built again.');
    await this.#ownSync().rebuild();
  }

  #ownSync(): StateSync {
    if (this.#sync === null) throw new Error('The listener has no `state`.');
    return this.#sync;
  }

  async #applyToState(event: ListenedEvent<P>): Promise<void> {
    const { filterEvent } = this.#options;
    if (filterEvent && !(await this.#options.filterEvent?.(event))) return;
    await this.#options.handleStateUpdate?.(event);
  }

  /** What handlers have not ended in time: they hear of it, and their events go to others. */
  #giveUp(): void {
    for (const attempt of this.#working) {
      attempt.abort(new ClockworkError('stopped', 'The listener stops.', { id: attempt.lease.event.id }));
      attempt.end();
    }
  }

  async #lease(stopping: AbortSignal): Promise<void> {
    if (this.#sync) await this.#goOn('sync', stopping, () => this.#sync!.toEnd(stopping));
    for (;;) {
      while (this.#busy >= this.#concurrency && !stopping.aborted) await this.#slotFree(stopping);
      if (stopping.aborted) return;
      await this.#goOn('lease', stopping, () => this.#ask(stopping));
    }
  }

  /** Until it has been done once; what goes wrong is told and tried again, later each time. */
  async #goOn(
    during: ErrorContext['during'],
    stopping: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    for (let tries = 1; !stopping.aborted; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (stopping.aborted) return;
        this.#tell(error, { during, id: null });
      }
      await sleep(this.#transport.clock, this.#transport.retryAfterMs(tries), stopping);
    }
  }

  /** One long poll for all slots that are free. Its key makes a repeat after a lost reply give the same leases. */
  async #ask(stopping: AbortSignal): Promise<void> {
    const key = randomKey();
    const max = Math.min(this.#concurrency - this.#busy, LEASES_MAX);
    const { clock } = this.#transport;
    const beganMs = clock.nowMs();
    let reply: Reply;
    try {
      reply = await this.#askFor(key, max, WAIT_MS, { triesMax: Number.POSITIVE_INFINITY, signal: stopping });
    } catch (error) {
      if (stopping.aborted) await this.#handBackUnheard(key);
      throw error;
    }
    const leases = leasesIn(reply);
    for (const lease of leases) void this.#work(lease, reply.tries > 1);
    if (leases.length === 0 && clock.nowMs() - beganMs < PAUSE_MS) await sleep(clock, PAUSE_MS, stopping);
  }

  #askFor(
    key: string,
    max: number,
    waitMs: number,
    call: Pick<Call, 'triesMax' | 'timeoutMs' | 'signal'>,
  ): Promise<Reply> {
    const { types, listener, worker } = this.#options;
    return this.#transport.call('POST', '/v1/leases', {
      ...call,
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ types, listener, max, leaseMs: this.#leaseMs, waitMs, worker }),
      waitMs,
      onRetry: (error) => this.#tell(error, { during: 'lease', id: null }),
    });
  }

  /** The poll was given up as the listener stops. Leases may have been on their way: the same call again brings them, to be handed back. */
  async #handBackUnheard(key: string): Promise<void> {
    try {
      const leases = leasesIn(await this.#askFor(key, 1, 0, { triesMax: 2, timeoutMs: 5_000 }));
      for (const lease of leases) await this.#work(lease, true);
    } catch (error) {
      this.#tell(error, { during: 'handBack', id: null });
    }
  }

  /** One event after the other in one slot, until a completion brings none. Does not throw. */
  async #work(first: Lease, isOld: boolean): Promise<void> {
    this.#busy += 1;
    let next: Lease | undefined = first;
    let isNextOld = isOld;
    for (let count = 1; next; count += 1) {
      const lease: Lease = next;
      const attempt = new Attempt(lease, {
        transport: this.#transport,
        leaseMs: this.#leaseMs,
        isOld: isNextOld,
        onError: (error, during) => this.#tell(error, { during, id: lease.event.id }),
      });
      this.#working.add(attempt);
      const wantsNext = this.#options.types.length === 1 || count % NEXT_MAX !== 0;
      // A handler that a stop has given up may never end.
      const result = await Promise.race([this.#resultOf(attempt), attempt.ended]);
      ({ next, isNextOld } = await this.#end(attempt, result, wantsNext));
      attempt.end();
      this.#working.delete(attempt);
    }
    this.#busy -= 1;
    this.#onSlotFree();
  }

  get #isStopping(): boolean {
    return this.#stopping?.signal.aborted ?? true;
  }

  /** The completion as text; null for an event that is to be handed back, since no handler has begun with it. */
  async #resultOf(attempt: Attempt): Promise<string | null> {
    const { lease } = attempt;
    const context = { during: 'handler', id: lease.event.id } as const;
    let hasBegun = false;
    try {
      if (this.#isStopping) return null;
      const event = { ...lease.event, body: decodeBody(lease.event) } as ListenedEvent<P>;
      if (this.#options.filterEvent && !(await this.#options.filterEvent(event))) return filtered();
      if (this.#sync) await this.#sync.upTo(event.type, lease.position, this.#stopping!.signal);
      else await this.#options.handleStateUpdate?.(event);
      if (this.#isStopping || attempt.signal.aborted) return null;
      hasBegun = true;
      const { attemptId, attempt: count, position } = lease;
      const given = { signal: attempt.signal, attemptId, attempt: count, position };
      return await completionText(await this.#options.handleSideEffects(event, given));
    } catch (error) {
      if (!hasBegun && this.#isStopping) return null;
      this.#tell(error, context);
      return this.#failureText(error);
    }
  }

  #failureText(error: unknown): string {
    const { describeError: describe = describeError } = this.#options;
    try {
      return failureText(describe(error), 'policy');
    } catch (failure) {
      this.#tell(failure, { during: 'handler', id: null });
      return failureText({ message: 'The handler failed with an error that cannot be shown.' }, 'policy');
    }
  }

  /** Tells the service how the attempt went, or that it has not begun. */
  async #end(
    attempt: Attempt,
    text: string | null,
    wantsNext: boolean,
  ): Promise<{ next: Lease | undefined; isNextOld: boolean }> {
    const none = { next: undefined, isNextOld: false };
    const { id } = attempt.lease.event;
    if (text === null || attempt.isEnded) {
      await attempt.handBack().catch((error: unknown) => this.#tell(error, { during: 'handBack', id }));
      return none;
    }
    try {
      const isMore = wantsNext && !this.#isStopping;
      const next = isMore
        ? `,"next":${JSON.stringify({ max: 1, leaseMs: this.#leaseMs, worker: this.#options.worker })}`
        : '';
      const { reply, tries } = await attempt.complete(`{${text}${next}}`);
      return { next: reply.next[0], isNextOld: tries > 1 };
    } catch (error) {
      if (attempt.isEnded) return this.#end(attempt, null, false);
      this.#tell(error, { during: 'complete', id });
      // The service would refuse the same again. Where it is at fault itself, the lease runs out and somebody tries anew.
      if (isRefusal(error)) await this.#failForRefusal(attempt, error);
      return none;
    }
  }

  async #failForRefusal(attempt: Attempt, { code, detail }: ClockworkError): Promise<void> {
    try {
      const message = `The service refused the listener's answer: ${detail}`;
      await attempt.complete(`{${failureText({ code, message }, 'never')}}`);
    } catch (error) {
      this.#tell(error, { during: 'complete', id: attempt.lease.event.id });
    }
  }

  #tell(error: unknown, context: ErrorContext): void {
    try {
      this.#options.onError(error, context);
    } catch {
      // There is nobody else to tell, and the listener must go on.
    }
  }

  /** Resolves when a slot has become free, or at the abort. */
  #slotFree(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const others = this.#onSlotFree;
      this.#onSlotFree = () => {
        this.#onSlotFree = () => {};
        others();
        end();
      };
      signal?.addEventListener('abort', end);
    });
  }
}

function leasesIn(reply: Reply): readonly Lease[] {
  return jsonOf<{ leases: readonly Lease[] }>(reply).leases;
}

function filtered(): string {
  const message = "The listener's filter refused the event, and no other listener can have it.";
  return failureText({ code: 'filtered', message }, 'never');
}

function isRefusal(error: unknown): error is ClockworkError {
  if (!(error instanceof ClockworkError) || error.status === null || isLost(error)) return false;
  return error.status < 500 && error.code !== 'completion-conflict';
}
