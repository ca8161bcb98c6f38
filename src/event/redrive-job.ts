/** What is wanted of a redrive, and how far one is: what a job is made of, see redrive.ts. */

/**
 * Which events: those whose attempts ran out, those that failed for whatever reason but that somebody cancelled them, or all
 * that are complete. With a listener the first two speak of its deliveries. `taken` is that of a listener that begins with the
 * past: all that were accepted before there was that listener, whatever has become of them, and that it wants.
 */
export type RedriveFilter = 'dead' | 'failed' | 'any' | 'taken';

export type RedriveStatus = 'running' | 'done' | 'cancelled' | 'failed';

/** What somebody wants, as it was when the job was made. */
export interface RedriveWish {
  readonly filter: RedriveFilter;
  /** Who alone gets the new events; null: whoever gets such events now. */
  readonly listener: { readonly name: string; readonly ordinal: number } | null;
  /** Of what ended in this time: ms since the epoch, the first included, the second not; null: no matter when. */
  readonly from: number | null;
  readonly to: number | null;
  /** Counts only. */
  readonly dryRun: boolean;
  readonly ratePerSecond: number;
}

/** How far a job is. */
export interface RedriveProgress {
  /** The place in the log where it goes on. */
  readonly slot: number;
  readonly index: number;
  /** Records looked at. */
  readonly scanned: number;
  /** Events found. */
  readonly matched: number;
  /** New events. */
  readonly sent: number;
  /** Found, and not sent, as neither the store nor the log has their requests any more. */
  readonly requestGone: number;
  /** Why nothing is sent at the moment; null: nothing speaks against it. */
  readonly waiting: string | null;
  /** When what the log begins with was recorded, where its old end has been deleted; null: it was whole. */
  readonly logBeginsAt: number | null;
  /** Why it failed. */
  readonly problem: string | null;
}

/** What a listener wants that begins with the past. `ratePerSecond` bounds what it costs the others. */
export function beginningWish(listener: { readonly name: string; readonly ordinal: number }): RedriveWish {
  return { filter: 'taken', listener, from: null, to: null, dryRun: false, ratePerSecond: 1_000 };
}

export const NO_PROGRESS: RedriveProgress = Object.freeze({
  slot: 1,
  index: 0,
  scanned: 0,
  matched: 0,
  sent: 0,
  requestGone: 0,
  waiting: null,
  logBeginsAt: null,
  problem: null,
});

/** As it is kept and compared. */
export function wishText({ filter, listener, from, to, dryRun, ratePerSecond }: RedriveWish): string {
  const named = listener && { name: listener.name, ordinal: listener.ordinal };
  return JSON.stringify({ filter, listener: named, from, to, dryRun, ratePerSecond });
}

/** As it is kept and compared. */
export function progressText(progress: RedriveProgress): string {
  const { slot, index, scanned, matched, sent, requestGone, waiting, logBeginsAt, problem } = progress;
  return JSON.stringify({ slot, index, scanned, matched, sent, requestGone, waiting, logBeginsAt, problem });
}
