/** Events with `archive` durability: nothing shows, and nobody may lease or be answered, before it is archived. */
import type { Test } from 'tap';
import type { EventView } from '../../../src/event/command.js';
import type { Position } from '../../../src/event/record.js';
import { NOT_ARCHIVED } from '../../../src/event/unarchived.js';
import type { StoreHarness } from '../store.js';
import { completionOf, keyOf, NOON, type Scene, SECOND, scene } from './scene.js';

const ARCHIVE = { durability: 'archive' } as const;
const ALL = { type: null, status: null, outcome: null, cursor: null, limit: 100, scanMax: 1_000 };

export async function archiveContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('until its acceptance is archived an event is neither shown nor unknown (S9)', async (t) => {
    const s = await scene(t, harness);
    const result = await s.tryAccept('mail', ARCHIVE);
    const [accepted] = (await s.outbox('mail')).slice(-1);
    t.match(result, { kind: 'accepted', archive: accepted!.pos });
    const { id } = result as { id: string };
    t.equal(await s.store.read(id), NOT_ARCHIVED);
    t.equal(await s.store.readRequest(id), NOT_ARCHIVED);
    t.equal(await s.store.readAttempts(id), NOT_ARCHIVED);
    t.match(await s.store.list(ALL), { events: [] });
    await archive(s, accepted!.pos);
    t.match(await s.event(id), { status: 'pending', behind: false, position: accepted!.pos });
    t.ok((await s.store.readRequest(id)) instanceof Uint8Array);
    t.same(await s.store.readAttempts(id), []);
    t.match(await s.store.list(ALL), { events: [{ id }] });
  });

  await t.test('it is leased once that is archived, in its place among the others (S6)', async (t) => {
    const s = await scene(t, harness);
    const first = await s.accept('mail', ARCHIVE);
    const second = await s.accept('mail');
    const third = await s.accept('mail', ARCHIVE);
    const later = await s.accept('mail', { ...ARCHIVE, delayMs: 5 * SECOND });
    t.match(await s.leaseAll('mail', { max: 1 }), [{ event: { id: second } }]);
    t.same(await s.leaseAll('mail'), []);
    await s.pass(SECOND);
    await archive(s);
    t.match(await s.leaseAll('mail'), [{ event: { id: first } }, { event: { id: third } }]);
    t.same(await s.leaseAll('mail'), [], 'its delay counts from its acceptance');
    await s.setClock(NOON + 5 * SECOND);
    t.match(await s.leaseAll('mail'), [{ event: { id: later } }]);
  });

  await t.test('what was cancelled before it was archived is never leased', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', ARCHIVE);
    t.match(await s.store.cancel(id), { kind: 'cancelled', archive: await last(s) });
    await archive(s);
    t.same(await s.leaseAll('mail'), []);
    t.match(await s.event(id), { status: 'complete', reason: 'cancelled' });
    t.same(await s.store.cancel(id), { kind: 'cancelled', archive: null });
  });

  await t.test('a lease shows once it is archived, and what came of it later', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', ARCHIVE);
    await archive(s);
    const pending = await s.event(id);
    const lease = await s.lease('mail');
    t.same(await s.event(id), { ...pending, behind: true });
    t.same(await s.store.readAttempts(id), []);
    await archive(s);
    const leased = await s.event(id);
    t.match(leased, { status: 'in_process', attempts: 1, startedAt: NOON, behind: false });

    await s.pass(SECOND);
    const answer = await s.complete(lease);
    t.match(answer, { kind: 'completed', status: 'complete', archive: await last(s) });
    t.same(await s.event(id), { ...leased, behind: true }, 'as it was');
    t.match(await s.store.readAttempts(id), [{ end: null, endedAt: null, result: null }]);
    t.match(await s.store.list({ ...ALL, status: 'complete' }), { events: [] });
    t.match(await s.store.list({ ...ALL, status: 'in_process' }), { events: [{ id }] });
    t.same(await s.complete(lease), answer, 'a repeat rests on the same record');
    await archive(s);
    t.match(await s.event(id), { status: 'complete', outcome: 'success', completedAt: NOON + SECOND });
    t.match(await s.store.readAttempts(id), [{ end: 'completed' }]);
    t.same(await s.complete(lease), { ...answer, archive: null }, 'and on none when it is archived');
  });

  await t.test(
    'an attempt that failed, was handed back or came late shows once it is archived',
    async (t) => {
      const s = await scene(t, harness);
      const id = await s.accept('mail', ARCHIVE);
      await archive(s);
      const [one] = await s.leaseAll('mail');
      await archive(s);
      const shown = await seen(s, id);
      await s.fail(one!, { retry: { kind: 'after', afterMs: 0 } });
      const two = await s.lease('mail');
      await s.store.handBack(two);
      await s.complete(two);
      t.same(await seen(s, id), shown);
      await archive(s);
      t.match(await s.event(id), { status: 'in_process', attempts: 1 });
      t.match(await s.store.readAttempts(id), [
        { end: 'retried' },
        { end: 'handed_back', late: { at: NOON } },
      ]);
    },
  );

  await t.test('that a cancel was asked for shows once it is archived, also to the holder', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', ARCHIVE);
    await archive(s);
    const lease = await s.lease('mail');
    await archive(s);
    t.match(await s.store.cancel(id), { kind: 'requested', archive: await last(s) });
    t.match(await s.event(id), { cancelRequested: false, behind: true });
    t.match(await s.store.extend({ ...lease, leaseMs: SECOND }), { cancelRequested: false });
    await archive(s);
    t.match(await s.event(id), { cancelRequested: true });
    t.match(await s.store.extend({ ...lease, leaseMs: SECOND }), { cancelRequested: true });
    t.same(await s.store.cancel(id), { kind: 'requested', archive: null });
  });

  await t.test('the same request again rests on the same record', async (t) => {
    const s = await scene(t, harness);
    const command = s.command('mail', { ...ARCHIVE, idempotency: keyOf('k') });
    const [first, again] = await s.store.accept([command, { ...command, id: s.newId('mail') }]);
    const archived = await last(s);
    t.match(first, { kind: 'accepted', archive: archived });
    t.match(again, { kind: 'duplicate', id: command.id, archive: archived });
    t.match(await s.store.accept([command]), [{ kind: 'accepted', archive: archived }]);
    const third = { ...command, id: s.newId('mail') };
    t.match(await s.store.accept([third]), [{ kind: 'duplicate', id: command.id, archive: archived }]);
    await archive(s);
    t.match(await s.store.accept([command, third]), [
      { kind: 'accepted', archive: null },
      { kind: 'duplicate', archive: null },
    ]);
  });

  await t.test('with `store` durability nothing waits', async (t) => {
    const s = await scene(t, harness);
    t.match(await s.tryAccept('mail', { durability: 'store' }), { kind: 'accepted', archive: null });
    const lease = await s.lease('mail');
    t.match(await s.complete(lease), { kind: 'completed', archive: null });
    t.match(await s.store.cancel(lease.event.id), { kind: 'complete', archive: null });
    t.notOk((await s.outbox('mail')).some((record) => 'durability' in record));
  });

  await t.test('the record of its acceptance says so, and another start finds it held', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', ARCHIVE);
    t.match((await s.outbox('mail')).at(-1), { op: 'accepted', durability: 'archive' });
    await s.reopen();
    t.equal(await s.store.read(id), NOT_ARCHIVED);
    t.same(await s.leaseAll('mail'), []);
    await archive(s);
    t.match(await s.leaseAll('mail'), [{ event: { id } }]);
  });

  await t.test(
    'archiving wakes who waits to lease, and whoever archives is told that somebody waits',
    async (t) => {
      const s = await scene(t, harness);
      const heard: string[] = [];
      const hears = new Promise<void>((resolve) => {
        s.store.onWake(({ ready, archived, wanted }) => {
          for (const { type } of ready) heard.push(`ready ${type}`);
          for (const _ of wanted) heard.push('wanted');
          for (const _ of archived) heard.push('archived');
          if (heard.includes('ready mail')) resolve();
        });
      });
      await s.accept('mail', ARCHIVE);
      await archive(s);
      await hears;
      t.same([...new Set(heard)].sort(), ['archived', 'ready mail', 'wanted']);
    },
  );

  await t.test('what has left in the meantime is known by its key, and rests on nothing', async (t) => {
    const s = await scene(t, harness);
    const command = s.command('mail', { ...ARCHIVE, idempotency: keyOf('k') });
    await s.store.accept([command]);
    await archive(s);
    const lease = await s.lease('mail');
    await s.store.complete([completionOf(lease)]);
    await archive(s);
    await s.pass(SECOND);
    const partition = s.partitionOf('mail');
    const [settled] = await s.store.settled(partition, 0, 10);
    const { id, version } = settled!.event;
    t.equal(await s.store.prune(partition, { events: [{ id, version }], index: 1 }), 1);
    const again = { ...command, id: s.newId('mail') };
    t.match(await s.store.accept([again]), [{ kind: 'duplicate', id, archive: null }]);
  });
}

async function last(s: Scene): Promise<Position> {
  return (await s.outbox('mail')).at(-1)!.pos;
}

/** All of the partition of `mail`, or up to a position. */
async function archive(s: Scene, upTo?: Position): Promise<void> {
  const pos = upTo ?? (await last(s));
  await s.store.markArchived(s.partitionOf('mail'), pos, pos.n);
}

async function seen(s: Scene, id: string): Promise<unknown> {
  const attempts = await s.store.readAttempts(id);
  const { behind: _, ...event }: EventView = await s.event(id);
  if (attempts === null || attempts === NOT_ARCHIVED) return attempts;
  return [event, attempts.map(({ expiresAt: __, ...attempt }) => attempt)];
}
