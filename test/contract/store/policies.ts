/** Types: what is declared of them, and that it holds. */
import type { Test } from 'tap';
import type { SetTypeCommand, SetTypeResult } from '../../../src/event/command.js';
import type { DeclaredPolicy } from '../../../src/event/policy.js';
import type { StoreHarness } from '../store.js';
import { keyOf, MINUTE, NOON, POLICY, type Scene, SECOND, scene } from './scene.js';

export async function typesContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('a type that exists by use is version 0, and nothing is declared of it', async (t) => {
    const s = await scene(t, harness);
    t.equal(await s.store.readType('mail'), null);
    await s.accept('mail');
    const view = { type: 'mail', version: 0, declared: null, policy: POLICY, paused: false, open: 1 };
    t.same(await s.store.readType('mail'), view);
  });

  await t.test('what is declared holds, and for the rest the service-wide policy', async (t) => {
    const s = await scene(t, harness);
    const declared = { attemptsMax: 7, backoff: { factor: 1.5, jitter: 0.125 } };
    const policy = { ...POLICY, attemptsMax: 7, backoffFactor: 1.5, backoffJitter: 0.125 };
    const view = { type: 'mail', version: 1, declared, policy, paused: false, open: 0 };
    t.same(await declare(s, 'mail', declared), { kind: 'set', view });
    t.same(await s.store.readType('mail'), view);
    await s.reopen();
    t.same(await s.store.readType('mail'), view);
    t.match(await s.outbox('mail'), [{ op: 'typeSet', type: 'mail', version: 1, policy: declared }]);
  });

  await t.test('a version is needed to change what was declared, and must be the last', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.match(await declare(s, 'mail', { leaseMs: 1_000 }), { kind: 'set', view: { version: 1 } });
    t.same(await declare(s, 'mail', {}), { kind: 'precondition_required', version: 1 });
    t.same(await declare(s, 'mail', {}, 0), { kind: 'precondition_failed', version: 1 });
    t.match(await declare(s, 'mail', {}, 1), { kind: 'set', view: { version: 2, declared: {} } });
    t.match(await declare(s, 'mail', { leaseMs: 2_000 }, 'any'), { kind: 'set', view: { version: 3 } });
    t.same(await declare(s, 'new', {}, 'any'), { kind: 'precondition_failed', version: 0 });
    t.same(await declare(s, 'new', {}, 4), { kind: 'precondition_failed', version: 0 });
    t.equal(await s.store.readType('new'), null);
  });

  await t.test('what is so already is not done again, whatever its condition', async (t) => {
    const s = await scene(t, harness);
    const first = await declare(s, 'mail', { leaseMs: 1_000 });
    t.same(await declare(s, 'mail', { leaseMs: 1_000 }), first);
    t.same(await declare(s, 'mail', { leaseMs: 1_000 }, 9), first);
    t.equal((await s.outbox('mail')).length, 1);
  });

  await t.test('what was declared is taken back, and the version goes on', async (t) => {
    const s = await scene(t, harness);
    t.same(await reset(s, 'mail', null), { kind: 'unknown' });
    await declare(s, 'mail', { leaseMs: 1_000 });
    t.same(await reset(s, 'mail', null), { kind: 'precondition_required', version: 1 });
    t.same(await reset(s, 'mail', 2), { kind: 'precondition_failed', version: 1 });
    const view = { type: 'mail', version: 2, declared: null, policy: POLICY, paused: false, open: 0 };
    t.same(await reset(s, 'mail', 1), { kind: 'set', view });
    t.same(await reset(s, 'mail', 1), { kind: 'set', view });
    t.match(await declare(s, 'mail', {}, 2), { kind: 'set', view: { version: 3 } });
  });

  await t.test('a declared type is one of those that there may be', async (t) => {
    const s = await scene(t, harness, { limits: { typesMax: 2 } });
    const [one, two, three] = s.typesTogether(3) as [string, string, string];
    await declare(s, one, {});
    await s.accept(two);
    t.same(await declare(s, three, {}), { kind: 'too_many_types' });
    t.same(await s.tryAccept(three), { kind: 'too_many_types' });
    t.match(await declare(s, two, {}), { kind: 'set' });
  });

  await t.test('a declared type takes events, in its own order', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'mail', {});
    const ids = await s.acceptMany('mail', 3);
    const leases = await s.leaseAll('mail');
    t.same(
      leases.map(({ event }) => event.id),
      ids,
    );
  });

  await t.test('attempts and backoff are those of the type', async (t) => {
    const s = await scene(t, harness);
    const backoff = { firstMs: 5_000, factor: 3, capMs: 12_000, jitter: 0 };
    await declare(s, 'mail', { attemptsMax: 4, backoff });
    const id = await s.accept('mail');
    for (const waitMs of [5_000, 12_000, 12_000]) {
      const retryAt = s.now + waitMs;
      t.match(await s.fail(await s.lease('mail'), { retry: { kind: 'policy' } }), { retryAt });
      await s.pass(waitMs);
    }
    await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    await s.expire();
    t.match(await s.event(id), { status: 'complete', reason: 'attempts_exhausted', attempts: 4 });
  });

  await t.test('a policy holds for what was accepted and leased before', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await declare(s, 'mail', { attemptsMax: 1 });
    await s.fail(lease, { retry: { kind: 'policy' } });
    t.match(await s.event(id), { status: 'complete', reason: 'attempts_exhausted' });
  });

  await t.test('leases last as long as the type says, the shortest of several', async (t) => {
    const s = await scene(t, harness);
    const [long, short, plain] = s.typesTogether(3) as [string, string, string];
    await declare(s, long, { leaseMs: 10 * MINUTE });
    await declare(s, short, { leaseMs: 5_000 });
    for (let k = 0; k < 3; k += 1) await s.acceptMany(long, 1);
    t.equal((await s.lease(long)).expiresAt, NOON + 10 * MINUTE);
    const both = { types: [long, plain] };
    t.equal((await s.lease(long, both)).expiresAt, NOON + POLICY.leaseMs);
    t.equal((await s.lease(long, { ...both, types: [long, short, plain] })).expiresAt, NOON + 5_000);
    await s.accept(long);
    t.equal((await s.lease(long, { leaseMs: 2_000 })).expiresAt, NOON + 2_000);
  });

  await t.test('events are refused while as many as may be are not complete', async (t) => {
    const s = await scene(t, harness);
    const [limited, other] = s.typesTogether(2) as [string, string];
    await s.acceptMany(limited, 2);
    await declare(s, limited, { maxPending: 3 });
    const key = keyOf('key');
    const commands = [key, null, null].map((idempotency) => s.command(limited, { idempotency }));
    const kinds = (await s.store.accept([...commands, s.command(other)])).map(({ kind }) => kind);
    t.same(kinds, ['accepted', 'too_many_pending', 'too_many_pending', 'accepted']);
    t.match(await s.tryAccept(limited, { idempotency: key }), { kind: 'duplicate' });
    t.match((await s.store.accept([commands[0]!]))[0], { kind: 'accepted' }, 'the same command again');
    await s.reopen();
    const [, lease] = await s.leaseAll(limited, { max: 2 });
    t.same(await s.tryAccept(limited), { kind: 'too_many_pending' }, 'what is leased is not complete');
    await s.fail(lease!, { retry: { kind: 'policy' } });
    t.same(await s.tryAccept(limited), { kind: 'too_many_pending' }, 'nor what waits for a retry');
    t.match(await s.store.readType(limited), { open: 3 });
    await s.complete(await s.lease(limited));
    t.match(await s.store.readType(limited), { open: 2 });
    t.match(await s.tryAccept(limited, { delayMs: MINUTE }), { kind: 'accepted' });
    t.same(await s.tryAccept(limited), { kind: 'too_many_pending' }, 'nor what is delayed');
    t.match(await s.store.cancel(lease!.event.id), { kind: 'cancelled' });
    t.match(await s.tryAccept(limited), { kind: 'accepted' });
    await declare(s, limited, {}, 1);
    t.match(await s.tryAccept(limited), { kind: 'accepted' });
  });

  await t.test('nothing of a paused type is leased; what waits stays, and goes on', async (t) => {
    const s = await scene(t, harness);
    const [paused, other] = s.typesTogether(2) as [string, string];
    t.same(await s.store.setType({ kind: 'pause', type: paused }), { kind: 'unknown' });
    const before = await s.acceptMany(paused, 2);
    const held = await s.lease(paused, { call: 'mine' });
    t.match(await s.store.setType({ kind: 'pause', type: paused }), { view: { version: 0, paused: true } });
    await s.reopen();
    t.match(await s.store.readType(paused), { version: 0, paused: true });
    const between = await s.accept(paused);
    t.same(await s.leaseAll(paused), []);
    await s.accept(other);
    t.match(await s.leaseAll([paused, other]), [{ event: { type: other } }]);
    t.match(await s.leaseAll(paused, { call: 'mine' }), [{ attemptId: held.attemptId }]);
    t.match(await s.complete(held), { kind: 'completed' });
    const resumed = await s.store.setType({ kind: 'resume', type: paused });
    t.match(resumed, { kind: 'set', view: { version: 0, paused: false } });
    const ids = (await s.leaseAll(paused)).map(({ event }) => event.id);
    t.same(ids, [before[1], between]);
  });

  await t.test('a pause outlives what is declared, and what is declared a pause', async (t) => {
    const s = await scene(t, harness);
    await declare(s, 'mail', { attemptsMax: 9 });
    const pause: SetTypeCommand = { kind: 'pause', type: 'mail' };
    const view = { version: 1, declared: { attemptsMax: 9 }, paused: true };
    t.match(await s.store.setType(pause), { view });
    t.match(await s.store.setType(pause), { view });
    t.match(await declare(s, 'mail', {}, 1), { view: { version: 2, declared: {}, paused: true } });
    t.match(await s.store.setType({ kind: 'resume', type: 'mail' }), { view: { version: 2, paused: false } });
    t.equal((await s.outbox('mail')).length, 4);
  });

  await t.test('types are listed in the order in which they came, in pages', async (t) => {
    const s = await scene(t, harness);
    const names = s.typesTogether(5);
    for (const name of names.slice(0, 3)) await s.accept(name);
    await declare(s, names[3]!, { leaseMs: 1_000 });
    await declare(s, names[4]!, {});
    const listed: unknown[] = [];
    let cursor: string | null = null;
    do {
      const page = await s.store.listTypes({ cursor, limit: 2 });
      if (page.kind !== 'page') throw new Error('its own cursor is not known');
      t.ok(page.types.length <= 2);
      listed.push(...page.types.map(({ type, version }) => [type, version]));
      cursor = page.cursor;
    } while (cursor !== null);
    t.same(
      listed,
      names.map((name, index) => [name, index < 3 ? 0 : 1]),
    );
    t.same(await s.store.listTypes({ cursor: 'nonsense', limit: 2 }), { kind: 'bad_cursor' });
  });

  await t.test('names and policies are any text', async (t) => {
    const s = await scene(t, harness);
    const type = 'naïve/🕰️\r\n{0}';
    await declare(s, type, { attemptsMax: 2 });
    t.match(await s.store.readType(type), { type, declared: { attemptsMax: 2 } });
  });
}

export function declare(
  s: Scene,
  type: string,
  policy: DeclaredPolicy,
  ifVersion: number | 'any' | null = null,
): Promise<SetTypeResult> {
  return s.store.setType({ kind: 'declare', type, policy, ifVersion });
}

function reset(s: Scene, type: string, ifVersion: number | null): Promise<SetTypeResult> {
  return s.store.setType({ kind: 'reset', type, ifVersion });
}
