/** Deadlines: an event that is not complete in time ends, whoever holds it. */
import type { Test } from 'tap';
import type { StoreHarness } from '../store.js';
import { declare } from './policies.js';
import { HOUR, MINUTE, NOON, type Scene, SECOND, scene } from './scene.js';

export async function deadlineContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('an event that nobody has leased ends at its deadline, and not before', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { deadlineMs: MINUTE });
    await s.pass(MINUTE - 1);
    t.equal(await endDeadlines(s, 'mail'), 0);
    t.match(await s.event(id), { status: 'pending', deadlineAt: NOON + MINUTE });
    await s.pass(1);
    t.equal(await endDeadlines(s, 'mail'), 1);
    t.equal(await endDeadlines(s, 'mail'), 0);
    const end = { status: 'complete', outcome: 'fail', reason: 'deadline', completedAt: NOON + MINUTE };
    t.match(await s.event(id), { ...end, result: null });
    t.same(await s.leaseAll('mail'), []);
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'deadlinePassed']);
    t.match(await s.outbox('mail'), [{}, { op: 'accepted', deadlineAt: NOON + MINUTE }, {}]);
  });

  await t.test('a lease shows the deadline, and is over with it: what its holder says is late', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { deadlineMs: MINUTE });
    const lease = await s.lease('mail', { leaseMs: HOUR });
    t.equal(lease.deadlineAt, NOON + MINUTE);
    await s.pass(MINUTE);
    t.same(await s.store.extend({ ...lease, leaseMs: HOUR }), { kind: 'lease_lost' });
    t.same(await s.store.handBack(lease), { kind: 'lease_lost' });
    t.same(await s.complete(lease), { kind: 'lease_lost' });
    t.match(await s.event(id), { status: 'complete', reason: 'deadline', result: null });
    const [attempt] = (await s.store.readAttempts(id)) as object[];
    t.match(attempt, { end: 'expired', endedAt: NOON + MINUTE, late: { at: NOON + MINUTE } });
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'retried', 'deadlinePassed', 'late']);
    t.equal(await endDeadlines(s, 'mail'), 0);
  });

  await t.test('what is found past its deadline ends, also while leases are out', async (t) => {
    const s = await scene(t, harness);
    const [one, two] = [
      await s.accept('mail', { deadlineMs: MINUTE }),
      await s.accept('mail', { deadlineMs: HOUR }),
    ];
    await s.leaseAll('mail', { leaseMs: 2 * MINUTE });
    await s.pass(MINUTE);
    t.equal(await endDeadlines(s, 'mail'), 1);
    t.match(await s.event(one), { reason: 'deadline', attempts: 1 });
    t.match(await s.event(two), { status: 'in_process' });
    await s.pass(MINUTE);
    t.equal(await s.expire(), 1);
    t.match(await s.event(two), { status: 'in_process' });
  });

  await t.test('nobody is given an event past its deadline, whether or not it was noticed', async (t) => {
    const s = await scene(t, harness);
    const late = await s.accept('mail', { deadlineMs: MINUTE });
    const delayed = await s.accept('mail', { deadlineMs: MINUTE, delayMs: 30 * SECOND });
    const other = await s.accept('mail');
    await s.pass(MINUTE);
    t.match(await s.leaseAll('mail'), [{ event: { id: other }, deadlineAt: null }]);
    t.match(await s.event(other), { deadlineAt: null });
    for (const id of [late, delayed]) t.match(await s.event(id), { reason: 'deadline' });
  });

  await t.test('a retry does not outlive the deadline', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { deadlineMs: MINUTE });
    await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: 2 * MINUTE } });
    await s.pass(MINUTE);
    t.equal(await endDeadlines(s, 'mail'), 1);
    t.match(await s.event(id), { reason: 'deadline', attempts: 1 });
    await s.pass(HOUR);
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('what is complete in time stays as it is', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { deadlineMs: MINUTE });
    await s.complete(await s.lease('mail'));
    const before = await s.event(id);
    await s.pass(HOUR);
    t.equal(await endDeadlines(s, 'mail'), 0);
    t.same(await s.event(id), before);
  });

  await t.test('who cancels after the deadline hears that it is complete', async (t) => {
    const s = await scene(t, harness);
    const [waiting, leased] = [
      await s.accept('mail', { deadlineMs: MINUTE }),
      await s.accept('bill', { deadlineMs: MINUTE }),
    ];
    await s.lease('bill', { leaseMs: HOUR });
    await s.pass(MINUTE);
    for (const id of [waiting, leased]) {
      t.match(await s.store.cancel(id), { kind: 'complete' });
      t.match(await s.event(id), { reason: 'deadline' });
    }
  });

  await t.test('the type says when its events have to be complete, unless they say so', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'mail', { deadlineMs: MINUTE });
    await s.accept('mail');
    await s.accept('mail', { deadlineMs: HOUR });
    const leases = await s.leaseAll('mail');
    t.same(
      leases.map(({ deadlineAt }) => deadlineAt),
      [NOON + MINUTE, NOON + HOUR],
    );
    await declare(s, 'mail', {}, 1);
    await s.pass(MINUTE);
    t.equal(await endDeadlines(s, 'mail'), 1, 'what was taken keeps its deadline');
  });

  await t.test('deadlines outlive a restart, and end in bounded steps', async (t) => {
    const s = await scene(t, harness);
    const ids: string[] = [];
    for (let k = 0; k < 5; k += 1) ids.push(await s.accept('mail', { deadlineMs: MINUTE + k }));
    await s.reopen();
    await s.pass(HOUR);
    const partition = s.partitionOf('mail');
    t.same(await s.store.expire(partition, 3), { expired: 0, deadlines: 3, more: true });
    t.match(await s.event(ids[2]!), { status: 'complete' }, 'the longest overdue first');
    t.match(await s.event(ids[3]!), { status: 'pending' });
    t.match(await s.store.expire(partition, 3), { deadlines: 2 });
    t.same(await s.store.expire(partition, 3), { expired: 0, deadlines: 0, more: false });
  });

  await t.test('with archive durability the end shows once it is archived', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { deadlineMs: MINUTE, durability: 'archive' });
    const partition = s.partitionOf('mail');
    const archive = async () => s.store.markArchived(partition, (await s.outbox('mail')).at(-1)!.pos, s.now);
    await archive();
    await s.pass(MINUTE);
    t.equal(await endDeadlines(s, 'mail'), 1);
    t.match(await s.store.read(id), { status: 'pending', behind: true });
    await archive();
    t.match(await s.store.read(id), { status: 'complete', reason: 'deadline', behind: false });
  });
}

async function endDeadlines(s: Scene, type: string): Promise<number> {
  return (await s.store.expire(s.partitionOf(type), 100)).deadlines;
}
