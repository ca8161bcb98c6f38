/** Cancel: what nobody works on ends at once; who works on it is asked. */
import type { Test } from 'tap';
import { makeEventId } from '../../../src/event/id.js';
import type { StoreHarness } from '../store.js';
import { HOUR, MINUTE, NOON, SECOND, scene } from './scene.js';

const CANCELLED = { status: 'complete', outcome: 'fail', reason: 'cancelled' };

export async function cancelContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('a waiting event is cancelled at once and never leased', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await s.pass(SECOND);
    t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
    t.match(await s.event(id), { ...CANCELLED, completedAt: NOON + SECOND, result: null, attempts: 0 });
    t.same(await s.leaseAll('mail'), []);
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'cancelled']);
  });

  await t.test('a delayed event, or one that waits to be retried, is cancelled at once', async (t) => {
    const s = await scene(t, harness);
    const delayed = await s.accept('mail', { delayMs: MINUTE });
    const failed = await s.accept('mail');
    await s.fail(await s.lease('mail'), { retry: { kind: 'policy' } });
    for (const id of [delayed, failed])
      t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
    await s.pass(HOUR);
    t.same(await s.leaseAll('mail'), []);
    t.match(await s.event(failed), CANCELLED);
  });

  await t.test('to cancel again is the same, and is recorded once', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await s.store.cancel(id);
    const before = await s.event(id);
    await s.pass(SECOND);
    t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
    t.same(await s.event(id), before);
  });

  await t.test('the holder of a leased event is asked, and may complete it all the same', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    t.same(await s.store.cancel(id), { kind: 'requested', archive: null });
    t.same(await s.store.cancel(id), { kind: 'requested', archive: null });
    t.match(await s.event(id), { status: 'in_process', outcome: null, cancelRequested: true });
    const { attemptId, token } = lease;
    t.match(await s.store.extend({ attemptId, token, leaseMs: MINUTE }), { cancelRequested: true });
    t.match(await s.complete(lease), { status: 'complete', outcome: 'success', reason: null });
    t.same(await s.store.cancel(id), { kind: 'complete', archive: null });
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'cancelRequested', 'completed']);
  });

  await t.test('a failure of the asked holder is not retried', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await s.store.cancel(id);
    t.match(await s.fail(lease, { retry: { kind: 'policy' } }), { ...CANCELLED, retryAt: null });
    t.match(await s.event(id), CANCELLED);
    await s.pass(HOUR);
    t.same(await s.leaseAll('mail'), []);
    t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
  });

  await t.test('a final failure of the asked holder is the listener’s', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await s.store.cancel(id);
    t.match(await s.fail(lease), { status: 'complete', outcome: 'fail', reason: 'listener' });
    t.same(await s.store.cancel(id), { kind: 'complete', archive: null });
  });

  await t.test('when the asked holder hands back, the event is cancelled', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await s.store.cancel(id);
    t.same(await s.store.handBack(lease), { kind: 'handed_back' });
    t.match(await s.event(id), CANCELLED);
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('when the asked holder’s time is up, the event is cancelled', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await s.lease('mail', { leaseMs: SECOND });
    await s.store.cancel(id);
    await s.pass(SECOND);
    t.equal(await s.expire(), 1);
    t.match(await s.event(id), { ...CANCELLED, completedAt: NOON + SECOND });
    await s.pass(HOUR);
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('a lease that is over by the clock does not hold up a cancel', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
    t.match(await s.event(id), CANCELLED);
    t.match(await s.store.readAttempts(id), [{ end: 'expired' }]);
    t.same(await s.complete(lease), { kind: 'lease_lost' });
    t.equal(await s.expire(), 0);
  });

  await t.test('an event whose last lease is over by the clock has died and is not cancelled', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 1 } });
    const id = await s.accept('mail');
    await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    t.same(await s.store.cancel(id), { kind: 'complete', archive: null });
    t.match(await s.event(id), { outcome: 'fail', reason: 'attempts_exhausted' });
  });

  await t.test('a complete event is not cancelled (S3)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await s.complete(await s.lease('mail'));
    const before = await s.event(id);
    t.same(await s.store.cancel(id), { kind: 'complete', archive: null });
    t.same(await s.event(id), before);
  });

  await t.test('an event that never was is unknown to cancel', async (t) => {
    const s = await scene(t, harness);
    t.same(await s.store.cancel(makeEventId(NOON, 0)), { kind: 'unknown' });
    t.same(await s.store.cancel('nonsense'), { kind: 'unknown' });
  });
}
