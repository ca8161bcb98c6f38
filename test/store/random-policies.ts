/** What random work runs under: service-wide policies, and what is declared of types. */
import type { DeclaredPolicy, Policy } from '../../src/event/policy.js';

const SECOND = 1_000;
const DAY = 86_400_000;

export const POLICIES: readonly Policy[] = [
  policy({ attemptsMax: 2, backoffFirstMs: 0 }),
  policy({ attemptsMax: 3, backoffFirstMs: 1_000, backoffJitter: 0.4 }),
  policy({ attemptsMax: 5, backoffFirstMs: 700, backoffFactor: 3, backoffMsMax: 5_000 }),
];

/** What is declared of types. */
export const DECLARED: readonly DeclaredPolicy[] = [
  {},
  { attemptsMax: 1, leaseMs: 5 * SECOND },
  { attemptsMax: 4, backoff: { firstMs: 300, factor: 1.25, capMs: 2_000 }, retentionMs: DAY },
  { leaseMs: 50 * SECOND, backoff: { jitter: 0.75 } },
  { maxPending: 2, retentionMs: SECOND },
  { deadlineMs: 3 * SECOND },
  { maxPending: 5, attemptsMax: 2 },
  { retentionMs: 2 * SECOND },
  { retentionMs: DAY },
];

function policy(more: Partial<Policy>): Policy {
  const base = { attemptsMax: 3, leaseMs: 30 * SECOND, backoffFirstMs: 1_000, backoffFactor: 1.5 };
  return { ...base, backoffMsMax: 60 * SECOND, backoffJitter: 0, ...more };
}
