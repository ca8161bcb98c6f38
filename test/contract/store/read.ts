/** Read and list: what events and attempts show of themselves. */

import type { Test } from 'tap';
import type { EventSummary, ListQuery } from '../../../src/event/command.js';
import { makeEventId } from '../../../src/event/id.js';
import { ATTEMPTS_KEPT_MAX } from '../../../src/event/state.js';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { MINUTE, NOON, resultOf, type Scene, SECOND, scene } from './scene.js';

type Listed = EventSummary;

const EVERYTHING: ListQuery = {
  type: null,
  status: null,
  outcome: null,
  cursor: null,
  limit: 100,
  scanMax: 1_000,
};

export async function readContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('an id that never was is not known to any read', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    for (const id of [makeEventId(NOON, 0), 'nonsense', '', '__proto__']) {
      t.equal(await s.store.read(id), null);
      t.equal(await s.store.readRequest(id), null);
      t.equal(await s.store.readAttempts(id), null);
    }
  });

  await t.test('the version counts what happened to an event', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    t.equal((await s.event(id)).version, 1);
    const lease = await s.lease('mail');
    t.equal((await s.event(id)).version, 2);
    await s.store.cancel(id);
    t.equal((await s.event(id)).version, 3);
    const { attemptId, token } = lease;
    await s.store.extend({ attemptId, token, leaseMs: MINUTE });
    t.equal((await s.event(id)).version, 3);
    await s.complete(lease);
    t.equal((await s.event(id)).version, 4);
    await s.complete(lease);
    t.equal((await s.event(id)).version, 4);
  });

  await t.test('the position of an event is that of its record', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 3);
    const records = await s.outbox('mail');
    for (const id of ids) {
      const record = records.find((each) => each.op === 'accepted' && each.id === id);
      t.same((await s.event(id)).position, record!.pos);
    }
  });

  await t.test('attempts are shown oldest first, each with its end', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 9 } });
    const id = await s.accept('mail');
    await s.store.handBack(await s.lease('mail', { worker: 'w1' }));
    await s.lease('mail', { leaseMs: SECOND, worker: 'w2' });
    await s.pass(SECOND);
    await s.expire();
    await s.pass(MINUTE);
    const failed = resultOf('failed', 'fail');
    await s.fail(await s.lease('mail'), { retry: { kind: 'after', afterMs: 0 }, result: failed });
    const lease = await s.lease('mail', { leaseMs: MINUTE, worker: 'w4' });
    const attempts = shown(await s.store.readAttempts(id));
    t.match(attempts, [
      { attempt: 1, worker: 'w1', grantedAt: NOON, endedAt: NOON, end: 'handed_back', expiresAt: null },
      { attempt: 1, worker: 'w2', grantedAt: NOON, endedAt: NOON + SECOND, end: 'expired', result: null },
      { attempt: 2, worker: null, end: 'retried', late: null },
      { attempt: 3, worker: 'w4', endedAt: null, end: null, expiresAt: s.now + MINUTE, result: null },
    ]);
    t.ok(failed.equals(attempts[2]!.result!));
    t.equal(attempts[3]!.attemptId, lease.attemptId);
    t.ok(attempts.every((attempt) => attempt.listener === 'default'));
    const done = resultOf('done');
    await s.complete(lease, { result: done });
    const last = shown(await s.store.readAttempts(id)).at(-1)!;
    t.match(last, { end: 'completed', endedAt: s.now, expiresAt: null });
    t.ok(done.equals(last.result!));
  });

  await t.test('of very many attempts the newest are kept, and leases of the others are lost', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const first = await s.lease('mail');
    await s.store.handBack(first);
    for (let k = 0; k < ATTEMPTS_KEPT_MAX; k += 1) await s.store.handBack(await s.lease('mail'));
    const attempts = shown(await s.store.readAttempts(id));
    t.equal(attempts.length, ATTEMPTS_KEPT_MAX);
    t.not(attempts[0]!.attemptId, first.attemptId);
    t.same(await s.complete(first), { kind: 'lease_lost' });
    t.match(await s.complete(await s.lease('mail')), { kind: 'completed', id });
  });

  await t.test('a list shows the newest first, without results', async (t) => {
    const s = await scene(t, harness);
    const ids = await acceptEach(s, ['mail', 'bill', 'mail']);
    await s.complete(await s.lease('mail'));
    const { events, cursor } = await page(s);
    t.same(
      events.map((event) => event.id),
      [...ids].reverse(),
    );
    t.equal(cursor, null);
    t.ok(events.every((event) => !('result' in event)));
    const { result: _, behind: __, ...expected } = await s.event(ids[0]!);
    t.same(events[2], expected);
  });

  await t.test('a list of nothing is an empty page', async (t) => {
    const s = await scene(t, harness);
    t.same(await page(s), { kind: 'page', events: [], cursor: null });
    await s.accept('mail');
    t.same(await page(s, { type: 'other' }), { kind: 'page', events: [], cursor: null });
  });

  await t.test('a list is filtered by type, status and outcome, and by all of them', async (t) => {
    const s = await scene(t, harness);
    const [a, b, c, d, e] = await acceptEach(s, ['mail', 'mail', 'mail', 'mail', 'bill']);
    const [one, two] = await s.leaseAll('mail', { max: 3 });
    await s.complete(one!);
    await s.fail(two!);
    t.same(await listed(s, { type: 'mail' }), [d, c, b, a]);
    t.same(await listed(s, { type: 'bill' }), [e]);
    t.same(await listed(s, { status: 'pending' }), [e, d]);
    t.same(await listed(s, { status: 'in_process' }), [c]);
    t.same(await listed(s, { status: 'complete' }), [b, a]);
    t.same(await listed(s, { outcome: 'success' }), [a]);
    t.same(await listed(s, { outcome: 'fail' }), [b]);
    t.same(await listed(s, { type: 'mail', status: 'pending' }), [d]);
    t.same(await listed(s, { type: 'bill', outcome: 'fail' }), []);
  });

  await t.test(
    'pages follow each other without a gap or a double, though events come meanwhile',
    async (t) => {
      const s = await scene(t, harness);
      const ids = await acceptEach(
        s,
        Array.from({ length: 10 }, () => 'mail'),
      );
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const next: { events: readonly Listed[]; cursor: string | null } = await page(s, {
          limit: 3,
          cursor,
        });
        t.ok(next.events.length <= 3);
        seen.push(...next.events.map((event) => event.id));
        cursor = next.cursor;
        await acceptEach(s, ['mail']);
      } while (cursor !== null);
      t.same(seen, [...ids].reverse());
    },
  );

  await t.test('a page looks at a bounded number of events and says where to go on', async (t) => {
    const s = await scene(t, harness);
    const wanted = await acceptEach(s, ['rare', 'rare']);
    await acceptEach(
      s,
      Array.from({ length: 20 }, () => 'mail'),
    );
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const next: { events: readonly Listed[]; cursor: string | null } = await page(s, {
        type: 'rare',
        limit: 10,
        scanMax: 4,
        cursor,
      });
      t.ok(next.events.length <= 4);
      seen.push(...next.events.map((event) => event.id));
      cursor = next.cursor;
      pages += 1;
    } while (cursor !== null && pages < 30);
    t.same(seen, [...wanted].reverse());
    t.equal(cursor, null);
  });

  await t.test('a cursor that no page gave is refused', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    for (const cursor of ['', 'nonsense', '-1', '{}', '\u0000', '1e9', '🕰️']) {
      t.same(await s.store.list({ ...EVERYTHING, cursor }), { kind: 'bad_cursor' });
    }
  });

  await t.test(
    'events, requests, results and attempts read the same after the store was opened again (S1, L3)',
    async (t) => {
      const s = await scene(t, harness);
      const ids = await acceptEach(s, ['mail', 'mail', 'mail', 'bill', 'bill']);
      const [one, two] = await s.leaseAll('mail', { leaseMs: MINUTE });
      await s.complete(one!);
      await s.fail(two!, { retry: { kind: 'after', afterMs: 0 } });
      await s.store.cancel(ids[2]!);
      await s.store.cancel(ids[3]!);
      await s.fail(two!, { result: resultOf('conflicting', 'fail') });
      const before = await everythingOf(s, ids);
      const pageBefore = await page(s);
      await s.reopen();
      t.same(await everythingOf(s, ids), before);
      t.same(await page(s), pageBefore);
    },
  );
}

/** One after the other, a millisecond apart, so that the order of their ids is that of their acceptance. */
async function acceptEach(s: Scene, types: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const type of types) {
    await s.pass(1);
    ids.push(await s.accept(type));
  }
  return ids;
}

async function page(s: Scene, query: Partial<ListQuery> = {}) {
  const result = await s.store.list({ ...EVERYTHING, ...query });
  if (result.kind !== 'page') throw new Error(`not a page: ${result.kind}`);
  return result;
}

async function listed(s: Scene, query: Partial<ListQuery>): Promise<string[]> {
  return (await page(s, query)).events.map((event) => event.id);
}

async function everythingOf(s: Scene, ids: readonly string[]) {
  const all = [];
  for (const id of ids) {
    const request = Buffer.from(shown(await s.store.readRequest(id))).toString('latin1');
    const { result, ...event } = await s.event(id);
    const attempts = shown(await s.store.readAttempts(id)).map((attempt) => ({
      ...attempt,
      result: latin1(attempt.result),
    }));
    all.push({ event, request, result: latin1(result), attempts });
  }
  return all;
}

function latin1(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes).toString('latin1');
}
