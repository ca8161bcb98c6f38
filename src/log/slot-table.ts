/**
 * In which slot a record is: found by the positions in the headers of segments, which are read by a range of their first
 * bytes and remembered. Positions that are asked for one after another lie near each other, so the search steps on from
 * the nearest that is known.
 */
import { constants, gunzipSync } from 'node:zlib';
import type { BlobStore } from '../blob/blob.js';
import { comparePositions, type Position } from '../event/record.js';
import { CorruptSegmentError } from './segment.js';
import { decodeHeader } from './segment-header.js';
import { slotKey } from './slot.js';

const HEADER_BYTES = 2_048;
/** Some 100 bytes each. */
const KNOWN_MAX = 100_000;

export class SlotTable {
  /** Position of the last record up to and with a slot; null: there is none. */
  readonly #ends = new Map<number, Position | null>();

  constructor(
    private readonly blobs: BlobStore,
    private readonly partition: number,
  ) {}

  /** The slot of the segment that has the record at `position`, which is in one from `near` up to `head`. */
  async slotOf(position: Position, near: number, head: number): Promise<number> {
    let low = 0;
    let high = head;
    // Slots up to `low` end before the position, `high` does not.
    if (near > 1 && near <= head) {
      if (await this.#endsBefore(near - 1, position)) low = near - 1;
      else high = near - 1;
    }
    for (let step = 1; low > 0 && low + step < high; step *= 2) {
      if (await this.#endsBefore(low + step, position)) low += step;
      else high = low + step;
    }
    while (high - low > 1) {
      const middle = low + Math.floor((high - low) / 2);
      if (await this.#endsBefore(middle, position)) low = middle;
      else high = middle;
    }
    return high;
  }

  async #endsBefore(slot: number, position: Position): Promise<boolean> {
    const end = await this.#endOf(slot);
    return end === null || comparePositions(end, position) < 0;
  }

  async #endOf(slot: number): Promise<Position | null> {
    const known = this.#ends.get(slot);
    if (known !== undefined) return known;
    const key = slotKey(this.partition, slot);
    const bytes = await this.blobs.getRange(key, 0, HEADER_BYTES);
    // What is deleted is older than anything that is asked for.
    const end = bytes === null ? null : headerOf(key, bytes).to;
    if (this.#ends.size >= KNOWN_MAX) this.#ends.clear();
    this.#ends.set(slot, end);
    return end;
  }
}

function headerOf(key: string, bytes: Buffer) {
  try {
    // The rest of the object is missing, and nobody asks for it.
    const text = gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString('utf8');
    return decodeHeader(text.slice(0, text.indexOf('\n')));
  } catch (error) {
    throw new CorruptSegmentError(key, 'its header cannot be read', error);
  }
}
