/**
 * The port to where segments live: immutable objects under keys, created once and never changed.
 * Adapters: files in a folder (`file.ts`) and anything that speaks S3 (`s3.ts`).
 *
 * Keys are relative, `/`-separated, made of `[a-z0-9./-]` only; no segment of a key is `.` or `..`.
 */

export type BlobFailure =
  /** Time-out, reset, 5xx, 409, disk error: it may or may not have happened. Safe to send the same again. */
  | 'unavailable'
  /** 400, 403, no such bucket, no permission: sending it again will not help until somebody changes something. */
  | 'refused';

export class BlobError extends Error {
  constructor(
    readonly failure: BlobFailure,
    readonly operation: string,
    readonly key: string,
    cause: unknown,
  ) {
    super(`${operation} ${key}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'BlobError';
  }
}

export interface BlobInfo {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since the epoch, by the clock of where it is kept. */
  readonly modifiedAt: number;
}

export interface BlobProbe {
  /** False when a second conditional put of a key was not refused: such a place cannot fence, hence cannot archive. */
  readonly conditionalPut: boolean;
}

/** Every method throws BlobError and nothing else for what goes wrong outside this process. */
export interface BlobStore {
  /** For people and logs: `file:/var/lib/clockwork/log` or `s3://bucket/prefix`. Holds no credentials. */
  readonly description: string;

  /**
   * Creates the object, or says that it exists, atomically: of any number of callers exactly one hears `created`.
   * When it returns `created` the object is durable. Never retries by itself: `exists` after a failed try may be
   * the caller's own success, which only the caller can tell.
   */
  putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'>;

  /** The whole object, or null when there is none. */
  get(key: string): Promise<Buffer | null>;

  /** Bytes `start` up to and without `end`; shorter at the object's end; null when there is no object. */
  getRange(key: string, start: number, end: number): Promise<Buffer | null>;

  /** Keys that begin with `prefix` and sort after `after`, in UTF-8 order, at most `limit` (≤ 1,000). */
  list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]>;

  /** Deletes each key (≤ 1,000); a key that is not there counts as deleted. The result tells about each. */
  delete(keys: readonly string[]): Promise<{ key: string; deleted: boolean; message: string | null }[]>;

  /** Creates an object and tries to create it again; leaves nothing behind. */
  probe(): Promise<BlobProbe>;

  close(): Promise<void>;
}
