/** How state shows itself to readers. */
import { formatAttemptId } from './attempt-id.js';
import type { AttemptView, EventView } from './command.js';
import { DEFAULT_LISTENER } from './decide/lease.js';
import type { Attempt, Delivery, EventState } from './state.js';

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
    version: event.version,
    position: event.position,
    result: event.result,
  };
}

export function attemptsOf(event: EventState): AttemptView[] {
  return event.deliveries.flatMap((delivery) =>
    delivery.attempts.map((attempt) => attemptView(delivery, attempt)),
  );
}

function attemptView(delivery: Delivery, attempt: Attempt): AttemptView {
  const { event, listener } = delivery;
  return {
    attemptId: formatAttemptId(event.id, event.type.ordinal, listener, attempt.grant),
    listener: DEFAULT_LISTENER,
    attempt: attempt.attempt,
    worker: attempt.worker,
    grantedAt: attempt.grantedAt,
    expiresAt: attempt.end === null ? delivery.expiresAt : null,
    endedAt: attempt.endedAt,
    end: attempt.end,
    result: attempt.result,
    late: attempt.late && { at: attempt.late.at, result: attempt.late.payload },
  };
}
