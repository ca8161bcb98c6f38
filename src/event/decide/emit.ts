/** Emit: a completion brings further events about. They are accepted together with it, or not at all. */
import type { EmitCommand, Relay } from '../command.js';
import { partitionOfId } from '../id.js';
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
  const partition = partitionOfId(parent.id);
  const root = parent.tree?.root ?? parent.id;
  for (const { id, type, envelope: payload, delayMs, durability, key } of emit) {
    // What a promise of `archive` has brought about is promised too.
    const promise = durability === 'archive' || parent.unarchived !== null ? ARCHIVES : NOTHING;
    const dueAt = key === undefined ? now + delayMs : now;
    const base = { root, dueAt, ...promise, ...(key === undefined ? NOTHING : { key }), payload };
    if (partitionOfId(id) !== partition) {
      recorder.add({ op: 'emitted', id: parent.id, child: id, childType: type, ...base });
    } else {
      if (!recorder.declare(type)) return false;
      const receivers = receiversOf(types.get(type)?.listeners ?? [], payload);
      const listeners = isFirstOnly(receivers) ? NOTHING : { listeners: receivers };
      const deadline = deadlineOf(types.get(type)?.policy.deadlineMs, now);
      recorder.add({
        op: 'accepted',
        id,
        type,
        ...listeners,
        ...base,
        ...deadline,
        idempotency: null,
        parent: parent.id,
      });
    }
  }
  return true;
}

const ARCHIVES = { durability: 'archive' } as const;
const NOTHING = {};

/** The record, of those that brought about `emitted`, that is archived last; null: none has to be archived any more. */
export function unarchivedEmission(
  { events, relays, archived }: PartitionState,
  emitted: readonly string[],
): Position | null {
  // The last one comes last in the log.
  for (const id of emitted.toReversed()) {
    const position = promisedAt(events.get(id), relays.get(id));
    if (position !== null && isBeyond(position, archived?.pos ?? null)) return position;
  }
  return null;
}

function promisedAt(event: EventState | undefined, relay: Relay | undefined): Position | null {
  if (relay) return relay.durability === 'archive' ? relay.position : null;
  return event?.unarchived ? event.position : null;
}
