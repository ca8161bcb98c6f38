/**
 * A proxy between a client and the service that can lose, hold, cut or double what passes. It has always read the
 * whole reply before it does so: the service has written it and believes it delivered.
 */
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as requestUpstream,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Passing {
  readonly method: string;
  readonly path: string;
  readonly idempotencyKey: string | null;
  /** Counts what this proxy has passed from 1. */
  readonly n: number;
}

export type Mischief =
  /** The reply is thrown away and the client's connection broken. */
  | { readonly kind: 'drop' }
  /** Half of the reply's body, then the connection breaks. */
  | { readonly kind: 'cut' }
  /** The reply waits until `until` settles. */
  | { readonly kind: 'delay'; readonly until: Promise<unknown> }
  /** The request reaches the service twice; the client hears the second answer. */
  | { readonly kind: 'twice' };

interface Answer {
  readonly head: IncomingMessage;
  readonly body: Buffer;
}

export class FaultyProxy {
  misbehave: (passing: Passing) => Mischief | null = () => null;
  /** Where requests go; may change on the way. */
  upstream: string;
  #passed = 0;
  readonly #server: Server;

  private constructor(upstream: string) {
    this.upstream = upstream;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  static async start(upstream: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(upstream);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#passed += 1;
    const { method = 'GET', url: path = '/', headers } = request;
    const key = headers['idempotency-key'];
    const idempotencyKey = typeof key === 'string' ? key : null;
    const mischief = this.misbehave({ method, path, idempotencyKey, n: this.#passed });
    const sent = await buffer(request);
    if (mischief?.kind === 'twice') await this.#ask(request, sent);
    const answer = await this.#ask(request, sent);
    if (mischief?.kind === 'delay') await mischief.until;
    deliver(answer, response, mischief);
  }

  async #ask(request: IncomingMessage, sent: Buffer): Promise<Answer> {
    const target = new URL(request.url ?? '/', this.upstream);
    const upstream = requestUpstream(target, { method: request.method, headers: request.headers });
    upstream.end(sent);
    const [head] = (await once(upstream, 'response')) as [IncomingMessage];
    return { head, body: await buffer(head) };
  }
}

function deliver({ head, body }: Answer, response: ServerResponse, mischief: Mischief | null): void {
  if (mischief?.kind === 'drop') {
    response.destroy();
    return;
  }
  const { 'transfer-encoding': _whole, ...headers } = head.headers;
  response.writeHead(head.statusCode ?? 502, headers);
  if (mischief?.kind !== 'cut') {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, body.byteLength >> 1), () => response.destroy());
}
