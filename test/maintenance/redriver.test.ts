/** Redrives at work: what they find, that they send it once, and at their rate. */
import t from 'tap';
import { makeEventId } from '../../src/event/id.js';
import { raiseFloor } from '../../src/log/floor.js';
import { completionOf, envelopeOf } from '../contract/store/scene.js';
import { LOG_ID } from '../support/records.js';
import { RedriveWorld } from '../support/redrive-world.js';

const of = (again: readonly { readonly of: string }[]) => again.map((each) => each.of);

t.test('dead letters are sent again, each once, in their order and byte for byte', async (t) => {
  const w = new RedriveWorld();
  const dead = await w.ended(30);
  await w.ended(5, 'fail');
  await w.ended(5, 'success');
  const id = await w.make();
  const job = await w.run(id);
  t.match(job, { status: 'done', progress: { matched: 30, sent: 30, requestGone: 0, problem: null } });
  t.same(of(await w.again()), dead);
  for (const each of await w.again())
    t.same(await w.store.readRequest(each.id), await w.store.readRequest(each.of));
  t.equal((await w.lease(100)).length, 30);
});

t.test(
  'the filter says which, and nobody is asked about what was cancelled unless all are wanted',
  async (t) => {
    const w = new RedriveWorld();
    const dead = await w.ended(2);
    const failed = await w.ended(2, 'fail');
    const done = await w.ended(2, 'success');
    const cancelled = await w.ended(2, 'cancelled');
    t.match(await w.run(await w.make({ filter: 'failed', dryRun: true })), {
      progress: { matched: 4, sent: 0 },
    });
    t.same(await w.again(), [], 'a dry run sends nothing');
    await w.run(await w.make({ filter: 'failed' }));
    t.same(of(await w.again()), [...dead, ...failed]);
    const all = await w.run(await w.make({ filter: 'any' }));
    t.equal(all.progress.sent, 8, 'what the other job has sent is not complete');
    t.same(of(await w.again()).slice(4), [...dead, ...failed, ...done, ...cancelled]);
  },
);

t.test('times are those at which the events ended', async (t) => {
  const w = new RedriveWorld();
  await w.ended(1);
  const from = w.store.now! + 1_000;
  w.store.now = from;
  const [second] = await w.ended(1);
  w.store.now = from + 1_000;
  await w.ended(1);
  await w.run(await w.make({ from, to: from + 1_000 }));
  t.same(of(await w.again()), [second]);
});

t.test('only what was recorded before the job was made', async (t) => {
  const w = new RedriveWorld();
  const early = await w.ended(3);
  const id = await w.make({ ratePerSecond: 1 });
  await w.run(id, 1);
  await w.ended(3);
  t.match(await w.run(id), { status: 'done', progress: { matched: 3 } });
  t.same(of(await w.again()), early);
});

t.test('a job waits until the log has all that it is about', async (t) => {
  const w = new RedriveWorld();
  await w.ended(2);
  const { store } = w;
  const id = makeEventId(store.now!, 0);
  const wish = { filter: 'dead', from: null, to: null, dryRun: false, ratePerSecond: 100 } as const;
  await store.setRedrive({ kind: 'create', id, type: 'mail', listener: null, wish, idempotency: null });
  t.match(await w.run(id, 20), { status: 'running', progress: { sent: 2 } });
  await w.archive();
  t.match(await w.run(id, 3), { status: 'done', progress: { sent: 2 } });
});

t.test('the rate is kept', async (t) => {
  const w = new RedriveWorld();
  await w.ended(100);
  const id = await w.make({ ratePerSecond: 20 });
  const counts: number[] = [];
  for (let second = 0; second < 4; second += 1) {
    for (let k = 0; k < 10; k += 1) {
      await w.redriver.pass();
      w.clock.advance(100);
    }
    counts.push((await w.again()).length);
  }
  t.same(counts, [19, 39, 59, 79]);
  t.equal((await w.job(id)).status, 'running');
});

t.test('what could not be sent for a while is not made up for', async (t) => {
  const w = new RedriveWorld();
  await w.ended(100);
  await w.make({ ratePerSecond: 20 });
  await w.redriver.pass();
  w.clock.advance(60_000);
  await w.redriver.pass();
  t.equal((await w.again()).length, 1 + 5);
});

t.test('a restart in the middle doubles none and loses none', async (t) => {
  const w = new RedriveWorld();
  const dead = await w.ended(250);
  const id = await w.make({ ratePerSecond: 1_000 });
  let sent = 0;
  for (let k = 0; k < 40 && (await w.job(id)).status === 'running'; k += 1) {
    // Nothing is noted by the one that goes.
    w.redriver = w.another();
    for (let step = 0; step < 6; step += 1) {
      await w.redriver.pass();
      w.clock.advance(30);
    }
    sent = (await w.again()).length;
  }
  t.equal(sent, 250);
  t.same(of(await w.again()), dead);
  t.match(await w.job(id), { status: 'done', progress: { matched: 250, sent: 250 } });
});

t.test('two that work on one job at the same time send each event once', async (t) => {
  const w = new RedriveWorld();
  const dead = await w.ended(250);
  const id = await w.make({ ratePerSecond: 1_000 });
  const other = w.another();
  for (let k = 0; k < 40 && (await w.job(id)).status === 'running'; k += 1) {
    await Promise.all([w.redriver.pass(), other.pass()]);
    w.clock.advance(100);
  }
  t.same([...of(await w.again())].sort(), [...dead].sort());
  t.match(await w.job(id), { status: 'done', progress: { matched: 250, sent: 250 } });
});

t.test('what had been sent, and has left since, is not sent again after a restart', async (t) => {
  const w = new RedriveWorld();
  await w.ended(5);
  const id = await w.make({ ratePerSecond: 1 });
  await w.redriver.pass();
  t.equal((await w.again()).length, 1);
  await w.archive();
  const [lease] = await w.lease(1);
  await w.store.complete([completionOf(lease!)]);
  await w.archive();
  await w.prune();
  t.same(await w.again(), []);
  w.redriver = w.another();
  await w.redriver.pass();
  t.same(await w.again(), [], 'it is known to have been sent');
  t.match(await w.run(id), { status: 'done', progress: { matched: 5, sent: 5 } });
  t.equal((await w.again()).length, 4);
});

t.test(
  'events that have left the store are sent as the log has them, with what they were promised',
  async (t) => {
    const w = new RedriveWorld();
    const past = await w.ended(3, 'dead', { durability: 'archive' });
    const envelopes = await Promise.all(past.map((id) => w.store.readRequest(id)));
    t.equal(await w.prune(), 3);
    t.match(await w.run(await w.make()), { status: 'done', progress: { sent: 3 } });
    const records = await w.store.readOutbox(0, null, { records: 1_000, bytes: 1 << 24 });
    const accepted = records.filter((record) => record.op === 'accepted');
    t.same(
      accepted.map(({ redriveOf, durability, payload }) => [redriveOf, durability, Buffer.from(payload)]),
      past.map((id, index) => [id, 'archive', Buffer.from(envelopes[index] as Uint8Array)]),
    );
  },
);

t.test('a job waits while there may be no more of the type, and goes on', async (t) => {
  const w = new RedriveWorld();
  await w.ended(10);
  await w.store.setType({
    kind: 'declare',
    type: 'mail',
    policy: { maxPending: 4, attemptsMax: 1 },
    ifVersion: null,
  });
  const id = await w.make();
  t.match(await w.run(id, 20), { status: 'running', progress: { sent: 4, waiting: 'too-many-pending' } });
  t.equal((await w.again()).length, 4, 'not one too many');
  for (let k = 0; k < 3; k += 1) {
    for (const lease of await w.lease(4)) await w.store.complete([completionOf(lease)]);
    await w.run(id, 20);
  }
  t.match(await w.job(id), { status: 'done', progress: { sent: 10, waiting: null } });
});

t.test('a job for one listener speaks of its deliveries, and sends to it alone', async (t) => {
  const w = new RedriveWorld();
  for (const name of ['first', 'second'])
    await w.store.setListener({ type: 'mail', listener: { name, responder: false, filter: null } });
  const ids = [0, 1, 2].map((k) => makeEventId(w.store.now! + k, 0));
  for (const id of ids)
    await w.store.accept([{ id, type: 'mail', envelope: envelopeOf(id), delayMs: 0, idempotency: null }]);
  for (const lease of await w.lease(3, 'first')) await w.store.complete([completionOf(lease)]);
  const leases = await w.lease(3, 'second');
  await w.store.complete([
    completionOf(leases[0]!, { outcome: 'fail', retry: { kind: 'policy' } }),
    completionOf(leases[1]!, { outcome: 'fail' }),
    completionOf(leases[2]!),
  ]);
  await w.archive();
  t.match(await w.run(await w.make({ dryRun: true })), { progress: { matched: 0 } }, 'no event is dead');
  await w.run(await w.make({}, 'second'));
  t.same(of(await w.again()), [ids[0]]);
  t.same(await w.lease(5, 'first'), []);
  t.equal((await w.lease(5, 'second')).length, 1);
  t.match(await w.run(await w.make({ filter: 'failed', dryRun: true }, 'second')), {
    progress: { matched: 2 },
  });
  t.match(await w.run(await w.make({ filter: 'any', dryRun: true }, 'second')), { progress: { matched: 3 } });
});

t.test('a job whose listener is deleted fails, and says why', async (t) => {
  const w = new RedriveWorld();
  await w.store.setListener({ type: 'mail', listener: { name: 'default', responder: false, filter: null } });
  await w.store.setListener({ type: 'mail', listener: { name: 'other', responder: false, filter: null } });
  const id = makeEventId(w.store.now!, 0);
  await w.store.accept([{ id, type: 'mail', envelope: envelopeOf(id), delayMs: 0, idempotency: null }]);
  for (const lease of await w.lease(1)) await w.store.complete([completionOf(lease)]);
  const job = await w.make({ filter: 'any' }, 'other');
  await w.store.deleteListener('mail', 'other');
  t.match(await w.run(job), {
    status: 'failed',
    progress: { sent: 0, problem: 'The listener "other" was deleted.' },
  });
});

t.test('what was sent until a job was cancelled is told with it', async (t) => {
  const w = new RedriveWorld();
  await w.ended(50);
  const id = await w.make({ ratePerSecond: 10 });
  await w.run(id, 5);
  await w.store.setRedrive({ kind: 'cancel', id });
  await w.redriver.pass();
  const sent = (await w.again()).length;
  t.match(await w.job(id), { status: 'cancelled', progress: { sent } });
  w.clock.advance(10_000);
  await w.redriver.pass();
  t.equal((await w.again()).length, sent);
});

t.test('where the old end of the log has been deleted, a job begins behind it and says so', async (t) => {
  const w = new RedriveWorld();
  await w.ended(2);
  w.store.now = w.store.now! + 1_000;
  const late = await w.ended(2);
  await raiseFloor(w.blobs, { logId: LOG_ID, partition: 0 }, 3);
  const job = await w.run(await w.make());
  t.match(job, { status: 'done', progress: { sent: 2, logBeginsAt: w.store.now } });
  t.same(of(await w.again()), late);
});

t.test('a log that is damaged ends a job, which says where', async (t) => {
  const w = new RedriveWorld();
  await w.ended(2);
  const id = await w.make();
  const [key] = [...w.blobs.objects.keys()];
  w.blobs.objects.set(key!, Buffer.from('nonsense'));
  t.match(await w.run(id), { status: 'failed', progress: { problem: new RegExp(key!) } });
});
