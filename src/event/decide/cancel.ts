/** Cancel: an event that nobody works on ends at once; a listener that holds it is asked. */
import type { CancelResult } from '../command.js';
import { deadlineHasPassed, type EventState, leaseExpired, type PartitionState } from '../state.js';
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

  const leased = event.deliveries.filter((delivery) => delivery.state === 'leased');
  const overdue = leased.filter((delivery) => leaseExpired(delivery, now, state.limits));
  if (leased.length > overdue.length) {
    if (!event.cancelRequested) recorder.add({ op: 'cancelRequested', id });
    return answer(state, recorder, event, 'requested');
  }
  return cancelNow(state, recorder, event, now);
}

function cancelNow(
  state: PartitionState,
  recorder: Recorder,
  event: EventState,
  now: number,
): Decision<CancelResult> {
  for (const delivery of event.deliveries) {
    if (delivery.state !== 'leased') continue;
    recordExpiry(recorder, delivery, now);
  }
  const ends = recorder.records.some((record) => record.op === 'dead' || record.op === 'cancelled');
  if (!ends) recorder.add({ op: 'cancelled', id: event.id });
  const died = recorder.records.some((record) => record.op === 'dead');
  return answer(state, recorder, event, died ? 'complete' : 'cancelled');
}

function answer(
  state: PartitionState,
  { records }: Recorder,
  event: EventState,
  kind: Exclude<CancelResult['kind'], 'unknown'>,
): Decision<CancelResult> {
  return { records, result: { kind, archive: promisedBy(state, event, records) } };
}
