/** Listeners that begin with the past: each past event once, and each live one once, whatever happens in between. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Lease } from '../../src/event/command.js';
import { makeEventId } from '../../src/event/id.js';
import { Archiver } from '../../src/log/archiver.js';
import { PastEvents } from '../../src/log/past.js';
import { Beginner } from '../../src/maintenance/beginner.js';
import { Pruner } from '../../src/maintenance/pruner.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Store } from '../../src/store/store.js';
import { completionOf, envelopeOf, LIMITS, POLICY } from '../contract/store/scene.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { openGate } from '../support/open-gate.js';
import { startRedisServer } from '../support/redis-server.js';

const quiet = pino({ level: 'silent' });
const TYPE = 'mail';

class Bench {
  readonly blobs = new MemoryBlobs();
  #calls = 0;

  constructor(readonly store: Store) {}

  async accept(count: number, type = TYPE): Promise<string[]> {
    const ids: string[] = [];
    for (let made = 0; made < count; made += 1) {
      const id = makeEventId(Date.now(), 0);
      const envelope = envelopeOf(`body ${id}`);
      await this.store.accept([{ id, type, envelope, delayMs: 0, idempotency: null }]);
      ids.push(id);
    }
    return ids;
  }

  async lease(listener: string, max: number): Promise<Lease[]> {
    this.#calls += 1;
    const tokens = Array.from({ length: max }, (_, k) => `${this.#calls} ${k}`);
    const about = { types: [TYPE], listener, bytesMax: 1 << 20, leaseMs: null, worker: null };
    const result = await this.store.lease({ ...about, max, call: tokens[0]!, tokens });
    if (result.kind !== 'leased') throw new Error(result.kind);
    return [...result.leases];
  }

  async completeAll(listener: string): Promise<Lease[]> {
    const all: Lease[] = [];
    for (let some = await this.lease(listener, 50); some.length > 0; some = await this.lease(listener, 50)) {
      await this.store.complete(some.map((lease) => completionOf(lease)));
      all.push(...some);
    }
    return all;
  }

  async archive(): Promise<void> {
    const { logId, partitions } = this.store;
    const archiver = new Archiver({
      blobs: this.blobs,
      outbox: this.store,
      logId,
      partition: 0,
      partitions,
      writer: 'w',
      archiveIntervalMs: 1_000,
      report: () => {},
    });
    await archiver.start();
    await archiver.stop(10_000);
  }

  /** Another each time, as after a restart. */
  beginner(intervalMs = 60_000): Beginner {
    const past = new PastEvents({ blobs: this.blobs, store: this.store, cacheBytesMax: 1 << 20 });
    const isPast = async (id: string) => (await past.read(id)) !== null;
    return new Beginner(this.store, this.blobs, { intervalMs, archives: () => true, isPast }, quiet);
  }

  async pruneAll(): Promise<number> {
    const options = { retentionMs: 0, intervalMs: 60_000, archives: () => true };
    return new Pruner(this.store, this.blobs, options, quiet).round();
  }

  async job() {
    const jobs = await this.store.readRedrives(0, 'all');
    return jobs.find(({ wish }) => wish.filter === 'taken')!;
  }

  begin(name: string, more = {}) {
    const listener = { name, responder: false, filter: null, ...more };
    return this.store.setListener({ type: TYPE, listener, beginning: { id: makeEventId(Date.now(), 0) } });
  }
}

async function pastOf(bench: Bench, leases: readonly Lease[]): Promise<(string | null)[]> {
  const ids: (string | null)[] = [];
  for (const { event } of leases) {
    const view = await bench.store.read(event.id);
    if (typeof view !== 'object' || view === null) throw new Error('not known');
    ids.push(view.redriveOf);
  }
  return ids;
}

async function behaves(t: Test, store: Store): Promise<void> {
  const bench = new Bench(store);
  const gone = await bench.accept(4);
  t.equal((await bench.completeAll('default')).length, 4);
  await bench.archive();
  t.equal(await bench.pruneAll(), 4, 'what only the log has');
  const held = await bench.accept(3);
  await bench.completeAll('default');
  const open = await bench.accept(2);
  await bench.accept(2, 'other');
  const before = await bench.store.read(held[0]!);

  t.match(await bench.begin('search'), { kind: 'set', created: true });
  t.match(await bench.begin('search'), { kind: 'set', created: false }, 'again, there is no second job');
  t.equal((await bench.store.readRedrives(0, 'all')).length, 1);
  const live = await bench.accept(2);
  t.equal(await bench.beginner().round(), 0 + gone.length, 'as far as the log goes');
  t.match(await bench.job(), { status: 'running', progress: { sent: 4 } });
  await bench.archive();

  // A few at a time, each by another process, and two at once.
  for (let round = 0; round < 10 && (await bench.job()).status === 'running'; round += 1)
    await Promise.all([bench.beginner(2).round(), bench.beginner(2).round()]);
  t.match(await bench.job(), { status: 'done', progress: { sent: 9, matched: 9, problem: null } });

  const leases = await bench.lease('search', 50);
  const past = await pastOf(bench, leases);
  t.same(
    past.filter((id) => id !== null),
    [...gone, ...held, ...open],
    'each past event once, in order',
  );
  t.same(
    leases.map(({ event }) => event.id).filter((_, k) => past[k] === null),
    live,
    'each live one once',
  );
  const bodies = leases.map(({ event }) => Buffer.from(event.envelope).toString());
  t.ok(
    [...gone, ...held, ...open].every((id) => bodies.some((body) => body.includes(id))),
    'byte for byte',
  );
  t.match(
    await bench.store.read(held[0]!),
    { ...(before as object), redrivenBy: String },
    'the old ones are as they were',
  );
  await bench.store.complete(leases.map((lease) => completionOf(lease)));
  t.equal((await bench.completeAll('default')).length, 4, 'nobody else gets them');
}

async function filters(t: Test, store: Store): Promise<void> {
  const bench = new Bench(store);
  await bench.accept(3);
  await bench.completeAll('default');
  await bench.begin('picky', { filter: { method: ['DELETE'] } });
  await bench.archive();
  t.equal(await bench.beginner().round(), 0);
  t.match(await bench.job(), { status: 'done', progress: { sent: 0 } }, 'its filter holds for the past too');

  await bench.begin('brief');
  await store.deleteListener(TYPE, 'brief');
  await store.setListener({ type: TYPE, listener: { name: 'brief', responder: false, filter: null } });
  await bench.archive();
  t.equal(await bench.beginner().round(), 0, 'another listener of the same name has not asked for the past');
  const jobs = await store.readRedrives(0, 'all');
  t.match(
    jobs.find(({ wish }) => wish.listener?.name === 'brief'),
    { status: 'failed', progress: { problem: 'The listener has been deleted.' } },
  );
}

async function firstOfAll(t: Test, store: Store): Promise<void> {
  const bench = new Bench(store);
  const waiting = await bench.accept(3);
  await bench.begin('first');
  await bench.archive();
  t.equal(await bench.beginner().round(), 0, 'what has waited is its own already');
  t.same(
    (await bench.lease('first', 10)).map(({ event }) => event.id),
    waiting,
  );
}

async function full(t: Test, store: Store): Promise<void> {
  const bench = new Bench(store);
  await bench.accept(4);
  await bench.completeAll('default');
  await store.setType({ kind: 'declare', type: TYPE, policy: { maxPending: 3 }, ifVersion: null });
  await bench.begin('slow');
  await bench.archive();
  t.equal(await bench.beginner().round(), 3);
  t.match(await bench.job(), { status: 'running', progress: { sent: 3, waiting: 'too-many-pending' } });
  t.equal(await bench.beginner().round(), 0);
  t.equal((await bench.completeAll('slow')).length, 3);
  t.equal(await bench.beginner().round(), 1);
  t.match(await bench.job(), { status: 'done', progress: { sent: 4, waiting: null } });
}

const CASES = {
  'past events and live ones come once each': behaves,
  'what its filter does not match does not come, and nothing for one that is gone': filters,
  'the first listener of a type is given nothing twice': firstOfAll,
  'what may not be taken now waits': full,
};

t.test('on the embedded store', async (t) => {
  for (const [name, run] of Object.entries(CASES))
    await t.test(name, async (t) => {
      const dir = await mkdtemp(join(tmpdir(), 'clockwork-beginner-'));
      const store = await openGate(await EmbeddedStore.open({ dir, policy: POLICY, limits: LIMITS }));
      t.teardown(async () => {
        await store.close();
        await rm(dir, { recursive: true });
      });
      await run(t, store);
    });
});

t.test('on Redis', async (t) => {
  const server = await startRedisServer(['--appendonly', 'no']);
  t.teardown(() => server.stop());
  let made = 0;
  for (const [name, run] of Object.entries(CASES))
    await t.test(name, async (t) => {
      made += 1;
      const store = await RedisStore.open({
        url: server.url,
        prefix: `beginner-${made}`,
        partitions: 1,
        policy: POLICY,
        limits: LIMITS,
      });
      t.teardown(() => store.close());
      await run(t, await openGate(store));
    });
});
