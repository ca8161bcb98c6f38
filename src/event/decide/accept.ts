/** Accept: one request becomes one event with its deliveries. */
import type { AcceptCommand, AcceptResult } from '../command.js';
import { findIdempotent, idempotencyExpiresAt } from '../idempotency.js';
import type { PartitionState } from '../state.js';
import { type Decision, Recorder, refuse } from './decision.js';

export function decideAccept(
  state: PartitionState,
  command: AcceptCommand,
  now: number,
): Decision<AcceptResult> {
  const { id, type, idempotency } = command;
  const known = state.events.get(id);
  if (known) return refuse({ kind: 'accepted', id, createdAt: known.createdAt });
  if (idempotency) {
    const first = findIdempotent(state, idempotency.scope, now);
    if (first && first.fingerprint !== idempotency.fingerprint)
      return refuse({ kind: 'conflict', id: first.id });
    if (first) return refuse({ kind: 'duplicate', id: first.id, createdAt: first.createdAt });
  }
  const bytes = state.bytes + state.outbox.overheadBytes + command.envelope.byteLength;
  if (bytes > state.limits.bytesMax) return refuse({ kind: 'full' });

  const recorder = new Recorder(state, now);
  if (!state.types.has(type)) {
    const ordinal = state.typesByOrdinal.length;
    if (ordinal >= state.limits.typesMax) return refuse({ kind: 'too_many_types' });
    recorder.add({ op: 'typeSet', type, ordinal, version: 0 });
  }
  recorder.add({
    op: 'accepted',
    id,
    type,
    dueAt: now + command.delayMs,
    idempotency: idempotency && { ...idempotency, expiresAt: idempotencyExpiresAt(now) },
    payload: command.envelope,
  });
  return { records: recorder.records, result: { kind: 'accepted', id, createdAt: now } };
}
