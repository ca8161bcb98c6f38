/**
 * Blobs in S3 or in anything that speaks it. Objects are created by one PutObject with `If-None-Match: *`.
 *
 * Nothing is retried in here: whether a failed put may be sent again is for the caller to say. An answer counts only
 * when it has what a true one has; a 200 with an error inside, or a body that is cut short, is `unavailable`.
 */
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { BlobError, type BlobFailure, type BlobInfo, type BlobProbe, type BlobStore } from './blob.js';
import { assertKey, assertPerCall, assertPrefix, assertRange, isKey } from './key.js';
import { probeConditionalPut } from './probe.js';

export interface S3BlobOptions {
  readonly bucket: string;
  /** Set before every key, with a `/` between; may be empty. */
  readonly prefix: string;
  /** For servers other than Amazon's. */
  readonly endpoint?: string;
  /** Else by the SDK's own chain (`AWS_REGION`, profile), at last `us-east-1`. */
  readonly region?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`: what most servers other than Amazon's want. */
  readonly forcePathStyle: boolean;
  /** For one call from beginning to end, its body included. */
  readonly requestTimeoutMs: number;
}

/** These say "refused" by their status, and pass by themselves all the same. */
const PASSING = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
]);

const SOCKETS_MAX = 64;

export class S3BlobStore implements BlobStore {
  readonly description: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #requestTimeoutMs: number;

  constructor(options: S3BlobOptions) {
    this.#bucket = options.bucket;
    this.#prefix =
      options.prefix === '' || options.prefix.endsWith('/') ? options.prefix : `${options.prefix}/`;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.description = `s3://${this.#bucket}/${this.#prefix}`.replace(/\/$/, '');
    const region = options.region ?? (options.endpoint === undefined ? undefined : regionOfEnvironment());
    this.#client = new S3Client({
      ...(region === undefined ? {} : { region }),
      ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
      forcePathStyle: options.forcePathStyle,
      maxAttempts: 1,
      // Else bodies go as checksummed chunks, which several servers refuse.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // Else a body of 2 MiB opens a connection of its own and waits for a `100 Continue` that some never send.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: options.requestTimeoutMs,
        requestTimeout: options.requestTimeoutMs,
        throwOnRequestTimeout: true,
        httpAgent: { keepAlive: true, maxSockets: SOCKETS_MAX },
        httpsAgent: { keepAlive: true, maxSockets: SOCKETS_MAX },
      },
    });
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    assertKey(key);
    return this.#call('put', key, async (abortSignal) => {
      const command = new PutObjectCommand({
        Bucket: this.#bucket,
        Key: this.#prefix + key,
        Body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
        ContentLength: body.byteLength,
        ContentType: 'application/octet-stream',
        IfNoneMatch: '*',
      });
      try {
        const answer = await this.#client.send(command, { abortSignal });
        if (!answer.ETag) throw new Error('the answer to a put names no ETag');
        return 'created';
      } catch (error) {
        if (statusOf(error) === 412) return 'exists';
        throw error;
      }
    });
  }

  get(key: string): Promise<Buffer | null> {
    return this.#get(key, null);
  }

  async getRange(key: string, start: number, end: number): Promise<Buffer | null> {
    assertRange(start, end);
    return this.#get(key, { start, end });
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]> {
    assertPrefix(prefix);
    if (options.after !== undefined) assertPrefix(options.after);
    assertPerCall('limit', options.limit);
    const found: BlobInfo[] = [];
    let after = options.after === undefined ? undefined : this.#prefix + options.after;
    // A server may give fewer than were asked for; only `IsTruncated` says whether there are more.
    for (;;) {
      const page = await this.#listPage(prefix, after, options.limit - found.length);
      found.push(...page.found);
      if (page.last === null || found.length >= options.limit) return found;
      after = page.last;
    }
  }

  async delete(
    keys: readonly string[],
  ): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    assertPerCall('keys', keys.length);
    for (const key of keys) assertKey(key);
    const first = keys[0] ?? '';
    return this.#call('delete', first, async (abortSignal) => {
      const answer = await this.#client.send(
        new DeleteObjectsCommand({
          Bucket: this.#bucket,
          Delete: { Objects: keys.map((key) => ({ Key: this.#prefix + key })), Quiet: false },
        }),
        { abortSignal },
      );
      const deleted = new Set(answer.Deleted?.map((entry) => entry.Key));
      const errors = new Map(answer.Errors?.map((entry) => [entry.Key, `${entry.Code}: ${entry.Message}`]));
      return keys.map((key) => {
        const name = this.#prefix + key;
        const error =
          errors.get(name) ?? (deleted.has(name) ? null : 'the answer says nothing about this key');
        return { key, deleted: error === null, message: error };
      });
    });
  }

  probe(): Promise<BlobProbe> {
    return probeConditionalPut(this);
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #get(key: string, range: { start: number; end: number } | null): Promise<Buffer | null> {
    assertKey(key);
    return this.#call('get', key, async (abortSignal) => {
      const command = new GetObjectCommand({
        Bucket: this.#bucket,
        Key: this.#prefix + key,
        ...(range === null ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
      });
      try {
        const answer = await this.#client.send(command, { abortSignal });
        if (answer.Body === undefined) throw new Error('the answer to a get has no body');
        // We never store XML: this is an error that came with a 200.
        if (answer.ContentType?.includes('xml')) throw new Error('the answer to a get is an XML document');
        const body = Buffer.from(await answer.Body.transformToByteArray());
        if (answer.ContentLength !== body.byteLength) {
          throw new Error(`the answer has ${body.byteLength} bytes of ${answer.ContentLength ?? 'unknown'}`);
        }
        return range === null ? body : cutRange(body, answer.ContentRange, range);
      } catch (error) {
        // Only this code says that there is no object: a 404 of a proxy, or of a missing bucket, does not.
        if (nameOf(error) === 'NoSuchKey') return null;
        if (range !== null && statusOf(error) === 416) return Buffer.alloc(0);
        throw error;
      }
    });
  }

  async #listPage(
    prefix: string,
    after: string | undefined,
    limit: number,
  ): Promise<{ found: BlobInfo[]; last: string | null }> {
    return this.#call('list', prefix, async (abortSignal) => {
      const answer = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          MaxKeys: limit,
          ...(after === undefined ? {} : { StartAfter: after }),
        }),
        { abortSignal },
      );
      if (answer.Name === undefined) throw new Error('the answer to a list names no bucket');
      const objects = answer.Contents ?? [];
      const found: BlobInfo[] = [];
      for (const object of objects) {
        const key = object.Key?.slice(this.#prefix.length) ?? '';
        // Others may keep things in the bucket that no key of ours can name.
        if (!isKey(key)) continue;
        found.push({ key, bytes: object.Size ?? 0, modifiedAt: object.LastModified?.getTime() ?? 0 });
      }
      const last = objects.at(-1)?.Key ?? null;
      if (answer.IsTruncated && last === null) throw new Error('the answer to a list is empty yet truncated');
      return { found, last: answer.IsTruncated ? last : null };
    });
  }

  /** Runs one call under its deadline and gives every failure its place among the two kinds. */
  async #call<T>(
    operation: string,
    key: string,
    action: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#requestTimeoutMs);
    try {
      return await action(deadline.signal);
    } catch (error) {
      const cause = deadline.signal.aborted
        ? new Error(`no answer within ${this.#requestTimeoutMs} ms`)
        : error;
      throw new BlobError(failureOf(error), operation, key, cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Other servers want a region to be signed for and do not care which; Amazon's must be named. */
function regionOfEnvironment(): string {
  return process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
}

/** What was asked for, also of a server that ignores ranges and sends the whole. */
function cutRange(
  body: Buffer,
  contentRange: string | undefined,
  range: { start: number; end: number },
): Buffer {
  if (contentRange === undefined) return body.subarray(range.start, range.end);
  const first = /^bytes (\d+)-/.exec(contentRange)?.[1];
  if (Number(first) !== range.start || body.byteLength > range.end - range.start) {
    throw new Error(`asked for bytes ${range.start}-${range.end - 1}, got ${contentRange}`);
  }
  return body;
}

/** What reached the server and was turned down will be again; everything else may pass by itself. */
function failureOf(error: unknown): BlobFailure {
  const status = statusOf(error);
  if (status === null) return isUnsendable(error) ? 'refused' : 'unavailable';
  if (status === 501) return 'refused';
  if (status >= 500 || status === 408 || status === 409 || status === 429) return 'unavailable';
  if (status >= 300 && !PASSING.has(nameOf(error))) return 'refused';
  return 'unavailable';
}

/** Of the answer, also when its body was nothing that the SDK could read; null when there was no answer. */
function statusOf(error: unknown): number | null {
  if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode ?? null;
  const response = error instanceof Error && '$response' in error ? error.$response : null;
  if (typeof response !== 'object' || response === null || !('statusCode' in response)) return null;
  return typeof response.statusCode === 'number' ? response.statusCode : null;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** Nothing was sent: there are no credentials, or no region to sign for. */
function isUnsendable(error: unknown): boolean {
  return (
    nameOf(error) === 'CredentialsProviderError' || (error as Error | null)?.message === 'Region is missing'
  );
}
