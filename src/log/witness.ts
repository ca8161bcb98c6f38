/**
 * Whether a store that is found open is the one that the log has gone on with. Behind a store's address another server
 * may come to stand, one that was open long ago and does not know that the log has left it behind: only the log can tell.
 */
import type { BlobStore } from '../blob/blob.js';
import type { Claim } from '../store/store.js';
import { decodeSegment } from './segment.js';
import { findHeadSlot, slotKey } from './slot.js';

export class Witness {
  /** By partition: a slot that is known to be taken, where the search for the log's end begins. */
  readonly #known = new Map<number, number>();

  constructor(private readonly blobs: BlobStore) {}

  /**
   * True when the log ends in the view that the store was opened in, or when there is no log yet. What is said holds for
   * the moment in which the call began. Throws BlobError, CorruptSegmentError.
   */
  readonly isCurrent = async (partition: number, claim: Claim): Promise<boolean> => {
    const from = Math.max(this.#known.get(partition) ?? 0, claim.slot);
    const slot = await findHeadSlot(this.blobs, partition, from);
    if (slot === 0) return true;
    const key = slotKey(partition, slot);
    const bytes = await this.blobs.get(key);
    // The store has archived what this log does not have: it is another one.
    if (bytes === null) return false;
    this.#known.set(partition, slot);
    const { header } = await decodeSegment(key, bytes);
    return header.logId === claim.logId && header.view === claim.view;
  };
}
