/** Prune: what ended long ago and is archived leaves the store, and leaves behind what is still asked for. */

import type { Test } from 'tap';
import type { ListQuery } from '../../../src/event/command.js';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { completionOf, HOUR, keyOf, MINUTE, resultOf, type Scene, scene } from './scene.js';

const EVERYTHING: ListQuery = {
  type: null,
  status: null,
  outcome: null,
  cursor: null,
  limit: 500,
  scanMax: 10_000,
};

async function archiveAll(s: Scene, type: string): Promise<void> {
  const last = (await s.outbox(type)).at(-1);
  if (last) await s.store.markArchived(s.partitionOf(type), last.pos, 1);
}

async function settledIds(s: Scene, type: string, retentionMs = HOUR): Promise<string[]> {
  const settled = await s.store.settled(s.partitionOf(type), retentionMs, 100);
  return settled.map(({ event }) => event.id);
}

async function pruneAll(s: Scene, type: string, index = 1): Promise<number> {
  const partition = s.partitionOf(type);
  const settled = await s.store.settled(partition, 0, 100);
  const events = settled.map(({ event: { id, version } }) => ({ id, version }));
  return s.store.prune(partition, { events, index });
}

async function listed(s: Scene): Promise<string[]> {
  const page = await s.store.list(EVERYTHING);
  return page.kind === 'page' ? page.events.map(({ id }) => id) : [];
}

export async function pruneContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test(
    'an event may leave when it ended long enough ago and all its records are archived',
    async (t) => {
      const s = await scene(t, harness);
      const [first] = await s.acceptMany('mail', 3);
      await s.complete(await s.lease('mail'));
      await archiveAll(s, 'mail');
      await s.pass(HOUR - 1);
      t.same(await settledIds(s, 'mail'), [], 'not a millisecond early');
      await s.pass(1);
      t.same(await settledIds(s, 'mail'), [first]);
      await s.complete(await s.lease('mail'));
      await s.pass(HOUR);
      t.same(await settledIds(s, 'mail'), [first], 'the second is not archived');
      await archiveAll(s, 'mail');
      t.equal((await settledIds(s, 'mail')).length, 2, 'and the third has not ended');
    },
  );

  await t.test('a type may have a retention of its own, shorter or longer', async (t) => {
    const s = await scene(t, harness);
    const [short, long, plain] = s.typesTogether(3) as [string, string, string];
    const declare = (type: string, retentionMs: number, ifVersion: number | null) =>
      s.store.setType({ kind: 'declare', type, policy: { retentionMs }, ifVersion });
    await declare(short, MINUTE, null);
    await declare(long, 3 * HOUR, null);
    const ids: Record<string, string> = {};
    for (const type of [long, plain, short]) {
      ids[type] = await s.accept(type);
      await s.complete(await s.lease(type));
    }
    await archiveAll(s, plain);
    await s.pass(MINUTE - 1);
    t.same(await settledIds(s, plain), [], 'not a millisecond early');
    await s.pass(1);
    t.same(await settledIds(s, plain), [ids[short]]);
    await s.pass(HOUR);
    t.same(await settledIds(s, plain), [ids[plain], ids[short]], 'the longer one stays');
    await declare(short, 2 * HOUR, 1);
    t.same(await settledIds(s, plain), [ids[plain]], 'what is declared holds at once');
    await s.reopen();
    t.same(await settledIds(s, plain), [ids[plain]], 'also after a restart');
    await s.store.setType({ kind: 'reset', type: short, ifVersion: 2 });
    t.same(await settledIds(s, plain), [ids[plain], ids[short]], 'taken back, the service-wide one holds');
    t.equal(await pruneAll(s, plain), 2, 'all but what is to stay longer');
    t.same(await listed(s), [ids[long]]);
    await s.pass(2 * HOUR);
    t.same(await settledIds(s, plain), [ids[long]]);
    t.equal(await pruneAll(s, plain), 1);
    t.same(await settledIds(s, plain, 0), []);
  });

  await t.test(
    'what had settled before its type had a retention of its own leaves by the other',
    async (t) => {
      const s = await scene(t, harness);
      const before = await s.accept('mail');
      await s.complete(await s.lease('mail'));
      await s.store.setType({
        kind: 'declare',
        type: 'mail',
        policy: { retentionMs: MINUTE },
        ifVersion: null,
      });
      const after = await s.accept('mail');
      await s.store.cancel(after);
      await archiveAll(s, 'mail');
      await s.pass(MINUTE);
      t.same(await settledIds(s, 'mail'), [after]);
      await s.pass(HOUR);
      t.same(await settledIds(s, 'mail'), [before, after]);
    },
  );

  await t.test(
    'of a type with its own retention as many leave as are asked for, what is not archived stays',
    async (t) => {
      const s = await scene(t, harness);
      await s.store.setType({
        kind: 'declare',
        type: 'mail',
        policy: { retentionMs: MINUTE },
        ifVersion: null,
      });
      const ids = await s.acceptMany('mail', 5);
      for (const id of ids.slice(0, 3)) await s.store.cancel(id);
      await archiveAll(s, 'mail');
      for (const id of ids.slice(3)) await s.store.cancel(id);
      await s.pass(MINUTE);
      const settled = await s.store.settled(s.partitionOf('mail'), HOUR, 2);
      t.same(
        settled.map(({ event }) => event.id),
        ids.slice(0, 2),
      );
      t.same(await settledIds(s, 'mail'), ids.slice(0, 3));
    },
  );

  await t.test('they come in the order in which they ended, with all but what the log has', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 3 } });
    const [first, second, third] = await s.acceptMany('mail', 3);
    const lease = await s.lease('mail', { worker: 'w' });
    await s.complete(await s.lease('mail'));
    await s.fail(lease, { retry: { kind: 'after', afterMs: 0 }, result: resultOf('not yet', 'fail') });
    await s.complete(await s.lease('mail'), { result: resultOf('at last') });
    await s.store.cancel(third!);
    await archiveAll(s, 'mail');
    const settled = await s.store.settled(s.partitionOf('mail'), 0, 100);
    t.same(
      settled.map(({ event }) => event.id),
      [second, first, third],
    );
    const { result, behind: _, ...view } = await s.event(first!);
    t.same(settled[1]!.event, view);
    const attempts = shown(await s.store.readAttempts(first!));
    t.same(
      settled[1]!.attempts,
      attempts.map((attempt, index) => ({
        ...attempt,
        own: index === 1,
        result: index === 1 ? null : attempt.result,
      })),
    );
    t.ok(Buffer.from(attempts[1]!.result!).equals(result!), 'what is left out is the result of the event');
    const ended = (await s.event(third!)).completedAt;
    t.ok(ended !== null && settled[2]!.attempts.length === 0);
    t.same(
      (await s.store.settled(s.partitionOf('mail'), 0, 2)).map(({ event }) => event.id),
      [second, first],
      'at most as many as asked for',
    );
  });

  await t.test('what is pruned is not known any more, and its record says where it is', async (t) => {
    const s = await scene(t, harness);
    const [first, second] = await s.acceptMany('mail', 2);
    const lease = await s.lease('mail');
    await s.complete(lease);
    await archiveAll(s, 'mail');
    t.equal(await s.store.indexedTo(s.partitionOf('mail')), 0);
    t.equal(await pruneAll(s, 'mail', 7), 1);
    t.equal(await s.store.read(first!), null);
    t.equal(await s.store.readRequest(first!), null);
    t.equal(await s.store.readAttempts(first!), null);
    t.same(await s.store.cancel(first!), { kind: 'unknown' });
    t.same(await s.complete(lease), { kind: 'unknown' });
    t.same(await listed(s), [second]);
    t.match(await s.outbox('mail'), [{ op: 'pruned', id: first, type: 'mail', index: 7 }]);
    t.equal(await s.store.indexedTo(s.partitionOf('mail')), 7);
    t.equal((await s.lease('mail')).event.id, second, 'the others go on');
    await s.reopen();
    t.equal(await s.store.read(first!), null);
    t.equal(await s.store.indexedTo(s.partitionOf('mail')), 7);
    t.equal((await s.event(second!)).status, 'in_process');
  });

  await t.test('it is pruned once; what changed since it was looked at stays', async (t) => {
    const s = await scene(t, harness);
    const [first, second] = await s.acceptMany('mail', 2);
    const lost = await s.lease('mail', { leaseMs: MINUTE });
    await s.complete(await s.lease('mail'));
    await s.pass(2 * MINUTE);
    await s.expire();
    await s.pass(MINUTE);
    await s.complete(await s.lease('mail'));
    await archiveAll(s, 'mail');
    const partition = s.partitionOf('mail');
    const events = (await s.store.settled(partition, 0, 100)).map(({ event: { id, version } }) => ({
      id,
      version,
    }));
    t.equal(events.length, 2);
    t.same(await s.complete(lost), { kind: 'lease_lost' });
    t.equal(await s.store.prune(partition, { events, index: 1 }), 1);
    t.equal(await s.store.prune(partition, { events, index: 1 }), 0);
    t.equal(await s.store.read(second!), null);
    t.ok(await s.store.read(first!), 'a late completion is to be seen');
    t.same(await settledIds(s, 'mail', 0), [], 'until that is archived too');
    await archiveAll(s, 'mail');
    t.equal(await pruneAll(s, 'mail'), 1);
    t.equal(await s.store.read(first!), null);
  });

  await t.test('an idempotency key outlives its event (S7)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { idempotency: keyOf('k') });
    const createdAt = s.now;
    await s.complete(await s.lease('mail'));
    await archiveAll(s, 'mail');
    t.equal(await pruneAll(s, 'mail'), 1);
    await s.pass(HOUR);
    t.same(await s.tryAccept('mail', { idempotency: keyOf('k') }), {
      kind: 'duplicate',
      id,
      createdAt,
      archive: null,
    });
    t.same(await s.tryAccept('mail', { idempotency: keyOf('k', 'other') }), { kind: 'conflict', id });
  });

  await t.test(
    'lists go on over what is gone, and events that outlive thousands of others are listed',
    async (t) => {
      const s = await scene(t, harness);
      const kept = [await s.accept('kept')];
      const alike = s.partitionOf('kept');
      const type = ['mail', ...Array.from({ length: 50 }, (_, k) => `mail ${k}`)].find(
        (name) => s.partitionOf(name) === alike,
      )!;
      for (let round = 0; round < 16; round += 1) {
        await s.acceptMany(type, 100);
        await s.store.complete((await s.leaseAll(type)).map((lease) => completionOf(lease)));
        await archiveAll(s, type);
        t.equal(await pruneAll(s, type), 100);
        if (round % 6 === 5) kept.push(await s.accept('kept'));
      }
      kept.reverse();
      t.same(await listed(s), kept);
      const pages: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await s.store.list({ ...EVERYTHING, limit: 1, cursor: cursor ?? null });
        if (page.kind !== 'page') throw new Error(page.kind);
        pages.push(...page.events.map(({ id }) => id));
        cursor = page.cursor;
      }
      t.same(pages, kept, 'page by page too');
      t.equal((await s.store.depths(alike)).events, kept.length);
      await s.reopen();
      t.same(await listed(s), kept);
      for (const lease of await s.leaseAll('kept')) await s.store.complete([completionOf(lease)]);
      await archiveAll(s, 'kept');
      t.equal(await pruneAll(s, 'kept'), kept.length);
      t.same(await listed(s), []);
    },
  );
}
