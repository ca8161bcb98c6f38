/**
 * The client: submits events and has their answers. Needs nothing but `fetch` and runs in Node and in browsers. Every call may be
 * repeated, and is when there was no answer: a submit carries an idempotency key always, so that it is one event however often it is sent.
 */
import { chunksOf, resultsOf, type SubmitItem, type SubmitResult, submitChunk } from './bulk.js';
import { sleep } from './clock.js';
import { Content, decodeBody, encodeBody } from './content.js';
import { ClockworkError } from './error.js';
import type { AnyPayloads, Event, Payloads, Receipt } from './payload.js';
import { type Call, jsonOf, type Reply, randomKey, Transport, type TransportOptions } from './transport.js';
import type {
  Attempt,
  CancelledTree,
  EventSummary,
  Redrive,
  Tree,
  TypeStats,
  Event as WireEvent,
  Receipt as WireReceipt,
} from './wire.js';

export type { SubmitItem, SubmitResult } from './bulk.js';
export type { Clock } from './clock.js';
export { Content } from './content.js';
export { ClockworkError, type OwnCode } from './error.js';
export type { AnyPayloads, Event, EventResponse, Payload, Payloads, Receipt } from './payload.js';
export type { Attempt, CancelledTree, EventSummary, Problem, Redrive, Tree, TypeStats } from './wire.js';

export type ClientOptions = TransportOptions;

export interface SubmitOptions {
  /** The same key and the same request are the same event for at least 24 h. Random unless said. */
  readonly idempotencyKey?: string;
  /** The media type of the body. A string with one is sent as it is, one without as JSON. */
  readonly contentType?: string;
  /**
   * The ordering key: of the events of a type with the same one a listener has one at a time, in order. Not together with a
   * delay.
   */
  readonly key?: string;
  /** It may be leased after this time. */
  readonly delayMs?: number;
  readonly deadlineMs?: number;
  /** What the receipt waits for: `store` (the default) or that the event is in the log. */
  readonly durability?: 'store' | 'archive';
  /** Of the payload. */
  readonly version?: string;
  readonly correlationId?: string;
  readonly traceparent?: string;
  /** Further headers; the listener sees them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface SubmitManyOptions {
  /** Of the whole; each item has a key that is made of it. Random unless said. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface PollOptions extends CallOptions {
  /** Of an earlier answer: then this one is null when nothing has changed since. */
  readonly etag?: string;
  /** Wait so long, in whole seconds of at most 25, until the event is complete, or with `etag` until it has changed. */
  readonly waitMs?: number;
}

export interface WaitOptions<Body> extends CallOptions {
  /** When it is over, the error is `timed-out`. Without it and without a signal the wait goes on as long as the service answers. */
  readonly timeoutMs?: number;
  /** Hears of each state that the event is seen in before it is complete. */
  readonly onChange?: (event: Event<Body>) => void;
}

export interface TreeOptions extends CallOptions {
  /** Wait so long, in whole seconds of at most 25, until the cascade is settled. */
  readonly waitMs?: number;
  /** Children to show, 50 unless said. */
  readonly limit?: number;
}

export interface ListOptions extends CallOptions {
  readonly type?: string;
  readonly status?: 'pending' | 'in_process' | 'complete';
  readonly outcome?: 'success' | 'fail';
  /** Events in one reply of the service, at most 1,000. */
  readonly pageSize?: number;
}

export interface RedriveOptions extends CallOptions {
  /** Those whose attempts ran out, those that failed, or all that are complete. */
  readonly filter: 'dead' | 'failed' | 'any';
  /** Who alone gets the new events; left out: whoever gets such events. */
  readonly listener?: string;
  /** Only what ended then or later, and before; RFC 3339. */
  readonly from?: string;
  readonly to?: string;
  /** Counts only. */
  readonly dryRun?: boolean;
  /** New events a second, at most; 100 unless said. */
  readonly ratePerSecond?: number;
  /** The same key and the same request are the same job. Random unless said. */
  readonly idempotencyKey?: string;
}

export interface CancelResult {
  /** `cancelled`: it is complete. `requested`: its listener hears of it, and may complete it none the less. */
  readonly kind: 'cancelled' | 'requested';
  readonly event: Omit<Event, 'etag'>;
}

/** An event by its id or by its receipt, which knows what the response will be. */
export type Target<Body> = string | Receipt<Body>;

interface LongPoll {
  readonly etag: string | undefined;
  readonly waitMs: number;
  readonly leftMs: number;
  readonly isBounded: boolean;
  readonly signal: AbortSignal | undefined;
}

const LONG_POLL_MS = 20_000;
/** A service that does not wait is not asked without a pause. */
const POLL_PAUSE_MS = 250;

export class Client<P extends Payloads<P> = AnyPayloads> {
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
  }

  /**
   * One event. Bytes, Blob, FormData and URLSearchParams are sent as they are, and so is a string with a `contentType`; any other body as
   * JSON. When this throws after the event was taken, the error has its `id`.
   */
  async submit<Type extends keyof P & string>(
    type: Type,
    body?: P[Type]['request'],
    options: SubmitOptions = {},
  ): Promise<Receipt<P[Type]['response']>> {
    const encoded = await encodeBody(body, options.contentType ?? null);
    const headers = { ...options.headers, ...submitHeaders(options, encoded.contentType) };
    const reply = await this.#transport.call('POST', `/v1/types/${encodeURIComponent(type)}/events`, {
      headers,
      body: encoded.kind === 'none' ? null : encoded.body,
      signal: options.signal,
    });
    return jsonOf<WireReceipt>(reply);
  }

  /**
   * Many events, in calls of at most 1,000; a result for each, in order. Items that the service says may be sent again are sent again with
   * those around them, which stay the events that they are.
   */
  async submitMany(
    items: readonly SubmitItem<P>[],
    options: SubmitManyOptions = {},
  ): Promise<SubmitResult[]> {
    const key = options.idempotencyKey ?? randomKey();
    const results: SubmitResult[] = [];
    for (const [index, { body }] of (await chunksOf(items)).entries()) {
      const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `${key}.${index}` };
      const reply = await submitChunk(this.#transport, { headers, body, signal: options.signal });
      results.push(...resultsOf(reply));
    }
    return results;
  }

  /** How an event stands. */
  poll<Body>(event: Target<Body>, options?: PollOptions & { readonly etag?: never }): Promise<Event<Body>>;
  /** As above; null when it still is as it was with that tag. */
  poll<Body>(event: Target<Body>, options: PollOptions): Promise<Event<Body> | null>;
  async poll<Body>(event: Target<Body>, options: PollOptions = {}): Promise<Event<Body> | null> {
    return eventIn<Body>(await this.#poll(idOf(event), options));
  }

  #poll(id: string, options: PollOptions, call: Call = {}): Promise<Reply> {
    const { etag, waitMs = 0, signal } = options;
    const headers = {
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
      ...(waitMs > 0 ? { prefer: `wait=${Math.ceil(waitMs / 1_000)}` } : {}),
    };
    return this.#transport.call('GET', pathOf(id), { ...call, headers, waitMs, signal });
  }

  /** Waits until the event is complete, however it went: `outcome` says that. */
  async wait<Body>(target: Target<Body>, options: WaitOptions<Body> = {}): Promise<Event<Body>> {
    const { timeoutMs = null, signal, onChange } = options;
    const { clock } = this.#transport;
    const id = idOf(target);
    const endsAtMs = timeoutMs === null ? Number.POSITIVE_INFINITY : clock.nowMs() + timeoutMs;
    // Who has said how long to wait means to wait through a restart of the service.
    const isBounded = timeoutMs !== null || signal !== undefined;
    let etag: string | undefined;
    for (;;) {
      const beganMs = clock.nowMs();
      const leftMs = endsAtMs - beganMs;
      const waitMs = onChange && etag === undefined ? 0 : Math.max(0, Math.min(LONG_POLL_MS, leftMs));
      const event = await this.#pollInTime<Body>(id, { etag, waitMs, leftMs, isBounded, signal });
      if (event?.status === 'complete') return event;
      if (event !== null) {
        etag = event.etag;
        onChange?.(event);
      }
      if (clock.nowMs() >= endsAtMs) throw timedOut(id);
      const isEarly = event === null && clock.nowMs() - beganMs < POLL_PAUSE_MS;
      if (isEarly) await sleep(clock, POLL_PAUSE_MS, signal);
    }
  }

  /** One long poll that ends with the time that is left; null when nothing has changed. */
  async #pollInTime<Body>(
    id: string,
    { etag, waitMs, leftMs, isBounded, signal }: LongPoll,
  ): Promise<Event<Body> | null> {
    const ending = new AbortController();
    const abort = () => ending.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', abort);
    const { clock } = this.#transport;
    const cancel =
      leftMs === Number.POSITIVE_INFINITY ? null : clock.after(leftMs, () => ending.abort(timedOut(id)));
    const options = { waitMs, signal: ending.signal, ...(etag === undefined ? {} : { etag }) };
    try {
      return eventIn<Body>(
        await this.#poll(id, options, isBounded ? { triesMax: Number.POSITIVE_INFINITY } : {}),
      );
    } finally {
      cancel?.();
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The body of the listener's response, to the byte. Its status and headers are in the event. */
  async response(event: Target<unknown>, options: CallOptions = {}): Promise<Content> {
    return contentOf(await this.#transport.call('GET', `${pathOf(idOf(event))}/response`, options));
  }

  /** The body that was submitted, to the byte. */
  async request(event: Target<unknown>, options: CallOptions = {}): Promise<Content> {
    return contentOf(await this.#transport.call('GET', `${pathOf(idOf(event))}/request`, options));
  }

  /** Who worked on the event, oldest first. */
  async attempts(event: Target<unknown>, options: CallOptions = {}): Promise<readonly Attempt[]> {
    const reply = await this.#transport.call('GET', `${pathOf(idOf(event))}/attempts`, options);
    return jsonOf<{ attempts: readonly Attempt[] }>(reply).attempts;
  }

  /** How the cascade stands that the event belongs to, and what its own completions emitted. */
  async tree(target: Target<unknown>, options: TreeOptions = {}): Promise<Tree> {
    const { waitMs = 0, limit, signal } = options;
    const headers = waitMs > 0 ? { prefer: `wait=${Math.ceil(waitMs / 1_000)}` } : {};
    const query = limit === undefined ? '' : `?limit=${limit}`;
    const path = `${pathOf(idOf(target))}/tree${query}`;
    return jsonOf<Tree>(await this.#transport.call('GET', path, { headers, waitMs, signal }));
  }

  /** Cancels the event and all that came of it; what had ended is counted, and no error. */
  async cancelTree(target: Target<unknown>, options: CallOptions = {}): Promise<CancelledTree> {
    const path = `${pathOf(idOf(target))}?tree=true`;
    return jsonOf<CancelledTree>(await this.#transport.call('DELETE', path, options));
  }

  /** How the events of a type stand: how much waits, since when, and which listeners ask for it. */
  async typeStats(type: string, options: CallOptions = {}): Promise<TypeStats> {
    const path = `/v1/types/${encodeURIComponent(type)}/stats`;
    return jsonOf<TypeStats>(await this.#transport.call('GET', path, options));
  }

  /** Has past events of a type sent again, as new events; resolves to the job, which goes on in the background. */
  async redrive(type: string, options: RedriveOptions): Promise<Redrive> {
    const { idempotencyKey = randomKey(), signal, ...wish } = options;
    const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey };
    const body = JSON.stringify({ type, ...wish });
    return jsonOf<Redrive>(await this.#transport.call('POST', '/v1/redrives', { headers, body, signal }));
  }

  /** How far a redrive is. */
  async readRedrive(id: string, options: CallOptions = {}): Promise<Redrive> {
    return jsonOf<Redrive>(await this.#transport.call('GET', redrivePath(id), options));
  }

  /** Throws `redrive-ended` when it is too late. What it has sent stays. */
  async cancelRedrive(id: string, options: CallOptions = {}): Promise<Redrive> {
    return jsonOf<Redrive>(await this.#transport.call('DELETE', redrivePath(id), options));
  }

  /** Those that are remembered, newest first. Pages are read as they are needed. */
  async *redrives(
    options: CallOptions & { readonly type?: string } = {},
  ): AsyncGenerator<Redrive, void, undefined> {
    const { signal, type } = options;
    const query = new URLSearchParams(type === undefined ? {} : { type });
    for (;;) {
      const reply = await this.#transport.call('GET', `/v1/redrives?${query}`, { signal });
      const { redrives, cursor } = jsonOf<{ redrives: readonly Redrive[]; cursor: string | null }>(reply);
      yield* redrives;
      if (cursor === null) return;
      query.set('cursor', cursor);
    }
  }

  /** The events that the store holds, newest first. Pages are read as they are needed. */
  async *list(options: ListOptions = {}): AsyncGenerator<EventSummary, void, undefined> {
    const { signal, pageSize: limit, type, status, outcome } = options;
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ limit, type, status, outcome })) {
      if (value !== undefined) query.set(name, String(value));
    }
    for (;;) {
      const reply = await this.#transport.call('GET', `/v1/events?${query}`, { signal });
      const { events, cursor } = jsonOf<{ events: readonly EventSummary[]; cursor: string | null }>(reply);
      yield* events;
      if (cursor === null) return;
      query.set('cursor', cursor);
    }
  }

  /** Throws `event-complete` when it is too late. Cancelled again, an event is cancelled as before. */
  async cancel(target: Target<unknown>, options: CallOptions = {}): Promise<CancelResult> {
    const reply = await this.#transport.call('DELETE', pathOf(idOf(target)), options);
    return { kind: reply.status === 202 ? 'requested' : 'cancelled', event: eventOf(reply) };
  }
}

function submitHeaders(options: SubmitOptions, contentType: string | null): Record<string, string> {
  const wishes = {
    'idempotency-key': options.idempotencyKey ?? randomKey(),
    'content-type': contentType,
    'event-key': options.key,
    'event-delay-ms': options.delayMs?.toString(),
    'event-deadline-ms': options.deadlineMs?.toString(),
    'event-durability': options.durability,
    'event-version': options.version,
    'event-correlation-id': options.correlationId,
    traceparent: options.traceparent,
  };
  return Object.fromEntries(
    Object.entries(wishes).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function idOf(event: Target<unknown>): string {
  return typeof event === 'string' ? event : event.id;
}

function redrivePath(id: string): string {
  return `/v1/redrives/${encodeURIComponent(id)}`;
}

function pathOf(id: string): string {
  return `/v1/events/${encodeURIComponent(id)}`;
}

function contentOf({ bytes, headers }: Reply): Content {
  return new Content(bytes, headers.get('content-type'));
}

/** The event in a reply; null in one that says that nothing has changed. */
function eventIn<Body>(reply: Reply): Event<Body> | null {
  if (reply.status === 304) return null;
  return { ...eventOf<Body>(reply), etag: reply.headers.get('etag') ?? '' };
}

function eventOf<Body>(reply: Reply): Omit<Event<Body>, 'etag'> {
  const event = jsonOf<WireEvent>(reply);
  const response = event.response && { ...event.response, body: decodeBody(event.response) as Body };
  return { ...event, response };
}

function timedOut(id: string): ClockworkError {
  return new ClockworkError('timed-out', 'The event was not complete in time.', {
    hint: 'It goes on: wait again with its id.',
    id,
  });
}
