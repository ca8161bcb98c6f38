/** Hand back and abandon: a lease is given up and does not count. */
import type { Test } from 'tap';
import type { StoreHarness } from '../store.js';
import { leased } from './lease.js';
import { MINUTE, NOON, resultOf, SECOND, scene } from './scene.js';

export async function handBackContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('what is handed back is leasable at once and not counted as an attempt', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const first = await s.lease('mail');
    t.same(await s.store.handBack(first), { kind: 'handed_back' });
    t.match(await s.event(id), { status: 'in_process', attempts: 0 });
    const second = await s.lease('mail');
    t.match(second, { attempt: 1, event: { id } });
    t.not(second.attemptId, first.attemptId);
  });

  await t.test('any number of leases handed back leaves the attempts there are', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 1 } });
    const id = await s.accept('mail');
    for (let k = 0; k < 5; k += 1) await s.store.handBack(await s.lease('mail'));
    t.match(await s.complete(await s.lease('mail')), { kind: 'completed', id, outcome: 'success' });
  });

  await t.test('handed back again is handed back, and does not take the next lease away (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const first = await s.lease('mail');
    await s.store.handBack(first);
    const second = await s.lease('mail');
    t.same(await s.store.handBack(first), { kind: 'handed_back' });
    t.match(await s.complete(second), { kind: 'completed' });
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'handedBack', 'granted', 'completed']);
  });

  await t.test('a wrong token or a lease whose time is up hands nothing back (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: MINUTE });
    t.same(await s.store.handBack({ ...lease, token: 'wrong' }), { kind: 'lease_lost' });
    t.same(await s.leaseAll('mail'), []);
    await s.pass(MINUTE);
    t.same(await s.store.handBack(lease), { kind: 'lease_lost' });
    t.equal(await s.expire(), 1);
    t.match(await s.event(id), { attempts: 1 });
  });

  await t.test('a completion of what was handed back is late', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await s.store.handBack(lease);
    const result = resultOf('after all');
    t.same(await s.complete(lease, { result }), { kind: 'lease_lost' });
    t.match(await s.store.readAttempts(id), [{ end: 'handed_back', endedAt: NOON, late: { at: NOON } }]);
    t.match(await s.event(id), { outcome: null });
  });

  await t.test(
    'an answer that nobody got is abandoned: its leases go back at once, not counted',
    async (t) => {
      const s = await scene(t, harness);
      const ids = await s.acceptMany('mail', 2);
      const { leases, claim } = leased(await s.tryLease('mail', { max: 2, call: 'c' }));
      t.same(await s.store.abandon({ call: 'c', claim, leases }), { handedBack: 2 });
      t.same(await s.store.abandon({ call: 'c', claim, leases }), { handedBack: 0 });
      t.match(await s.leaseAll('mail'), [
        { attempt: 1, event: { id: ids[0] } },
        { attempt: 1, event: { id: ids[1] } },
      ]);
    },
  );

  await t.test(
    'an abandoned answer leaves leases alone that a repeat of the call has taken over',
    async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail');
      const first = leased(await s.tryLease('mail', { call: 'c' }));
      const second = leased(await s.tryLease('mail', { call: 'c' }));
      t.same(await s.store.abandon({ call: 'c', claim: first.claim, leases: first.leases }), {
        handedBack: 0,
      });
      t.match(await s.complete(second.leases[0]!), { kind: 'completed' });
    },
  );

  await t.test('the last answer to a repeated call can be abandoned', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    await s.tryLease('mail', { call: 'c' });
    const { claim, leases } = leased(await s.tryLease('mail', { call: 'c' }));
    t.same(await s.store.abandon({ call: 'c', claim, leases }), { handedBack: 1 });
    t.equal((await s.leaseAll('mail')).length, 1);
  });

  await t.test('abandoned are only those leases of the answer that still live', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 4);
    const { leases, claim } = leased(await s.tryLease('mail', { max: 4, call: 'c' }));
    await s.complete(leases[0]!);
    await s.store.handBack(leases[1]!);
    const forged = { attemptId: leases[3]!.attemptId, token: 'wrong' };
    const { handedBack } = await s.store.abandon({
      call: 'c',
      claim,
      leases: [leases[0]!, leases[1]!, leases[2]!, forged],
    });
    t.equal(handedBack, 1);
    t.match(await s.leaseAll('mail'), [{ event: { id: ids[1] } }, { event: { id: ids[2] } }]);
  });

  await t.test('to abandon a call that never was hands nothing back', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail', { call: 'c' });
    t.same(await s.store.abandon({ call: 'other', claim: 1, leases: [lease] }), { handedBack: 0 });
    t.same(await s.store.abandon({ call: 'c', claim: 2, leases: [lease] }), { handedBack: 0 });
    await s.pass(SECOND);
    t.match(await s.complete(lease), { kind: 'completed' });
  });
}
