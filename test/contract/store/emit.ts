/** Emit: a completion brings events about, together with itself or not at all. */
import type { Test } from 'tap';
import type { EmitCommand } from '../../../src/event/command.js';
import { relayAtOnce, relaySome } from '../../../src/queue/relaying.js';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { envelopeOf, HOUR, type Scene, SECOND, scene } from './scene.js';

/** An event to be emitted. Type and parent live in one partition. */
function emitOf(s: Scene, type: string, more: Partial<EmitCommand> = {}): EmitCommand {
  return { id: s.newId(type), type, envelope: envelopeOf('child'), delayMs: 0, durability: 'store', ...more };
}

export async function emitContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('what a completion emits can be leased, and knows parent and root (S5)', async (t) => {
    const s = await scene(t, harness);
    const [parentType, childType] = s.typesTogether(2) as [string, string];
    const parent = await s.accept(parentType);
    const emit = [emitOf(s, childType), emitOf(s, parentType)];
    const ids = emit.map(({ id }) => id);
    const answer = await s.complete(await s.lease(parentType), { emit });
    t.match(answer, { kind: 'completed', status: 'complete', outcome: 'success' });
    t.same(answer.kind === 'completed' && answer.emitted, ids);
    t.match(await s.event(parent), { parent: null, root: null, status: 'complete' });
    for (const [k, id] of ids.entries()) {
      t.match(await s.event(id), { status: 'pending', type: emit[k]!.type, parent, root: parent });
    }
    t.match(await s.store.readAttempts(parent), [{ end: 'completed', emitted: ids }]);
    const child = await s.lease(childType);
    t.equal(child.event.id, ids[0]);
    t.ok(envelopeOf('child').equals(child.event.envelope));
    const [grandchild] = [emitOf(s, childType)];
    await s.complete(child, { emit: [grandchild!] });
    t.match(await s.event(grandchild!.id), { parent: ids[0], root: parent });
  });

  await t.test('the records of what is emitted stand right behind the completion', async (t) => {
    const s = await scene(t, harness);
    const [known, fresh] = s.typesTogether(2) as [string, string];
    const parent = await s.accept(known);
    const emit = [emitOf(s, known), emitOf(s, fresh, { delayMs: SECOND }), emitOf(s, fresh)];
    await s.complete(await s.lease(known), { emit });
    const records = await s.outbox(known);
    const at = records.findIndex(({ op }) => op === 'completed');
    t.match(records.slice(at), [
      { op: 'completed', id: parent, emitted: emit.map(({ id }) => id) },
      { op: 'accepted', id: emit[0]!.id, type: known, parent, root: parent, idempotency: null },
      { op: 'typeSet', type: fresh },
      { op: 'accepted', id: emit[1]!.id, type: fresh, parent, root: parent, dueAt: s.now + SECOND },
      { op: 'accepted', id: emit[2]!.id, type: fresh, parent, root: parent, dueAt: s.now },
    ]);
    const folded = await s.folded(s.partitionOf(known));
    t.match(folded.events.get(emit[2]!.id)?.tree, { parent, root: parent });
  });

  await t.test('a repeat hears the very same ids and emits nothing again (S4, S5)', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail');
    const emit = [emitOf(s, 'mail'), emitOf(s, 'mail')];
    const first = await s.complete(lease, { emit });
    const before = await s.outbox('mail');
    await s.pass(HOUR);
    t.same(await s.complete(lease, { emit: [emitOf(s, 'mail'), emitOf(s, 'mail')] }), first);
    t.same(await s.outbox('mail'), before);
    await s.reopen();
    t.same(await s.complete(lease, { emit: [emitOf(s, 'mail'), emitOf(s, 'mail')] }), first);
    t.same(
      (await s.leaseAll('mail')).map(({ event }) => event.id),
      emit.map(({ id }) => id),
    );
  });

  await t.test('a stale attempt, and one that is tried again, leak no children (S5)', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: SECOND });
    const emit = [emitOf(s, 'mail')];
    t.match(await s.complete(lease, { emit, token: 'wrong' }), { kind: 'lease_lost' });
    await s.pass(2 * SECOND);
    t.match(await s.complete(lease, { emit }), { kind: 'lease_lost' });
    await s.pass(HOUR);
    const second = await s.lease('mail');
    const answer = await s.fail(second, { emit, retry: { kind: 'after', afterMs: 0 } });
    t.match(answer, { kind: 'completed', status: 'in_process', emitted: [] });
    const third = await s.lease('mail');
    t.match(await s.fail(third, { emit, retry: { kind: 'policy' } }), {
      reason: 'attempts_exhausted',
      emitted: [],
    });
    t.equal(await s.store.read(emit[0]!.id), null);
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('a failure that is final may emit', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const emit = [emitOf(s, 'mail')];
    t.match(await s.fail(await s.lease('mail'), { emit }), { outcome: 'fail', emitted: [emit[0]!.id] });
    t.equal((await s.lease('mail')).event.id, emit[0]!.id);
  });

  await t.test('a type too many refuses the completion, and nothing has happened (S5)', async (t) => {
    const s = await scene(t, harness, { limits: { typesMax: 2 } });
    const [known, one, two] = s.typesTogether(3) as [string, string, string];
    await s.accept(known);
    const lease = await s.lease(known);
    const before = await s.outbox(known);
    const emit = [emitOf(s, known), emitOf(s, one), emitOf(s, two)];
    t.same(await s.complete(lease, { emit }), { kind: 'too_many_types' });
    t.same(await s.outbox(known), before);
    t.equal(await s.store.read(emit[0]!.id), null);
    t.match(await s.complete(lease, { emit: emit.slice(0, 2) }), { kind: 'completed' });
  });

  await t.test('what a listener emits with a delay waits for it', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const emit = [emitOf(s, 'mail', { delayMs: HOUR })];
    await s.complete(await s.lease('mail'), { emit });
    t.same(await s.leaseAll('mail'), []);
    await s.pass(HOUR);
    t.equal((await s.lease('mail')).event.id, emit[0]!.id);
  });

  await t.test('children of an archived event are leased once the completion is archived (S9)', async (t) => {
    const s = await scene(t, harness);
    const archive = async () => {
      const { pos } = (await s.outbox('mail')).at(-1)!;
      await s.store.markArchived(s.partitionOf('mail'), pos, 1);
    };
    const parent = await s.accept('mail', { durability: 'archive' });
    await archive();
    const lease = await s.lease('mail');
    const emit = [emitOf(s, 'mail')];
    const answer = await s.complete(lease, { emit });
    const last = (await s.outbox('mail')).at(-1)!;
    t.same(answer.kind === 'completed' && answer.archive, last.pos);
    t.match(last, { op: 'accepted', id: emit[0]!.id, durability: 'archive' });
    t.same(await s.leaseAll('mail'), []);
    t.equal(await s.store.read(emit[0]!.id), 'not_archived');
    const [shownBefore] = shown(await s.store.readAttempts(parent));
    t.match(shownBefore, undefined, 'nothing of it is archived');
    t.same(await s.complete(lease, { emit }), answer, 'a repeat waits for the same');
    await archive();
    t.match(await s.complete(lease, { emit }), { archive: null, emitted: [emit[0]!.id] });
    t.equal((await s.lease('mail')).event.id, emit[0]!.id);
    const [shownAfter] = shown(await s.store.readAttempts(parent));
    t.match(shownAfter, { emitted: [emit[0]!.id] });
  });

  await t.test('a child with archive durability of an event without it is waited for (S9)', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail');
    const emit = [emitOf(s, 'mail', { durability: 'archive' }), emitOf(s, 'mail')];
    const answer = await s.complete(lease, { emit });
    const records = await s.outbox('mail');
    const accepted = records.find((record) => 'id' in record && record.id === emit[0]!.id)!;
    t.same(answer.kind === 'completed' && answer.archive, accepted.pos);
    t.same(await s.complete(lease, { emit }), answer);
    t.equal((await s.lease('mail')).event.id, emit[1]!.id);
    await s.store.markArchived(s.partitionOf('mail'), records.at(-1)!.pos, 1);
    t.equal((await s.lease('mail')).event.id, emit[0]!.id);
  });

  await t.test('a tree is counted by its root as its events go on', async (t) => {
    const s = await scene(t, harness);
    const root = await s.accept('mail');
    const partition = s.partitionOf('mail');
    const counts = async () => {
      const { changed: _, live, ...rest } = (await s.store.readTree(partition, root))!;
      t.equal(live, rest.pending + rest.inProcess);
      return rest;
    };
    const none = { pending: 0, inProcess: 0, success: 0, fail: 0, relaying: 0, archive: null };
    t.equal(await s.store.readTree(partition, root), null);
    const emit = [1, 2, 3].map(() => emitOf(s, 'mail'));
    await s.complete(await s.lease('mail'), { emit });
    t.same(await counts(), { ...none, pending: 3 });
    const [one, two] = await s.leaseAll('mail', { max: 2 });
    t.same(await counts(), { ...none, pending: 1, inProcess: 2 });
    await s.complete(one!, { emit: [emitOf(s, 'mail')] });
    await s.fail(two!);
    t.same(await counts(), { ...none, pending: 2, success: 1, fail: 1 });
    await s.store.cancel(emit[2]!.id);
    t.same(await counts(), { ...none, pending: 1, success: 1, fail: 2 });
    await s.reopen();
    t.same(await counts(), { ...none, pending: 1, success: 1, fail: 2 });
    await s.complete(await s.lease('mail'));
    await s.store.markArchived(partition, (await s.outbox('mail')).at(-1)!.pos, 1);
    for (const { event } of await s.store.settled(partition, 0, 100))
      await s.store.prune(partition, { events: [event], index: 1 });
    t.equal(await s.store.readTree(partition, root), null, 'what has left is not counted');
  });

  await t.test('what an archived tree shows must be archived (S9)', async (t) => {
    const s = await scene(t, harness);
    const partition = s.partitionOf('mail');
    const archive = async () => {
      const { pos } = (await s.outbox('mail')).at(-1)!;
      await s.store.markArchived(partition, pos, 1);
    };
    const root = await s.accept('mail', { durability: 'archive' });
    await archive();
    await s.complete(await s.lease('mail'), { emit: [emitOf(s, 'mail')] });
    const { pos } = (await s.outbox('mail')).at(-1)!;
    t.match(await s.store.readTree(partition, root), { pending: 1, archive: pos });
    await archive();
    t.match(await s.store.readTree(partition, root), { pending: 1, archive: null });
  });

  await t.test('what lives in another partition is fixed here and relayed (S5)', async (t) => {
    const s = await scene(t, harness);
    if (s.store.partitions === 1) return;
    const far = ['a', 'b', 'c', 'd', 'e', 'f'].find((type) => s.partitionOf(type) !== s.partitionOf('mail'))!;
    const [home, away] = [s.partitionOf('mail'), s.partitionOf(far)];
    const never = async () => false;
    const relay = () => relaySome(s.store, home, { skip: 0, limit: 10 }, never);
    const root = await s.accept('mail');
    const emit = [emitOf(s, far), emitOf(s, 'mail'), emitOf(s, far, { delayMs: HOUR })];
    const ids = emit.map(({ id }) => id);
    const lease = await s.lease('mail');
    const answer = await s.complete(lease, { emit });
    t.match(answer, { kind: 'completed', emitted: ids, archive: null });
    t.match((await s.outbox('mail')).slice(-4), [
      { op: 'completed', emitted: ids },
      { op: 'emitted', id: root, child: ids[0], childType: far, root },
      { op: 'accepted', id: ids[1], parent: root, root },
      { op: 'emitted', id: root, child: ids[2], childType: far, dueAt: s.now + HOUR },
    ]);
    t.match(await s.store.readTree(home, root), { pending: 1, relaying: 2 });
    t.equal(await s.store.read(ids[0]!), null);
    t.same(await relay(), { seen: 2, relayed: 0 }, 'there, and not yet archived there');
    t.match(await s.event(ids[0]!), { status: 'pending', type: far, parent: root, root });
    t.equal((await s.lease(far)).event.id, ids[0]);
    t.same(await relay(), { seen: 2, relayed: 0 });
    t.equal((await s.outbox(far)).filter(({ op }) => op === 'accepted').length, 2, 'twice is once');
    await s.reopen();
    t.match(await s.store.readTree(home, root), { pending: 1, relaying: 2 });
    await s.store.markArchived(away, (await s.outbox(far)).at(-1)!.pos, 1);
    t.same(await relay(), { seen: 2, relayed: 2 });
    t.same(await s.store.relays(home, 0, 10), []);
    t.match((await s.outbox('mail')).slice(-2), [
      { op: 'relayed', id: root },
      { op: 'relayed', id: root },
    ]);
    t.match(await s.store.readTree(home, root), { pending: 1, relaying: 0 });
    t.match(await s.store.readTree(away, root), { pending: 1, inProcess: 1, relaying: 0 });
    t.same(await s.complete(lease, { emit }), answer, 'a repeat hears the same');
    await s.pass(HOUR);
    await s.expire();
    t.ok((await s.leaseAll(far)).some(({ event }) => event.id === ids[2]));
  });

  await t.test('an event does not leave while something that it emitted is on its way', async (t) => {
    const s = await scene(t, harness);
    if (s.store.partitions === 1) return;
    const far = ['a', 'b', 'c', 'd', 'e', 'f'].find((type) => s.partitionOf(type) !== s.partitionOf('mail'))!;
    const [home, away] = [s.partitionOf('mail'), s.partitionOf(far)];
    const archiveAll = async () => {
      for (const [partition, type] of [
        [home, 'mail'],
        [away, far],
      ] as const) {
        const last = (await s.outbox(type)).at(-1);
        if (last) await s.store.markArchived(partition, last.pos, 1);
      }
    };
    const id = await s.accept('mail');
    await s.complete(await s.lease('mail'), { emit: [emitOf(s, far)] });
    await archiveAll();
    t.same(await s.store.settled(home, 0, 10), []);
    const { version } = await s.event(id);
    t.equal(await s.store.prune(home, { events: [{ id, version }], index: 1 }), 0);
    await relaySome(s.store, home, { skip: 0, limit: 10 }, async () => false);
    await archiveAll();
    await relaySome(s.store, home, { skip: 0, limit: 10 }, async () => false);
    await archiveAll();
    t.match(await s.store.settled(home, 0, 10), [{ event: { id } }]);
    t.equal(await s.store.prune(home, { events: [{ id, version }], index: 1 }), 1);
  });

  await t.test('what is accepted elsewhere at once is what the relay would have accepted', async (t) => {
    for (const durability of ['store', 'archive'] as const) {
      const s = await scene(t, harness);
      if (s.store.partitions === 1) return;
      const far = ['a', 'b', 'c', 'd', 'e', 'f'].find(
        (type) => s.partitionOf(type) !== s.partitionOf('mail'),
      )!;
      const archive = async () =>
        s.store.markArchived(s.partitionOf('mail'), (await s.outbox('mail')).at(-1)!.pos, 1);
      await s.accept('mail', { durability });
      await archive();
      const emit = [emitOf(s, far), emitOf(s, 'mail'), emitOf(s, far, { delayMs: HOUR })];
      const answer = await s.complete(await s.lease('mail'), { emit });
      if (answer.kind !== 'completed') throw new Error('it was not completed');
      await archive();
      await s.pass(SECOND);
      await relayAtOnce(s.store, answer, emit);
      const accepted = (await s.outbox(far)).filter(({ op }) => op === 'accepted');
      const promise = durability === 'archive' ? 'archive' : undefined;
      const { at } = accepted[0]!;
      t.match(accepted, [
        { id: emit[0]!.id, dueAt: at, durability: promise },
        { id: emit[2]!.id, dueAt: at - SECOND + HOUR, durability: promise },
      ]);
      await relaySome(s.store, s.partitionOf('mail'), { skip: 0, limit: 10 }, async () => false);
      t.equal((await s.outbox(far)).filter(({ op }) => op === 'accepted').length, 2, 'twice is once');
    }
  });

  await t.test('what an archived event emits elsewhere goes once that is archived (S9)', async (t) => {
    const s = await scene(t, harness);
    if (s.store.partitions === 1) return;
    const far = ['a', 'b', 'c', 'd', 'e', 'f'].find((type) => s.partitionOf(type) !== s.partitionOf('mail'))!;
    const home = s.partitionOf('mail');
    const archive = async () => s.store.markArchived(home, (await s.outbox('mail')).at(-1)!.pos, 1);
    await s.accept('mail', { durability: 'archive' });
    await archive();
    const lease = await s.lease('mail');
    const emit = [emitOf(s, far)];
    const answer = await s.complete(lease, { emit });
    const { pos } = (await s.outbox('mail')).at(-1)!;
    t.match(answer, { kind: 'completed', archive: pos });
    t.same(await s.complete(lease, { emit }), answer);
    const relay = () => relaySome(s.store, home, { skip: 0, limit: 10 }, async () => false);
    t.same(await relay(), { seen: 1, relayed: 0 });
    t.equal(await s.store.read(emit[0]!.id), null, 'nothing of it shows');
    await archive();
    await relay();
    t.equal(await s.store.read(emit[0]!.id), 'not_archived');
    t.match((await s.outbox(far)).at(-1), { op: 'accepted', id: emit[0]!.id, durability: 'archive' });
  });
}
