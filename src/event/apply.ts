/**
 * `apply(state, record)`: the fold. Every change of a partition's state is a record applied here, whether it was
 * decided just now, read from the journal or read from the log. It checks nothing: records are facts.
 *
 * The state is changed in place: a copy a record would make the queue's cost grow with its depth.
 */

import { applyAccepted, eventWeight, rememberKey } from './apply/accepted.js';
import {
  applyCompleted,
  applyDead,
  applyGranted,
  applyHandedBack,
  applyLate,
  applyRetried,
  applyUnsubscribed,
  weightOf,
} from './apply/delivery.js';
import { deliveryOf, eventOf, typeOf } from './apply/find.js';
import { applyOfType } from './apply/of-type.js';
import { completeEvent, endWaiting, settle } from './ending.js';
import {
  type Cancelled,
  comparePositions,
  type DeadlinePassed,
  type LogRecord,
  type Pruned,
  type StoreRecord,
  type Volatile,
} from './record.js';
import { applyEmitted, applyRelayed } from './relaying.js';
import { setLease } from './schedule.js';
import { type EventState, emptyState, type PartitionState } from './state.js';
import { recount, standingOf } from './tree.js';
import { noteUnarchived } from './unarchived.js';

export function apply(state: PartitionState, record: StoreRecord): void {
  if (!('pos' in record) || record.op === 'archived') {
    applyVolatile(state, record as Volatile);
    return;
  }
  state.view = record.pos.view;
  state.n = record.pos.n;
  state.last = record.pos;
  if (record.op === 'keyKept') return rememberKey(state, record, record.idempotency);
  if (record.op === 'indexed') return noteIndexed(state, record.index);
  if (record.op === 'defaultLeased') {
    typeOf(state, record.type).leased = true;
    return;
  }
  state.outbox.push(record);
  if (!('id' in record)) return applyOfType(state, record);
  // Before: a record that takes the responder away is noted with who that was.
  const event = state.events.get(record.id);
  if (event && isRelaying(record)) return applyLogged(state, record);
  if (event?.unarchived) note(state, event, record);
  const before = standingOf(event);
  applyLogged(state, record);
  if (event === undefined) noteAccepted(state, record);
  else if (event.status === 'complete') event.last = record.pos;
  const after = record.op === 'pruned' ? undefined : (event ?? state.events.get(record.id));
  recount(state, before, standingOf(after), record.pos);
}

/** What is emitted elsewhere is nothing that its parent shows. */
function isRelaying({ op }: OfEvent): boolean {
  return op === 'emitted' || op === 'relayed';
}

/** Of an event with `archive` durability, that the record is not archived yet. */
function note(state: PartitionState, event: EventState, record: OfEvent): void {
  const { pos, op } = record;
  const grant = 'grant' in record ? record.grant : 0;
  const listener = 'listener' in record && record.listener > 0 ? { listener: record.listener } : NOTHING;
  const takesResponder = op === 'unsubscribed' && record.responder !== undefined;
  const responder = takesResponder ? { responder: record.listener } : NOTHING;
  const archived = state.archived?.pos ?? null;
  noteUnarchived(event.unarchived!, { pos, op, grant, ...listener, ...responder }, archived);
}

function noteAccepted(state: PartitionState, record: OfEvent): void {
  const event = state.events.get(record.id);
  if (event?.unarchived) note(state, event, record);
}

type OfEvent = Extract<LogRecord, { readonly id: string }>;
const NOTHING = {};

/** The change that `record` makes, without its place in the outbox. */
function applyLogged(state: PartitionState, record: OfEvent): void {
  switch (record.op) {
    case 'accepted':
      return applyAccepted(state, record);
    case 'granted':
      return applyGranted(state, record);
    case 'handedBack':
      return applyHandedBack(state, record);
    case 'retried':
      return applyRetried(state, record);
    case 'completed':
      return applyCompleted(state, record);
    case 'emitted':
      return applyEmitted(state, eventOf(state, record.id), record);
    case 'relayed':
      return applyRelayed(state, eventOf(state, record.id), record);
    case 'dead':
      return applyDead(state, record);
    case 'cancelRequested': {
      const event = eventOf(state, record.id);
      event.cancelRequested = true;
      event.version += 1;
      // Who works on it is asked, and nobody begins.
      endWaiting(state, event);
      return;
    }
    case 'unsubscribed':
      return applyUnsubscribed(state, record);
    case 'cancelled':
      return endUnworked(state, record, 'cancelled');
    case 'deadlinePassed':
      return endUnworked(state, record, 'deadline');
    case 'late':
      return applyLate(state, record);
    case 'pruned':
      return applyPruned(state, record);
  }
}

function applyVolatile(state: PartitionState, record: Volatile): void {
  switch (record.op) {
    case 'extended':
      setLease(state, deliveryOf(state, record), record.expiresAt);
      return;
    case 'claimed': {
      const call = state.calls.get(record.call);
      if (call) call.claim = record.claim;
      return;
    }
    case 'opened':
      state.logId = record.logId;
      state.view = record.view;
      state.n = 0;
      return;
    case 'emptied':
      Object.assign(state, emptyState(state.policy, state.limits));
      return;
    case 'archived':
      applyArchived(state, record);
      return;
  }
}

/** Nobody holds it any more. */
function endUnworked(
  state: PartitionState,
  record: Cancelled | DeadlinePassed,
  reason: 'cancelled' | 'deadline',
): void {
  const event = eventOf(state, record.id);
  endWaiting(state, event);
  event.version += 1;
  completeEvent(event, record, 'fail', reason);
  settle(state, event, record);
}

/** The event goes; its idempotency key has a life of its own. */
function applyPruned(state: PartitionState, record: Pruned): void {
  const event = eventOf(state, record.id);
  state.events.delete(event.id);
  state.history.forget(event);
  state.bytes -= eventWeight(event);
  for (const { attempts } of event.deliveries) {
    for (const attempt of attempts) state.bytes -= weightOf(attempt);
  }
  const past = event.redriveOf === null ? undefined : state.events.get(event.redriveOf);
  if (past?.redrivenBy?.id === event.id) past.redrivenBy = null;
  noteIndexed(state, record.index);
}

function noteIndexed(state: PartitionState, index: number): void {
  state.indexed = Math.max(state.indexed, index);
}

function applyArchived(state: PartitionState, record: Extract<Volatile, { op: 'archived' }>): void {
  state.archived = { pos: record.pos, slot: record.slot };
  // A checkpoint leaves out what matters no more, also at its end.
  if (state.last === null || comparePositions(state.last, record.pos) < 0) state.last = record.pos;
  state.outbox.trim(record.pos);
}
