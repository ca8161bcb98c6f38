/** Lease and extend: the oldest eligible deliveries, each for one holder at a time. */
import type { Test } from 'tap';
import type { Lease, LeaseResult } from '../../../src/event/command.js';
import type { StoreHarness } from '../store.js';
import { envelopeOf, HOUR, LIMITS, MINUTE, NOON, POLICY, SECOND, scene } from './scene.js';

export async function leaseContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test(
    'a lease carries the event, a count, the token it was asked with and its end (L1)',
    async (t) => {
      const s = await scene(t, harness);
      const envelope = envelopeOf('hello');
      const id = await s.accept('mail', { envelope });
      await s.pass(SECOND);
      const lease = await s.lease('mail', { worker: 'w1', tokens: ['the token'], leaseMs: MINUTE });
      const { position } = await s.event(id);
      t.match(lease, { attempt: 1, token: 'the token', expiresAt: NOON + SECOND + MINUTE, position });
      t.match(lease.event, { id, type: 'mail', createdAt: NOON });
      t.ok(envelope.equals(lease.event.envelope));
      t.match(await s.event(id), { status: 'in_process', startedAt: NOON + SECOND, attempts: 1 });
    },
  );

  await t.test('a lease without a length lasts as the policy says', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.equal((await s.lease('mail')).expiresAt, NOON + POLICY.leaseMs);
  });

  await t.test('nothing to lease is an empty answer, also for a type nobody ever used', async (t) => {
    const s = await scene(t, harness);
    t.same(await s.leaseAll('mail'), []);
    await s.accept('mail');
    await s.lease('mail');
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('the oldest of a type goes first, also within one call (S6)', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 30);
    const got = [
      (await s.lease('mail')).event.id,
      ...(await s.leaseAll('mail')).map((lease) => lease.event.id),
    ];
    t.same(got, ids);
  });

  await t.test('the oldest across the types that are asked for goes first (S6)', async (t) => {
    const s = await scene(t, harness);
    const [a, b, c] = s.typesTogether(3) as [string, string, string];
    const ids: string[] = [];
    for (const type of [b, a, c, b, b, a, c]) ids.push(await s.accept(type));
    const first = await s.leaseAll([a, b], { max: 3 });
    t.same(idsOf(first), [ids[0], ids[1], ids[3]]);
    t.same(idsOf(await s.leaseAll([c, b, a])), [ids[2], ids[4], ids[5], ids[6]]);
  });

  await t.test('the order is that of acceptance and not that of the ids (S6)', async (t) => {
    const s = await scene(t, harness);
    const ids = [s.newId('mail'), s.newId('mail'), s.newId('mail')].sort().reverse();
    for (const id of ids) await s.accept('mail', { id });
    t.same(idsOf(await s.leaseAll('mail')), ids);
  });

  await t.test('what comes back keeps its place before younger ones (S6)', async (t) => {
    const s = await scene(t, harness);
    const [first, second, third] = await s.acceptMany('mail', 3);
    const lease = await s.lease('mail');
    await s.store.handBack(lease);
    t.same(idsOf(await s.leaseAll('mail')), [first, second, third]);
  });

  await t.test('at most max are leased', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 5);
    t.equal((await s.leaseAll('mail', { max: 2 })).length, 2);
    t.equal((await s.leaseAll('mail', { max: 2 })).length, 2);
    t.equal((await s.leaseAll('mail', { max: 2 })).length, 1);
  });

  await t.test(
    'an answer is bounded in bytes, but the first lease is given whatever it weighs',
    async (t) => {
      const s = await scene(t, harness);
      const envelope = envelopeOf('x'.repeat(10_000));
      for (let k = 0; k < 4; k += 1) await s.accept('mail', { envelope });
      const bytesMax = 2 * envelope.byteLength;
      t.equal((await s.leaseAll('mail', { bytesMax })).length, 2);
      t.equal((await s.leaseAll('mail', { bytesMax: bytesMax - 1 })).length, 1);
      t.equal((await s.leaseAll('mail', { bytesMax: 1 })).length, 1);
    },
  );

  await t.test('a delayed event is leasable when its delay is over, not before (L1)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { delayMs: MINUTE });
    await s.pass(MINUTE - 1);
    t.same(await s.leaseAll('mail'), []);
    await s.pass(1);
    t.same(idsOf(await s.leaseAll('mail')), [id]);
  });

  await t.test(
    'a delayed event does not hold up those behind it, and goes first when it is due (S6)',
    async (t) => {
      const s = await scene(t, harness);
      const delayed = await s.accept('mail', { delayMs: SECOND });
      const [second, third] = await s.acceptMany('mail', 2);
      t.same(idsOf(await s.leaseAll('mail', { max: 1 })), [second]);
      await s.pass(SECOND);
      t.same(idsOf(await s.leaseAll('mail')), [delayed, third]);
    },
  );

  await t.test('what was leasable stays so when the clock steps back (L1)', async (t) => {
    const s = await scene(t, harness);
    const [first] = await s.acceptMany('mail', 1);
    const second = await s.accept('mail', { delayMs: SECOND });
    await s.pass(SECOND);
    t.equal((await s.leaseAll('mail', { max: 1 })).length, 1);
    await s.pass(-HOUR);
    const third = await s.accept('mail');
    t.same(idsOf(await s.leaseAll('mail')), [second, third]);
    t.not(first, second);
  });

  await t.test('only the listener default subscribes by asking', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.same(await s.tryLease('mail', { listener: 'other' }), {
      kind: 'not_subscribed',
      type: 'mail',
      listener: 'other',
    });
    t.equal((await s.leaseAll('mail')).length, 1);
  });

  await t.test('no delivery is leased twice at a time, however many ask at once (S2)', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 40);
    const answers = await Promise.all(Array.from({ length: 20 }, () => s.leaseAll('mail', { max: 3 })));
    const got = answers.flatMap(idsOf);
    t.equal(new Set(got).size, got.length);
    t.same([...got].sort(), [...ids].sort());
    t.equal(new Set(answers.flat().map((lease) => lease.token)).size, 40);
  });

  await t.test('the same call again gets the same leases while they live, and a new claim', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 3);
    const first = leased(await s.tryLease('mail', { max: 2, call: 'c', tokens: ['t1', 't2'] }));
    await s.pass(SECOND);
    const second = leased(await s.tryLease('mail', { max: 2, call: 'c', tokens: ['t3', 't4'] }));
    t.same(second.leases, first.leases);
    t.equal(first.claim, 1);
    t.equal(second.claim, 2);
    t.equal((await s.leaseAll('mail')).length, 1, 'and takes nothing else');
  });

  await t.test('a repeated call shows the new end of a lease that was extended meanwhile', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail', { call: 'c' });
    await s.store.extend({ attemptId: lease.attemptId, token: lease.token, leaseMs: HOUR });
    t.same(await s.lease('mail', { call: 'c' }), { ...lease, expiresAt: NOON + HOUR });
  });

  await t.test('a repeated call leaves out what has ended, and gets fresh leases once all has', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 4);
    const [one, two] = await s.leaseAll('mail', { max: 2, call: 'c' });
    await s.complete(one!);
    t.same(idsOf(await s.leaseAll('mail', { max: 2, call: 'c' })), [ids[1]]);
    await s.complete(two!);
    const fresh = leased(await s.tryLease('mail', { max: 2, call: 'c' }));
    t.same(idsOf(fresh.leases), [ids[2], ids[3]]);
    const again = leased(await s.tryLease('mail', { max: 2, call: 'c' }));
    t.same(again.leases, fresh.leases);
    t.ok(again.claim > fresh.claim);
  });

  await t.test('a repeated call does not get a lease whose time is up', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail', { call: 'c', leaseMs: SECOND });
    await s.pass(SECOND);
    t.same(await s.leaseAll('mail', { call: 'c' }), []);
    await s.expire();
    await s.pass(MINUTE);
    const fresh = await s.lease('mail', { call: 'c' });
    t.equal(fresh.event.id, lease.event.id);
    t.not(fresh.attemptId, lease.attemptId);
  });

  await t.test('to extend moves the end to now and the length, later or sooner', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const { attemptId, token } = await s.lease('mail', { leaseMs: MINUTE });
    await s.pass(30 * SECOND);
    const extended = await s.store.extend({ attemptId, token, leaseMs: MINUTE });
    t.same(extended, { kind: 'extended', expiresAt: NOON + 90 * SECOND, cancelRequested: false });
    await s.pass(59 * SECOND);
    t.equal(await s.expire(), 0);
    t.match(await s.store.extend({ attemptId, token, leaseMs: SECOND }), { expiresAt: NOON + 90 * SECOND });
    await s.store.extend({ attemptId, token, leaseMs: 500 });
    t.match(await s.store.readAttempts(id), [{ expiresAt: NOON + 89_500 }]);
    await s.pass(500);
    t.equal(await s.expire(), 1);
  });

  await t.test('a lease whose time is up, or with another token, cannot be extended (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const { attemptId, token } = await s.lease('mail', { leaseMs: MINUTE });
    const before = await s.event(id);
    t.same(await s.store.extend({ attemptId, token: 'wrong', leaseMs: HOUR }), { kind: 'lease_lost' });
    t.same(await s.event(id), before);
    t.match(await s.store.readAttempts(id), [{ expiresAt: NOON + MINUTE }]);
    await s.pass(MINUTE);
    t.same(await s.store.extend({ attemptId, token, leaseMs: HOUR }), { kind: 'lease_lost' });
    t.equal(await s.expire(), 1);
    t.same(await s.store.extend({ attemptId, token, leaseMs: HOUR }), { kind: 'lease_lost' });
  });

  await t.test('an attempt that never was is unknown to extend, complete and hand back', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail');
    const { attemptId, token } = lease;
    const wrong = [
      'nonsense',
      '',
      attemptId.replace(/\.0\.1$/, '.1.1'),
      attemptId.replace(/\.\d+\.0\.1$/, '.7.0.1'),
      `${s.newId('mail')}.0.0.1`,
    ];
    for (const id of wrong) {
      t.same(await s.store.extend({ attemptId: id, token, leaseMs: MINUTE }), { kind: 'unknown' }, id);
      t.same(await s.store.handBack({ attemptId: id, token }), { kind: 'unknown' }, id);
      t.same(await s.complete({ ...lease, attemptId: id }), { kind: 'unknown' }, id);
    }
    t.match(await s.complete(lease), { kind: 'completed' });
  });

  await t.test('a lease whose grant the store does not have is lost (S2)', async (t) => {
    const s = await scene(t, harness);
    const event = await s.accept('mail');
    const lease = await s.lease('mail');
    // As after a failover: what its holder was told has gone with what was not archived.
    const lost = { ...lease, attemptId: lease.attemptId.replace(/\.1$/, '.2') };
    const before = await s.event(event);
    t.same(await s.store.extend({ ...lost, leaseMs: MINUTE }), { kind: 'lease_lost' });
    t.same(await s.store.handBack(lost), { kind: 'lease_lost' });
    t.same(await s.complete(lost), { kind: 'lease_lost' });
    t.same(await s.event(event), before, 'and nothing has changed');
    t.match(await s.complete(lease), { kind: 'completed' });
  });

  await t.test('the longest lease there may be is alive to its end (L2)', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const { attemptId, token } = await s.lease('mail', { leaseMs: LIMITS.leaseMsMax });
    await s.pass(LIMITS.leaseMsMax - 1);
    t.equal(await s.expire(), 0);
    t.match(await s.store.extend({ attemptId, token, leaseMs: LIMITS.leaseMsMax }), { kind: 'extended' });
  });

  await t.test(
    'leases, their tokens and the calls they answer outlive the store that gave them (L3)',
    async (t) => {
      const s = await scene(t, harness);
      const ids = await s.acceptMany('mail', 2);
      const lease = await s.lease('mail', { call: 'c', leaseMs: MINUTE });
      await s.store.extend({ attemptId: lease.attemptId, token: lease.token, leaseMs: HOUR });
      await s.reopen();
      t.same(await s.lease('mail', { call: 'c' }), { ...lease, expiresAt: NOON + HOUR });
      t.same(idsOf(await s.leaseAll('mail')), [ids[1]], 'and what is not leased is still there to lease');
      t.match(await s.complete(lease), { kind: 'completed', id: ids[0], outcome: 'success' });
    },
  );
}

export function idsOf(leases: readonly Lease[]): string[] {
  return leases.map((lease) => lease.event.id);
}

export function leased(result: LeaseResult): Extract<LeaseResult, { kind: 'leased' }> {
  if (result.kind !== 'leased') throw new Error(`not leased: ${result.kind}`);
  return result;
}
