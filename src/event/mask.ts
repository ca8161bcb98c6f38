/**
 * The mask: an event with `archive` durability as it was when its last archived record was made. It is found by taking
 * back what the records did that are not archived yet, so that neither store keeps a second state.
 */
import { parseAttemptId } from './attempt-id.js';
import type { AttemptView, EventView } from './command.js';
import type { LogOp, Position } from './record.js';
import { isBeyond, NOT_ARCHIVED, type NotArchived, type Unarchived, unarchivedOf } from './unarchived.js';

/** What must be known of an event as it is. */
export interface Masked {
  /** The responder's first. */
  readonly deliveries: readonly {
    readonly listener: number;
    readonly grants: number;
    readonly attempt: number;
  }[];
  readonly ended: Position | null;
  readonly settledBy: Position | null;
}

/** What the records did that are not archived. */
export interface Mask {
  readonly records: number;
  readonly accepted: boolean;
  /** Nobody had leased it. */
  readonly started: boolean;
  /** Attempts of who was the responder. */
  readonly attempts: number;
  /** By listener: leases from this grant on. */
  readonly grantsFrom: ReadonlyMap<number, number>;
  /** Grants whose attempts have ended, as `listener.grant`. */
  readonly ends: ReadonlySet<string>;
  /** Grants whose late completions have come. */
  readonly lates: ReadonlySet<string>;
  /** The event is complete. */
  readonly completed: boolean;
  readonly settled: boolean;
  readonly cancelRequested: boolean;
}

const ENDS_ATTEMPT: ReadonlySet<LogOp> = new Set<LogOp>([
  'handedBack',
  'retried',
  'completed',
  'dead',
  'unsubscribed',
]);

/** Null: nothing is to be hidden. */
export function maskOf(
  notes: readonly Unarchived[] | null,
  archived: Position | null,
  event: Masked,
): Mask | null {
  if (notes === null) return null;
  const hidden = unarchivedOf(notes, archived);
  if (hidden.length === 0) return null;
  const has = (op: LogOp) => hidden.some((each) => each.op === op);
  const namesOf = (wanted: (op: LogOp) => boolean) =>
    new Set(hidden.filter(({ op }) => wanted(op)).map(({ grant, listener = 0 }) => `${listener}.${grant}`));
  const granted = hidden.filter(({ op }) => op === 'granted');
  const grantsFrom = new Map<number, number>();
  for (const { grant, listener = 0 } of granted)
    if (!grantsFrom.has(listener)) grantsFrom.set(listener, grant);
  const grants = event.deliveries.reduce((sum, delivery) => sum + delivery.grants, 0);
  const isHidden = (pos: Position | null) => pos !== null && isBeyond(pos, archived);
  return {
    records: hidden.length,
    accepted: has('accepted'),
    started: grants > 0 && granted.length === grants,
    attempts: attemptsShown(hidden, event),
    grantsFrom,
    ends: namesOf((op) => ENDS_ATTEMPT.has(op)),
    lates: namesOf((op) => op === 'late'),
    completed: isHidden(event.ended),
    settled: isHidden(event.settledBy),
    cancelRequested: has('cancelRequested'),
  };
}

function attemptsShown(hidden: readonly Unarchived[], { deliveries }: Masked): number {
  const before = hidden.find(({ responder }) => responder !== undefined)?.responder;
  const responder = before ?? deliveries[0]?.listener;
  const delivery = deliveries.find(({ listener }) => listener === responder);
  const own = hidden.filter(({ listener = 0 }) => listener === responder);
  const granted = own.filter(({ op }) => op === 'granted').length;
  const handedBack = own.filter(({ op }) => op === 'handedBack').length;
  return (delivery?.attempt ?? 0) - granted + handedBack;
}

/** `view` is the event as it is. */
export function maskView<View extends Omit<EventView, 'result'>>(view: View, mask: Mask): View | NotArchived {
  if (mask.accepted) return NOT_ARCHIVED;
  const startedAt = mask.started ? null : view.startedAt;
  const status = startedAt === null ? 'pending' : 'in_process';
  const end = {
    outcome: null,
    reason: null,
    completedAt: null,
    ...('result' in view ? { result: null } : {}),
  };
  return {
    ...view,
    ...(mask.completed || mask.started ? { status } : {}),
    ...(mask.completed ? end : {}),
    startedAt,
    cancelRequested: view.cancelRequested && !mask.cancelRequested,
    attempts: mask.attempts,
    settled: view.settled && !mask.settled,
    version: view.version - mask.records,
    behind: true,
  };
}

/** When a lease ends whose end is hidden is not told: it may have been extended, and what came of it is not known yet. */
export function maskAttempts(attempts: readonly AttemptView[], mask: Mask): AttemptView[] | NotArchived {
  if (mask.accepted) return NOT_ARCHIVED;
  const shown: AttemptView[] = [];
  for (const attempt of attempts) {
    const { listener, grant } = parseAttemptId(attempt.attemptId)!;
    if (grant >= (mask.grantsFrom.get(listener) ?? Number.POSITIVE_INFINITY)) continue;
    const name = `${listener}.${grant}`;
    const { emitted: _, ...silent } = attempt;
    const open = mask.ends.has(name)
      ? { ...silent, expiresAt: null, endedAt: null, end: null, result: null }
      : attempt;
    shown.push({ ...open, ...(mask.lates.has(name) ? { late: null } : {}) });
  }
  return shown;
}
