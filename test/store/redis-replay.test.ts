/** What a log is replayed in: events that are whole in one piece are written at once, and the store comes to hold the same. */
import { randomUUID } from 'node:crypto';
import t from 'tap';
import { makeEventId } from '../../src/event/id.js';
import type { Accepted, Completed, Granted, KeptRecord, LogRecord } from '../../src/event/record.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { wholeEventsOf } from '../../src/store/redis/whole-events.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { RedisHarness } from '../support/redis-harness.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';
import { compareReplays } from './random-replays.js';

let server: RedisServer;

t.before(async () => {
  server = await startRedisServer(['--appendonly', 'no']);
});

t.teardown(() => server.stop());

t.test('what a log is cut into makes no difference to what a store comes to hold (S8)', async (t) => {
  const harness = new RedisHarness(server.url, { partitions: 1 });
  t.teardown(() => harness.close());
  await compareReplays(harness, { runs: 60, seed: Number(process.env['SEED'] ?? 1), msMax: 15_000 });
});

t.test('an event is not written at once over what another has brought of it', async (t) => {
  const prefix = randomUUID();
  const fixed = { url: server.url, prefix, partitions: 1, policy: POLICY, limits: LIMITS };
  const [one, two] = [await RedisStore.open(fixed), await RedisStore.open(fixed)];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  const log = plainLog();
  const end = { pos: log.at(-1)!.pos, slot: 1 };
  await one.beginRecovery(0, 1);
  // It knows that the store has nothing, and does not look again.
  await one.replay(0, 1, [], { pos: { view: 1, n: 0 }, slot: 0 });
  await two.replay(0, 1, log.slice(0, 2), { pos: log[1]!.pos, slot: 1 });
  await t.rejects(one.replay(0, 1, log, end), /MISFIT record 1-4/);

  await one.beginRecovery(0, 2);
  t.equal(await one.replay(0, 2, log, end), true);
  await one.finishRecovery(0, 2, one.logId, 2);
  t.match(await one.read(log[1]!.id!), { status: 'complete', outcome: 'success', attempts: 1, version: 3 });
});

t.test(
  'what comes behind records that do not fit is not applied, also when it was on its way already',
  async (t) => {
    const fixed = { url: server.url, prefix: randomUUID(), partitions: 1, policy: POLICY, limits: LIMITS };
    const store = await RedisStore.open(fixed);
    t.teardown(() => store.close());
    const log = plainLog();
    const [type, accepted, granted, completed] = log;
    const end = { pos: completed!.pos, slot: 1 };
    await store.beginRecovery(0, 1);
    const first = store.replay(0, 1, [type!, granted!], { pos: granted!.pos, slot: 0 });
    const second = store.replay(0, 1, [{ ...type!, pos: { view: 1, n: 9 } }], end);
    await t.rejects(first, /MISFIT record 1-3/);
    await t.rejects(second, /MISFIT record 1-3/);
    t.strictSame((await store.standing(0)).last, type!.pos);

    await store.beginRecovery(0, 2);
    t.equal(await store.replay(0, 2, [accepted!, granted!, completed!], end), true, 'a new one goes through');
  },
);

/** A type, and one event of it that is accepted, leased and completed. */
function plainLog(): (LogRecord & { readonly id?: string })[] {
  const at = Date.now() - 60_000;
  const of = { at, id: makeEventId(at, 0), type: 'mail' };
  const lease = { ...of, listener: 0, grant: 1 };
  const given = { attempt: 1, token: 'token', worker: null, expiresAt: at + 1, call: 'call', claim: 1 };
  const said = { outcome: 'success', reason: null, fingerprint: 'print' } as const;
  const payload = Buffer.from('{}\nbody');
  return [
    { op: 'typeSet', pos: { view: 1, n: 1 }, at, type: 'mail', ordinal: 0, version: 0 },
    { op: 'accepted', pos: { view: 1, n: 2 }, ...of, dueAt: at, idempotency: null, payload },
    { op: 'granted', pos: { view: 1, n: 3 }, ...lease, ...given },
    { op: 'completed', pos: { view: 1, n: 4 }, ...lease, ...said, payload },
  ];
}

t.test('only what is plain is written at once', async (t) => {
  const known = { now: Date.now(), last: null };
  const [type, accepted, granted, completed] = plainLog() as [LogRecord, Accepted, Granted, Completed];
  const isWhole = (...records: KeptRecord[]) => wholeEventsOf(records, known).some((each) => each !== null);
  t.ok(isWhole(type, accepted, granted, completed));
  t.ok(
    isWhole({ ...accepted, idempotency: { scope: 's', fingerprint: 'f', expiresAt: 1 } }, granted, completed),
  );

  const of = { pos: { view: 1, n: 9 }, at: 1, id: accepted.id, type: 'mail', listener: 0, grant: 1 };
  const declared = { ordinal: 0, name: 'bills', responder: true, filter: null };
  const notPlain: Record<string, readonly KeptRecord[]> = {
    'it is not all there': [accepted, granted],
    'its beginning is not there': [granted, completed],
    'it has a deadline': [{ ...accepted, deadlineAt: 1 }, granted, completed],
    'it is to be archived': [{ ...accepted, durability: 'archive' }, granted, completed],
    'it is in a cascade': [{ ...accepted, parent: 'p', root: 'r' }, granted, completed],
    'it has a key': [{ ...accepted, key: 'k' }, granted, completed],
    'listeners are declared': [{ ...accepted, listeners: [0] }, granted, completed],
    'a field that nobody knows': [{ ...accepted, more: 1 } as Accepted, granted, completed],
    'its lease may last': [accepted, { ...granted, expiresAt: known.now + 1 }, completed],
    'it emits': [accepted, granted, { ...completed, emitted: ['child'] }],
    'a late word': [
      accepted,
      granted,
      completed,
      { op: 'late', ...of, fingerprint: 'f', payload: Buffer.from('') },
    ],
    'a lease was handed back': [
      accepted,
      granted,
      { op: 'handedBack', ...of },
      { ...granted, grant: 2 },
      completed,
    ],
    'it was pruned': [accepted, granted, completed, { op: 'pruned', ...of, index: 1 }],
    'listeners of its type are declared meanwhile': [
      accepted,
      { op: 'listenerSet', pos: of.pos, at: 1, type: 'mail', ...declared },
      granted,
      completed,
    ],
  };
  for (const [why, records] of Object.entries(notPlain)) t.notOk(isWhole(...records), why);
  t.notOk(wholeEventsOf([accepted, granted, completed], { ...known, last: accepted.pos })[0], 'it is known');
});
