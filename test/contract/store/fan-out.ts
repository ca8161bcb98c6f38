/** Several listeners on one type: deliveries each, the responder, filters, deleting one. */
import type { Test } from 'tap';
import type { WantedListener } from '../../../src/event/listeners.js';
import type { StoreHarness } from '../store.js';
import { envelopeOf, HOUR, NOON, resultOf, type Scene, SECOND, scene } from './scene.js';

const ALL = { responder: false, filter: null };

export async function fanOutContract(t: Test, harness: StoreHarness): Promise<void> {
  const declare = async (s: Scene, name: string, more: Partial<WantedListener> = {}, type = 'mail') =>
    s.store.setListener({ type, listener: { name, ...ALL, ...more } });
  const idsFor = async (s: Scene, listener: string, type = 'mail') =>
    (await s.leaseAll(type, { listener, max: 10 })).map(({ event }) => event.id);
  const sweep = async (s: Scene, type = 'mail') => {
    while ((await s.store.sweep(s.partitionOf(type), 2)).more);
  };

  await t.test('each listener gets each event, leased and ended by itself', async (t) => {
    const s = await scene(t, harness);
    t.same(await declare(s, 'billing'), { kind: 'set', created: true });
    t.same(await declare(s, 'audit'), { kind: 'set', created: true });
    t.same(await declare(s, 'audit'), { kind: 'set', created: false });
    const ids = [await s.accept('mail'), await s.accept('mail')];
    t.same(await idsFor(s, 'audit'), ids);
    t.same(await idsFor(s, 'billing'), ids);
    t.same(await s.tryLease('mail'), { kind: 'not_subscribed', type: 'mail', listener: 'default' });
    const attempts = await s.store.readAttempts(ids[0]!);
    t.same(Array.isArray(attempts) && attempts.map(({ listener }) => listener), ['billing', 'audit']);
    t.match(await s.store.listListeners('mail'), [
      { ordinal: 0, name: 'billing' },
      { ordinal: 1, name: 'audit' },
    ]);
    t.equal(await s.store.listListeners('none'), null);
  });

  await t.test(
    'one that begins with the past is declared in one step with the job that brings it',
    async (t) => {
      const s = await scene(t, harness);
      await s.accept('mail');
      await s.lease('mail');
      const set = (name: string) =>
        s.store.setListener({ type: 'mail', listener: { name, ...ALL }, beginning: { id: s.newId('mail') } });
      t.same(await set('search'), { kind: 'set', created: true });
      const records = await s.outbox('mail');
      const [declared, made] = records.slice(-2);
      t.match(declared, { op: 'listenerSet', name: 'search', ordinal: 1 });
      const wish = { filter: 'taken', listener: { name: 'search', ordinal: 1 }, dryRun: false };
      t.match(made, { op: 'redriveSet', type: 'mail', step: 0, status: 'running', until: made!.pos, wish });
      t.same(await set('search'), { kind: 'set', created: false }, 'the command again finds it done');
      t.equal((await s.outbox('mail')).length, records.length);
      await s.reopen();
      const partition = s.partitionOf('mail');
      t.match(await s.store.readRedrives(partition, 'running'), [{ type: 'mail', wish, startedAt: NOON }]);
      for (let count = 1; count < 10; count += 1) t.match(await set(`more ${count}`), { created: true });
      t.same(await set('too many'), { kind: 'too_many_redrives' });
      t.equal((await s.store.listListeners('mail'))?.length, 11, 'and nothing has changed');
    },
  );

  await t.test('the first listener of a type gets what has waited', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await declare(s, 'billing');
    t.same(await idsFor(s, 'billing'), [id]);
  });

  await t.test('who has leased as default stays a listener when another is declared', async (t) => {
    const s = await scene(t, harness);
    const ids = [await s.accept('mail'), await s.accept('mail')];
    const lease = await s.lease('mail');
    await declare(s, 'audit');
    t.same(await idsFor(s, 'audit'), []);
    t.same(await idsFor(s, 'default'), [ids[1]]);
    t.match(await s.complete(lease), { kind: 'completed', listener: 'default', status: 'complete' });
    const later = await s.accept('mail');
    t.same(await idsFor(s, 'audit'), [later]);
    await s.reopen();
    t.match(await s.store.listListeners('mail'), [{ name: 'default' }, { name: 'audit' }]);
  });

  await t.test('the responder ends the event, the last one settles it', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'audit');
    await declare(s, 'billing', { responder: true });
    const id = await s.accept('mail');
    const audit = await s.lease('mail', { listener: 'audit' });
    const billing = await s.lease('mail', { listener: 'billing' });
    const before = await s.complete(audit, { result: resultOf('noted') });
    t.match(before, { kind: 'completed', listener: 'audit', status: 'in_process', outcome: null });
    t.match(await s.event(id), { status: 'in_process', settled: false, result: null });
    const result = resultOf('paid');
    t.match(await s.complete(billing, { result }), { status: 'complete', outcome: 'success' });
    const event = await s.event(id);
    t.match(event, { status: 'complete', outcome: 'success', settled: true });
    t.ok(result.equals(event.result!));
    t.same(await s.complete(audit, { result: resultOf('noted') }), before, 'S4: a repeat hears the same');
  });

  await t.test('a failure besides the responder leaves the event as it is', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'billing');
    await declare(s, 'audit');
    const id = await s.accept('mail');
    const audit = await s.lease('mail', { listener: 'audit' });
    await s.complete(await s.lease('mail', { listener: 'billing' }));
    t.match(await s.event(id), { status: 'complete', outcome: 'success', settled: false });
    t.match(await s.complete(audit, { outcome: 'fail' }), { status: 'complete', outcome: 'success' });
    t.match(await s.event(id), { outcome: 'success', settled: true });
  });

  await t.test('a filter is looked at when the event is taken', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'billing', { filter: { method: ['POST'] } });
    await declare(s, 'audit', { filter: { method: ['PUT'] } });
    const id = await s.accept('mail', { envelope: envelopeOf('posted') });
    t.same([await idsFor(s, 'billing'), await idsFor(s, 'audit')], [[id], []]);
    await declare(s, 'billing', { filter: { method: ['GET'] } });
    const nobody = await s.accept('mail', { envelope: envelopeOf('posted') });
    t.match(await s.event(nobody), {
      status: 'complete',
      outcome: 'fail',
      reason: 'unmatched',
      settled: true,
      version: 1,
      attempts: 0,
    });
  });

  await t.test('a cancel ends what waits and asks who holds one', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'billing');
    await declare(s, 'audit');
    const id = await s.accept('mail');
    const audit = await s.lease('mail', { listener: 'audit' });
    t.match(await s.store.cancel(id), { kind: 'cancelled' });
    t.match(await s.event(id), { reason: 'cancelled', settled: false });
    t.same(await idsFor(s, 'billing'), []);
    t.match(await s.store.extend({ ...audit, leaseMs: 60_000 }), { cancelRequested: true });
    await s.store.handBack(audit);
    t.match(await s.event(id), { reason: 'cancelled', settled: true });
    t.same(await idsFor(s, 'audit'), []);
  });

  await t.test('with the listener go its deliveries; the next one is the responder', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'billing');
    await declare(s, 'audit');
    const ids: string[] = [];
    for (let k = 0; k < 5; k += 1) ids.push(await s.accept('mail'));
    const done = await s.lease('mail', { listener: 'audit' });
    await s.complete(done, { result: resultOf('noted') });
    const held = await s.lease('mail', { listener: 'billing' });
    t.same(await s.store.deleteListener('mail', 'billing'), { kind: 'deleted' });
    t.same(await s.store.deleteListener('mail', 'billing'), { kind: 'unknown' });
    await sweep(s);
    t.match(await s.event(ids[0]!), { status: 'complete', outcome: 'success', settled: true });
    t.same(await s.complete(held), { kind: 'lease_lost' });
    t.match(await s.event(ids[1]!), { status: 'pending', settled: false });
    t.same(await idsFor(s, 'audit'), ids.slice(1));
    t.equal((await s.store.sweep(s.partitionOf('mail'), 10)).ended, 0);
    await s.reopen();
    t.match(await s.store.listListeners('mail'), [{ ordinal: 1, name: 'audit' }]);
  });

  await t.test(
    'an event that was to be cancelled is, when its responder goes and the next one has given up',
    async (t) => {
      const s = await scene(t, harness);
      await declare(s, 'billing');
      await declare(s, 'audit');
      const id = await s.accept('mail');
      await s.lease('mail', { listener: 'billing', leaseMs: HOUR });
      await s.lease('mail', { listener: 'audit', leaseMs: SECOND });
      t.match(await s.store.cancel(id), { kind: 'requested' });
      await s.pass(SECOND);
      t.equal(await s.expire(), 1);
      await s.store.deleteListener('mail', 'billing');
      await sweep(s);
      t.match(await s.event(id), { status: 'complete', outcome: 'fail', reason: 'cancelled', settled: true });
    },
  );

  await t.test('without any listener left an event is unmatched, and later ones wait', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'billing');
    const id = await s.accept('mail');
    await s.store.deleteListener('mail', 'billing');
    await sweep(s);
    t.match(await s.event(id), { reason: 'unmatched', settled: true });
    const later = await s.accept('mail');
    t.match(await s.event(later), { status: 'pending' });
    await declare(s, 'billing');
    t.same(await idsFor(s, 'billing'), [later]);
  });

  await t.test('an event may leave once it is settled', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    await declare(s, 'billing');
    await declare(s, 'audit');
    await s.accept('mail');
    await s.complete(await s.lease('mail', { listener: 'billing' }));
    const archive = async () => {
      const records = await s.store.readOutbox(partition, null, { records: 100, bytes: 1 << 20 });
      await s.store.markArchived(partition, records.at(-1)!.pos, 1);
    };
    await archive();
    t.same(await s.store.settled(partition, 0, 10), []);
    await s.complete(await s.lease('mail', { listener: 'audit' }));
    await archive();
    t.equal((await s.store.settled(partition, 0, 10)).length, 1);
  });

  await t.test('a type has at most 64 listeners', async (t) => {
    const s = await scene(t, harness);
    for (let k = 0; k < 64; k += 1) await declare(s, `listener ${k}`);
    t.same(await declare(s, 'one more'), { kind: 'too_many_listeners' });
    t.same(await declare(s, 'listener 5'), { kind: 'set', created: false });
  });
}
