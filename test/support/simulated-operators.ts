/** What operators declare on the servers of a simulation, as its seed has it: types with policies, and listeners. */
import type { Decision } from '../../src/event/decide/decision.js';
import { decideDeleteListener, decideSetListener, decideSweep } from '../../src/event/decide/listener.js';
import { decideSetType } from '../../src/event/decide/set-type.js';
import type { DeclaredPolicy } from '../../src/event/policy.js';
import type { PartitionState } from '../../src/event/state.js';
import type { Turns } from './turns.js';

/** Of the type that has listeners declared; the other one stays as most types are. */
export const LISTENED_TO = 't1';
export const LISTENERS = ['default', 'audit', 'copy'] as const;

const POLICIES: readonly DeclaredPolicy[] = [
  {},
  { attemptsMax: 2 },
  { deadlineMs: 5_000 },
  { backoff: { firstMs: 10, jitter: 0 } },
];

/** What the bodies of the simulation say that filters look at. */
export const METHODS = ['PUT', 'POST'] as const;

/** An operator declares something, or what was declared is tidied up behind him. */
export function declareSomething(turns: Turns, state: PartitionState, now: number): Decision<unknown> {
  const choice = turns.random();
  const type = LISTENED_TO;
  const name = LISTENERS[turns.below(LISTENERS.length)]!;
  if (choice < 0.25) {
    const filter = turns.chance(0.5) ? null : { method: [METHODS[turns.below(METHODS.length)]!] };
    const listener = { name, responder: turns.chance(0.3), filter };
    return decideSetListener(state, { type, listener }, now);
  }
  if (choice < 0.4) return decideDeleteListener(state, type, name, now);
  if (choice < 0.7) return decideSweep(state, 1 + turns.below(20), now);
  const declared = `t${turns.below(2)}`;
  if (choice < 0.8) {
    const policy = POLICIES[turns.below(POLICIES.length)]!;
    return decideSetType(state, { kind: 'declare', type: declared, policy, ifVersion: 'any' }, now);
  }
  if (choice < 0.85) return decideSetType(state, { kind: 'reset', type: declared, ifVersion: 'any' }, now);
  // Paused for a short while only: what else is looked at wants work to go on.
  return decideSetType(state, { kind: choice < 0.87 ? 'pause' : 'resume', type: declared }, now);
}
