/** Listeners: one is declared, or deleted; and the deliveries that a deleted one leaves behind end. */
import type { DeleteListenerResult, SetListenerCommand, SetListenerResult, SweepResult } from '../command.js';
import { isLiving, planListener } from '../listeners.js';
import type { Unsubscribed } from '../record.js';
import {
  type EventState,
  findDelivery,
  isResponder,
  type PartitionState,
  type SweepCursor,
  type TypeState,
} from '../state.js';
import { type Decision, Recorder, refuse } from './decision.js';
import { addBeginning, roomFor } from './redrive.js';

export function decideSetListener(
  state: PartitionState,
  command: SetListenerCommand,
  now: number,
): Decision<SetListenerResult> {
  const { type: name, listener } = command;
  const type = state.types.get(name);
  const plan = planListener(type?.listeners ?? [], type?.leased ?? false, listener);
  if (plan.kind !== 'plan') return refuse(plan);
  const begins = plan.created ? command.beginning : undefined;
  const room = begins && roomFor(state);
  if (room === null) return refuse({ kind: 'too_many_redrives' });
  const recorder = new Recorder(state, now);
  if (!type) {
    const ordinal = state.typesByOrdinal.length;
    if (ordinal >= state.limits.typesMax) return refuse({ kind: 'too_many_types' });
    recorder.add({ op: 'typeSet', type: name, ordinal, version: 0 });
  }
  for (const set of plan.sets) recorder.add({ op: 'listenerSet', type: name, ...set });
  if (begins && room)
    addBeginning(recorder, name, begins.id, { name: listener.name, ordinal: plan.ordinal }, room, now);
  return { records: recorder.records, result: { kind: 'set', created: plan.created } };
}

export function decideDeleteListener(
  state: PartitionState,
  type: string,
  name: string,
  now: number,
): Decision<DeleteListenerResult> {
  const listeners = state.types.get(type)?.listeners ?? [];
  const ordinal = listeners.findIndex((each) => each.name === name && isLiving(each));
  if (ordinal < 0) return refuse({ kind: 'unknown' });
  const recorder = new Recorder(state, now);
  recorder.add({ op: 'listenerGone', type, ordinal });
  return { records: recorder.records, result: { kind: 'deleted' } };
}

/**
 * Ends deliveries of a listener that was deleted, the newest event's first, having looked at `limit` events at most. Events
 * that came after it was deleted have none for it, so the way back to the oldest is all there is to go.
 */
export function decideSweep(state: PartitionState, limit: number, now: number): Decision<SweepResult> {
  const sweeping = state.sweeping ?? firstLeaving(state);
  state.sweeping = null;
  if (sweeping === null) return refuse({ ended: 0, more: false });
  const recorder = new Recorder(state, now);
  const { type, ordinal } = sweeping;
  let looked = 0;
  for (const event of state.history.before(sweeping.before)) {
    if (looked === limit) {
      state.sweeping = { type, ordinal, before: event.sequence + 1 };
      return { records: recorder.records, result: { ended: recorder.records.length, more: true } };
    }
    looked += 1;
    const unsubscribed = event.type.name === type ? unsubscribe(event, ordinal) : null;
    if (unsubscribed) recorder.add({ op: 'unsubscribed', id: event.id, ...unsubscribed });
  }
  const ended = recorder.records.length;
  recorder.add({ op: 'listenerSwept', type, ordinal });
  return { records: recorder.records, result: { ended, more: state.leaving > 1 } };
}

function firstLeaving(state: PartitionState): SweepCursor | null {
  if (state.leaving === 0) return null;
  for (const type of state.typesByOrdinal) {
    const ordinal = type.listeners.findIndex((listener) => listener.state === 'leaving');
    if (ordinal >= 0) return { type: type.name, ordinal, before: state.sequence + 1 };
  }
  return null;
}

/** Null: the event has no delivery for it that has not ended. */
function unsubscribe(
  event: EventState,
  listener: number,
): Pick<Unsubscribed, 'listener' | 'grant' | 'responder'> | null {
  const delivery = findDelivery(event, listener);
  if (!delivery || delivery.state === 'ended') return null;
  const grant = delivery.state === 'leased' ? delivery.grants : 0;
  if (event.status === 'complete' || !isResponder(delivery)) return { listener, grant };
  return { listener, grant, responder: nextResponder(event, event.type) };
}

/** The first by ordinal of the other listeners that are still there. */
function nextResponder({ deliveries }: EventState, { listeners }: TypeState): number | null {
  const left = deliveries
    .slice(1)
    .map(({ listener }) => listener)
    .filter((ordinal) => listeners[ordinal] === undefined || isLiving(listeners[ordinal]));
  return left.length === 0 ? null : Math.min(...left);
}
