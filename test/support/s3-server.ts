/**
 * A small S3 in memory, for tests: path-style, conditional put that is atomic, ranges, lists, deletes. It keeps S3's
 * promises until it is told to break one: `misbehave` sees each call and may name a fault for it.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Call {
  readonly operation: 'put' | 'get' | 'head' | 'list' | 'delete' | 'deleteMany' | 'createBucket';
  readonly bucket: string;
  readonly key: string;
  /** Counts the calls of this server from 1. */
  readonly n: number;
}

export type S3Fault =
  /** An error instead of an answer. With `commit` the call has been done nevertheless. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string; readonly commit?: boolean }
  /** The connection breaks, before or after the call is done. */
  | { readonly kind: 'reset'; readonly when: 'before' | 'after' }
  /** The call is done at once, or when `until` settles; its answer never comes. */
  | { readonly kind: 'silence'; readonly until?: Promise<unknown> }
  /** The call is done and answered when `until` settles. */
  | { readonly kind: 'delay'; readonly until: Promise<unknown> }
  /** A put overwrites, as on servers that do not know the condition. */
  | { readonly kind: 'ignoreCondition' }
  /** Half of a get's body; then the connection breaks, or (`stall`) nothing comes any more. */
  | { readonly kind: 'truncate'; readonly stall?: boolean }
  /** 200 with an error in the body; nothing is done. */
  | { readonly kind: 'errorBody' }
  /** An error page of something that is not S3. */
  | { readonly kind: 'proxyPage'; readonly status: number }
  /** A multi-delete that deletes nothing under these names and says so. */
  | { readonly kind: 'refuseKeys'; readonly keys: readonly string[] };

interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly modifiedAt: Date;
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
}

export class TestS3Server {
  /** Every call, in order. */
  readonly calls: S3Call[] = [];
  readonly buckets = new Map<string, Map<string, StoredObject>>();
  misbehave: (call: S3Call) => S3Fault | null = () => null;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(buckets: readonly string[] = ['test']): Promise<TestS3Server> {
    const server = new TestS3Server();
    for (const name of buckets) server.buckets.set(name, new Map());
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve, reject) =>
      this.#server.close((error) => (error ? reject(error) : resolve())),
    );
  }

  /** The next calls of this operation go wrong in these ways, one after another; then all is well. */
  failNext(operation: S3Call['operation'], ...faults: S3Fault[]): void {
    const waiting = [...faults];
    this.misbehave = (call) => (call.operation === operation ? (waiting.shift() ?? null) : null);
  }

  count(operation: S3Call['operation']): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request);
    const url = new URL(request.url ?? '/', 'http://s3');
    const call = this.#callOf(request, url);
    this.calls.push(call);
    const fault = this.misbehave(call);
    switch (fault?.kind) {
      case 'status':
        if (fault.commit) this.#perform(call, request, url, body, null);
        return send(response, errorAnswer(fault.status, fault.code));
      case 'reset':
        if (fault.when === 'after') this.#perform(call, request, url, body, null);
        request.socket.resetAndDestroy();
        return;
      case 'silence':
        await fault.until;
        this.#perform(call, request, url, body, null);
        return;
      case 'delay':
        await fault.until;
        break;
      case 'truncate':
        return sendHalf(response, this.#perform(call, request, url, body, null), fault.stall === true);
      case 'errorBody':
        return send(response, { ...errorAnswer(500, 'InternalError'), status: 200 });
      case 'proxyPage':
        return send(response, {
          status: fault.status,
          headers: { 'content-type': 'text/html' },
          body: '<p>no</p',
        });
    }
    send(response, this.#perform(call, request, url, body, fault));
  }

  #callOf(request: IncomingMessage, url: URL): S3Call {
    const [, bucket = '', ...rest] = url.pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    return { operation: operationOf(request.method ?? '', key, url), bucket, key, n: this.calls.length + 1 };
  }

  #perform(call: S3Call, request: IncomingMessage, url: URL, body: Buffer, fault: S3Fault | null): Answer {
    if (call.operation === 'createBucket') {
      if (!this.buckets.has(call.bucket)) this.buckets.set(call.bucket, new Map());
      return { status: 200 };
    }
    const objects = this.buckets.get(call.bucket);
    if (objects === undefined) return errorAnswer(404, 'NoSuchBucket');
    switch (call.operation) {
      case 'put':
        return put(objects, call.key, body, request, fault?.kind === 'ignoreCondition');
      case 'get':
      case 'head':
        return get(objects, call.key, request.headers.range);
      case 'delete':
        objects.delete(call.key);
        return { status: 204 };
      case 'deleteMany':
        return deleteMany(objects, body.toString(), fault?.kind === 'refuseKeys' ? fault.keys : []);
      case 'list':
        return list(objects, call.bucket, url.searchParams);
    }
  }
}

function operationOf(method: string, key: string, url: URL): S3Call['operation'] {
  if (method === 'PUT') return key === '' ? 'createBucket' : 'put';
  if (method === 'HEAD') return 'head';
  if (method === 'DELETE') return 'delete';
  if (method === 'POST' && url.searchParams.has('delete')) return 'deleteMany';
  return key === '' ? 'list' : 'get';
}

function put(
  objects: Map<string, StoredObject>,
  key: string,
  body: Buffer,
  request: IncomingMessage,
  ignoreCondition: boolean,
): Answer {
  if (request.headers['content-encoding']?.includes('aws-chunked'))
    return errorAnswer(411, 'MissingContentLength');
  if (request.headers['if-none-match'] === '*' && objects.has(key) && !ignoreCondition) {
    return errorAnswer(412, 'PreconditionFailed');
  }
  const etag = `"${createHash('md5').update(body).digest('hex')}"`;
  objects.set(key, { body, etag, modifiedAt: new Date() });
  return { status: 200, headers: { etag } };
}

function get(objects: Map<string, StoredObject>, key: string, range: string | undefined): Answer {
  const object = objects.get(key);
  if (object === undefined) return errorAnswer(404, 'NoSuchKey');
  const headers = {
    etag: object.etag,
    'content-type': 'application/octet-stream',
    'last-modified': object.modifiedAt.toUTCString(),
  };
  const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  if (match === null) return { status: 200, headers, body: object.body };
  const start = Number(match[1]);
  const size = object.body.byteLength;
  if (start >= size) return errorAnswer(416, 'InvalidRange');
  const last = Math.min(Number(match[2]), size - 1);
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${last}/${size}` },
    body: object.body.subarray(start, last + 1),
  };
}

function deleteMany(objects: Map<string, StoredObject>, xml: string, refused: readonly string[]): Answer {
  const keys = [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1] ?? '');
  const results = keys.map((key) => {
    if (refused.includes(key)) {
      return `<Error><Key>${key}</Key><Code>AccessDenied</Code><Message>not this one</Message></Error>`;
    }
    objects.delete(key);
    return `<Deleted><Key>${key}</Key></Deleted>`;
  });
  return xmlAnswer(200, `<DeleteResult>${results.join('')}</DeleteResult>`);
}

function list(objects: Map<string, StoredObject>, bucket: string, query: URLSearchParams): Answer {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('start-after') ?? '';
  const limit = Number(query.get('max-keys') ?? 1000);
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, limit).map((key) => {
    const object = objects.get(key);
    const modified = object?.modifiedAt.toISOString();
    return `<Contents><Key>${key}</Key><LastModified>${modified}</LastModified><Size>${object?.body.byteLength}</Size></Contents>`;
  });
  const truncated = keys.length > limit;
  return xmlAnswer(
    200,
    `<ListBucketResult><Name>${bucket}</Name><KeyCount>${page.length}</KeyCount>` +
      `<IsTruncated>${truncated}</IsTruncated>${page.join('')}</ListBucketResult>`,
  );
}

function xmlAnswer(status: number, xml: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>${xml}`,
  };
}

function errorAnswer(status: number, code: string): Answer {
  return xmlAnswer(status, `<Error><Code>${code}</Code><Message>${code} on purpose</Message></Error>`);
}

function send(response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body ?? '');
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.byteLength });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

function sendHalf(response: ServerResponse, answer: Answer, stall: boolean): void {
  const body = Buffer.from(answer.body ?? '');
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.byteLength });
  response.write(body.subarray(0, body.byteLength >> 1), () => {
    if (!stall) response.destroy();
  });
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
