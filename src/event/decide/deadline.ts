/** Deadline: an event that is not complete in time ends, whatever becomes of its deliveries. */
import { peekDeadline } from '../schedule.js';
import type { EventState, PartitionState } from '../state.js';
import { type Decision, Recorder } from './decision.js';

/** Ends at most `limit` events, the longest overdue first. Takes them out of the index, so the records must be applied. */
export function decideDeadlines(state: PartitionState, limit: number, now: number): Decision<number> {
  const recorder = new Recorder(state, now);
  let ended = 0;
  for (; ended < limit; ended += 1) {
    const event = peekDeadline(state, now);
    if (event === null) break;
    state.deadlines.pop();
    recordDeadline(recorder, event, now);
  }
  return { records: recorder.records, result: ended };
}

/** Leases that are out end with it: what their holders have to say comes too late. */
export function recordDeadline(recorder: Recorder, event: EventState, now: number): void {
  for (const { state, listener, grants: grant } of event.deliveries) {
    if (state !== 'leased') continue;
    const nothing = { fingerprint: null, payload: null };
    recorder.add({ op: 'retried', id: event.id, listener, grant, why: 'expired', dueAt: now, ...nothing });
  }
  recorder.add({ op: 'deadlinePassed', id: event.id });
}

/** As a record of an acceptance has it. */
export function deadlineOf(deadlineMs: number | undefined, now: number): { readonly deadlineAt?: number } {
  return deadlineMs === undefined ? {} : { deadlineAt: now + deadlineMs };
}
