/** The outbox: each transition's record, in order, until it is archived. */

import type { Test } from 'tap';
import { comparePositions, type LogRecord, type Position } from '../../../src/event/record.js';
import { attemptsOf, viewOf } from '../../../src/event/view.js';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { envelopeOf, keyOf, MINUTE, NOON, resultOf, type Scene, SECOND, scene } from './scene.js';

const ALL = { records: 100_000, bytes: 1 << 28 };

export async function outboxContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('each transition leaves its record, in order', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 3 } });
    const id = await s.accept('mail', { delayMs: SECOND, idempotency: keyOf('k') });
    await s.pass(SECOND);
    await s.store.handBack(await s.lease('mail', { worker: 'w', call: 'c', tokens: ['t1'] }));
    const lease = await s.lease('mail', { leaseMs: MINUTE });
    await s.fail(lease, { retry: { kind: 'after', afterMs: 0 } });
    await s.lease('mail', { leaseMs: MINUTE });
    await s.store.cancel(id);
    await s.pass(MINUTE);
    await s.expire();
    const records = await s.outbox('mail');
    t.same(
      records.map((record) => record.op),
      [
        'typeSet',
        'accepted',
        'granted',
        'handedBack',
        'granted',
        'retried',
        'granted',
        'cancelRequested',
        'retried',
        'cancelled',
      ],
    );
    t.match(records[0], { type: 'mail', version: 0, at: NOON });
    t.match(records[1], {
      id,
      type: 'mail',
      at: NOON,
      dueAt: NOON + SECOND,
      idempotency: { ...keyOf('k'), expiresAt: Date.UTC(2026, 0, 17) },
    });
    t.match(records[2], {
      id,
      listener: 0,
      grant: 1,
      attempt: 1,
      token: 't1',
      worker: 'w',
      call: 'c',
      claim: 1,
      at: NOON + SECOND,
      expiresAt: NOON + SECOND + s.options.policy.leaseMs,
    });
    t.match(records[3], { id, listener: 0, grant: 1 });
    t.match(records[5], { id, grant: 2, why: 'failed', dueAt: NOON + SECOND });
    t.match(records[8], { id, grant: 3, why: 'expired', fingerprint: null, payload: null });
  });

  await t.test('records carry the bytes that came', async (t) => {
    const s = await scene(t, harness);
    const envelope = envelopeOf(Buffer.from([0, 255, 10, 13, 128]));
    await s.accept('mail', { envelope });
    const result = resultOf('done\u0000\n');
    await s.complete(await s.lease('mail'), { result });
    const records = await s.outbox('mail');
    t.ok(envelope.equals(payloadOf(records[1]!)));
    t.ok(result.equals(payloadOf(records[3]!)));
  });

  await t.test('positions have no gap and no double, however many call at once (S8)', async (t) => {
    const s = await scene(t, harness);
    const work = Array.from({ length: 30 }, async (_, k) => {
      await s.acceptMany('mail', 1 + (k % 3));
      for (const lease of await s.leaseAll('mail', { max: 2 })) await s.complete(lease);
    });
    await Promise.all(work);
    const records = await s.outbox('mail');
    for (const [k, record] of records.entries()) {
      const before = records[k - 1];
      if (before) t.same(record.pos, { view: before.pos.view, n: before.pos.n + 1 });
    }
    t.equal(records.filter((record) => record.op === 'accepted').length, 60);
  });

  await t.test('what is refused, repeated or only extended leaves no record (S4, S8)', async (t) => {
    const s = await scene(t, harness);
    const command = s.command('mail', { idempotency: keyOf('k', 'one') });
    await s.store.accept([command]);
    const lease = await s.lease('mail', { call: 'c' });
    const length = (await s.outbox('mail')).length;
    await s.store.accept([command]);
    await s.tryAccept('mail', { idempotency: keyOf('k', 'two') });
    await s.tryLease('mail', { call: 'c' });
    await s.tryLease('mail', { listener: 'other' });
    await s.store.extend({ attemptId: lease.attemptId, token: lease.token, leaseMs: MINUTE });
    await s.complete(lease, { token: 'wrong' });
    await s.store.handBack({ attemptId: lease.attemptId, token: 'wrong' });
    t.equal((await s.outbox('mail')).length, length);
    await s.complete(lease);
    await s.complete(lease);
    await s.fail(lease);
    t.equal((await s.outbox('mail')).length, length + 1);
  });

  await t.test('it is read in pieces, after a position, bounded in records', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 10);
    const all = await s.outbox('mail');
    const got: LogRecord[] = [];
    for (let after: Position | null = null; ; ) {
      const piece: LogRecord[] = await readAfter(s, after, { records: 4, bytes: 1 << 20 });
      if (piece.length === 0) break;
      t.ok(piece.length <= 4);
      got.push(...piece);
      after = piece.at(-1)!.pos;
    }
    t.same(positionsOf(got), positionsOf(all));
  });

  await t.test('it is bounded in bytes, but gives at least one record when there is one', async (t) => {
    const s = await scene(t, harness);
    for (let k = 0; k < 6; k += 1) await s.accept('mail', { envelope: envelopeOf('x'.repeat(10_000)) });
    const [, first] = await s.outbox('mail');
    t.equal((await readAfter(s, first!.pos, { records: 100, bytes: 1 })).length, 1);
    const some = await readAfter(s, first!.pos, { records: 100, bytes: 35_000 });
    t.ok(some.length >= 1 && some.length <= 3, `${some.length} records`);
  });

  await t.test('what is archived is noted and trimmed, what came after stays', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    await s.acceptMany('mail', 5);
    const all = await s.outbox('mail');
    t.equal(await s.store.archivedTo(partition), null);
    await s.store.markArchived(partition, all[2]!.pos, 7);
    t.same(await s.store.archivedTo(partition), { pos: all[2]!.pos, slot: 7 });
    t.same(positionsOf(await s.outbox('mail')), positionsOf(all.slice(3)));
    t.same(
      positionsOf(await readAfter(s, all[0]!.pos, ALL)),
      positionsOf(all.slice(3)),
      'from the oldest kept',
    );
    await s.store.markArchived(partition, all.at(-1)!.pos, 8);
    t.same(await s.outbox('mail'), []);
    const id = await s.accept('mail');
    t.match(await s.outbox('mail'), [{ op: 'accepted', id }]);
  });

  await t.test('the archived position never goes back, and marking it again changes nothing', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    await s.acceptMany('mail', 5);
    const all = await s.outbox('mail');
    await s.store.markArchived(partition, all[3]!.pos, 7);
    await s.store.markArchived(partition, all[3]!.pos, 7);
    await s.store.markArchived(partition, all[1]!.pos, 6);
    t.same(await s.store.archivedTo(partition), { pos: all[3]!.pos, slot: 7 });
    t.same(positionsOf(await s.outbox('mail')), positionsOf(all.slice(4)));
  });

  await t.test('what is archived can still be read, leased and completed', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    await s.store.markArchived(s.partitionOf('mail'), (await s.outbox('mail')).at(-1)!.pos, 1);
    const envelope = shown(await s.store.readRequest(id));
    t.ok(envelope.byteLength > 0);
    t.match(await s.complete(await s.lease('mail')), { kind: 'completed', id });
  });

  await t.test('the fold of the outbox is what reads say (S8)', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 2 } });
    const ids = await liveThrough(s);
    const state = await s.folded(s.partitionOf('mail'));
    t.equal(state.events.size, ids.length);
    for (const id of ids) {
      const event = state.events.get(id)!;
      t.same(plain(viewOf(event)), plain(await s.event(id)));
      t.same(plain(attemptsOf(event)), plain(await s.store.readAttempts(id)));
      t.ok(Buffer.from(event.envelope).equals(shown(await s.store.readRequest(id))));
    }
  });

  await t.test(
    'the outbox and its mark outlive the store, and positions go on in a later view (S8, L3)',
    async (t) => {
      const s = await scene(t, harness);
      const partition = s.partitionOf('mail');
      await liveThrough(s);
      const before = await s.outbox('mail');
      await s.store.markArchived(partition, before[4]!.pos, 3);
      const { logId } = s.store;
      await s.reopen();
      t.equal(s.store.logId, logId);
      t.same(await s.store.archivedTo(partition), { pos: before[4]!.pos, slot: 3 });
      t.same(plain(await s.outbox('mail')), plain(before.slice(5)));
      await s.acceptMany('mail', 3);
      const after = await s.outbox('mail');
      const fresh = after.slice(before.length - 5);
      t.equal(fresh.length, 3);
      t.ok(comparePositions(fresh[0]!.pos, before.at(-1)!.pos) > 0);
      t.same(fresh[2]!.pos, { view: fresh[0]!.pos.view, n: fresh[0]!.pos.n + 2 });
    },
  );

  await t.test('whoever archives hears that somebody waits for it', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    const heard = new Promise<number>((resolve) => {
      const stop = s.store.onWake(({ wanted }) => wanted.length > 0 && resolve(wanted[0]!));
      t.teardown(stop);
    });
    await s.store.hurryArchiving(partition);
    t.equal(await heard, partition);
  });

  await t.test('one holder at a time has the archiving of a partition', async (t) => {
    const s = await scene(t, harness);
    t.equal(await s.store.holdArchiving(0, 'a', 60_000), true);
    t.equal(await s.store.holdArchiving(0, 'b', 60_000), false);
    t.equal(await s.store.holdArchiving(0, 'a', 60_000), true);
  });
}

/** Takes events of one type through everything that can happen to them but an extension, which is not logged. */
async function liveThrough(s: Scene): Promise<string[]> {
  const ids = await s.acceptMany('mail', 6);
  const [one, two, three, four] = await s.leaseAll('mail', { max: 4, leaseMs: MINUTE });
  await s.complete(one!);
  await s.fail(two!, { retry: { kind: 'after', afterMs: SECOND } });
  await s.store.handBack(three!);
  await s.store.cancel(ids[3]!);
  await s.store.cancel(ids[4]!);
  await s.pass(MINUTE);
  await s.expire();
  await s.complete(four!, { result: resultOf('too late') });
  await s.leaseAll('mail', { leaseMs: MINUTE });
  await s.pass(2 * MINUTE);
  await s.expire();
  ids.push(await s.accept('mail', { delayMs: MINUTE }));
  return ids;
}

function readAfter(s: Scene, after: Position | null, limit: typeof ALL): Promise<LogRecord[]> {
  return s.store.readOutbox(s.partitionOf('mail'), after, limit);
}

function positionsOf(records: readonly LogRecord[]): Position[] {
  return records.map((record) => record.pos);
}

function payloadOf(record: LogRecord): Uint8Array {
  if (!('payload' in record) || !record.payload) throw new Error(`no payload: ${record.op}`);
  return record.payload;
}

/** The same with bytes as text, whatever kind of bytes the adapter gives. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key, shown: unknown) {
      const raw = this[key];
      return raw instanceof Uint8Array ? Buffer.from(raw).toString('latin1') : shown;
    }),
  );
}
