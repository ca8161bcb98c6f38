/**
 * Random logs, replayed record by record into one store and in pieces into another: both come to hold the very same. Alone,
 * no record makes an event whole, so each event is brought up step by step in the first; in the second, many are not.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogRecord } from '../../src/event/record.js';
import { CoreModel } from '../support/core-model.js';
import { dumpPartition } from '../support/redis-dump.js';
import type { RedisHarness } from '../support/redis-harness.js';
import { logOf, twinStore } from '../support/twin-store.js';
import { POLICIES } from './random-policies.js';
import { type Step, stepsOf, TYPES } from './random-steps.js';
import { Both, LIMITS, STARTS_AT, type WorkOptions } from './random-work.js';

const HOUR = 3_600_000;

const item = {
  delayMs: 0,
  fingerprint: 'print 1',
  resend: null,
  size: 10,
  durability: 'store',
  deadlineMs: undefined,
  key: undefined,
  emitted: null,
} as const;

/** Events that are accepted, leased and completed, each once, in some order, with anything between. */
const plainEvents = fc
  .record({
    types: fc.array(fc.nat({ max: TYPES.length - 1 }), { minLength: 1, maxLength: 4 }),
    scope: fc.option(fc.integer({ min: 3, max: 9 }), { freq: 3 }),
    delayMs: fc.constantFrom(0, 0, 1_000),
    worker: fc.constantFrom(null, 'w "1"', '{}/{}\u007f'),
    outcome: fc.constantFrom('success' as const, 'fail' as const),
    order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 }),
    between: stepsOf(2),
  })
  .map(({ types, scope, delayMs, worker, outcome, order, between }): Step[] => [
    { do: 'accept', items: types.map((type) => ({ ...item, type, delayMs, scope })) },
    ...between.slice(0, 1),
    { do: 'pass', ms: delayMs + 1 },
    { do: 'promote', limit: 100 },
    {
      do: 'lease',
      types: [0, 1, 2, 3],
      max: 4,
      bytesMax: 1_000_000,
      leaseMs: null,
      worker,
      listener: 'default',
      call: 5,
    },
    ...between.slice(1),
    {
      do: 'complete',
      items: order.map((lease) => ({
        lease,
        token: 'own',
        outcome,
        retry: { kind: 'never' },
        fingerprint: `done ${lease}`,
        emit: [],
      })),
    },
  ]);

/** Random work, and how its log is replayed. */
export const made = fc.record({
  policy: fc.constantFrom(...POLICIES),
  steps: fc
    .array(fc.oneof({ weight: 3, arbitrary: plainEvents }, { weight: 1, arbitrary: stepsOf(5) }), {
      minLength: 1,
      maxLength: 12,
      size: 'max',
    })
    .map((parts) => parts.flat()),
  /** How long after the log's end it is replayed: while calls are remembered, or later. */
  afterMs: fc.constantFrom(0, HOUR, HOUR, 50 * HOUR),
  /** Records to a piece, by turns. */
  pieces: fc.array(fc.constantFrom(1, 2, 5, 17, 1_000), { minLength: 1, maxLength: 4 }),
  /** How much the store has before it is brought up from a place further down, in eighths of the log. */
  had: fc.constantFrom(0, 0, 3, 5),
});

export type Made = typeof made extends fc.Arbitrary<infer M> ? M : never;

/** Rejects when the two stores differ, with the steps that show it. */
export async function compareReplays(harness: RedisHarness, options: WorkOptions): Promise<void> {
  const { runs, seed, msMax, shorten = true } = options;
  await fc.assert(
    fc.asyncProperty(made, (each) => compareOnce(harness, each)),
    {
      numRuns: runs,
      seed,
      endOnFailure: !shorten,
      ...(msMax === undefined ? {} : { interruptAfterTimeLimit: msMax, markInterruptAsFailure: false }),
    },
  );
}

/** The log that the steps leave, and when they have ended. */
export async function workOf({
  policy,
  steps,
}: Pick<Made, 'policy' | 'steps'>): Promise<{ log: LogRecord[]; now: number }> {
  const core = new CoreModel(policy, LIMITS, STARTS_AT);
  const twin = new CoreModel(policy, LIMITS, STARTS_AT);
  const clock = {
    set: (ms: number) => {
      twin.now = ms;
    },
  };
  const both = new Both(twinStore(twin), core, clock);
  for (const step of steps) await both.do(step);
  return { log: logOf(core), now: core.now };
}

async function compareOnce(harness: RedisHarness, { policy, steps, afterMs, pieces, had }: Made) {
  const { log, now } = await workOf({ policy, steps });
  if (log.length === 0) return;
  const open = () => harness.open({ policy, limits: LIMITS, startsAt: now + afterMs });
  const [one, other] = [await open(), await open()];
  try {
    const overlap = Math.floor((log.length * had) / 8);
    // One that has brought the store up half and ended, before another that begins further down.
    await replay(other, log.slice(0, overlap), [3], 1);
    const from = Math.max(0, overlap - 7);
    await replay(other, log.slice(from), pieces, 2);
    await replay(one, log.slice(0, overlap), [1], 1);
    await replay(one, log.slice(from), [1], 2);
    const { redis } = harness;
    assert.deepEqual(await dumpPartition(redis, other.prefix), await dumpPartition(redis, one.prefix));
  } finally {
    await one.close();
    await other.close();
  }
}

async function replay(
  { store }: Awaited<ReturnType<RedisHarness['open']>>,
  log: readonly LogRecord[],
  pieces: readonly number[],
  epoch: number,
): Promise<void> {
  assert.equal(await store.beginRecovery(0, epoch), true);
  let at = 0;
  for (let turn = 0; at < log.length; turn += 1) {
    const piece = log.slice(at, at + pieces[turn % pieces.length]!);
    assert.equal(await store.replay(0, epoch, piece, { pos: piece.at(-1)!.pos, slot: 1 }), true);
    at += piece.length;
  }
}
