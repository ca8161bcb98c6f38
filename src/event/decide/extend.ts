/** Extend: the holder of a lease moves its end to now + duration. */
import type { ExtendCommand, ExtendResult } from '../command.js';
import type { PartitionState } from '../state.js';
import { unarchivedOf } from '../unarchived.js';
import { findByAttemptId, holdsLease } from './attempt.js';
import { type Decision, refuse } from './decision.js';

export function decideExtend(
  state: PartitionState,
  command: ExtendCommand,
  now: number,
): Decision<ExtendResult> {
  const found = findByAttemptId(state, command.attemptId);
  if (!found) return refuse({ kind: 'unknown' });
  if (found === 'forgotten' || !holdsLease(state, found, command.token, now))
    return refuse({ kind: 'lease_lost' });
  const { event, listener, grants: grant } = found.delivery;
  const expiresAt = now + command.leaseMs;
  const { unarchived, cancelRequested } = event;
  const hidden = unarchivedOf(unarchived, state.archived?.pos ?? null);
  const isHidden = hidden.some(({ op }) => op === 'cancelRequested');
  return {
    records: [{ op: 'extended', id: event.id, listener, grant, expiresAt }],
    result: { kind: 'extended', expiresAt, cancelRequested: cancelRequested && !isHidden },
  };
}
