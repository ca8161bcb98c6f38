/** Accept: one request becomes one event, once. */
import type { Test } from 'tap';
import { partitionOfId } from '../../../src/event/id.js';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { envelopeOf, HOUR, keyOf, MINUTE, NOON, scene } from './scene.js';

const MIDNIGHT_AFTER_NEXT = Date.UTC(2026, 0, 17);

/** Names that would break a key, a pattern or a path if they were ever taken apart. */
const STRANGE_TYPES = [
  '{}',
  '{a}b',
  'a\r\nb',
  '\t',
  ' ',
  '/',
  '../..',
  'a/b/c',
  'a:b',
  '*',
  '[a-z]?',
  '%00',
  '\\',
  '"quoted"',
  "it's",
  '__proto__',
  'constructor',
  'null',
  '0',
  '\u007f',
  '\u2028',
  '\ufeff',
  'naïve',
  'nai\u0308ve',
  '注文',
  '🕰️',
  'ß',
  'SS',
  'x'.repeat(256),
];

export async function acceptContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('an accepted event is known at once, with its bytes as they came (S1)', async (t) => {
    const s = await scene(t, harness);
    const envelope = envelopeOf(Buffer.from([0, 10, 13, 255, 254, 0, 34, 92]));
    const id = s.newId('mail');
    t.same(await s.tryAccept('mail', { id, envelope }), {
      kind: 'accepted',
      id,
      createdAt: NOON,
      archive: null,
    });
    const event = await s.event(id);
    t.match(event, { id, type: 'mail', status: 'pending', outcome: null, reason: null, createdAt: NOON });
    t.match(event, { startedAt: null, completedAt: null, cancelRequested: false, attempts: 0, result: null });
    t.ok(envelope.equals(shown(await s.store.readRequest(id))));
  });

  await t.test('an empty body and one of a mebibyte come back byte for byte', async (t) => {
    const s = await scene(t, harness);
    const large = Buffer.alloc(1 << 20, 'abc\u0000\n');
    for (const envelope of [envelopeOf(''), envelopeOf(large)]) {
      const id = await s.accept('mail', { envelope });
      t.ok(envelope.equals(shown(await s.store.readRequest(id))));
      t.ok(envelope.equals((await s.lease('mail')).event.envelope));
    }
  });

  await t.test('the same id accepted twice is one event, whatever the second says', async (t) => {
    const s = await scene(t, harness);
    const first = s.command('mail');
    t.match(await s.store.accept([first]), [{ kind: 'accepted', createdAt: NOON }]);
    await s.pass(MINUTE);
    t.match(await s.store.accept([first]), [{ kind: 'accepted', id: first.id, createdAt: NOON }]);
    await s.store.accept([{ ...first, envelope: envelopeOf('other') }]);
    t.ok(
      first.envelope.length > 0 &&
        Buffer.from(first.envelope).equals(shown(await s.store.readRequest(first.id))),
    );
    t.same(await s.opsOf(first.id, 'mail'), ['accepted']);
    t.equal((await s.leaseAll('mail')).length, 1);
  });

  await t.test('a key used again for the same request is the first event (S7)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { idempotency: keyOf('k') });
    await s.pass(MINUTE);
    t.same(await s.tryAccept('mail', { idempotency: keyOf('k') }), {
      kind: 'duplicate',
      archive: null,
      id,
      createdAt: NOON,
    });
    t.equal((await s.leaseAll('mail')).length, 1);
  });

  await t.test(
    'a key used again for another request is a conflict that names the first event (S7)',
    async (t) => {
      const s = await scene(t, harness);
      const id = await s.accept('mail', { idempotency: keyOf('k', 'one') });
      t.same(await s.tryAccept('mail', { idempotency: keyOf('k', 'two') }), { kind: 'conflict', id });
      t.match(await s.tryAccept('mail', { idempotency: keyOf('k', 'one') }), { kind: 'duplicate', id });
      t.equal((await s.leaseAll('mail')).length, 1);
    },
  );

  await t.test('scopes that differ are keys that differ', async (t) => {
    const s = await scene(t, harness);
    const ids = new Set<string>();
    for (const key of ['a', 'A', 'a ', 'ä', '{a}', '__proto__', '0']) {
      ids.add(await s.accept('mail', { idempotency: keyOf(key) }));
    }
    t.equal(ids.size, 7);
  });

  await t.test('a key is kept to the end of the next day and is free after it (S7)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { idempotency: keyOf('k') });
    await s.setClock(MIDNIGHT_AFTER_NEXT - 1);
    await s.expire();
    t.match(await s.tryAccept('mail', { idempotency: keyOf('k') }), { kind: 'duplicate', id });
    await s.setClock(MIDNIGHT_AFTER_NEXT);
    const second = await s.accept('mail', { idempotency: keyOf('k', 'another') });
    t.not(second, id);
    await s.expire();
    t.match(await s.tryAccept('mail', { idempotency: keyOf('k') }), { kind: 'conflict', id: second });
  });

  await t.test('a key lives 24 hours also when first used just before or after midnight (S7)', async (t) => {
    const s = await scene(t, harness);
    for (const at of [Date.UTC(2026, 0, 16) - 1, Date.UTC(2026, 0, 16)]) {
      await s.setClock(at);
      const id = await s.accept('mail', { idempotency: keyOf(`${at}`) });
      await s.setClock(at + 24 * HOUR);
      await s.expire();
      t.match(await s.tryAccept('mail', { idempotency: keyOf(`${at}`) }), { kind: 'duplicate', id });
    }
  });

  await t.test('a key outlives the end of its event (S7)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail', { idempotency: keyOf('k') });
    await s.complete(await s.lease('mail'));
    t.match(await s.tryAccept('mail', { idempotency: keyOf('k') }), { kind: 'duplicate', id });
  });

  await t.test('the items of one call see each other, in order', async (t) => {
    const s = await scene(t, harness);
    const first = s.command('mail', { idempotency: keyOf('k', 'one') });
    const results = await s.store.accept([
      first,
      s.command('mail', { idempotency: keyOf('k', 'one') }),
      s.command('mail', { idempotency: keyOf('k', 'two') }),
      first,
      s.command('mail'),
    ]);
    t.same(
      results.map((result) => result.kind),
      ['accepted', 'duplicate', 'conflict', 'accepted', 'accepted'],
    );
    t.match(results[1], { id: first.id });
    t.match(results[2], { id: first.id });
    t.equal((await s.leaseAll('mail')).length, 2);
  });

  await t.test('calls made at once see each other', async (t) => {
    const s = await scene(t, harness);
    const results = await Promise.all(
      Array.from({ length: 20 }, () => s.tryAccept('mail', { idempotency: keyOf('k') })),
    );
    t.equal(results.filter((result) => result.kind === 'accepted').length, 1);
    t.equal(new Set(results.map((result) => 'id' in result && result.id)).size, 1);
  });

  await t.test('no commands, no results', async (t) => {
    const s = await scene(t, harness);
    t.same(await s.store.accept([]), []);
  });

  await t.test('a type is any text: none meets another, each is leased by its own name alone', async (t) => {
    const s = await scene(t, harness);
    const ids = new Map<string, string>();
    for (const type of STRANGE_TYPES) ids.set(type, await s.accept(type));
    for (const [type, id] of ids) {
      t.equal(partitionOfId(id), s.partitionOf(type));
      t.equal((await s.event(id)).type, type);
      const leases = await s.leaseAll(type);
      t.match(leases, [{ event: { id, type } }]);
      t.match(await s.complete(leases[0]!), { kind: 'completed', id, type });
    }
  });

  await t.test('types are made by use up to a limit; those there are go on', async (t) => {
    const s = await scene(t, harness, { limits: { typesMax: 2 } });
    const [a, b, c] = s.typesTogether(3) as [string, string, string];
    await s.accept(a);
    await s.accept(b);
    t.same(await s.tryAccept(c), { kind: 'too_many_types' });
    t.match(await s.store.accept([s.command(a), s.command(c), s.command(b)]), [
      { kind: 'accepted' },
      { kind: 'too_many_types' },
      { kind: 'accepted' },
    ]);
  });

  await t.test('to ask for a type does not make it', async (t) => {
    const s = await scene(t, harness, { limits: { typesMax: 1 } });
    const [a, b] = s.typesTogether(2) as [string, string];
    t.same(await s.leaseAll(a), []);
    t.match(await s.tryAccept(b), { kind: 'accepted' });
  });
}
