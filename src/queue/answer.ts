/** What the queue answers where that is more than what the store does: an answer may have to wait for the archive. */
import type { CancelResult, CompleteResult } from '../event/command.js';

/** It was recorded, and was not archived in time: to be asked again. */
interface Late {
  readonly kind: 'not_archived';
  readonly id: string;
}

export type CompleteAnswer =
  | CompleteResult
  | Late
  /** It emits an event with `archive` durability, and nothing can be archived. Nothing has changed. */
  | { readonly kind: 'archive_unavailable' };
export type CancelAnswer = { readonly kind: CancelResult['kind'] } | Late;
