/**
 * Opening a partition of the log for one store: the end of the log is taken by a fence, and only then is the store
 * brought up to it, so that nobody of before can append behind what is read.
 *
 *     look ── where the log ends, how the store stands
 *       │        └── another store has gone on with the log ──► fenced: look again later
 *     fence ── won ──► recover, unless the store is open in the log's view ──► opened
 *       └── lost to an equal or higher epoch, or to another view ──► again, from the look
 *
 * A fence whose fate is not known is sent again as it was, as every segment is.
 */
import { BlobError, type BlobStore } from '../blob/blob.js';
import type { Position } from '../event/record.js';
import type { Recoverable, Standing } from '../store/store.js';
import { LogMismatchError } from './archiver-status.js';
import type { CheckpointDamagedError } from './checkpoint.js';
import type { Clock } from './clock.js';
import { findHead, type Head } from './head.js';
import type { LogReader } from './reader.js';
import { recover } from './recovery.js';
import { type EncodedSegment, encodeFence, type Segment } from './segment.js';
import { firstSlotFrom, slotKey } from './slot.js';

/** What was last seen of the log's end may be taken for granted so long; after that the log is looked at again. */
export const CONFIRMED_MS = 60_000;

export interface OpeningOptions {
  readonly blobs: BlobStore;
  readonly reader: LogReader;
  readonly store: Recoverable;
  readonly logId: string;
  readonly partition: number;
  readonly partitions: number;
  readonly writer: string;
  readonly clock: Clock;
  readonly newPutId: () => string;
  /** Told of checkpoints that cannot be used. */
  readonly warn: (error: CheckpointDamagedError) => void;
}

export type Opened =
  | {
      readonly kind: 'opened';
      readonly head: Head;
      readonly recovered: boolean;
      /** By the clock: at that time nobody had written above. */
      readonly confirmedMs: number;
    }
  /** Somebody else was faster. */
  | { readonly kind: 'again'; readonly slot: number }
  /** The store is open, and another one has gone on with the log. */
  | { readonly kind: 'fenced'; readonly view: number; readonly logView: number };

/** A fence on its way. */
interface Bid {
  readonly segment: EncodedSegment;
  /** The store must be recovered behind it. */
  readonly need: boolean;
  /** What lies below has this view; a segment of another says that somebody else has opened. */
  readonly viewBelow: number;
  readonly confirmedMs: number;
}

export class Opening {
  #bid: Bid | null = null;
  /** The view of the store that was opened here last. */
  #openedView: number | null = null;
  /** The log's end as a fenced archiver has seen it, and since when it has been there. */
  #still: { readonly slot: number; readonly sinceMs: number } | null = null;

  constructor(private readonly options: OpeningOptions) {}

  /** `knownSlot` is known to be taken. Throws as blobs and store do; then the same call goes on where it was. */
  async open(knownSlot: number): Promise<Opened> {
    const bid = this.#bid ?? (await this.#look(knownSlot));
    if ('kind' in bid) return bid;
    this.#bid = bid;
    const won = await this.#fence(bid);
    this.#bid = null;
    if (typeof won === 'number') return { kind: 'again', slot: won };
    const { slot, view } = won.segment.header;
    if (bid.need && !(await this.#recover(won.segment))) return { kind: 'again', slot };
    this.#openedView = view;
    this.#still = null;
    const { header, sha256 } = won.segment;
    const head: Head = { slot, sha256, to: header.to, epoch: header.epoch, view };
    return { kind: 'opened', head, recovered: bid.need, confirmedMs: won.confirmedMs };
  }

  async #look(knownSlot: number): Promise<Bid | Opened> {
    const { blobs, reader, store, partition, clock } = this.options;
    const confirmedMs = clock.nowMs();
    const { archived } = await store.standing(partition);
    const end = await findHead(blobs, reader, partition, archived, knownSlot);
    // Once more: whoever opened the store since then has done it by a fence that the next put will meet.
    const standing = await store.standing(partition);
    this.#checkIdentity(standing);
    const logView = end?.header.view ?? 0;
    if (this.#isSuperseded(standing, logView, end?.header.slot ?? 0)) {
      // What it takes and shows now would not last.
      store.doubt(partition);
      return { kind: 'fenced', view: standing.view, logView };
    }
    const need = !standing.open || standing.view !== logView;
    const segment = await this.#makeFence(end, {
      slot: (end?.header.slot ?? 0) + 1,
      epoch: Math.max(end?.header.epoch ?? 0, standing.recovering) + 1,
      view: need ? Math.max(logView, standing.view) + 1 : standing.view,
    });
    return { segment, need, viewBelow: logView, confirmedMs };
  }

  #checkIdentity(standing: Standing): void {
    const { logId } = this.options;
    if (standing.logId === null || standing.logId === logId) return;
    throw new LogMismatchError(`the store belongs to log ${standing.logId}, and this is log ${logId}`);
  }

  /**
   * Two stores that both are open would fence each other for ever: the one that has lost the log leaves it to the
   * other for as long as that one writes. A store that was not opened here, or has since been opened by others, is
   * no such case.
   */
  #isSuperseded(standing: Standing, logView: number, slot: number): boolean {
    if (!standing.open || standing.view >= logView || standing.view !== this.#openedView) return false;
    const nowMs = this.options.clock.nowMs();
    if (this.#still?.slot !== slot) this.#still = { slot, sinceMs: nowMs };
    return nowMs - this.#still.sinceMs < CONFIRMED_MS;
  }

  #makeFence(
    below: Pick<Segment, 'header' | 'sha256'> | null,
    place: { readonly slot: number; readonly epoch: number; readonly view: number },
  ): Promise<EncodedSegment> {
    const { logId, partition, partitions, writer, newPutId } = this.options;
    const to: Position | null = below?.header.to ?? null;
    const previous = below?.sha256 ?? null;
    return encodeFence(
      { kind: 'fence', logId, partition, partitions, ...place, writer, putId: newPutId(), previous },
      to,
    );
  }

  /** The bid that won, or the slot of whoever was faster. */
  async #fence(first: Bid): Promise<Bid | number> {
    const { blobs, partition, clock } = this.options;
    let bid = first;
    for (;;) {
      const { slot, epoch, putId } = bid.segment.header;
      const sentMs = clock.nowMs();
      const result = await blobs.putIfAbsent(slotKey(partition, slot), bid.segment.bytes);
      const there = result === 'exists' ? await readTaken(this.options, slot) : null;
      if (there === null || there.header.putId === putId) {
        const confirmedMs = await confirm(this.options, slot, bid.confirmedMs, sentMs);
        return confirmedMs === null ? slot : { ...bid, confirmedMs };
      }
      if (there.header.epoch >= epoch || there.header.view !== bid.viewBelow) return slot;
      bid = { ...bid, segment: await this.#makeFence(there, { ...bid.segment.header, slot: slot + 1 }) };
      this.#bid = bid;
    }
  }

  #recover(fence: EncodedSegment): Promise<boolean> {
    const { logId, partitions } = this.options;
    return recover({ ...this.options, identity: { logId, partitions } }, fence.header);
  }
}

/** What has the slot that a put found taken. */
export async function readTaken(
  { reader, partition }: Pick<OpeningOptions, 'reader' | 'partition'>,
  slot: number,
): Promise<Segment> {
  const there = await reader.read(partition, slot);
  if (there !== null) return there;
  throw new BlobError(
    'unavailable',
    'get',
    slotKey(partition, slot),
    new Error('the slot is taken, yet empty'),
  );
}

/**
 * What was put into `slot` is there. Who has slept for long cannot know that it was put at the log's end: what others
 * have written above, and in this very slot, may have been deleted since. So the log is looked at again. Returns until
 * when the end is confirmed now, or null when a slot above is another's.
 */
export async function confirm(
  { blobs, partition, clock }: Pick<OpeningOptions, 'blobs' | 'partition' | 'clock'>,
  slot: number,
  confirmedMs: number,
  sentMs: number,
): Promise<number | null> {
  if (clock.nowMs() - confirmedMs <= CONFIRMED_MS) return sentMs;
  const lookedMs = clock.nowMs();
  return (await firstSlotFrom(blobs, partition, slot + 1)) === null ? lookedMs : null;
}
