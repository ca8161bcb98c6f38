/**
 * A client of the REST interface that keeps its connections and shows every reply as it came. `persist` is what a
 * careful client does about replies that do not come: the same call again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errors, Pool } from 'undici';

export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  /** A value is sent as JSON, bytes and text as they are. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export class Reply {
  constructor(
    readonly status: number,
    readonly headers: Readonly<Record<string, string | string[] | undefined>>,
    readonly text: string,
  ) {}

  json<Value>(): Value {
    return JSON.parse(this.text) as Value;
  }
}

/** Long enough that those who knock do not keep what they wait for from starting. */
const REPEAT_AFTER_MS = 100;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export class Api {
  readonly #pool: Pool;

  constructor(url: string, connections = 64) {
    this.#pool = new Pool(url, { connections, pipelining: 1, keepAliveTimeout: 30_000 });
  }

  async call(method: Method, path: string, { headers = {}, body, signal }: Call = {}): Promise<Reply> {
    const raw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
    const response = await this.#pool.request({
      method,
      path,
      headers: raw ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
    return new Reply(response.statusCode, response.headers, await response.body.text());
  }

  /**
   * Makes the same call until there is an answer other than 503: while the service, or the store behind it, is away.
   * `onRepeat` hears of every answer that was missed.
   */
  async persist(method: Method, path: string, call: Call = {}, onRepeat?: () => void): Promise<Reply> {
    for (;;) {
      try {
        const reply = await this.call(method, path, call);
        if (reply.status !== 503) return reply;
      } catch (error) {
        if (call.signal?.aborted || !isBrokenConnection(error)) throw error;
      }
      onRepeat?.();
      await delay(REPEAT_AFTER_MS);
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}

const BROKEN = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

export function isBrokenConnection(error: unknown): boolean {
  if (error instanceof errors.SocketError) return true;
  return error instanceof Error && 'code' in error && BROKEN.has(String(error.code));
}
