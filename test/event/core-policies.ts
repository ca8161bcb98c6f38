/** What was declared of types, kept beside the core by plain account: by it the core's answers are judged. */
import assert from 'node:assert/strict';
import type { SetTypeCommand } from '../../src/event/command.js';
import type { DeclaredPolicy, Policy } from '../../src/event/policy.js';
import type { TypeState } from '../../src/event/state.js';
import type { Op } from './core-ops.js';

type SetType = Extract<Op, { do: 'setType' }>;

export function commandOf({ type, kind, policy, ifVersion }: SetType): SetTypeCommand {
  if (kind === 'declare') return { kind, type, policy, ifVersion };
  return kind === 'reset' ? { kind, type, ifVersion } : { kind, type };
}

export class PolicyAccount {
  readonly #declared = new Map<string, DeclaredPolicy>();
  readonly #attemptsMax = new Map<string, number>();
  readonly #paused = new Set<string>();

  constructor(private readonly serviceWide: Policy) {}

  /** The most that the type ever had: a policy may have changed since. */
  attemptsMaxOf(type: string): number {
    return this.#attemptsMax.get(type) ?? this.serviceWide.attemptsMax;
  }

  isPaused(type: string): boolean {
    return this.#paused.has(type);
  }

  leaseMsOf(types: readonly string[]): number {
    return Math.min(...types.map((type) => this.#declared.get(type)?.leaseMs ?? this.serviceWide.leaseMs));
  }

  deadlineMsOf(type: string): number | undefined {
    return this.#declared.get(type)?.deadlineMs;
  }

  /** It was set: `before` and `after` are the type's state then and now, `records` how many were made. */
  note(op: SetType, before: TypeState | null, after: TypeState, records: number): void {
    const { type, kind, policy } = op;
    if (kind === 'declare') this.#declared.set(type, policy);
    else if (kind === 'reset') this.#declared.delete(type);
    else if (kind === 'pause') this.#paused.add(type);
    else this.#paused.delete(type);
    const { attemptsMax = this.serviceWide.attemptsMax } = this.#declared.get(type) ?? {};
    this.#attemptsMax.set(type, Math.max(attemptsMax, this.attemptsMaxOf(type)));
    assert.deepEqual(after.declared, this.#declared.get(type) ?? null);
    assert.equal(after.paused, this.#paused.has(type));
    assert.equal(after.ordinal, before?.ordinal ?? after.ordinal, 'an ordinal stays');
    const steps = kind === 'pause' || kind === 'resume' ? 0 : records;
    assert.equal(
      after.version,
      (before?.version ?? 0) + steps,
      'each change of what is declared is a version',
    );
  }
}
