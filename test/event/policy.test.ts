/** The backoff as a function: between its bounds whatever is declared, and the same for the same attempt. */
import fc from 'fast-check';
import t from 'tap';
import { backoffMs, chanceOf, effectivePolicy, type Policy } from '../../src/event/policy.js';

const RUNS = { seed: Number(process.env.SEED ?? 1), numRuns: 2_000 };

/** As far as the interface lets anybody go. */
const policy: fc.Arbitrary<Policy> = fc.record({
  attemptsMax: fc.integer({ min: 1, max: 1_000 }),
  leaseMs: fc.constant(30_000),
  backoffFirstMs: fc.integer({ min: 0, max: 7_776_000_000 }),
  backoffFactor: fc.double({ min: 1, max: 100, noNaN: true }),
  backoffMsMax: fc.integer({ min: 0, max: 7_776_000_000 }),
  backoffJitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const attempt = fc.integer({ min: 1, max: 1_000 });
const attemptId = fc.string({ minLength: 1, maxLength: 60 });

t.test('a backoff takes no more than chance may take of it, and never outgrows its cap', async () => {
  fc.assert(
    fc.property(policy, attempt, attemptId, (policy, attempt, id) => {
      const waitMs = backoffMs(policy, attempt, id);
      const full = backoffMs({ ...policy, backoffJitter: 0 }, attempt, id);
      const least = Math.floor(full * (1 - policy.backoffJitter)) - 1;
      return Number.isSafeInteger(waitMs) && waitMs >= Math.max(0, least) && waitMs <= full;
    }),
    RUNS,
  );
});

t.test(
  'without chance it is first × factor ^ (attempt − 1), cut at the cap and to whole milliseconds',
  async () => {
    fc.assert(
      fc.property(policy, attempt, attemptId, (policy, attempt, id) => {
        const { backoffFirstMs, backoffFactor, backoffMsMax } = policy;
        const grown = backoffFirstMs === 0 ? 0 : backoffFirstMs * backoffFactor ** (attempt - 1);
        const exact = Math.min(grown, backoffMsMax);
        const waitMs = backoffMs({ ...policy, backoffJitter: 0 }, attempt, id);
        // Powers round otherwise than products, by less than one part in a million here.
        return Math.abs(waitMs - exact) <= 1 + exact / 1e6;
      }),
      RUNS,
    );
  },
);

t.test('later attempts wait no shorter, before chance is taken', async () => {
  fc.assert(
    fc.property(policy, attempt, (policy, attempt) => {
      const plain = { ...policy, backoffJitter: 0 };
      return backoffMs(plain, attempt + 1, 'a') >= backoffMs(plain, attempt, 'a');
    }),
    RUNS,
  );
});

t.test('the same attempt always waits the same; others spread evenly between the bounds', async (t) => {
  fc.assert(
    fc.property(policy, attempt, attemptId, (policy, attempt, id) => {
      return backoffMs(policy, attempt, id) === backoffMs({ ...policy }, attempt, `${id}`);
    }),
    RUNS,
  );
  const tenths = new Array<number>(10).fill(0);
  for (let k = 0; k < 10_000; k += 1) tenths[Math.floor(chanceOf(`event-${k}.0.0.1`) * 10)]! += 1;
  t.ok(
    tenths.every((count) => count > 850 && count < 1_150),
    String(tenths),
  );
});

t.test('what is declared holds, each part by itself', async (t) => {
  const serviceWide: Policy = {
    attemptsMax: 5,
    leaseMs: 30_000,
    backoffFirstMs: 500,
    backoffFactor: 2,
    backoffMsMax: 60_000,
    backoffJitter: 0.2,
  };
  t.equal(effectivePolicy(serviceWide, null), serviceWide);
  t.same(effectivePolicy(serviceWide, { backoff: { jitter: 0 } }), { ...serviceWide, backoffJitter: 0 });
  t.same(effectivePolicy(serviceWide, { backoff: { firstMs: 0 } }), { ...serviceWide, backoffFirstMs: 0 });
});
