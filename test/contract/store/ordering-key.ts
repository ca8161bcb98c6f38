/** Ordering keys: of the events with one key a listener has one out at a time, the next when it has ended. */
import type { Test } from 'tap';
import { NOT_ARCHIVED } from '../../../src/event/unarchived.js';
import type { StoreHarness } from '../store.js';
import { completionOf, HOUR, MINUTE, type Scene, SECOND, scene } from './scene.js';

/** Not of those that scripts may take for their own. */
const KEYS = ['k', 'é/["1"], ~ {}', '\u0000\r\n%2F'];

export async function orderingKeyContract(t: Test, harness: StoreHarness): Promise<void> {
  const idsOf = async (s: Scene, listener = 'default', type = 'mail') =>
    (await s.leaseAll(type, { listener, max: 100 })).map(({ event }) => event.id);
  const acceptAll = async (s: Scene, keys: readonly (string | undefined)[], type = 'mail') => {
    const ids: string[] = [];
    for (const key of keys) ids.push(await s.accept(type, key === undefined ? {} : { key }));
    return ids;
  };

  await t.test('of each key the oldest is leased; events without one are not touched', async (t) => {
    const s = await scene(t, harness);
    const [a, b, c] = KEYS as [string, string, string];
    const ids = await acceptAll(s, [a, a, undefined, b, undefined, b, c, a]);
    const leases = await s.leaseAll('mail', { max: 100 });
    t.same(
      leases.map(({ event }) => event.id),
      [0, 2, 3, 4, 6].map((index) => ids[index]),
    );
    t.same(
      leases.map(({ event }) => event.key),
      [a, null, b, null, c],
    );
    t.same(await idsOf(s), []);
    t.match(await s.event(ids[5]!), { status: 'pending', key: b });
    t.match(await s.event(ids[2]!), { key: null });
    const accepted = (await s.outbox('mail')).filter(({ op }) => op === 'accepted');
    t.same(
      accepted.map((record) => ('key' in record ? record.key : undefined)),
      [a, a, undefined, b, undefined, b, c, a],
    );
  });

  await t.test('the next comes when the head has ended, in the order of acceptance', async (t) => {
    const s = await scene(t, harness);
    const ids = await acceptAll(s, ['k', 'k', 'k', 'k', 'k']);
    const worked: string[] = [];
    for (const how of ['completed', 'failed', 'completed', 'failed', 'completed'] as const) {
      const [lease] = await s.leaseAll('mail', { max: 100 });
      worked.push(lease!.event.id);
      if (how === 'failed') await s.fail(lease!);
      else await s.complete(lease!);
    }
    t.same(worked, ids);
    t.same(await idsOf(s), []);
  });

  await t.test('a batch that holds several of a key takes its oldest', async (t) => {
    const s = await scene(t, harness);
    const commands = ['k', 'k', 'j', 'k'].map((key) => s.command('mail', { key }));
    await s.store.accept(commands);
    t.same(await idsOf(s), [commands[0]!.id, commands[2]!.id]);
  });

  await t.test('a head that is retried, handed back or expires keeps its key', async (t) => {
    const s = await scene(t, harness);
    const [head, next] = await acceptAll(s, ['k', 'k']);
    await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: MINUTE } });
    t.same(await idsOf(s), [], 'it backs off, and nobody passes it');
    await s.pass(MINUTE);
    const again = await s.lease('mail');
    t.equal(again.event.id, head);
    await s.store.handBack(again);
    const third = await s.lease('mail');
    t.equal(third.event.id, head);
    await s.pass(HOUR);
    t.equal(await s.expire(), 1);
    t.same(await idsOf(s), []);
    await s.pass(HOUR);
    const last = await s.lease('mail');
    t.equal(last.event.id, head);
    await s.fail(last, { retry: { kind: 'policy' } });
    t.match(await s.event(head!), { status: 'complete', reason: 'attempts_exhausted' });
    t.same(await idsOf(s), [next], 'its attempts have run out');
  });

  await t.test('a head that dies by a lease that expired gives its key on', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 1 } });
    const [, next] = await acceptAll(s, ['k', 'k']);
    await s.lease('mail');
    await s.pass(HOUR);
    t.equal(await s.expire(), 1);
    t.same(await idsOf(s), [next]);
  });

  await t.test('cancelled, a head gives its key on, and one in the middle drops out', async (t) => {
    const s = await scene(t, harness);
    const [head, second, third, fourth] = await acceptAll(s, ['k', 'k', 'k', 'k']);
    await s.store.cancel(second!);
    t.match(await s.event(second!), { reason: 'cancelled' });
    await s.store.cancel(head!);
    t.same(await idsOf(s), [third]);
    t.match(await s.store.cancel(third!), { kind: 'requested' });
    t.same(await idsOf(s), [], 'who holds it is asked, and holds its key');
    await s.pass(HOUR);
    await s.expire();
    t.match(await s.event(third!), { reason: 'cancelled' });
    t.same(await idsOf(s), [fourth]);
  });

  await t.test('the deadline of a head bounds how long it holds its key', async (t) => {
    const s = await scene(t, harness);
    const head = await s.accept('mail', { key: 'k', deadlineMs: MINUTE });
    const middle = await s.accept('mail', { key: 'k', deadlineMs: SECOND });
    const last = await s.accept('mail', { key: 'k' });
    await s.lease('mail', { leaseMs: HOUR });
    await s.pass(SECOND);
    await s.store.expire(s.partitionOf('mail'), 100);
    t.match(await s.event(middle), { reason: 'deadline' });
    t.same(await idsOf(s), []);
    await s.pass(MINUTE);
    t.same(await idsOf(s), [last]);
    t.match(await s.event(head), { reason: 'deadline' });
  });

  await t.test('each listener and each type has an order of its own', async (t) => {
    const s = await scene(t, harness);
    for (const name of ['one', 'two'])
      await s.store.setListener({ type: 'mail', listener: { name, responder: false, filter: null } });
    const ids = await acceptAll(s, ['k', 'k', 'k']);
    const other = await s.accept('bill', { key: 'k' });
    t.same(await idsOf(s, 'default', 'bill'), [other]);
    for (const id of ids) {
      const lease = await s.lease('mail', { listener: 'one' });
      t.equal(lease.event.id, id);
      await s.complete(lease);
    }
    t.same(await idsOf(s, 'two'), [ids[0]], 'it is where it was');
    await s.store.deleteListener('mail', 'two');
    while ((await s.store.sweep(s.partitionOf('mail'), 2)).more);
    for (const id of ids) t.match(await s.event(id), { status: 'complete', settled: true });
  });

  await t.test('a head that is not archived yet blocks those behind it', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    const archive = async (count: number) => {
      const { pos } = (await s.outbox('mail'))[count - 1]!;
      await s.store.markArchived(partition, pos, pos.n);
    };
    const head = await s.accept('mail', { key: 'k', durability: 'archive' });
    const next = await s.accept('mail', { key: 'k' });
    const third = await s.accept('mail', { key: 'k', durability: 'archive' });
    t.same(await idsOf(s), []);
    await archive(2);
    const lease = await s.lease('mail');
    t.equal(lease.event.id, head);
    await s.complete(lease);
    const second = await s.lease('mail');
    t.equal(second.event.id, next);
    await s.complete(second);
    t.equal(await s.store.read(third), NOT_ARCHIVED);
    t.same(await idsOf(s), [], 'its turn has come, and it is not archived');
    await archive((await s.outbox('mail')).length);
    t.same(await idsOf(s), [third]);
  });

  await t.test(
    'what is emitted stands in the order of its key, also in the call that ends the head',
    async (t) => {
      const s = await scene(t, harness);
      const [job, mail] = s.typesTogether(2) as [string, string];
      await s.accept(job);
      const head = await s.accept(mail, { key: 'k' });
      const [ofHead, ofParent] = [await s.lease(mail), await s.lease(job)];
      const [first, second] = [s.newId(mail), s.newId(mail)] as const;
      const emit = [first, second].map((id) => {
        const { envelope } = s.command(mail);
        return { id, type: mail, envelope, delayMs: 0, durability: 'store' as const, key: 'k' };
      });
      await s.store.complete([completionOf(ofParent, { emit }), completionOf(ofHead)]);
      t.match(await s.event(head), { status: 'complete' });
      t.match(await s.event(first), { key: 'k' });
      t.same(await idsOf(s, 'default', mail), [first]);
    },
  );

  await t.test('a store that is opened again knows who waits behind whom', async (t) => {
    const s = await scene(t, harness);
    const ids = await acceptAll(s, ['k', 'k', 'k', 'j', 'j']);
    const lease = await s.lease('mail');
    await s.reopen();
    t.same(await idsOf(s), [ids[3]]);
    await s.complete(lease);
    await s.reopen();
    t.same(await idsOf(s), [ids[1]]);
  });

  await t.test('a clock that steps back does not keep the next from its turn', async (t) => {
    const s = await scene(t, harness);
    const [, next] = await acceptAll(s, ['k', 'k']);
    await s.complete(await s.lease('mail'));
    await s.pass(-HOUR);
    t.same(await idsOf(s), [next]);
  });
}
