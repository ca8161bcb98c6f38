/** Blobs that count the calls that are made of them. */
import type { BlobInfo, BlobProbe, BlobStore } from '../../src/blob/blob.js';

export class CountingBlobs implements BlobStore {
  /** Calls by operation and key, oldest first. */
  readonly calls: string[] = [];

  constructor(private readonly inner: BlobStore) {}

  get description(): string {
    return this.inner.description;
  }

  /** What was called since this was last asked. */
  take(): string[] {
    return this.calls.splice(0);
  }

  putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    this.calls.push(`put ${key}`);
    return this.inner.putIfAbsent(key, body);
  }

  get(key: string): Promise<Buffer | null> {
    this.calls.push(`get ${key}`);
    return this.inner.get(key);
  }

  getRange(key: string, start: number, end: number): Promise<Buffer | null> {
    this.calls.push(`get ${key} ${start}-${end}`);
    return this.inner.getRange(key, start, end);
  }

  list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]> {
    this.calls.push(`list ${prefix}`);
    return this.inner.list(prefix, options);
  }

  delete(keys: readonly string[]): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    this.calls.push(`delete ${keys.join(' ')}`);
    return this.inner.delete(keys);
  }

  probe(): Promise<BlobProbe> {
    return this.inner.probe();
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
