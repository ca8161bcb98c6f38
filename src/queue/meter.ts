/** What the queue counts, for metrics: how often each operation ended in each way. */
import type { ExtendResult, HandBackResult } from '../event/command.js';
import type { CancelAnswer, CompleteAnswer } from './answer.js';
import type { SubmitResult } from './submit.js';

export interface QueueResults {
  submit: SubmitResult['kind'];
  lease: 'leased';
  extend: ExtendResult['kind'];
  complete: 'success' | 'fail' | 'dead' | 'retried' | Exclude<CompleteAnswer['kind'], 'completed'>;
  /** `abandoned`: for a caller that had hung up. */
  handBack: HandBackResult['kind'] | 'abandoned';
  cancel: CancelAnswer['kind'];
}

/** Called on the way of every request: it may only count. */
export type Count = <Operation extends keyof QueueResults>(
  operation: Operation,
  result: QueueResults[Operation],
  times: number,
) => void;

export const countNothing: Count = () => undefined;

/** How an attempt ended, or why its completion was refused. */
export function endOf(result: CompleteAnswer): QueueResults['complete'] {
  if (result.kind !== 'completed') return result.kind;
  if (result.outcome === null) return 'retried';
  return result.reason === 'attempts_exhausted' ? 'dead' : result.outcome;
}
