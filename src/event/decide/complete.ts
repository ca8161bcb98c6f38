/** Complete: a listener's result ends its attempt and, mostly, the event. */
import type { CompleteCommand, CompleteResult } from '../command.js';
import { listenerName } from '../listeners.js';
import { backoffMs } from '../policy.js';
import {
  type Completed,
  comparePositions,
  type Dead,
  type LogRecord,
  type Position,
  type Reason,
  type Retried,
} from '../record.js';
import { type Attempt, type Delivery, type EventState, isResponder, type PartitionState } from '../state.js';
import { attemptIdOf, type Found, findByAttemptId, holdsLease, isOverdue, recordOverdue } from './attempt.js';
import { type Decision, promisedBy, Recorder, refuse } from './decision.js';
import { recordEmitted, unarchivedEmission } from './emit.js';

export function decideComplete(
  state: PartitionState,
  command: CompleteCommand,
  now: number,
): Decision<CompleteResult> {
  const found = findByAttemptId(state, command.attemptId);
  if (!found) return refuse({ kind: 'unknown' });
  if (found === 'forgotten') return refuse({ kind: 'lease_lost' });
  // Before the token: a repeat whose first try was heard gets the first answer, whatever has happened since.
  if (found.attempt.fingerprint !== null) return repeat(state, found, command);
  if (!holdsLease(state, found, command.token, now)) return late(state, found, command, now);

  const recorder = new Recorder(state, now);
  const ending = endingOf(found.delivery, command, now);
  recorder.add(ending);
  const { event } = found.delivery;
  if (ending.emitted && !recordEmitted(state, recorder, event, command.emit ?? [], now))
    return refuse({ kind: 'too_many_types' });
  const archive = promisedBy(state, event, recorder.records) ?? promisedOf(recorder.records);
  const standing = standingAfter(found.delivery, ending);
  const { emitted = [] } = ending;
  return { records: recorder.records, result: answerOf(found.delivery, { ...standing, emitted, archive }) };
}

/** What was emitted among `records` with `archive` durability must be archived before the answer is given. */
function promisedOf(records: readonly LogRecord[]): Position | null {
  const archives = (record: LogRecord) => 'durability' in record && record.durability === 'archive';
  return records.findLast(archives)?.pos ?? null;
}

type Placed = 'pos' | 'at' | 'type';
type Ending =
  | Omit<Completed, Placed>
  | (Omit<Retried, Placed> & NoEmission)
  | (Omit<Dead, Placed> & NoEmission);
interface NoEmission {
  readonly emitted?: never;
}

function endingOf(delivery: Delivery, command: CompleteCommand, now: number): Ending {
  const { outcome, retry } = command;
  if (outcome === 'success') return completedFor(delivery, command, null);
  if (retry.kind === 'never') return completedFor(delivery, command, 'listener');
  const { event, listener, grants: grant } = delivery;
  const { fingerprint, result: payload } = command;
  const base = { id: event.id, listener, grant, fingerprint, payload };
  // Somebody asked to cancel the event: the next attempt is the one it will not have.
  if (event.cancelRequested) return { op: 'completed', ...base, outcome, reason: 'cancelled' };
  if (delivery.attempt >= event.type.policy.attemptsMax) return { op: 'dead', ...base, why: 'failed' };
  const waitMs =
    retry.kind === 'after'
      ? retry.afterMs
      : backoffMs(event.type.policy, delivery.attempt, attemptIdOf(delivery));
  return { op: 'retried', ...base, why: 'failed', dueAt: now + waitMs };
}

function completedFor(
  { event, listener, grants: grant }: Delivery,
  { outcome, fingerprint, result: payload, emit = [] }: CompleteCommand,
  reason: Reason | null,
): Omit<Completed, Placed> {
  const ending = {
    op: 'completed' as const,
    id: event.id,
    listener,
    grant,
    fingerprint,
    outcome,
    reason,
    payload,
  };
  return emit.length === 0 ? ending : { ...ending, emitted: emit.map(({ id }) => id) };
}

type Answer = Extract<CompleteResult, { kind: 'completed' }>;
type Standing = Pick<Answer, 'status' | 'outcome' | 'reason' | 'retryAt'>;

function answerOf(
  { event, listener }: Delivery,
  about: Standing & Pick<Answer, 'emitted' | 'archive'>,
): Answer {
  const name = listenerName(event.type.listeners, listener);
  return { kind: 'completed', id: event.id, type: event.type.name, listener: name, ...about };
}

/** How the event stands when `ending` has been recorded. */
function standingAfter(delivery: Delivery, ending: Ending): Standing {
  const retryAt = ending.op === 'retried' ? ending.dueAt : null;
  if (!isResponder(delivery)) return besides(delivery.event, delivery.event.status === 'complete', retryAt);
  switch (ending.op) {
    case 'completed':
      return { status: 'complete', outcome: ending.outcome, reason: ending.reason, retryAt };
    case 'dead':
      return { status: 'complete', outcome: 'fail', reason: 'attempts_exhausted', retryAt };
    case 'retried':
      return { status: 'in_process', outcome: null, reason: null, retryAt };
  }
}

/** What the end of a delivery that is not the responder's left as it was. */
function besides(event: EventState, isComplete: boolean, retryAt: number | null): Standing {
  if (!isComplete) return { status: 'in_process', outcome: null, reason: null, retryAt };
  return { status: 'complete', outcome: event.outcome, reason: event.reason, retryAt };
}

function repeat(
  state: PartitionState,
  { delivery, attempt }: Found,
  command: CompleteCommand,
): Decision<CompleteResult> {
  if (attempt.fingerprint !== command.fingerprint) return refuse({ kind: 'conflict' });
  const { event } = delivery;
  const emitted = attempt.emitted ?? [];
  const archive = laterOf(promisedBy(state, event, []), unarchivedEmission(state, emitted));
  return refuse(answerOf(delivery, { ...standing(event, attempt), emitted, archive }));
}

function laterOf(a: Position | null, b: Position | null): Position | null {
  if (a === null || b === null) return a ?? b;
  return comparePositions(a, b) > 0 ? a : b;
}

/** How the event stood when the attempt had ended. */
function standing(event: EventState, attempt: Attempt): Standing {
  const { aside, retryAt } = attempt;
  if (aside !== null) return besides(event, aside === 'complete', retryAt);
  if (attempt.end === 'retried') {
    return { status: 'in_process', outcome: null, reason: null, retryAt: attempt.retryAt };
  }
  if (attempt.end === 'dead') {
    return { status: 'complete', outcome: 'fail', reason: 'attempts_exhausted', retryAt: null };
  }
  return { status: 'complete', outcome: attempt.outcome, reason: attempt.reason, retryAt: null };
}

/** The lease is lost. What its holder has to say changes nothing; the first such word is kept for people. */
function late(
  state: PartitionState,
  found: Found,
  command: CompleteCommand,
  now: number,
): Decision<CompleteResult> {
  const recorder = new Recorder(state, now);
  const { delivery, attempt } = found;
  if (isOverdue(state, found, now)) recordOverdue(recorder, delivery, now);
  if (attempt.token === command.token && attempt.late === null) {
    recorder.add({
      op: 'late',
      id: delivery.event.id,
      listener: delivery.listener,
      grant: attempt.grant,
      fingerprint: command.fingerprint,
      payload: command.result,
    });
  }
  return { records: recorder.records, result: { kind: 'lease_lost' } };
}
