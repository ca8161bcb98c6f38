/** Cancel: an event that nobody works on ends at once; a listener that holds it is asked. */
import type { CancelResult } from '../command.js';
import {
  type Delivery,
  deadlineHasPassed,
  type EventState,
  isResponder,
  leaseExpired,
  type PartitionState,
} from '../state.js';
import { recordExpiry } from './attempt.js';
import { recordDeadline } from './deadline.js';
import { type Decision, promisedBy, Recorder, refuse } from './decision.js';

export function decideCancel(state: PartitionState, id: string, now: number): Decision<CancelResult> {
  const event = state.events.get(id);
  if (!event) return refuse({ kind: 'unknown' });
  // A cancel whose answer was lost is asked again.
  const recorder = new Recorder(state, now);
  if (event.status === 'complete')
    return answer(state, recorder, event, event.reason === 'cancelled' ? 'cancelled' : 'complete');

  if (deadlineHasPassed(event, now)) {
    recordDeadline(recorder, event, now);
    return answer(state, recorder, event, 'complete');
  }

  const held = event.deliveries.filter(
    (delivery) => delivery.state === 'leased' && !leaseExpired(delivery, now, state.limits),
  );
  if (held.length > 0 && !event.cancelRequested) recorder.add({ op: 'cancelRequested', id });
  // Its end would be the event's: that is for who holds it. Others hear of it, and the event does not wait for them.
  if (held.some(isResponder)) return answer(state, recorder, event, 'requested');
  return cancelNow(state, recorder, event, held, now);
}

function cancelNow(
  state: PartitionState,
  recorder: Recorder,
  event: EventState,
  held: readonly Delivery[],
  now: number,
): Decision<CancelResult> {
  const asked = event.cancelRequested || held.length > 0;
  const [responder, ...others] = event.deliveries.map((delivery) => {
    const isOverdue = delivery.state === 'leased' && !held.includes(delivery);
    return () => isOverdue && recordExpiry(recorder, delivery, now, asked);
  });
  responder?.();
  const died = recorder.records.some(({ op }) => op === 'dead');
  // It is complete as it would have been anyway, and the others go on.
  if (died) return answer(state, recorder, event, 'complete');
  for (const expire of others) expire();
  if (!recorder.records.some(({ op }) => op === 'cancelled')) recorder.add({ op: 'cancelled', id: event.id });
  return answer(state, recorder, event, 'cancelled');
}

function answer(
  state: PartitionState,
  { records }: Recorder,
  event: EventState,
  kind: Exclude<CancelResult['kind'], 'unknown'>,
): Decision<CancelResult> {
  return { records, result: { kind, archive: promisedBy(state, event, records) } };
}
