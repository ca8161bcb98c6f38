/**
 * Exact times: when what waits may be leased, and when what has a deadline ends, to the millisecond. Each row of the tables
 * is tried one millisecond before its time, when nothing may have happened yet, and at its time.
 */
import type { Test } from 'tap';
import type { RetryWish } from '../../../src/event/command.js';
import { backoffMs } from '../../../src/event/policy.js';
import type { StoreHarness } from '../store.js';
import { declare } from './policies.js';
import { completionOf, HOUR, MINUTE, NOON, POLICY, type Scene, SECOND, scene } from './scene.js';

const DAY = 24 * HOUR;

/** How long the delivery waits after its first attempt, its second, and so on. */
const BACKOFFS = [
  { backoff: { firstMs: 500, factor: 2, capMs: 60_000 }, waits: [500, 1_000, 2_000, 4_000, 8_000, 16_000] },
  { backoff: { firstMs: 1_000, factor: 3, capMs: 10_000 }, waits: [1_000, 3_000, 9_000, 10_000, 10_000] },
  { backoff: { firstMs: 7, factor: 1.5, capMs: 40 }, waits: [7, 10, 15, 23, 35, 40, 40] },
  { backoff: { firstMs: 250, factor: 1, capMs: 60_000 }, waits: [250, 250, 250] },
  { backoff: { firstMs: 90_000, factor: 2, capMs: 60_000 }, waits: [60_000, 60_000] },
  { backoff: { firstMs: 0, factor: 10, capMs: 60_000 }, waits: [0, 0, 0] },
] as const;

/** What a failed completion asks for, and how long the delivery waits after its first attempt. */
const RETRIES: readonly (readonly [RetryWish, number])[] = [
  [{ kind: 'policy' }, POLICY.backoffFirstMs],
  [{ kind: 'after', afterMs: 0 }, 0],
  [{ kind: 'after', afterMs: 1 }, 1],
  [{ kind: 'after', afterMs: POLICY.backoffMsMax + 1 }, POLICY.backoffMsMax + 1],
  [{ kind: 'after', afterMs: 90 * DAY }, 90 * DAY],
];

export async function timesContract(t: Test, harness: StoreHarness): Promise<void> {
  for (const { backoff, waits } of BACKOFFS) {
    const { firstMs, factor, capMs } = backoff;
    for (const how of ['failed', 'expired'] as const) {
      await t.test(
        `backoff from ${firstMs} by ${factor} up to ${capMs} ms, attempts that ${how}`,
        async (t) => {
          const s = await scene(t, harness);
          await declare(s, 'mail', { attemptsMax: 50, backoff: { ...backoff, jitter: 0 } });
          await s.accept('mail');
          for (const [index, waitMs] of waits.entries()) {
            const lease = await s.lease('mail', { leaseMs: SECOND });
            t.equal(lease.attempt, index + 1);
            if (how === 'failed') {
              const retryAt = s.now + waitMs;
              t.match(await s.fail(lease, { retry: { kind: 'policy' } }), { retryAt });
            } else {
              await s.pass(SECOND);
              t.equal(await s.expire(), 1);
            }
            await leasableFrom(t, s, s.now + waitMs);
          }
        },
      );
    }
  }

  for (const [retry, waitMs] of RETRIES) {
    const said = retry.kind === 'after' ? `after ${retry.afterMs} ms` : retry.kind;
    await t.test(`a failure that asks for a retry, ${said}, waits ${waitMs} ms`, async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail');
      const retryAt = NOON + waitMs;
      t.match(await s.fail(await s.lease('mail'), { retry }), { status: 'in_process', retryAt });
      await leasableFrom(t, s, retryAt);
      t.match(await s.lease('mail'), { attempt: 2 });
    });
  }

  await t.test(
    'a wait that a completion names takes the place of the backoff once, not for good',
    async (t) => {
      const s = await scene(t, harness, { policy: { attemptsMax: 9 } });
      await s.accept('mail');
      const wishes: readonly (readonly [RetryWish, number])[] = [
        [{ kind: 'policy' }, 1_000],
        [{ kind: 'after', afterMs: 20 }, 20],
        [{ kind: 'policy' }, 4_000],
      ];
      for (const [retry, waitMs] of wishes) {
        await s.fail(await s.lease('mail'), { retry });
        await leasableFrom(t, s, s.now + waitMs);
      }
    },
  );

  await t.test('what is handed back is leasable at once, and moves no backoff on', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    await s.fail(await s.lease('mail'), { retry: { kind: 'policy' } });
    await s.pass(SECOND);
    await s.store.handBack(await s.lease('mail'));
    await s.fail(await s.lease('mail'), { retry: { kind: 'policy' } });
    await leasableFrom(t, s, s.now + 2 * SECOND);
  });

  for (const delayMs of [1, 999, MINUTE, 90 * DAY]) {
    await t.test(`an event that is delayed by ${delayMs} ms is leasable then`, async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail', { delayMs });
      await leasableFrom(t, s, NOON + delayMs);
    });
  }

  await t.test('an emitted event that is delayed counts from its completion', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail');
    await s.pass(SECOND);
    const { envelope } = s.command('mail');
    const emit = [
      { id: s.newId('mail'), type: 'mail', envelope, delayMs: MINUTE, durability: 'store' as const },
    ];
    t.match(await s.complete(lease, { emit }), { kind: 'completed' });
    await leasableFrom(t, s, NOON + SECOND + MINUTE);
  });

  await t.test(
    'a delay does not end while it is waited for to be archived, and does not begin anew then',
    async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail', { delayMs: MINUTE, durability: 'archive' });
      await s.pass(MINUTE - SECOND);
      const { pos } = (await s.outbox('mail')).at(-1)!;
      await s.store.markArchived(s.partitionOf('mail'), pos, 1);
      await leasableFrom(t, s, NOON + MINUTE);
    },
  );

  await t.test(
    'the type of a deadline, or who submits, says when: a holder may speak until then',
    async (t) => {
      const s = await scene(t, harness);
      await declare(s, 'mail', { deadlineMs: MINUTE });
      const [byType, byItself] = [await s.accept('mail'), await s.accept('mail', { deadlineMs: HOUR })];
      const third = await s.accept('mail');
      const [one, two, three] = await s.leaseAll('mail', { leaseMs: 2 * HOUR });
      await s.setClock(NOON + MINUTE - 1);
      t.match(await endDeadlines(s), 0);
      t.match(await s.complete(three!), { kind: 'completed', outcome: 'success' });
      await s.setClock(NOON + MINUTE);
      t.same(await s.complete(one!), { kind: 'lease_lost' });
      const end = { status: 'complete', outcome: 'fail', reason: 'deadline' };
      t.match(await s.event(byType), { ...end, completedAt: NOON + MINUTE });
      t.match(await s.event(third), { outcome: 'success', completedAt: NOON + MINUTE - 1 });
      await s.setClock(NOON + HOUR - 1);
      t.equal(await endDeadlines(s), 0);
      t.match(await s.store.extend({ ...two!, leaseMs: HOUR }), { kind: 'extended' });
      await s.setClock(NOON + HOUR);
      t.equal(await endDeadlines(s), 1);
      t.match(await s.event(byItself), { ...end, completedAt: NOON + HOUR });
      t.same(await s.store.extend({ ...two!, leaseMs: HOUR }), { kind: 'lease_lost' });
    },
  );

  await t.test(
    'a delay, a backoff and a deadline that end together: the deadline has the last word',
    async (t) => {
      const s = await scene(t, harness);
      const ids = [
        await s.accept('mail', { delayMs: MINUTE, deadlineMs: MINUTE }),
        await s.accept('mail', { deadlineMs: MINUTE }),
      ];
      await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: MINUTE } });
      await s.pass(MINUTE - 1);
      t.same(await s.leaseAll('mail'), []);
      await s.pass(1);
      t.same(await s.leaseAll('mail'), []);
      for (const id of ids) t.match(await s.event(id), { reason: 'deadline', completedAt: NOON + MINUTE });
    },
  );

  await t.test(
    'chance takes what its bounds allow, the same from the same attempt wherever it is asked',
    async (t) => {
      const s = await scene(t, harness);
      const jitters = [0.001, 0.25, 0.5, 1];
      const types = s.typesTogether(jitters.length);
      for (const [index, type] of types.entries()) {
        const backoff = { firstMs: 900_001, factor: 1.7, capMs: 5_000_000, jitter: jitters[index]! };
        await declare(s, type, { attemptsMax: 50, backoff });
        await s.acceptMany(type, 12);
        const policy = (await s.store.readType(type))!.policy;
        for (const fullMs of [900_001, 1_530_001, 2_601_002, 4_421_704, 5_000_000]) {
          const leases = await s.leaseAll(type);
          t.equal(leases.length, 12);
          const failed = await s.store.complete(
            leases.map((lease) => completionOf(lease, { outcome: 'fail', retry: { kind: 'policy' } })),
          );
          const waits = failed.map((result) => (result.kind === 'completed' ? result.retryAt! - s.now : -1));
          const { attempt } = leases[0]!;
          const expected = leases.map(({ attemptId }) => backoffMs(policy, attempt, attemptId));
          t.same(waits, expected, 'the same by its id as from the core');
          const [least, most] = [Math.floor(fullMs * (1 - jitters[index]!)) - 1, fullMs];
          t.ok(
            waits.every((waitMs) => waitMs >= least && waitMs <= most),
            `${least} … ${most} ms`,
          );
          t.ok(new Set(waits).size > 6, 'they spread out');
          await s.pass(most);
        }
      }
    },
  );
}

/** There is one thing to lease: from `at` on, and not a millisecond before. */
async function leasableFrom(t: Test, s: Scene, at: number): Promise<void> {
  if (at > s.now) {
    await s.setClock(at - 1);
    t.same(await s.leaseAll('mail'), [], `nothing at ${at - 1 - NOON} ms`);
    await s.setClock(at);
  }
  const leases = await s.leaseAll('mail', { leaseMs: SECOND });
  t.equal(leases.length, 1, `at ${at - NOON} ms`);
  for (const lease of leases) await s.store.handBack(lease);
}

async function endDeadlines(s: Scene): Promise<number> {
  return (await s.store.expire(s.partitionOf('mail'), 100)).deadlines;
}
