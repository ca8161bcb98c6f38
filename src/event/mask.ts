/**
 * The mask: an event with `archive` durability as it was when its last archived record was made. It is found by taking
 * back what the records did that are not archived yet, so that neither store keeps a second state.
 */
import { parseAttemptId } from './attempt-id.js';
import type { AttemptView, EventView } from './command.js';
import type { LogOp, Position } from './record.js';
import { NOT_ARCHIVED, type NotArchived, type Unarchived, unarchivedOf } from './unarchived.js';

/** What the records did that are not archived. */
export interface Mask {
  readonly records: number;
  readonly accepted: boolean;
  /** Leases from this grant on. */
  readonly grantsFrom: number;
  readonly granted: number;
  readonly handedBack: number;
  /** Grants whose attempts have ended. */
  readonly ends: ReadonlySet<number>;
  /** Grants whose late completions have come. */
  readonly lates: ReadonlySet<number>;
  /** The event is complete. */
  readonly completed: boolean;
  readonly cancelRequested: boolean;
}

const ENDS_ATTEMPT: ReadonlySet<LogOp> = new Set<LogOp>(['handedBack', 'retried', 'completed', 'dead']);
const ENDS_EVENT: ReadonlySet<LogOp> = new Set<LogOp>(['completed', 'dead', 'cancelled', 'deadlinePassed']);

/** Null: nothing is to be hidden. */
export function maskOf(notes: readonly Unarchived[] | null, archived: Position | null): Mask | null {
  if (notes === null) return null;
  const hidden = unarchivedOf(notes, archived);
  if (hidden.length === 0) return null;
  const has = (op: LogOp) => hidden.some((each) => each.op === op);
  const grantsOf = (wanted: (op: LogOp) => boolean) =>
    hidden.filter(({ op }) => wanted(op)).map(({ grant }) => grant);
  const granted = grantsOf((op) => op === 'granted');
  return {
    records: hidden.length,
    accepted: has('accepted'),
    grantsFrom: granted[0] ?? Number.POSITIVE_INFINITY,
    granted: granted.length,
    handedBack: grantsOf((op) => op === 'handedBack').length,
    ends: new Set(grantsOf((op) => ENDS_ATTEMPT.has(op))),
    lates: new Set(grantsOf((op) => op === 'late')),
    completed: hidden.some(({ op }) => ENDS_EVENT.has(op)),
    cancelRequested: has('cancelRequested'),
  };
}

/** `view` is the event as it is. */
export function maskView<View extends Omit<EventView, 'result'>>(view: View, mask: Mask): View | NotArchived {
  if (mask.accepted) return NOT_ARCHIVED;
  const startedAt = mask.grantsFrom === 1 ? null : view.startedAt;
  const status = startedAt === null ? 'pending' : 'in_process';
  const end = {
    outcome: null,
    reason: null,
    completedAt: null,
    ...('result' in view ? { result: null } : {}),
  };
  return {
    ...view,
    ...(mask.completed || startedAt === null ? { status } : {}),
    ...(mask.completed ? end : {}),
    startedAt,
    cancelRequested: view.cancelRequested && !mask.cancelRequested,
    attempts: view.attempts - mask.granted + mask.handedBack,
    version: view.version - mask.records,
    behind: true,
  };
}

/** When a lease ends whose end is hidden is not told: it may have been extended, and what came of it is not known yet. */
export function maskAttempts(attempts: readonly AttemptView[], mask: Mask): AttemptView[] | NotArchived {
  if (mask.accepted) return NOT_ARCHIVED;
  const shown: AttemptView[] = [];
  for (const attempt of attempts) {
    const { grant } = parseAttemptId(attempt.attemptId)!;
    if (grant >= mask.grantsFrom) continue;
    const { emitted: _, ...silent } = attempt;
    const open = mask.ends.has(grant)
      ? { ...silent, expiresAt: null, endedAt: null, end: null, result: null }
      : attempt;
    shown.push({ ...open, ...(mask.lates.has(grant) ? { late: null } : {}) });
  }
  return shown;
}
