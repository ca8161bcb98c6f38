/** How state shows itself to readers. */
import { formatAttemptId } from './attempt-id.js';
import type { AttemptView, EventSummary, EventView } from './command.js';
import { listenerName } from './listeners.js';
import { maskAttempts, maskOf, maskView } from './mask.js';
import type { Attempt, Delivery, EventState, PartitionState } from './state.js';
import { isBeyond, NOT_ARCHIVED, type NotArchived } from './unarchived.js';

/** What may be shown: with `archive` durability as it was when its last archived record was made. */
export function shownView({ archived }: PartitionState, event: EventState): EventView | NotArchived {
  const mask = maskOf(event.unarchived, archived?.pos ?? null, event);
  const view = viewOf(event);
  const { redrivenBy, unarchived } = event;
  const isHidden =
    unarchived !== null && redrivenBy !== null && isBeyond(redrivenBy.position, archived?.pos ?? null);
  const known = isHidden ? { ...view, redrivenBy: null } : view;
  return mask === null ? known : maskView(known, mask);
}

export function shownRequest({ archived }: PartitionState, event: EventState): Uint8Array | NotArchived {
  return maskOf(event.unarchived, archived?.pos ?? null, event)?.accepted ? NOT_ARCHIVED : event.envelope;
}

export function shownAttempts({ archived }: PartitionState, event: EventState): AttemptView[] | NotArchived {
  const mask = maskOf(event.unarchived, archived?.pos ?? null, event);
  return mask === null ? attemptsOf(event) : maskAttempts(attemptsOf(event), mask);
}

export function summaryOf({ result: _, behind: __, ...summary }: EventView): EventSummary {
  return summary;
}

/** The event as it is. */
export function viewOf(event: EventState): EventView {
  return {
    id: event.id,
    type: event.type.name,
    status: event.status,
    outcome: event.outcome,
    reason: event.reason,
    createdAt: event.createdAt,
    startedAt: event.startedAt,
    completedAt: event.completedAt,
    cancelRequested: event.cancelRequested,
    attempts: event.deliveries[0]?.attempt ?? 0,
    settled: event.settledAt !== null,
    version: event.version,
    position: event.position,
    parent: event.tree?.parent ?? null,
    root: event.tree?.root ?? null,
    deadlineAt: event.deadlineAt,
    key: event.key,
    redriveOf: event.redriveOf,
    redrivenBy: event.redrivenBy?.id ?? null,
    result: event.result,
    behind: false,
  };
}

/** As they are, those of one listener after the other. */
export function attemptsOf(event: EventState): AttemptView[] {
  const views = ({ deliveries }: Pick<EventState, 'deliveries'>) =>
    deliveries.flatMap((delivery) => delivery.attempts.map((attempt) => attemptView(delivery, attempt)));
  if (event.deliveries.length === 1) return views(event);
  return views({ deliveries: [...event.deliveries].sort((a, b) => a.listener - b.listener) });
}

function attemptView(delivery: Delivery, attempt: Attempt): AttemptView {
  const { event, listener } = delivery;
  return {
    attemptId: formatAttemptId(event.id, event.type.ordinal, listener, attempt.grant),
    listener: listenerName(event.type.listeners, listener),
    attempt: attempt.attempt,
    worker: attempt.worker,
    grantedAt: attempt.grantedAt,
    expiresAt: attempt.end === null ? delivery.expiresAt : null,
    endedAt: attempt.endedAt,
    end: attempt.end,
    result: attempt.result,
    late: attempt.late && { at: attempt.late.at, result: attempt.late.payload },
    ...(attempt.emitted && { emitted: attempt.emitted }),
  };
}
