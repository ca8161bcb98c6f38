/** How deliveries end, and events with them: the responder's end is the event's, and the last one settles it. */
import { leaveKey } from './keyed.js';
import { moveTo } from './place.js';
import type { LogRecord } from './record.js';
import { takeTurn } from './schedule.js';
import { Settled } from './settled.js';
import { type Delivery, type EventState, isResponder, type PartitionState } from './state.js';

/** Nobody may lease it any more; of those that waited for it to end, the next is eligible. */
export function end(state: PartitionState, delivery: Delivery): void {
  moveTo(delivery, 'none');
  delivery.state = 'ended';
  const { key } = delivery.event;
  if (key === null) return;
  const next = leaveKey(delivery, key);
  if (next) takeTurn(state, next);
}

/** The responder's end is the event's. */
export function endDelivery(state: PartitionState, delivery: Delivery, record: LogRecord): void {
  end(state, delivery);
  if (isResponder(delivery)) completeAs(delivery, record);
  settle(state, delivery.event, record);
}

/** The event ends as its delivery has ended; one that ended without an attempt's end was cancelled. */
export function completeAs({ event, attempts }: Delivery, record: LogRecord): void {
  const attempt = attempts.at(-1);
  if (attempt?.end === 'completed') {
    completeEvent(event, record, attempt.outcome, attempt.reason);
    event.result = attempt.result;
  } else if (attempt?.end === 'dead' || (attempt?.end === 'expired' && attempt.retryAt === null)) {
    completeEvent(event, record, 'fail', 'attempts_exhausted');
    event.result = attempt.result;
  } else {
    completeEvent(event, record, 'fail', 'cancelled');
  }
}

export function endWaiting(state: PartitionState, { deliveries }: EventState): void {
  for (const delivery of deliveries) if (delivery.state === 'waiting') end(state, delivery);
}

export function completeEvent(
  event: EventState,
  { at, pos }: LogRecord,
  outcome: EventState['outcome'],
  reason: EventState['reason'],
): void {
  event.status = 'complete';
  event.type.open -= 1;
  event.outcome = outcome;
  event.reason = reason;
  event.completedAt = at;
  event.ended = pos;
  event.last = pos;
}

/** An event that is complete may leave once all of its deliveries have ended. */
export function settle(state: PartitionState, event: EventState, { at, pos }: LogRecord): void {
  if (event.status !== 'complete' || event.settledAt !== null) return;
  if (event.deliveries.some((delivery) => delivery.state !== 'ended')) return;
  event.settledAt = at;
  event.settledBy = pos;
  noteSettled(state, event);
}

/** Puts it where `findSettled` will look for it: with its type, when that has a retention of its own. */
export function noteSettled(state: PartitionState, event: EventState): void {
  const { type } = event;
  if (type.declared?.retentionMs === undefined) {
    state.settled.push(event);
    return;
  }
  type.settled ??= new Settled();
  type.settled.insert(event);
}
