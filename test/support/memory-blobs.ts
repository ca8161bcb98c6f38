/** Blobs in memory: what the port promises, at once. The place for a test to put faults around. */
import type { BlobInfo, BlobProbe, BlobStore } from '../../src/blob/blob.js';

export class MemoryBlobs implements BlobStore {
  readonly description = 'memory';
  readonly objects = new Map<string, Buffer>();

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    if (this.objects.has(key)) return 'exists';
    this.objects.set(key, Buffer.from(body));
    return 'created';
  }

  async get(key: string): Promise<Buffer | null> {
    return this.objects.get(key) ?? null;
  }

  async getRange(key: string, start: number, end: number): Promise<Buffer | null> {
    return this.objects.get(key)?.subarray(start, end) ?? null;
  }

  async list(prefix: string, { after = '', limit }: { after?: string; limit: number }): Promise<BlobInfo[]> {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
    return keys
      .sort()
      .slice(0, limit)
      .map((key) => ({ key, bytes: this.objects.get(key)?.byteLength ?? 0, modifiedAt: 0 }));
  }

  async delete(
    keys: readonly string[],
  ): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    return keys.map((key) => {
      this.objects.delete(key);
      return { key, deleted: true, message: null };
    });
  }

  async probe(): Promise<BlobProbe> {
    return { conditionalPut: true };
  }

  async close(): Promise<void> {}
}
