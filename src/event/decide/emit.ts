/** Emit: a completion brings further events about. They are accepted together with it, or not at all. */
import type { EmitCommand } from '../command.js';
import { isFirstOnly, receiversOf } from '../listeners.js';
import type { Position } from '../record.js';
import type { EventState, PartitionState } from '../state.js';
import { isBeyond } from '../unarchived.js';
import { deadlineOf } from './deadline.js';
import type { Recorder } from './decision.js';

/** False when one of them would make a type too many: then nothing of the decision may be done. */
export function recordEmitted(
  { types }: PartitionState,
  recorder: Recorder,
  parent: EventState,
  emit: readonly EmitCommand[],
  now: number,
): boolean {
  for (const { id, type, envelope, delayMs, durability } of emit) {
    if (!recorder.declare(type)) return false;
    const receivers = receiversOf(types.get(type)?.listeners ?? [], envelope);
    recorder.add({
      op: 'accepted',
      id,
      type,
      ...(isFirstOnly(receivers) ? NOTHING : { listeners: receivers }),
      dueAt: now + delayMs,
      ...deadlineOf(types.get(type)?.policy.deadlineMs, now),
      // What a promise of `archive` has brought about is promised too.
      ...(durability === 'archive' || parent.unarchived !== null ? ARCHIVES : NOTHING),
      idempotency: null,
      parent: parent.id,
      root: parent.tree?.root ?? parent.id,
      payload: envelope,
    });
  }
  return true;
}

const ARCHIVES = { durability: 'archive' } as const;
const NOTHING = {};

/** The acceptance, of those of `emitted`, that is archived last; null: none has to be archived any more. */
export function unarchivedEmission(
  { events, archived }: PartitionState,
  emitted: readonly string[],
): Position | null {
  // The last one comes last in the log.
  for (const id of emitted.toReversed()) {
    const event = events.get(id);
    if (event && event.unarchived !== null && isBeyond(event.position, archived?.pos ?? null))
      return event.position;
  }
  return null;
}
