/** A simulated place for the log, as instances reach it: puts get lost, come late or twice; old segments are deleted. */
import { BlobError, type BlobInfo } from '../../src/blob/blob.js';
import type { SegmentHeader } from '../../src/log/segment-header.js';
import { slotKey, slotOfKey } from '../../src/log/slot.js';
import { MemoryBlobs } from './memory-blobs.js';
import type { Turns } from './turns.js';

/** What has left a sender that hears nothing of it any more. */
const NETWORK = 'network';

/** What the place needs to know of the world that it is in. */
export interface Storm {
  readonly turns: Turns;
  readonly places: Places;
  readonly counts: { lost: number; late: number; doubled: number };
  /** Puts are not conditional: a mistake. */
  readonly overwrites: boolean;
  strikes(probability: number): boolean;
}

interface Slot {
  readonly header: Omit<SegmentHeader, 'from' | 'to'>;
  readonly lines: readonly string[];
}

/** What is there, and what was ever won in the log. */
export class Places {
  readonly live = new Map<number, Buffer>();
  /** Checkpoints, and where the log begins. */
  readonly others = new Map<string, Buffer>();
  readonly whole = new Map<number, Buffer>();
  readonly parsed: Slot[] = [];
  changed = false;

  put(key: string, bytes: Buffer, overwrites: boolean): 'created' | 'exists' {
    const slot = slotOfKey(key);
    if (slot === null) {
      if (this.others.has(key)) return 'exists';
      this.others.set(key, bytes);
      return 'created';
    }
    if (this.live.has(slot) && !overwrites) return 'exists';
    this.live.set(slot, bytes);
    if (this.whole.has(slot) && !overwrites) return 'created';
    this.whole.set(slot, bytes);
    this.parsed[slot - 1] = parse(bytes);
    this.changed = true;
    return 'created';
  }

  get(key: string): Buffer | null {
    const slot = slotOfKey(key);
    return (slot === null ? this.others.get(key) : this.live.get(slot)) ?? null;
  }

  list(prefix: string, after = '', limit = 1_000): BlobInfo[] {
    const keys = prefix.startsWith('log/') ? this.#slotKeys(after, limit) : [...this.others.keys()].sort();
    return keys
      .filter((key) => key.startsWith(prefix) && key > after)
      .slice(0, limit)
      .map((key) => ({ key, bytes: this.get(key)!.byteLength, modifiedAt: 0 }));
  }

  /** The first one is what is mostly asked for. */
  #slotKeys(after: string, limit: number): string[] {
    const above = slotOfKey(after) ?? 0;
    const slots = [...this.live.keys()].filter((slot) => slot > above);
    if (limit > 1) return slots.sort((a, b) => a - b).map((slot) => slotKey(0, slot));
    return slots.length === 0
      ? []
      : [
          slotKey(
            0,
            slots.reduce((low, slot) => Math.min(low, slot)),
          ),
        ];
  }
}

/** What is there, seen at once: for who stands outside the storm. */
export class CalmBlobs extends MemoryBlobs {
  constructor(private readonly places: Places) {
    super();
  }

  override async putIfAbsent(key: string, bytes: Buffer): Promise<'created' | 'exists'> {
    return this.places.put(key, bytes, false);
  }

  override async get(key: string): Promise<Buffer | null> {
    return this.places.get(key);
  }

  override async list(
    prefix: string,
    { after, limit }: { after?: string; limit: number },
  ): Promise<BlobInfo[]> {
    return this.places.list(prefix, after, limit);
  }

  override async delete(
    keys: readonly string[],
  ): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    return keys.map((key) => {
      const slot = slotOfKey(key);
      if (slot === null) this.places.others.delete(key);
      else this.places.live.delete(slot);
      return { key, deleted: true, message: null };
    });
  }
}

/** The segments are not compressed here. */
function parse(bytes: Buffer): Slot {
  const lines = bytes.toString().trimEnd().split('\n');
  return { header: JSON.parse(lines[0]!) as SegmentHeader, lines: lines.slice(1, -1) };
}

/** The place of the log as one instance reaches it. */
export class StormyBlobs extends MemoryBlobs {
  constructor(
    private readonly owner: string,
    private readonly world: Storm,
  ) {
    super();
  }

  override async putIfAbsent(key: string, bytes: Buffer): Promise<'created' | 'exists'> {
    const { world, owner } = this;
    const { turns, counts } = world;
    const land = () => world.places.put(key, bytes, world.overwrites);
    if (world.strikes(0.1)) {
      counts.late++;
      void turns.take(NETWORK).then(land);
      await turns.take(owner);
      throw unavailable('put', key);
    }
    await this.#turn('put', key);
    const result = land();
    if (world.strikes(0.03)) {
      counts.doubled++;
      void turns.take(NETWORK).then(land);
    }
    await turns.take(owner);
    if (world.strikes(0.15)) {
      counts.lost++;
      throw unavailable('put', key);
    }
    return result;
  }

  override async get(key: string): Promise<Buffer | null> {
    await this.#turn('get', key);
    return this.world.places.get(key);
  }

  override async list(
    prefix: string,
    { after, limit }: { after?: string; limit: number },
  ): Promise<BlobInfo[]> {
    await this.#turn('list', '');
    return this.world.places.list(prefix, after, limit);
  }

  override async delete(
    keys: readonly string[],
  ): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    await this.#turn('delete', '');
    return keys.map((key) => {
      this.world.places.others.delete(key);
      return { key, deleted: true, message: null };
    });
  }

  async #turn(operation: string, key: string): Promise<void> {
    await this.world.turns.take(this.owner);
    if (!this.world.strikes(0.04)) return;
    this.world.counts.lost++;
    throw unavailable(operation, key);
  }
}

function unavailable(operation: string, key: string): BlobError {
  return new BlobError('unavailable', operation, key, new Error('no answer'));
}
