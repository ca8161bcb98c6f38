/** Cancel: an event that nobody works on ends at once; a listener that holds it is asked. */
import type { CancelResult } from '../command.js';
import { leaseExpired, type PartitionState } from '../state.js';
import { recordExpiry } from './attempt.js';
import { type Decision, Recorder, refuse } from './decision.js';

export function decideCancel(state: PartitionState, id: string, now: number): Decision<CancelResult> {
  const event = state.events.get(id);
  if (!event) return refuse({ kind: 'unknown' });
  // A cancel whose answer was lost is asked again.
  if (event.status === 'complete')
    return refuse({ kind: event.reason === 'cancelled' ? 'cancelled' : 'complete' });

  const recorder = new Recorder(state, now);
  const leased = event.deliveries.filter((delivery) => delivery.state === 'leased');
  const overdue = leased.filter((delivery) => leaseExpired(delivery, now, state.limits));
  if (leased.length > overdue.length) {
    if (!event.cancelRequested) recorder.add({ op: 'cancelRequested', id });
    return { records: recorder.records, result: { kind: 'requested' } };
  }
  return cancelNow(state, recorder, id, now);
}

function cancelNow(
  state: PartitionState,
  recorder: Recorder,
  id: string,
  now: number,
): Decision<CancelResult> {
  const event = state.events.get(id)!;
  for (const delivery of event.deliveries) {
    if (delivery.state !== 'leased') continue;
    recordExpiry(state, recorder, delivery, now);
  }
  const ends = recorder.records.some((record) => record.op === 'dead' || record.op === 'cancelled');
  if (!ends) recorder.add({ op: 'cancelled', id });
  const died = recorder.records.some((record) => record.op === 'dead');
  return { records: recorder.records, result: { kind: died ? 'complete' : 'cancelled' } };
}
