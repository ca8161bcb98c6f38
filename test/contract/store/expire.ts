/** Expire and promote: what time does to leases, delays and backoffs. */
import type { Test } from 'tap';
import { backoffMs } from '../../../src/event/policy.js';
import type { StoreHarness } from '../store.js';
import { idsOf } from './lease.js';
import { HOUR, LIMITS, MINUTE, NOON, SECOND, scene } from './scene.js';

export async function expireContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test(
    'a lease whose time is up ends, counts, and is tried again after the backoff (L2)',
    async (t) => {
      const s = await scene(t, harness);
      const id = await s.accept('mail');
      await s.lease('mail', { leaseMs: MINUTE });
      await s.pass(MINUTE - 1);
      t.equal(await s.expire(), 0);
      await s.pass(1);
      t.equal(await s.expire(), 1);
      t.equal(await s.expire(), 0);
      t.match(await s.event(id), { status: 'in_process', outcome: null, attempts: 1 });
      t.match(await s.store.readAttempts(id), [{ end: 'expired', endedAt: NOON + MINUTE, expiresAt: null }]);
      await s.pass(SECOND - 1);
      t.same(await s.leaseAll('mail'), []);
      await s.pass(1);
      t.match(await s.lease('mail'), { attempt: 2, event: { id } });
    },
  );

  await t.test('the backoff grows by its factor up to its cap', async (t) => {
    const policy = { attemptsMax: 6, backoffFirstMs: 1_000, backoffFactor: 3, backoffMsMax: 10_000 };
    const s = await scene(t, harness, { policy });
    await s.accept('mail');
    for (const waitMs of [1_000, 3_000, 9_000, 10_000, 10_000]) {
      await s.lease('mail', { leaseMs: SECOND });
      await s.pass(SECOND);
      await s.expire();
      await s.pass(waitMs - 1);
      t.same(await s.leaseAll('mail'), [], `not before ${waitMs} ms`);
      await s.pass(1);
    }
    t.match(await s.lease('mail'), { attempt: 6 });
  });

  await t.test('chance takes the same part of the backoff of an attempt each time', async (t) => {
    const s = await scene(t, harness, { policy: { backoffJitter: 0.5 } });
    await s.acceptMany('mail', 5);
    for (const lease of await s.leaseAll('mail')) {
      const waitMs = backoffMs(s.options.policy, 1, lease.attemptId);
      t.ok(waitMs >= 500 && waitMs <= 1_000);
      t.match(await s.fail(lease, { retry: { kind: 'policy' } }), { retryAt: NOON + waitMs });
    }
  });

  await t.test('the last attempt that expires is the end, without a result', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 2 } });
    const id = await s.accept('mail');
    for (let k = 0; k < 2; k += 1) {
      await s.lease('mail', { leaseMs: SECOND });
      await s.pass(SECOND);
      t.equal(await s.expire(), 1);
      if (k === 0) await s.pass(MINUTE);
    }
    t.match(await s.event(id), {
      status: 'complete',
      outcome: 'fail',
      reason: 'attempts_exhausted',
      completedAt: s.now,
      result: null,
      attempts: 2,
    });
    await s.pass(HOUR);
    t.same(await s.leaseAll('mail'), []);
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'retried', 'granted', 'dead']);
  });

  await t.test('an ended lease does not expire', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 3);
    const [one, two, three] = await s.leaseAll('mail', { leaseMs: SECOND });
    await s.complete(one!);
    await s.fail(two!, { retry: { kind: 'after', afterMs: HOUR } });
    await s.store.handBack(three!);
    await s.pass(MINUTE);
    t.equal(await s.expire(), 0);
  });

  await t.test('the longest expired go first, a bounded number at a time, and more is said', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 5);
    const partition = s.partitionOf('mail');
    for (const leaseMs of [5, 3, 1, 2, 4]) await s.lease('mail', { leaseMs: leaseMs * SECOND });
    await s.pass(MINUTE);
    t.same(await s.store.expire(partition, 2), { expired: 2, deadlines: 0, more: true });
    const records = await s.outbox('mail');
    t.same(
      records.filter((record) => record.op === 'retried').map((record) => record.id),
      [ids[2], ids[3]],
    );
    t.same(await s.store.expire(partition, 2), { expired: 2, deadlines: 0, more: true });
    t.same(await s.store.expire(partition, 2), { expired: 1, deadlines: 0, more: false });
    t.same(await s.store.expire(partition, 2), { expired: 0, deadlines: 0, more: false });
  });

  await t.test('a clock that steps back does not keep the longest lease alive (L2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: LIMITS.leaseMsMax });
    const { attemptId, token } = lease;
    await s.pass(-SECOND);
    t.same(await s.store.extend({ attemptId, token, leaseMs: MINUTE }), { kind: 'lease_lost' });
    t.equal(await s.expire(), 1);
    t.match(await s.event(id), { attempts: 1 });
    t.same(await s.complete(lease), { kind: 'lease_lost' });
    await s.pass(SECOND);
    t.match(await s.lease('mail'), { attempt: 2 });
  });

  await t.test('a clock that steps back far ends every lease there is (L2)', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 3);
    await s.leaseAll('mail', { leaseMs: MINUTE, max: 2 });
    await s.expire();
    await s.pass(HOUR);
    await s.lease('mail', { leaseMs: MINUTE });
    await s.setClock(NOON - LIMITS.leaseMsMax - HOUR);
    t.equal(await s.expire(), 3);
    await s.pass(MINUTE);
    t.equal((await s.leaseAll('mail')).length, 3);
  });

  await t.test(
    'a clock that stepped back while the store was closed keeps no lease alive (L2, L3)',
    async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail');
      await s.lease('mail', { leaseMs: LIMITS.leaseMsMax });
      await s.reopen();
      await s.pass(-HOUR);
      t.equal(await s.expire(), 1);
    },
  );

  await t.test(
    'a clock that steps back a little leaves leases alone that end within the longest',
    async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail');
      const lease = await s.lease('mail', { leaseMs: MINUTE });
      await s.pass(-HOUR);
      t.equal(await s.expire(), 0);
      t.match(await s.complete(lease), { kind: 'completed' });
    },
  );

  await t.test('promote counts what has become leasable and finds it once', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    const ids = [];
    for (const delayMs of [SECOND, 2 * SECOND, HOUR]) ids.push(await s.accept('mail', { delayMs }));
    t.equal(await s.store.promote(partition, 100), 0);
    await s.pass(MINUTE);
    t.equal(await s.store.promote(partition, 100), 2);
    t.equal(await s.store.promote(partition, 100), 0);
    t.same(idsOf(await s.leaseAll('mail')), ids.slice(0, 2));
  });

  await t.test('promote is bounded', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    for (let k = 0; k < 5; k += 1) await s.accept('mail', { delayMs: SECOND });
    await s.pass(SECOND);
    t.equal(await s.store.promote(partition, 2), 2);
    t.equal(await s.store.promote(partition, 2), 2);
    t.equal(await s.store.promote(partition, 2), 1);
    t.equal((await s.leaseAll('mail')).length, 5);
  });

  await t.test('a lease finds what is due without a promote before it (L1)', async (t) => {
    const s = await scene(t, harness);
    const ids = [];
    for (let k = 0; k < 3; k += 1) ids.push(await s.accept('mail', { delayMs: (3 - k) * SECOND }));
    await s.pass(MINUTE);
    t.same(idsOf(await s.leaseAll('mail')), ids);
  });

  await t.test('delays, backoffs and leases that end outlive the store (L3)', async (t) => {
    const s = await scene(t, harness);
    const delayed = await s.accept('mail', { delayMs: MINUTE });
    const failed = await s.accept('mail');
    await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: 2 * MINUTE } });
    const expiring = await s.accept('mail');
    await s.lease('mail', { leaseMs: SECOND });
    await s.reopen();
    t.same(await s.leaseAll('mail'), []);
    await s.pass(SECOND);
    t.equal(await s.expire(), 1);
    await s.pass(MINUTE);
    t.same(idsOf(await s.leaseAll('mail')), [delayed, expiring]);
    await s.pass(MINUTE);
    t.same(idsOf(await s.leaseAll('mail')), [failed]);
  });
}
