/** Redrive: jobs that send past events again, and the events that they send. */
import type { Test } from 'tap';
import type { AcceptCommand, RedriveState, SetRedriveResult } from '../../../src/event/command.js';
import { deriveEventId, partitionOfId } from '../../../src/event/id.js';
import { comparePositions } from '../../../src/event/record.js';
import { NO_PROGRESS, type RedriveProgress, type RedriveWish } from '../../../src/event/redrive-job.js';
import { NOT_ARCHIVED } from '../../../src/event/unarchived.js';
import type { StoreHarness } from '../store.js';
import { NOON, type Scene, SECOND, scene } from './scene.js';

const WISH: Omit<RedriveWish, 'listener'> = {
  filter: 'dead',
  from: null,
  to: NOON,
  dryRun: false,
  ratePerSecond: 50,
};

export async function redriveContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('a job is what was wanted, and is about what was recorded before it', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const job = await made(s, 'mail');
    t.match(job, { type: 'mail', step: 0, status: 'running', startedAt: NOON, endedAt: null });
    t.same(job.wish, { ...WISH, listener: null });
    t.same(job.progress, NO_PROGRESS);
    const [record] = (await s.outbox('mail')).slice(-1);
    t.match(record, { op: 'redriveSet', redrive: job.id, type: 'mail', pos: job.until });
    t.same(await jobs(s, 'mail'), [job]);
    t.same(await jobs(s, 'mail', 'running'), [job]);
    await s.reopen();
    t.same(await jobs(s, 'mail'), [job]);
    t.same((await s.folded(s.partitionOf('mail'))).redrives.get(job.id), job, 'the log has it');
  });

  await t.test('a job that is made twice is one', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const id = s.newId('mail');
    const first = await create(s, 'mail', { id });
    t.same(await create(s, 'mail', { id }), first);
    t.equal((await jobs(s, 'mail')).length, 1);
  });

  await t.test('an idempotency key names one job', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const key = (fingerprint: string) => ({ scope: 'caller\nkey', fingerprint });
    const first = await create(s, 'mail', { idempotency: key('one') });
    t.same(await create(s, 'mail', { idempotency: key('one') }), first);
    t.match(await create(s, 'mail', { idempotency: key('two') }), {
      kind: 'conflict',
      redrive: { id: 'redrive' in first ? first.redrive.id : '' },
    });
    t.equal((await jobs(s, 'mail')).length, 1);
  });

  await t.test('there is no job without the type, nor for a listener that there is not', async (t) => {
    const s = await scene(t, harness);
    t.same(await create(s, 'mail'), { kind: 'unknown_type' });
    await s.accept('mail');
    t.same(await create(s, 'mail', { listener: 'printer' }), { kind: 'unknown_listener' });
    const listener = { name: 'printer', responder: false, filter: null };
    await s.store.setListener({ type: 'mail', listener });
    await s.store.setListener({ type: 'mail', listener: { ...listener, name: 'scanner' } });
    t.match(await create(s, 'mail', { listener: 'scanner' }), {
      kind: 'set',
      redrive: { wish: { listener: { name: 'scanner', ordinal: 1 } } },
    });
    await s.store.deleteListener('mail', 'scanner');
    t.same(await create(s, 'mail', { listener: 'scanner' }), { kind: 'unknown_listener' });
  });

  await t.test('`default` is a listener of a type that has none declared', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.match(await create(s, 'mail', { listener: 'default' }), {
      redrive: { wish: { listener: { name: 'default', ordinal: 0 } } },
    });
  });

  await t.test('a job goes on by steps, each from the one before', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const { id } = await made(s, 'mail');
    t.match(await advance(s, id, 0, { sent: 1 }), {
      kind: 'set',
      redrive: { step: 1, progress: { sent: 1 } },
    });
    t.match(
      await advance(s, id, 0, { sent: 1 }),
      { kind: 'set', redrive: { step: 1 } },
      'a repeat finds it done',
    );
    t.match(await advance(s, id, 0, { sent: 2 }), {
      kind: 'stale',
      redrive: { step: 1, progress: { sent: 1 } },
    });
    t.match(await advance(s, id, 7, { sent: 2 }), { kind: 'stale' });
    await s.pass(SECOND);
    const done = await advance(s, id, 1, { sent: 2 }, 'done');
    t.match(done, { kind: 'set', redrive: { step: 2, status: 'done', endedAt: NOON + SECOND } });
    t.match(await advance(s, id, 2, { sent: 3 }), { kind: 'stale' }, 'it has ended');
    t.same(await s.store.setRedrive({ kind: 'cancel', id }), {
      kind: 'ended',
      redrive: 'redrive' in done ? done.redrive : null,
    });
    t.same(await jobs(s, 'mail', 'running'), []);
    const ops = (await s.outbox('mail')).filter(({ op }) => op === 'redriveSet');
    t.equal(ops.length, 3, 'a record a step');
    t.same((await s.folded(s.partitionOf('mail'))).redrives.get(id), (await jobs(s, 'mail'))[0]);
  });

  await t.test('what was under way when a job is cancelled still counts', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const { id } = await made(s, 'mail');
    await s.pass(SECOND);
    const cancelled = await s.store.setRedrive({ kind: 'cancel', id });
    t.match(cancelled, { kind: 'set', redrive: { step: 0, status: 'cancelled', endedAt: NOON + SECOND } });
    t.same(await s.store.setRedrive({ kind: 'cancel', id }), cancelled);
    t.same(await jobs(s, 'mail', 'running'), []);
    await s.pass(SECOND);
    const end = { step: 1, status: 'cancelled', endedAt: NOON + SECOND, progress: { sent: 9 } };
    t.match(await advance(s, id, 0, { sent: 9 }), { kind: 'set', redrive: end });
    t.same(await s.store.setRedrive({ kind: 'cancel', id: s.newId('mail') }), { kind: 'unknown' });
    t.same(await advance(s, s.newId('mail'), 0, {}), { kind: 'unknown' });
  });

  await t.test('ten may be under way, and a hundred are remembered', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const running: string[] = [];
    const next = async () => {
      await s.pass(1);
      running.push((await made(s, 'mail')).id);
    };
    for (let k = 0; k < 10; k += 1) await next();
    t.same(await create(s, 'mail'), { kind: 'too_many' });
    const [oldest, ...others] = running;
    const ended = [...others];
    for (const id of others) await s.store.setRedrive({ kind: 'cancel', id });
    for (let k = 10; k < 101; k += 1) {
      await next();
      ended.push(running.at(-1)!);
      await s.store.setRedrive({ kind: 'cancel', id: running.at(-1)! });
    }
    const kept = (await jobs(s, 'mail')).map(({ id }) => id);
    t.equal(kept.length, 100);
    t.ok(kept.includes(oldest!), 'the oldest is under way');
    t.notOk(kept.includes(ended[0]!), 'the oldest that has ended was forgotten');
    t.ok(kept.includes(ended[1]!));
    const folded = await s.folded(s.partitionOf('mail'));
    t.same([...folded.redrives.keys()].sort(), kept.sort());
  });

  await t.test('an event that is sent again and the past one name each other', async (t) => {
    const s = await scene(t, harness);
    const past = await ended(s, 'mail');
    const before = await s.event(past);
    t.match(before, { redriveOf: null, redrivenBy: null });
    const id = await s.accept('mail', { redrive: { of: past, only: null } });
    t.match(await s.event(id), {
      status: 'pending',
      redriveOf: past,
      redrivenBy: null,
      parent: null,
      root: null,
    });
    t.same(await s.event(past), { ...before, redrivenBy: id }, 'nothing else has changed');
    t.match((await s.outbox('mail')).at(-1), { op: 'accepted', id, redriveOf: past });
    const second = await s.accept('mail', { redrive: { of: past, only: null } });
    t.equal((await s.event(past)).redrivenBy, second, 'the newest');
    await s.reopen();
    t.match(await s.event(past), { redrivenBy: second, version: before.version });
    t.match(await s.event(id), { redriveOf: past });
    t.same(
      (await s.leaseAll('mail')).map(({ event }) => event.id),
      [id, second],
    );
    const listed = await s.store.list({ ...ALL_EVENTS, type: 'mail' });
    t.match(listed, {
      events: [{ id: second, redriveOf: past }, { id, redriveOf: past }, { redrivenBy: second }],
    });
  });

  await t.test('the same event sent again by the same job is one event', async (t) => {
    const s = await scene(t, harness);
    const past = await ended(s, 'mail');
    const id = deriveEventId(s.now, s.partitionOf('mail'), `job ${past}`);
    t.equal(partitionOfId(id), s.partitionOf('mail'));
    t.equal(deriveEventId(s.now, s.partitionOf('mail'), `job ${past}`), id);
    t.not(deriveEventId(s.now, s.partitionOf('mail'), `other ${past}`), id);
    await s.accept('mail', { id, redrive: { of: past, only: null } });
    await s.accept('mail', { id, redrive: { of: past, only: null } });
    t.same(await s.opsOf(id, 'mail'), ['accepted']);
  });

  await t.test('it may be of a past event that has left', async (t) => {
    const s = await scene(t, harness);
    const gone = s.newId('mail');
    const id = await s.accept('mail', { redrive: { of: gone, only: null } });
    t.match(await s.event(id), { redriveOf: gone });
  });

  await t.test('it may be for one listener only, whose filter does not matter', async (t) => {
    const s = await scene(t, harness);
    for (const name of ['first', 'second']) {
      const filter = { method: ['DELETE'] };
      await s.store.setListener({ type: 'mail', listener: { name, responder: false, filter } });
    }
    const past = await s.accept('mail');
    t.match(await s.event(past), { status: 'complete', reason: 'unmatched' });
    const id = await s.accept('mail', { redrive: { of: past, only: 'second' } });
    t.match(await s.event(past), { status: 'complete', settled: true, redrivenBy: id });
    t.match(await s.event(id), { status: 'pending', settled: false });
    t.same(await s.leaseAll('mail', { listener: 'first' }), []);
    const lease = await s.lease('mail', { listener: 'second' });
    t.equal(lease.event.id, id);
    await s.complete(lease);
    t.match(await s.event(id), { status: 'complete', outcome: 'success', settled: true, redriveOf: past });
    await s.store.deleteListener('mail', 'second');
    t.same(await s.tryAccept('mail', { redrive: { of: past, only: 'second' } }), { kind: 'no_listener' });
  });

  await t.test('it is one of those that there may be of its type', async (t) => {
    const s = await scene(t, harness);
    const past = await ended(s, 'mail');
    await s.store.setType({ kind: 'declare', type: 'mail', policy: { maxPending: 1 }, ifVersion: null });
    await s.accept('mail', { redrive: { of: past, only: null } });
    t.same(await s.tryAccept('mail', { redrive: { of: past, only: null } }), { kind: 'too_many_pending' });
  });

  await t.test('it has the deadline that its type declares now', async (t) => {
    const s = await scene(t, harness);
    const past = await ended(s, 'mail');
    await s.store.setType({ kind: 'declare', type: 'mail', policy: { deadlineMs: SECOND }, ifVersion: null });
    await s.accept('mail', { redrive: { of: past, only: null } });
    t.equal((await s.lease('mail')).deadlineAt, NOON + SECOND);
  });

  await t.test('with `archive` durability the past one does not show it before it is archived', async (t) => {
    const s = await scene(t, harness);
    const past = await s.accept('mail', { durability: 'archive' });
    await archive(s, 'mail', 1);
    await s.complete(await s.lease('mail'));
    await archive(s, 'mail', 2);
    const id = await s.accept('mail', { durability: 'archive', redrive: { of: past, only: null } });
    t.match(await s.event(past), { status: 'complete', redrivenBy: null });
    t.equal(await s.store.read(id), NOT_ARCHIVED);
    await archive(s, 'mail', 3);
    t.match(await s.event(past), { redrivenBy: id });
    t.match(await s.event(id), { redriveOf: past });
  });

  await t.test('how past events ended is told, and what they were promised', async (t) => {
    const s = await scene(t, harness);
    const open = await s.accept('mail');
    const archived = await s.accept('mail', { durability: 'archive' });
    const partition = s.partitionOf('mail');
    t.same(await s.store.readEnds(partition, [archived, s.newId('mail'), open]), [
      { ended: null, outcome: null, reason: null, durability: 'archive', key: null },
      null,
      { ended: null, outcome: null, reason: null, durability: 'store', key: null },
    ]);
    await s.complete(await s.lease('mail'));
    const { pos } = (await s.outbox('mail')).at(-1)!;
    t.same(await s.store.readEnds(partition, [open]), [
      { ended: pos, outcome: 'success', reason: null, durability: 'store', key: null },
    ]);
  });

  await t.test('when the newest of those as which it was sent again leaves, it shows none', async (t) => {
    const s = await scene(t, harness);
    const past = await s.accept('mail');
    const again = await s.accept('mail', { redrive: { of: past, only: null } });
    await s.store.setListener({ type: 'mail', listener: { name: 'x', responder: false, filter: null } });
    const leases = await s.leaseAll('mail', { listener: 'x' });
    await s.complete(leases.find(({ event }) => event.id === again)!);
    await archive(s, 'mail', 1);
    const { version } = await s.event(again);
    const partition = s.partitionOf('mail');
    t.equal(await s.store.prune(partition, { events: [{ id: again, version }], index: 1 }), 1);
    t.match(await s.event(past), { status: 'in_process', redrivenBy: null });
  });
}

const ALL_EVENTS = { type: null, status: null, outcome: null, cursor: null, limit: 100, scanMax: 1_000 };

interface Wanted {
  readonly id?: string;
  readonly listener?: string;
  readonly idempotency?: AcceptCommand['idempotency'];
}

function create(s: Scene, type: string, wanted: Wanted = {}): Promise<SetRedriveResult> {
  const { id = s.newId(type), listener = null, idempotency = null } = wanted;
  return s.store.setRedrive({ kind: 'create', id, type, listener, wish: WISH, idempotency });
}

async function made(s: Scene, type: string): Promise<RedriveState> {
  const result = await create(s, type);
  if (result.kind !== 'set') throw new Error(`not made: ${result.kind}`);
  return result.redrive;
}

function advance(
  s: Scene,
  id: string,
  after: number,
  more: Partial<RedriveProgress>,
  status: 'running' | 'done' = 'running',
): Promise<SetRedriveResult> {
  return s.store.setRedrive({ kind: 'advance', id, after, status, progress: { ...NO_PROGRESS, ...more } });
}

async function jobs(s: Scene, type: string, which: 'all' | 'running' = 'all'): Promise<RedriveState[]> {
  const found = await s.store.readRedrives(s.partitionOf(type), which);
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** An event that has failed. */
async function ended(s: Scene, type: string): Promise<string> {
  const id = await s.accept(type);
  await s.fail(await s.lease(type));
  return id;
}

async function archive(s: Scene, type: string, slot: number): Promise<void> {
  const { pos } = (await s.outbox(type)).sort((a, b) => comparePositions(a.pos, b.pos)).at(-1)!;
  await s.store.markArchived(s.partitionOf(type), pos, slot);
}
