/** What an archiver tells of itself: what happens, how it stands, and which failures pass by themselves. */
import { BlobError } from '../blob/blob.js';
import { StoreError } from '../store/store.js';

export type ArchiverEvent =
  | {
      readonly kind: 'opened';
      readonly slot: number;
      readonly epoch: number;
      /** The store was brought up to the log; `view` is that of its records from now on. */
      readonly recovered: boolean;
      readonly view: number | null;
    }
  | { readonly kind: 'archived'; readonly slot: number; readonly records: number; readonly bytes: number }
  /** Another archiver had the slot. */
  | { readonly kind: 'overtaken'; readonly slot: number; readonly writer: string }
  /** Another store has gone on with the log, in a view above this store's. */
  | { readonly kind: 'fenced'; readonly view: number; readonly logView: number }
  /** A checkpoint cannot be used; the one before it, or the log itself, is. */
  | { readonly kind: 'checkpointDamaged'; readonly key: string; readonly reason: string }
  | {
      readonly kind: 'failed';
      readonly state: 'retrying' | 'refused';
      readonly error: unknown;
      readonly againInMs: number;
    };

export type ArchiverState = 'stopped' | 'standby' | 'opening' | 'running' | 'retrying' | 'refused' | 'fenced';

export interface ArchiverStatus {
  readonly partition: number;
  readonly state: ArchiverState;
  /** The last slot known to be written, and up to which record; null before the log is opened. */
  readonly slot: number | null;
  readonly position: string | null;
  /** For how long records have been waiting, as far as is known; 0 when none are. */
  readonly lagMs: number;
  /** What went wrong last, null once things go well again. */
  readonly error: string | null;
}

/** Something that waiting does not heal: the store and the log do not fit each other. */
export class LogMismatchError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LogMismatchError';
  }
}

/** Everything else wants somebody to change something, also a fault of our own: it is tried again, but slowly. */
export function passesByItself(error: unknown): boolean {
  return error instanceof StoreError || (error instanceof BlobError && error.failure === 'unavailable');
}
