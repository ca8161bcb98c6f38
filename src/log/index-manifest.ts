/** Which index objects of a partition there are, and which of them may have an event: by the time in its id. */
import type { BlobStore } from '../blob/blob.js';
import { type IndexName, indexFolder, indexKey, indexNameOf } from './index-object.js';

const PAGE = 1_000;

export class IndexManifest {
  readonly #names: IndexName[] = [];
  #slot = 0;
  #refreshing: Promise<void> | null = null;

  constructor(
    private readonly blobs: BlobStore,
    private readonly partition: number,
  ) {}

  /** Keys of the objects that may have an event whose id is of the time `ms`, the newest first. */
  keysFor(ms: number): string[] {
    const found: string[] = [];
    for (let at = this.#names.length - 1; at >= 0; at -= 1) {
      const name = this.#names[at]!;
      if (name.from <= ms && ms <= name.to) found.push(indexKey(this.partition, name));
    }
    return found;
  }

  /** Makes sure that every object up to that of `slot` is known; asks the blob store only when there are newer ones. */
  async reach(slot: number): Promise<void> {
    // What was under way may have begun before the object was there.
    for (let tries = 0; tries < 2 && this.#slot < slot; tries += 1) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshing = null;
      });
      await this.#refreshing;
    }
  }

  /** Names go up with time, so what is new comes behind what is known; two of one slot may come in any order. */
  async #refresh(): Promise<void> {
    const folder = indexFolder(this.partition);
    const known = new Set(
      this.#names.filter(({ slot }) => slot === this.#slot).map((name) => this.#key(name)),
    );
    let after = this.#slot === 0 ? undefined : `${folder}${String(this.#slot).padStart(20, '0')}`;
    for (;;) {
      const page = await this.blobs.list(folder, { ...(after === undefined ? {} : { after }), limit: PAGE });
      for (const { key } of page) {
        const name = indexNameOf(key);
        if (name === null || known.has(key)) continue;
        this.#names.push(name);
        this.#slot = Math.max(this.#slot, name.slot);
      }
      after = page.at(-1)?.key ?? after;
      if (page.length < PAGE) break;
    }
  }

  #key(name: IndexName): string {
    return indexKey(this.partition, name);
  }
}
