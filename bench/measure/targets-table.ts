/** What was aimed at beside what was measured: one line a target, judged by the median of its rounds. */
import { markdownTable, spreadOf, spreadText } from './stats.js';

export interface Target {
  readonly what: string;
  /** One for each round. */
  readonly values: readonly number[];
  /** Whether more is better. */
  readonly more: boolean;
  /** The bound that must be kept, and the one that is hoped for. */
  readonly atLeast: number;
  readonly goal: number;
  readonly unit?: '' | '×' | ' ms' | ' %' | ' bytes';
}

export type Verdict = 'goal' | 'at least' | 'no';

export function verdictOf({ values, more, atLeast, goal }: Target): Verdict {
  const { median } = spreadOf(values);
  const keeps = (bound: number) => (more ? median >= bound : median <= bound);
  if (keeps(goal)) return 'goal';
  return keeps(atLeast) ? 'at least' : 'no';
}

export function targetsTable(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const { what, values, more, atLeast, goal, unit = '' } = target;
    const bound = (value: number) => `${more ? '≥' : '≤'} ${value}${unit}`;
    const measured = `${spreadText(spreadOf(values), digitsOf(values))}${unit}`;
    return [what, measured, String(values.length), bound(atLeast), bound(goal), verdictOf(target)];
  });
  return markdownTable(['', 'measured', 'rounds', 'at least', 'goal', 'reached'], rows);
}

/** Ratios to the hundredth, bytes and milliseconds to the whole. */
function digitsOf(values: readonly number[]): number {
  const { median } = spreadOf(values);
  if (median >= 100) return 0;
  return median >= 20 ? 1 : 2;
}
