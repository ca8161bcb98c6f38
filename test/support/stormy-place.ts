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

/** What of the log is there, and what was ever won in it: recovery reads the latter, as from checkpoints. */
export class Places {
  readonly live = new Map<number, Buffer>();
  readonly whole = new Map<number, Buffer>();
  readonly parsed: Slot[] = [];
  changed = false;

  put(key: string, bytes: Buffer, overwrites: boolean): 'created' | 'exists' {
    const slot = slotOfKey(key)!;
    if (this.live.has(slot) && !overwrites) return 'exists';
    this.live.set(slot, bytes);
    if (this.whole.has(slot) && !overwrites) return 'created';
    this.whole.set(slot, bytes);
    this.parsed[slot - 1] = parse(bytes);
    this.changed = true;
    return 'created';
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
    return this.world.places.whole.get(slotOfKey(key)!) ?? null;
  }

  override async list(_prefix: string, { after }: { after?: string; limit: number }): Promise<BlobInfo[]> {
    await this.#turn('list', '');
    const above = after === undefined ? 0 : (slotOfKey(after) ?? 0);
    let lowest = Number.POSITIVE_INFINITY;
    for (const slot of this.world.places.live.keys()) if (slot > above) lowest = Math.min(lowest, slot);
    if (lowest === Number.POSITIVE_INFINITY) return [];
    const key = slotKey(0, lowest);
    return [{ key, bytes: 1, modifiedAt: 0 }];
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
