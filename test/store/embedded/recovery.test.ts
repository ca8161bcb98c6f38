/** The embedded store and its log: what a start takes from the log, and what it refuses. */

import fs from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BlobStore } from '../../../src/blob/blob.js';
import { FileBlobStore } from '../../../src/blob/file.js';
import { Archiver } from '../../../src/log/archiver.js';
import { digestOfStore } from '../../../src/log/digest.js';
import { findLogId } from '../../../src/log/identity.js';
import { LogReader } from '../../../src/log/reader.js';
import { EmbeddedStore } from '../../../src/store/embedded/embedded.js';
import type { Scene } from '../../contract/store/scene.js';
import { LIMITS, NOON, POLICY, Scene as SceneOf } from '../../contract/store/scene.js';
import { until } from '../../support/archiver-bench.js';
import { shown } from '../../support/shown.js';
import { tempFolder } from './folder.js';

const HOUR = 3_600_000;

interface Life {
  readonly scene: Scene;
  readonly store: EmbeddedStore;
  readonly archiver: Archiver;
  /** Archives what is left, and ends. */
  readonly end: () => Promise<void>;
}

/** A store with its archiver, as the service runs them, opened by the archiver. */
async function live(t: Test, root: string, blobs: BlobStore, now = NOON): Promise<Life> {
  let clock = now;
  const store = await EmbeddedStore.open({
    dir: join(root, 'store'),
    policy: POLICY,
    limits: LIMITS,
    now: () => clock,
    journalFileBytes: 16 << 10,
  });
  t.teardown(() => store.close());
  const archiver = new Archiver({
    blobs,
    outbox: store,
    recoverable: store,
    logId: (await findLogId(blobs, store)) ?? store.logId,
    partition: 0,
    partitions: 1,
    writer: 'a',
    archiveIntervalMs: 20,
    report: () => undefined,
  });
  archiver.start();
  t.teardown(() => archiver.stop(0));
  const options = { policy: POLICY, limits: LIMITS, startsAt: now };
  const set = (ms: number) => {
    clock = ms;
  };
  const opened = { store, clock: { set }, reopen: async () => store, close: async () => undefined };
  await until('open', () => archiver.status().state === 'running');
  const end = async () => {
    t.equal(await archiver.stop(20_000), true);
    await store.close();
  };
  return { scene: new SceneOf(options, opened), store, archiver, end };
}

/** Everything that a client or a listener could ask, in an order of its own. */
async function factsOf(store: EmbeddedStore): Promise<unknown[]> {
  const page = await store.list({
    type: null,
    status: null,
    outcome: null,
    cursor: null,
    limit: 1_000,
    scanMax: 10_000,
  });
  if (page.kind !== 'page') throw new Error(page.kind);
  return Promise.all(
    page.events.map(async ({ id }) => [
      await store.read(id),
      await store.readRequest(id),
      shown(await store.readAttempts(id)).map(({ expiresAt: _, ...attempt }) => attempt),
    ]),
  );
}

async function headersOf(blobs: BlobStore, logId: string) {
  const headers = [];
  for await (const { header } of new LogReader(blobs, { logId, partitions: 1 }).segments(0))
    headers.push(header);
  return headers;
}

const losses: [string, (root: string) => void][] = [
  ['the journal', (root) => removeMatching(join(root, 'store'), /^journal-/)],
  ['the whole folder', (root) => fs.rmSync(join(root, 'store'), { recursive: true })],
];

function removeMatching(dir: string, pattern: RegExp): void {
  for (const name of fs.readdirSync(dir)) if (pattern.test(name)) fs.rmSync(join(dir, name));
}

for (const [what, lose] of losses) {
  t.test(`${what} is lost and the log kept: all that was archived is there again`, async (t) => {
    const root = tempFolder(t);
    const blobs = new FileBlobStore(join(root, 'log'));
    const first = await live(t, root, blobs);
    const ids = await first.scene.acceptMany('mail', 3);
    const again = { idempotency: { scope: 's', fingerprint: 'f' } };
    const keyed = await first.scene.accept('mail', again);
    const [one, two] = await first.scene.leaseAll('mail', { max: 2 });
    await first.scene.complete(one!);
    const { logId } = first.store;
    await until('archived', () => first.archiver.status().position !== null);
    const before = await factsOf(first.store);
    const digest = await digestOfStore(first.store);
    await first.end();

    lose(root);
    const second = await live(t, root, blobs);
    t.equal(second.store.logId, logId, 'it is the same log');
    t.same(await factsOf(second.store), before);
    t.equal(await digestOfStore(second.store), digest);
    t.match(await second.scene.tryAccept('mail', again), { kind: 'duplicate', id: keyed });
    t.match(await second.scene.complete(two!), { kind: 'completed' }, 'a lease from before is good');
    const { position } = await second.scene.event(await second.scene.accept('mail'));
    t.equal(position.view, 2);
    t.equal((await second.scene.event(ids[2]!)).status, 'pending');
    await second.end();
    const views = (await headersOf(blobs, logId)).map(({ kind, view }) => `${kind} ${view}`);
    t.same(
      views.filter((each) => each.startsWith('fence')),
      ['fence 1', 'fence 2'],
    );

    const third = await live(t, root, blobs);
    t.equal((await factsOf(third.store)).length, before.length + 1);
    await third.end();
  });
}

t.test('until the store has caught up with the log nothing is said of any event (S1)', async (t) => {
  const root = tempFolder(t);
  const blobs = new FileBlobStore(join(root, 'log'));
  const first = await live(t, root, blobs);
  const id = await first.scene.accept('mail');
  await first.end();
  const store = await EmbeddedStore.open({ dir: join(root, 'store'), policy: POLICY, limits: LIMITS });
  t.teardown(() => store.close());
  const recovering = { name: 'StoreError', failure: 'recovering' };
  await t.rejects(store.read(id), recovering);
  await t.rejects(store.read('0193f1d2-7c3a-7000-8000-000000000001'), recovering);
  await t.rejects(store.readOutbox(0, null, { records: 1, bytes: 1 }), recovering);
  t.match(await store.health(), { ready: false, notes: [/caught up with the log/] });
  t.match(await store.standing(0), { open: false, view: 1, recovering: 0 });
  t.equal(await store.holdArchiving(0, 'a', HOUR), true);
});

t.test('a store that a copy of it has superseded says nothing any more (S1, S9)', async (t) => {
  const [root, copy] = [tempFolder(t), tempFolder(t)];
  const blobs = new FileBlobStore(join(root, 'log'));
  const first = await live(t, root, blobs);
  const id = await first.scene.accept('mail');
  await until('archived', () => first.archiver.status().position !== null);
  const filter = (path: string) => !path.endsWith('.sock');
  fs.cpSync(join(root, 'store'), join(copy, 'store'), { recursive: true, filter });
  const second = await live(t, copy, blobs);
  await first.scene.accept('mail');
  await until('fenced', () => first.archiver.status().state === 'fenced');
  await t.rejects(first.store.read(id), { name: 'StoreError', failure: 'recovering' });
  t.match(await first.store.health(), { ready: false, notes: [/gone on with another store/] });
  t.match(await first.store.standing(0), { open: true, view: 1 });
  t.match(await second.store.read(id), { status: 'pending' });
});

t.test('a start after an orderly end reads no segment', async (t) => {
  const root = tempFolder(t);
  const blobs = new FileBlobStore(join(root, 'log'));
  const first = await live(t, root, blobs);
  await first.scene.acceptMany('mail', 3);
  await first.end();
  let gets = 0;
  const counting = new Proxy(blobs, {
    get(target, name) {
      if (name === 'get') gets++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const second = await live(t, root, counting);
  t.equal(gets, 2, 'but the first, which says whose log it is, and the last');
  await second.end();
});

t.test('a store and a log that do not belong together are told apart, by name', async (t) => {
  const [here, there] = [tempFolder(t), tempFolder(t)];
  const blobs = new FileBlobStore(join(here, 'log'));
  const others = new FileBlobStore(join(there, 'log'));
  for (const [root, place] of [
    [here, blobs],
    [there, others],
  ] as const) {
    const life = await live(t, root, place);
    await life.scene.accept('mail');
    await life.end();
  }
  const store = await EmbeddedStore.open({ dir: join(here, 'store'), policy: POLICY, limits: LIMITS });
  t.teardown(() => store.close());
  const mismatch = { name: 'LogMismatchError' };
  await t.rejects(findLogId(others, store), {
    ...mismatch,
    message: /has log .*, and the store belongs to log/,
  });
  const none = new FileBlobStore(join(tempFolder(t), 'log'));
  await t.rejects(findLogId(none, store), {
    ...mismatch,
    message: /the store has archived .* has none of them/,
  });
});

t.test(
  'what comes behind records that do not fit is not taken in, also when it was asked for already',
  async (t) => {
    const dir = join(tempFolder(t), 'store');
    const store = await EmbeddedStore.open({ dir, policy: POLICY, limits: LIMITS });
    t.teardown(() => store.close());
    const at = NOON;
    const type = { op: 'typeSet', at, type: 'mail', ordinal: 0, version: 0 } as const;
    const strange = { op: 'cancelled', pos: { view: 1, n: 2 }, at, id: 'nobody', type: 'mail' } as const;
    await store.beginRecovery(0, 1);
    const lots = [[{ ...type, pos: { view: 1, n: 1 } }, strange], [{ ...type, pos: { view: 1, n: 3 } }]];
    const [first, second] = lots.map((records) =>
      store.replay(0, 1, records, { pos: records.at(-1)!.pos, slot: 1 }),
    );
    await t.rejects(first!, /not there: nobody/);
    await t.rejects(second!, /not there: nobody/);
    await t.rejects(store.finishRecovery(0, 1, store.logId, 2), 'nor is the store taken for whole');
    await store.beginRecovery(0, 2);
    t.equal(await store.empty(0, 2), true, 'a new one goes through');
    t.equal(await store.replay(0, 2, lots[1]!, { pos: { view: 1, n: 3 }, slot: 1 }), true);
  },
);
