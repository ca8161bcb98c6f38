/** Set redrive: a job is made, goes on by a step, or is cancelled. */
import type { SetRedriveCommand, SetRedriveResult } from '../command.js';
import { ordinalFor } from '../listeners.js';
import type { RedriveSet } from '../record.js';
import { REDRIVES_KEPT_MAX, REDRIVES_RUNNING_MAX } from '../redrive.js';
import { beginningWish, NO_PROGRESS, progressText } from '../redrive-job.js';
import type { PartitionState, RedriveState } from '../state.js';
import { type Decision, Recorder, refuse } from './decision.js';

type Of<Kind> = Extract<SetRedriveCommand, { readonly kind: Kind }>;

export function decideSetRedrive(
  state: PartitionState,
  command: SetRedriveCommand,
  now: number,
): Decision<SetRedriveResult> {
  switch (command.kind) {
    case 'create':
      return create(state, command, now);
    case 'advance':
      return advance(state, command, now);
    case 'cancel':
      return cancel(state, command, now);
  }
}

function create(state: PartitionState, command: Of<'create'>, now: number): Decision<SetRedriveResult> {
  const { id, type: name, listener, idempotency } = command;
  const jobs = [...state.redrives.values()];
  // A command whose answer was lost comes again.
  const known = state.redrives.get(id);
  if (known) return refuse({ kind: 'set', redrive: known });
  const first = idempotency && jobs.find((job) => job.idempotency?.scope === idempotency.scope);
  if (first && first.idempotency?.fingerprint === idempotency.fingerprint)
    return refuse({ kind: 'set', redrive: first });
  if (first) return refuse({ kind: 'conflict', redrive: first });
  const type = state.types.get(name);
  if (!type) return refuse({ kind: 'unknown_type' });
  const ordinal = listener === null ? null : ordinalFor(type.listeners, listener);
  if (listener !== null && ordinal === null) return refuse({ kind: 'unknown_listener' });
  const room = roomFor(state);
  if (room === null) return refuse({ kind: 'too_many' });

  const recorder = new Recorder(state, now);
  const named = listener === null || ordinal === null ? null : { name: listener, ordinal };
  return carry(recorder, {
    id,
    type: name,
    step: 0,
    status: 'running',
    startedAt: now,
    endedAt: null,
    until: recorder.nextPosition(),
    wish: { ...command.wish, listener: named },
    progress: NO_PROGRESS,
    idempotency,
    ...room,
  });
}

/** What makes way for one more job; null: as many are under way as may be. */
export function roomFor({ redrives }: PartitionState): Pick<RedriveSet, 'forgets'> | null {
  const jobs = [...redrives.values()];
  if (jobs.filter(({ status }) => status === 'running').length >= REDRIVES_RUNNING_MAX) return null;
  const forgotten = jobs.length < REDRIVES_KEPT_MAX ? null : oldestEnded(jobs);
  return forgotten ? { forgets: forgotten.id } : {};
}

/** The job of a listener that begins with the past, made behind the record that declares it. */
export function addBeginning(
  recorder: Recorder,
  type: string,
  id: string,
  listener: { readonly name: string; readonly ordinal: number },
  room: Pick<RedriveSet, 'forgets'>,
  now: number,
): void {
  carry(recorder, {
    id,
    type,
    step: 0,
    status: 'running',
    startedAt: now,
    endedAt: null,
    until: recorder.nextPosition(),
    wish: beginningWish(listener),
    progress: NO_PROGRESS,
    idempotency: null,
    ...room,
  });
}

function oldestEnded(jobs: readonly RedriveState[]): RedriveState | null {
  const ended = jobs.filter(({ status }) => status !== 'running');
  return ended.reduce<RedriveState | null>(
    (oldest, job) => (oldest && oldest.id < job.id ? oldest : job),
    null,
  );
}

function advance(state: PartitionState, command: Of<'advance'>, now: number): Decision<SetRedriveResult> {
  const { id, after, status, progress } = command;
  const job = state.redrives.get(id);
  if (!job) return refuse({ kind: 'unknown' });
  const isSo = progressText(job.progress) === progressText(progress);
  if (job.step === after + 1 && isSo) return refuse({ kind: 'set', redrive: job });
  if (job.step !== after || job.status === 'done' || job.status === 'failed')
    return refuse({ kind: 'stale', redrive: job });
  // What was under way when it was cancelled counts, and changes nothing else.
  const end =
    job.status === 'running'
      ? { status, endedAt: status === 'running' ? null : now }
      : { status: job.status };
  return carry(new Recorder(state, now), { ...job, ...end, step: after + 1, progress });
}

function cancel(state: PartitionState, { id }: Of<'cancel'>, now: number): Decision<SetRedriveResult> {
  const job = state.redrives.get(id);
  if (!job) return refuse({ kind: 'unknown' });
  if (job.status === 'cancelled') return refuse({ kind: 'set', redrive: job });
  if (job.status !== 'running') return refuse({ kind: 'ended', redrive: job });
  return carry(new Recorder(state, now), { ...job, status: 'cancelled', endedAt: now });
}

function carry(
  recorder: Recorder,
  job: RedriveState & Pick<RedriveSet, 'forgets'>,
): Decision<SetRedriveResult> {
  const { id, idempotency, forgets, ...rest } = job;
  const claim = idempotency && { scope: idempotency.scope, fingerprint: idempotency.fingerprint };
  recorder.add({
    op: 'redriveSet',
    redrive: id,
    ...rest,
    ...(claim && { idempotency: claim }),
    ...(forgets !== undefined && { forgets }),
  });
  return { records: recorder.records, result: { kind: 'set', redrive: { ...rest, id, idempotency: claim } } };
}
