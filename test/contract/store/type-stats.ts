/** Type stats: how the deliveries of a type stand, and who asks for them. */
import type { Test } from 'tap';
import type { StoreHarness } from '../store.js';
import { MINUTE, NOON, type Scene, SECOND, scene } from './scene.js';

const NOTHING = { name: 'default', ready: 0, delayed: 0, leased: 0, oldestAt: null, askedAt: null };

export async function typeStatsContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('a type that there is not has none, and one that is only declared has nothing', async (t) => {
    const s = await scene(t, harness);
    t.equal(await s.store.typeStats('mail'), null);
    await s.store.setType({ kind: 'declare', type: 'mail', policy: {}, ifVersion: null });
    const stats = { type: 'mail', paused: false, open: 0, now: NOON, listeners: [NOTHING] };
    t.same(await s.store.typeStats('mail'), stats);
    await s.store.setType({ kind: 'pause', type: 'mail' });
    t.same(await s.store.typeStats('mail'), { ...stats, paused: true });
  });

  await t.test('deliveries are counted where they are, whatever happens to them', async (t) => {
    const s = await scene(t, harness, { policy: { backoffFirstMs: 10 * SECOND, attemptsMax: 2 } });
    const counts = async () => {
      const [listener] = (await s.store.typeStats('mail'))!.listeners;
      return [listener!.ready, listener!.delayed, listener!.leased];
    };
    await s.acceptMany('mail', 4);
    const late = await s.accept('mail', { delayMs: MINUTE });
    t.same(await counts(), [4, 1, 0]);
    const [first, second, third] = await s.leaseAll('mail', { max: 3 });
    t.same(await counts(), [1, 1, 3]);
    await s.complete(first!);
    await s.store.handBack(second!);
    await s.complete(third!, { outcome: 'fail', retry: { kind: 'policy' } });
    t.same(await counts(), [2, 2, 0]);
    await s.store.cancel(second!.event.id);
    t.same(
      await counts(),
      [1, 2, 0],
      'what was cancelled does not wait, though its entry is still in a queue',
    );
    await s.store.cancel(late);
    t.same(await counts(), [1, 1, 0]);
    await s.pass(MINUTE);
    t.equal((await s.leaseAll('mail', { max: 1 })).length, 1);
    t.same(await counts(), [1, 0, 1]);
    await s.pass(MINUTE);
    await s.store.expire(s.partitionOf('mail'), 10);
    t.match(await s.store.typeStats('mail'), { open: 1 });
    await s.reopen();
    const listeners = (await s.store.typeStats('mail'))!.listeners;
    t.equal(listeners[0]!.ready + listeners[0]!.delayed, 1, 'also after a restart');
  });

  await t.test('the age of the oldest is that of what may be leased', async (t) => {
    const s = await scene(t, harness);
    const oldestAt = async () => (await s.store.typeStats('mail'))!.listeners[0]!.oldestAt;
    const cancelled = await s.accept('mail');
    await s.pass(SECOND);
    await s.accept('mail');
    await s.pass(SECOND);
    await s.accept('mail');
    t.equal(await oldestAt(), NOON);
    await s.store.cancel(cancelled);
    t.equal(await oldestAt(), NOON + SECOND, 'what was cancelled is passed over');
    const [lease] = await s.leaseAll('mail', { max: 1 });
    t.equal(await oldestAt(), NOON + 2 * SECOND, 'what is leased does not wait');
    await s.store.handBack(lease!);
    t.equal(await oldestAt(), NOON + SECOND, 'what was handed back waits in its old place');
    await s.leaseAll('mail', { max: 10 });
    t.equal(await oldestAt(), null);
  });

  await t.test('it is known when each listener has last asked, whether or not it got anything', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.match(await s.store.typeStats('mail'), { listeners: [{ name: 'default', askedAt: null }] });
    await s.leaseAll('mail');
    t.match(await s.store.typeStats('mail'), { listeners: [{ name: 'default', askedAt: NOON, leased: 1 }] });
    await s.store.setListener({ type: 'mail', listener: { name: 'audit', responder: false, filter: null } });
    await s.pass(SECOND);
    t.same(await s.leaseAll('mail', { listener: 'audit' }), []);
    t.match(await s.store.typeStats('mail'), {
      listeners: [
        { name: 'default', askedAt: NOON, leased: 1 },
        { name: 'audit', askedAt: NOON + SECOND, leased: 0 },
      ],
    });
  });

  await t.test('each listener has its own, and one that was deleted none', async (t) => {
    const s = await scene(t, harness);
    for (const name of ['one', 'two'])
      await s.store.setListener({ type: 'mail', listener: { name, responder: false, filter: null } });
    await s.acceptMany('mail', 3);
    await leaseOne(s, 'two');
    const one = { ...NOTHING, name: 'one', ready: 3, oldestAt: NOON };
    const two = { ...one, name: 'two', ready: 2, leased: 1, askedAt: NOON };
    t.match(await s.store.typeStats('mail'), { open: 3, listeners: [one, two] });
    await s.store.deleteListener('mail', 'one');
    await s.store.sweep(s.partitionOf('mail'), 100);
    t.match(await s.store.typeStats('mail'), { open: 3, listeners: [two] });
    await s.store.deleteListener('mail', 'two');
    await s.store.sweep(s.partitionOf('mail'), 100);
    t.match(await s.store.typeStats('mail'), { open: 0, listeners: [NOTHING] });
  });

  await t.test('what waits for the archive is delayed, until it is there', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail', { durability: 'archive' });
    t.match(await s.store.typeStats('mail'), { open: 1, listeners: [{ ready: 0, delayed: 1 }] });
    const { pos } = (await s.outbox('mail')).at(-1)!;
    await s.store.markArchived(s.partitionOf('mail'), pos, 1);
    t.match(await s.store.typeStats('mail'), { listeners: [{ ready: 1, delayed: 0, oldestAt: NOON }] });
  });
}

async function leaseOne(s: Scene, listener: string): Promise<void> {
  await s.leaseAll('mail', { listener, max: 1 });
}
