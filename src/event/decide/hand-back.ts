/** Hand back: a lease is given up and the attempt is not counted. */
import type { AbandonCommand, AbandonResult, HandBackCommand, HandBackResult } from '../command.js';
import type { PartitionState } from '../state.js';
import { type Found, findByAttemptId, holdsLease, recordCancelled } from './attempt.js';
import { type Decision, Recorder, refuse } from './decision.js';
import { findCall } from './lease.js';

export function decideHandBack(
  state: PartitionState,
  command: HandBackCommand,
  now: number,
): Decision<HandBackResult> {
  const found = findByAttemptId(state, command.attemptId);
  if (!found) return refuse({ kind: 'unknown' });
  if (found === 'forgotten') return refuse({ kind: 'lease_lost' });
  const { attempt } = found;
  if (attempt.end === 'handed_back' && attempt.token === command.token)
    return refuse({ kind: 'handed_back' });
  if (!holdsLease(state, found, command.token, now)) return refuse({ kind: 'lease_lost' });
  const recorder = new Recorder(state, now);
  recordHandBack(recorder, found);
  return { records: recorder.records, result: { kind: 'handed_back' } };
}

/**
 * The answer to a lease call could not be delivered, so its leases go back at once, unless a repeat of the call
 * has been given them meanwhile.
 */
export function decideAbandon(
  state: PartitionState,
  command: AbandonCommand,
  now: number,
): Decision<AbandonResult> {
  if (findCall(state, command.call, now)?.claim !== command.claim) return refuse({ handedBack: 0 });
  const recorder = new Recorder(state, now);
  let handedBack = 0;
  for (const { attemptId, token } of command.leases) {
    const found = findByAttemptId(state, attemptId);
    if (!found || found === 'forgotten' || !holdsLease(state, found, token, now)) continue;
    recordHandBack(recorder, found);
    handedBack += 1;
  }
  return { records: recorder.records, result: { handedBack } };
}

function recordHandBack(recorder: Recorder, { delivery, attempt }: Found): void {
  const { event, listener } = delivery;
  recorder.add({ op: 'handedBack', id: event.id, listener, grant: attempt.grant });
  if (event.cancelRequested) recordCancelled(recorder, delivery);
}
