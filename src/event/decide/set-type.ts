/** Set type: what somebody declares of a type, and whether it is paused. */
import type { SetTypeCommand, SetTypeResult, TypeView } from '../command.js';
import { type DeclaredPolicy, effectivePolicy, policyText } from '../policy.js';
import type { PartitionState, TypeState } from '../state.js';
import { type Decision, Recorder, refuse } from './decision.js';

export function decideSetType(
  state: PartitionState,
  command: SetTypeCommand,
  now: number,
): Decision<SetTypeResult> {
  const known = state.types.get(command.type) ?? null;
  if (command.kind !== 'declare' && known === null) return refuse({ kind: 'unknown' });
  const wanted = wantedBy(command, known);
  // A command whose answer was lost comes again, and finds done what it asks for.
  if (known !== null && isSo(known, wanted)) return refuse({ kind: 'set', view: typeView(known) });
  const version = known?.version ?? 0;
  if ('ifVersion' in command) {
    const { ifVersion } = command;
    if (ifVersion === null && version > 0) return refuse({ kind: 'precondition_required', version });
    const holds = ifVersion === 'any' ? known !== null : ifVersion === null || ifVersion === version;
    if (!holds) return refuse({ kind: 'precondition_failed', version });
  }
  const ordinal = known?.ordinal ?? state.typesByOrdinal.length;
  if (known === null && ordinal >= state.limits.typesMax) return refuse({ kind: 'too_many_types' });

  const { type } = command;
  const { declared, paused } = wanted;
  const next = 'ifVersion' in command ? version + 1 : version;
  const recorder = new Recorder(state, now);
  recorder.add({
    op: 'typeSet',
    type,
    ordinal,
    version: next,
    ...(declared === null ? {} : { policy: declared }),
    ...(paused ? { paused } : {}),
  });
  const policy = effectivePolicy(state.policy, declared);
  return {
    records: recorder.records,
    result: { kind: 'set', view: { type, version: next, declared, policy, paused, open: known?.open ?? 0 } },
  };
}

interface Wanted {
  readonly declared: DeclaredPolicy | null;
  readonly paused: boolean;
}

function wantedBy(command: SetTypeCommand, known: TypeState | null): Wanted {
  const { declared, paused } = known ?? { declared: null, paused: false };
  switch (command.kind) {
    case 'declare':
      return { declared: command.policy, paused };
    case 'reset':
      return { declared: null, paused };
    case 'pause':
      return { declared, paused: true };
    case 'resume':
      return { declared, paused: false };
  }
}

function isSo({ declared, paused }: TypeState, wanted: Wanted): boolean {
  const textOf = (policy: DeclaredPolicy | null) => policy && policyText(policy);
  return paused === wanted.paused && textOf(declared) === textOf(wanted.declared);
}

export function typeView({ name, version, declared, policy, paused, open }: TypeState): TypeView {
  return { type: name, version, declared, policy, paused, open };
}
