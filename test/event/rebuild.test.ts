/** The fold: a state rebuilt from the records is the state that wrote them. */
import t from 'tap';
import { apply } from '../../src/event/apply.js';
import type { Lease } from '../../src/event/command.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideHandBack } from '../../src/event/decide/hand-back.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { makeEventId } from '../../src/event/id.js';
import type { StoreRecord } from '../../src/event/record.js';
import { promoteDue } from '../../src/event/schedule.js';
import { emptyState, type PartitionState } from '../../src/event/state.js';

const POLICY = {
  attemptsMax: 5,
  leaseMs: 30_000,
  backoffFirstMs: 1_000,
  backoffFactor: 2,
  backoffMsMax: 60_000,
  backoffJitter: 0,
};
const LIMITS = { leaseMsMax: 43_200_000, typesMax: 10, bytesMax: 1_000_000 };

function carryOut<Result>(state: PartitionState, log: StoreRecord[], decision: Decision<Result>): Result {
  for (const record of decision.records) {
    apply(state, record);
    log.push(record);
  }
  return decision.result;
}

function rebuilt(log: readonly StoreRecord[]): PartitionState {
  const state = emptyState(POLICY, LIMITS);
  for (const record of log) apply(state, record);
  return state;
}

function lease(state: PartitionState, log: StoreRecord[], now: number): readonly Lease[] {
  promoteDue(state, now, 10);
  const command = {
    types: ['t'],
    listener: 'default',
    max: 10,
    bytesMax: 1_000,
    leaseMs: null,
    worker: null,
    call: `call at ${now}`,
    tokens: Array.from({ length: 10 }, (_, index) => `token ${now} ${index}`),
  };
  const result = carryOut(state, log, decideLease(state, command, now));
  return result.kind === 'leased' ? result.leases : [];
}

function acceptOne(state: PartitionState, log: StoreRecord[]): void {
  const command = {
    id: makeEventId(0, 0),
    type: 't',
    envelope: Buffer.from('{}\n'),
    delayMs: 0,
    idempotency: null,
  };
  carryOut(state, log, decideAccept(state, command, 1));
}

t.test('a rebuilt state keeps the backoff of a delivery that had failed', async (t) => {
  const log: StoreRecord[] = [];
  const state = emptyState(POLICY, LIMITS);
  acceptOne(state, log);
  const [{ attemptId, token }] = lease(state, log, 10) as [Lease];
  const failure = {
    attemptId,
    token,
    outcome: 'fail' as const,
    retry: { kind: 'policy' as const },
    result: Buffer.from('{}\n'),
    fingerprint: 'f',
  };
  carryOut(state, log, decideComplete(state, failure, 20));

  const again = rebuilt(log);
  t.same(lease(again, [], 1_019), [], 'not before the backoff is over');
  t.equal(lease(again, [], 1_020).length, 1);
});

t.test('a rebuilt state leases a delivery that was handed back once, not twice', async (t) => {
  const log: StoreRecord[] = [];
  const state = emptyState(POLICY, LIMITS);
  acceptOne(state, log);
  for (const now of [10, 20, 30]) {
    const [{ attemptId, token }] = lease(state, log, now) as [Lease];
    carryOut(state, log, decideHandBack(state, { attemptId, token }, now));
  }
  t.equal(lease(rebuilt(log), [], 40).length, 1);
});
