/**
 * Calls to the service over `fetch`. A call that had no answer, or one that says "later", is made again after a wait that grows and
 * has chance in it, so that many callers do not come back at one moment. Whoever uses this makes its calls fit to be repeated.
 */
import { type Clock, sleep, systemClock } from './clock.js';
import { ClockworkError } from './error.js';
import type { Problem } from './wire.js';

export interface TransportOptions {
  /** Where the service is, such as `http://127.0.0.1:7420`; may have a path. */
  readonly url: string;
  /** Sent with every call, such as what a proxy in between wants. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long one try may take, beside what the service was asked to wait; 30,000 unless said. */
  readonly timeoutMs?: number;
  /** How often a call is tried before its error is the answer; 6 unless said. */
  readonly triesMax?: number;
  /** The first wait between two tries, and the longest; each doubles the one before. 200 and 10,000 unless said. */
  readonly retryMs?: { readonly first: number; readonly max: number };
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
  /** A number from 0 to below 1. */
  readonly random?: () => number;
}

export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | null;
  /** How long the service was asked to wait. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Instead of the transport's own. */
  readonly timeoutMs?: number;
  readonly triesMax?: number;
  /** No try begins after this time of the clock. */
  readonly endsAtMs?: number;
  /** Hears of each try that will be followed by another. */
  readonly onRetry?: (error: ClockworkError) => void;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** 1 when the first was answered. */
  readonly tries: number;
}

const RETRIED = [408, 429, 502, 503, 504];
const decoder = new TextDecoder();

export class Transport {
  readonly clock: Clock;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly triesMax: number;
  readonly #retryMs: { readonly first: number; readonly max: number };
  readonly #fetch: typeof fetch;
  readonly #random: () => number;

  constructor(options: TransportOptions) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#headers = options.headers ?? {};
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.triesMax = options.triesMax ?? 6;
    this.#retryMs = options.retryMs ?? { first: 200, max: 10_000 };
    // Browsers want it called as a function, not as a method of whoever keeps it.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /** The reply, of 2xx or 304; any other is thrown as a `ClockworkError`. An abort is thrown as the signal's reason. */
  async call(method: string, path: string, call: Call = {}): Promise<Reply> {
    const triesMax = call.triesMax ?? this.triesMax;
    // Outside of the loop: what cannot be sent is the caller's mistake and would be one each time.
    const headers = new Headers({ ...this.#headers, ...call.headers });
    for (let tries = 1; ; tries += 1) {
      call.signal?.throwIfAborted();
      const outcome = await this.#try(method, path, headers, call);
      call.signal?.throwIfAborted();
      if (!(outcome instanceof ClockworkError)) return { ...outcome, tries };
      if (!isRetried(outcome) || tries >= triesMax) throw outcome;
      const waitMs = this.retryAfterMs(tries, outcome.retryAfterMs);
      if (this.clock.nowMs() + waitMs >= (call.endsAtMs ?? Number.POSITIVE_INFINITY)) throw outcome;
      call.onRetry?.(outcome);
      await sleep(this.clock, waitMs, call.signal);
    }
  }

  /** How long to wait after so many tries: at least what the service asked for. */
  retryAfterMs(tries: number, askedMs: number | null = null): number {
    const { first, max } = this.#retryMs;
    const most = Math.min(max, first * 2 ** Math.min(tries - 1, 30));
    const ownMs = most * (0.5 + this.#random() / 2);
    return askedMs === null || askedMs < ownMs ? ownMs : askedMs + this.#random() * first;
  }

  async #try(
    method: string,
    path: string,
    headers: Headers,
    call: Call,
  ): Promise<Omit<Reply, 'tries'> | ClockworkError> {
    const aborting = new AbortController();
    const abort = () => aborting.abort();
    const cancel = this.clock.after((call.timeoutMs ?? this.#timeoutMs) + (call.waitMs ?? 0), abort);
    call.signal?.addEventListener('abort', abort);
    try {
      const { body = null } = call;
      const init = {
        method,
        headers,
        signal: aborting.signal,
        // A browser's cache would answer for the service.
        ...(method === 'GET' ? { cache: 'no-store' as const } : {}),
        ...(body === null ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
      };
      const response = await this.#fetch(this.#url + path, init);
      // A reply that breaks off in its body is none.
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.ok || response.status === 304) {
        return { status: response.status, headers: response.headers, bytes };
      }
      return errorOf(response, bytes);
    } catch (cause) {
      const detail = aborting.signal.aborted ? 'There was no answer in time.' : 'There was no answer.';
      return new ClockworkError('unreachable', `${method} ${path}: ${detail}`, { cause });
    } finally {
      cancel();
      call.signal?.removeEventListener('abort', abort);
    }
  }
}

function isRetried({ code, status }: ClockworkError): boolean {
  return code === 'unreachable' || (status !== null && RETRIED.includes(status));
}

export function jsonOf<Value>({ bytes }: { readonly bytes: Uint8Array }): Value {
  return JSON.parse(decoder.decode(bytes)) as Value;
}

function errorOf(response: Response, bytes: Uint8Array): ClockworkError {
  const { status, headers } = response;
  const retryAfterMs = retryAfterIn(headers.get('retry-after'));
  const problem = problemIn(headers.get('content-type'), bytes);
  if (problem !== null) return ClockworkError.ofProblem(problem, retryAfterMs);
  const text = decoder.decode(bytes.subarray(0, 200)).trim();
  const detail = `The reply is of status ${status} and none of the service's own: ${text || 'it has no body'}`;
  return new ClockworkError('unexpected-reply', detail, { status, retryAfterMs });
}

function problemIn(contentType: string | null, bytes: Uint8Array): Problem | null {
  if (!contentType?.startsWith('application/problem+json')) return null;
  try {
    const problem = jsonOf<Problem>({ bytes });
    return typeof problem.code === 'string' && typeof problem.detail === 'string' ? problem : null;
  } catch {
    // Then it is somebody else's.
    return null;
  }
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterIn(value: string | null): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}

/** A key that nobody else makes; `randomUUID` is not there on pages that came without TLS. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
