/** Accept: one request becomes one event with its deliveries. */
import type { AcceptCommand, AcceptResult } from '../command.js';
import { findIdempotent, idempotencyExpiresAt } from '../idempotency.js';
import { isFirstOnly, type Listeners, ordinalFor, receiversOf } from '../listeners.js';
import type { Position } from '../record.js';
import type { EventState, PartitionState } from '../state.js';
import { isBeyond } from '../unarchived.js';
import { deadlineOf } from './deadline.js';
import { type Decision, Recorder, refuse } from './decision.js';

export function decideAccept(
  state: PartitionState,
  command: AcceptCommand,
  now: number,
): Decision<AcceptResult> {
  const { id, type, idempotency, emitted, redrive } = command;
  const known = state.events.get(id);
  if (known)
    return refuse({ kind: 'accepted', id, createdAt: known.createdAt, archive: promised(state, known) });
  if (idempotency) {
    const first = findIdempotent(state, idempotency.scope, now);
    if (first && first.fingerprint !== idempotency.fingerprint)
      return refuse({ kind: 'conflict', id: first.id });
    if (first) {
      const archive = promised(state, state.events.get(first.id));
      return refuse({ kind: 'duplicate', id: first.id, createdAt: first.createdAt, archive });
    }
  }
  const bytes = state.bytes + state.outbox.overheadBytes + command.envelope.byteLength;
  if (bytes > state.limits.bytesMax && !emitted) return refuse({ kind: 'full' });

  const receivers = receiversFor(state.types.get(type)?.listeners ?? [], command);
  if (receivers === null) return refuse({ kind: 'no_listener' });
  const recorder = new Recorder(state, now);
  const { open = 0, policy = state.policy } = state.types.get(type) ?? {};
  if (open >= (policy.maxPending ?? Number.POSITIVE_INFINITY) && !emitted)
    return refuse({ kind: 'too_many_pending' });
  if (!recorder.declare(type, emitted !== undefined)) return refuse({ kind: 'too_many_types' });
  const archives = command.durability === 'archive';
  const archive = archives ? recorder.nextPosition() : null;
  const record = {
    op: 'accepted' as const,
    id,
    type,
    dueAt: dueAtOf(command, now),
    idempotency: idempotency && { ...idempotency, expiresAt: idempotencyExpiresAt(now) },
    payload: command.envelope,
  };
  const deadlineMs = command.deadlineMs ?? policy.deadlineMs;
  const isPlain = deadlineMs === undefined && !archives && command.key === undefined && !emitted && !redrive;
  recorder.add(
    isPlain && isFirstOnly(receivers)
      ? record
      : { ...record, ...deadlineOf(deadlineMs, now), ...extrasOf(command, receivers) },
  );
  return { records: recorder.records, result: { kind: 'accepted', id, createdAt: now, archive } };
}

/** Who has an ordering key comes when it is its turn. */
function dueAtOf({ key, emitted, delayMs }: AcceptCommand, now: number): number {
  if (key !== undefined) return now;
  return emitted ? Math.max(now, emitted.dueAt) : now + delayMs;
}

/** As a record of an acceptance has it. */
export function keyOf({ key }: { readonly key?: string }): { readonly key?: string } {
  return key === undefined ? NOTHING : { key };
}

/** Null: it is for a listener that there is not. */
export function receiversFor(
  listeners: Listeners,
  { envelope, redrive }: Pick<AcceptCommand, 'envelope' | 'redrive'>,
): readonly number[] | null {
  const only = redrive?.only ?? null;
  if (only === null) return receiversOf(listeners, envelope);
  const ordinal = ordinalFor(listeners, only);
  return ordinal === null ? null : [ordinal];
}

const NOTHING = {};

/** What most events have nothing of. */
function extrasOf(command: AcceptCommand, receivers: readonly number[]) {
  const { durability, emitted, redrive } = command;
  return {
    ...(isFirstOnly(receivers) ? NOTHING : { listeners: receivers }),
    ...(durability === 'archive' ? { durability } : NOTHING),
    ...keyOf(command),
    ...(emitted ? { parent: emitted.parent, root: emitted.root } : NOTHING),
    ...(redrive ? { redriveOf: redrive.of } : NOTHING),
  };
}

/** What must be archived before the event's receipt may be given again. */
function promised({ archived }: PartitionState, event: EventState | undefined): Position | null {
  if (!event?.unarchived) return null;
  return isBeyond(event.position, archived?.pos ?? null) ? event.position : null;
}
