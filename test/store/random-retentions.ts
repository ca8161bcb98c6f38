/** Sequences in which much settles, leaves, and stays for as long as its type says: rare where everything may happen. */
import fc from 'fast-check';
import type { Step } from './random-steps.js';

const SECOND = 1_000;
const RETENTIONS_MS = [undefined, SECOND, 2 * SECOND, 20 * SECOND, 86_400_000];
const TYPES = 2;

const type = fc.nat({ max: TYPES - 1 });

const item = fc.record({
  type,
  delayMs: fc.constant(0),
  scope: fc.constant(null),
  fingerprint: fc.constant('print 1'),
  resend: fc.constant(null),
  size: fc.constant(0),
  durability: fc.constant('store' as const),
  deadlineMs: fc.constant(undefined),
  emitted: fc.constant(null),
});

const declare: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('setType' as const),
  type,
  kind: fc.constantFrom('declare' as const, 'declare' as const, 'reset' as const),
  policy: fc.constantFrom(...RETENTIONS_MS).map((ms) => (ms === undefined ? {} : { retentionMs: ms })),
  ifVersion: fc.constant(0),
});

const accept = fc.record({
  do: fc.constant('accept' as const),
  items: fc.array(item, { minLength: 1, maxLength: 3 }),
});
const cancel = fc.record({ do: fc.constant('cancel' as const), event: fc.nat({ max: 5 }) });
const archive = fc.record({ do: fc.constant('archive' as const), back: fc.constantFrom(0, 0, 1) });
const pass = fc.record({
  do: fc.constant('pass' as const),
  ms: fc.constantFrom(1, SECOND, SECOND, 10 * SECOND, -SECOND),
});
const prune = fc.record({
  do: fc.constant('prune' as const),
  retentionMs: fc.constantFrom(0, SECOND, 5 * SECOND),
  limit: fc.constantFrom(1, 2, 100),
  stale: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc
  .oneof(...[accept, cancel, archive, pass, prune].flatMap((each) => [each, each, each]), declare)
  .map((each) => each as Step);

export const RETENTION_STEPS: fc.Arbitrary<Step[]> = fc.array(step, {
  minLength: 4,
  maxLength: 40,
  size: 'max',
});
