/** What the embedded store does beside the contract: its folder, its lock, its syncs, its budget, its snapshots. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isTimeToCompact, type Measured } from '../../../src/store/embedded/compactor.js';
import { EmbeddedStore } from '../../../src/store/embedded/embedded.js';
import { type Files, nodeFiles } from '../../../src/store/embedded/files.js';
import { FolderError, readContents } from '../../../src/store/embedded/folder.js';
import { envelopeOf, LIMITS, NOON, POLICY } from '../../contract/store/scene.js';
import { openGate } from '../../support/open-gate.js';
import { liveThrough, openScene, readFolder, tempFolder } from './folder.js';

const OPTIONS = { policy: POLICY, limits: LIMITS };
const MODULE = new URL('../../../src/store/embedded/embedded.js', import.meta.url).href;

/** Another process that opens the folder and stays. */
async function holder(t: Parameters<typeof tempFolder>[0], dir: string): Promise<ChildProcess> {
  const options = JSON.stringify({ ...OPTIONS, dir });
  const script = `
    import { EmbeddedStore } from ${JSON.stringify(MODULE)};
    await EmbeddedStore.open(${options});
    process.stdout.write('open');
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout!, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

t.test('the lock', async (t) => {
  await t.test(
    'a folder that is open in this process is refused, and free after it was closed',
    async (t) => {
      const dir = tempFolder(t);
      const store = await EmbeddedStore.open({ dir, ...OPTIONS });
      const refusal = {
        name: 'FolderError',
        message: `${dir}: in use by process ${process.pid}; a data folder serves one process at a time`,
      };
      await t.rejects(EmbeddedStore.open({ dir, ...OPTIONS }), refusal);
      await store.close();
      await store.close();
      await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
      t.same(
        fs.readdirSync(dir).filter((name) => name.endsWith('.sock')),
        [],
      );
    },
  );

  await t.test(
    'a folder that another process has is refused by its number, however busy that is',
    async (t) => {
      const dir = tempFolder(t);
      const child = await holder(t, dir);
      const refusal = {
        message: `${dir}: in use by process ${child.pid}; a data folder serves one process at a time`,
      };
      await t.rejects(EmbeddedStore.open({ dir, ...OPTIONS }), refusal);
      child.kill('SIGSTOP');
      await t.rejects(EmbeddedStore.open({ dir, ...OPTIONS }), refusal);
      child.kill('SIGCONT');
      await kill(child);
    },
  );

  await t.test(
    'what a dead process has left is taken over at once, even when its number lives again (L3)',
    async (t) => {
      const dir = tempFolder(t);
      await kill(await holder(t, dir));
      const [left] = fs.readdirSync(dir).filter((name) => name.endsWith('.sock'));
      t.ok(left);
      // As in a container, where the next process has the same number.
      fs.renameSync(join(dir, left!), join(dir, left!.replace(/\d+/, String(process.pid))));
      await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
      t.same(
        fs.readdirSync(dir).filter((name) => name.endsWith('.sock')),
        [],
      );
    },
  );

  await t.test('of many that open at once at most one has the folder', async (t) => {
    const dir = tempFolder(t);
    const opened = await Promise.allSettled(
      Array.from({ length: 8 }, () => EmbeddedStore.open({ dir, ...OPTIONS })),
    );
    const stores = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    t.ok(stores.length <= 1);
    for (const each of opened) if (each.status === 'rejected') t.type(each.reason, FolderError);
    for (const store of stores) await store.close();
    await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
  });

  await t.test('a folder with a long path can be locked', async (t) => {
    const dir = join(tempFolder(t), 'a'.repeat(120), 'b'.repeat(120));
    await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
  });
});

t.test('the folder', async (t) => {
  await t.test('a store that starts again keeps its log id and takes a later view each time', async (t) => {
    const dir = tempFolder(t);
    const views = [];
    const logIds = new Set();
    for (let k = 0; k < 3; k += 1) {
      const s = await openScene(dir);
      views.push((await s.event(await s.accept('mail'))).position.view);
      logIds.add(s.store.logId);
      await s.store.close();
    }
    t.same(views, [1, 2, 3]);
    t.equal(logIds.size, 1);
  });

  await t.test('what was half made is cleared away', async (t) => {
    const dir = tempFolder(t);
    await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
    for (const name of ['snapshot-0000000000000009.tmp', 'journal-next.tmp'])
      fs.writeFileSync(join(dir, name), 'half');
    await (await EmbeddedStore.open({ dir, ...OPTIONS })).close();
    t.same(fs.readdirSync(dir).sort(), ['journal-0000000000000001', 'store.json']);
  });

  await t.test('a group larger than a journal file gets a file of its own size', async (t) => {
    const dir = tempFolder(t);
    const s = await openScene(dir, { journalFileBytes: 4 << 10 });
    const envelope = envelopeOf(Buffer.alloc(100_000, 'abc'));
    const ids = [];
    for (let k = 0; k < 3; k += 1) ids.push(await s.accept('mail', { envelope }), await s.accept('mail'));
    await s.reopen();
    for (const [k, id] of ids.entries()) {
      const kept = Buffer.from((await s.store.readRequest(id))!);
      t.equal(k % 2 === 0, kept.equals(envelope));
    }
    await s.store.close();
  });

  await t.test('closed journals are folded into snapshots, by a thread of their own, and go', async (t) => {
    const dir = tempFolder(t);
    const s = await openScene(dir, { journalFileBytes: 8 << 10, compactBytesMin: 16 << 10 });
    const ids: string[] = [];
    const untilAnother = async (work: () => Promise<unknown>) => {
      const before = readContents(dir).snapshots.at(-1) ?? 0;
      const endsAt = Date.now() + 60_000;
      while ((readContents(dir).snapshots.at(-1) ?? 0) === before) {
        if (Date.now() > endsAt) throw new Error('no snapshot came');
        await work();
      }
    };
    const fill = async () => ids.push(...(await s.acceptMany('mail', 3)));
    await fill();
    const lease = await s.lease('mail');
    const extend = () => s.store.extend({ ...lease, leaseMs: 60_000 });
    await untilAnother(extend);
    for (let k = 0; k < 20; k += 1) await fill();
    await untilAnother(extend);
    await s.complete(lease);
    await liveThrough(s, 2);
    t.match(await s.store.health(), { notes: [] });
    const shown = await Promise.all(ids.map((id) => s.event(id)));
    await s.reopen();
    t.ok(!fs.existsSync(join(dir, 'journal-0000000000000001')), 'what a snapshot stands for is gone');
    t.same(await Promise.all(ids.map((id) => s.event(id))), shown);
    // How many have come by then is a matter of how soon the snapshots were made.
    const waiting = shown.filter(({ status }) => status === 'pending').length;
    t.equal((await s.leaseAll('mail', { max: 100 })).length, Math.min(100, waiting));
    await s.store.close();
    t.equal(readFolder(dir).sequence, ids.length + 10);
  });

  await t.test(
    'it is time for that when half of what the files hold is dead, and they weigh something',
    (t) => {
      const MB = 1 << 20;
      const shown = { number: 7, bytes: 100 * MB, weight: 200 * MB };
      const isDue = (closedMb: number, weightMb: number, snapshot: Measured = shown) =>
        isTimeToCompact(snapshot, closedMb * MB, { weight: weightMb * MB, guess: 50 * MB }, 64 * MB);
      t.notOk(isDue(300, 800), 'four times as much, and all of it alive');
      t.notOk(isDue(99, 200));
      t.ok(isDue(100, 200), 'as much again, of what is over by now');
      t.ok(isDue(64, 100), 'half of what was alive is gone');
      t.notOk(isDue(63, 0), 'too little to bother');
      const none = { number: null, bytes: 0, weight: 0 };
      t.notOk(isDue(99, 200, none));
      t.ok(isDue(100, 200, none), 'twice what is alive by a guess, before the first one');
      t.end();
    },
  );

  await t.test(
    'while all is alive there is nothing to compact, also before any snapshot has shown it',
    async (t) => {
      const dir = tempFolder(t);
      const s = await openScene(dir, { journalFileBytes: 8 << 10, compactBytesMin: 16 << 10 });
      for (let k = 0; k < 100; k += 1)
        await s.accept('mail', { envelope: envelopeOf(Buffer.alloc(1_000, 'x')) });
      await s.store.close();
      const files = fs.readdirSync(dir);
      t.ok(files.filter((name) => name.startsWith('journal-')).length > 10);
      t.same(
        files.filter((name) => name.startsWith('snapshot-')),
        [],
      );
    },
  );

  await t.test('a compaction that fails is told of, and the store goes on', async (t) => {
    const dir = tempFolder(t);
    const s = await openScene(dir, { journalFileBytes: 4 << 10, compactBytesMin: 8 << 10 });
    // Nothing can be staged where a folder is in the way.
    for (let number = 2; number < 40; number += 1) {
      fs.mkdirSync(join(dir, `snapshot-${String(number).padStart(16, '0')}.tmp`, 'x'), { recursive: true });
    }
    await s.accept('mail');
    const lease = await s.lease('mail');
    const endsAt = Date.now() + 60_000;
    let notes: readonly string[] = [];
    while (notes.length === 0 && Date.now() < endsAt) {
      await s.store.extend({ ...lease, leaseMs: 60_000 });
      notes = (await s.store.health()).notes;
    }
    t.match(notes, [/compaction failed/]);
    t.match(await s.store.health(), { ready: true });
    await s.accept('mail');
    await s.store.close();
  });
});

t.test('the syncs', async (t) => {
  await t.test('calls that come together share one write and one sync', async (t) => {
    const disk = heldDisk();
    const s = await openScene(tempFolder(t), { files: disk });
    await s.acceptMany('mail', 1);
    const before = disk.syncs;
    await Promise.all(Array.from({ length: 200 }, () => s.accept('mail')));
    t.ok(disk.syncs - before <= 2, `${disk.syncs - before} syncs`);
    await s.store.close();
  });

  await t.test('nothing is answered, and nothing shown, before it is synced (S9)', async (t) => {
    const disk = heldDisk();
    const s = await openScene(tempFolder(t), { files: disk });
    const id = await s.accept('mail');
    const other = await s.accept('other');
    disk.hold();
    const order: string[] = [];
    const note = (what: string, promise: Promise<unknown>) => promise.then(() => order.push(what));
    const leasing = s.lease('mail');
    const waiting = [
      note('lease', leasing),
      note('read', s.event(id)),
      note('attempts', s.store.readAttempts(id)),
      note(
        'list',
        s.store.list({ type: null, status: null, outcome: null, cursor: null, limit: 9, scanMax: 9 }),
      ),
      note('outbox', s.outbox('mail')),
      note('cancel', s.store.cancel('nonsense')),
      note('synced before', s.event(other)),
    ];
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    t.same(order, ['synced before']);
    disk.release();
    await Promise.all(waiting);
    t.equal(order.length, 7);
    t.match(await leasing, { event: { id } });
    await s.store.close();
  });
});

t.test('the budget', async (t) => {
  await t.test('events are refused when the store is full, all else goes on', async (t) => {
    const dir = tempFolder(t);
    const limits = { ...LIMITS, bytesMax: 20_000 };
    const open = async () =>
      openGate(await EmbeddedStore.open({ dir, policy: POLICY, limits, now: () => NOON }));
    let store = await open();
    const id = (k: number) => `0193f1d2-7c3a-7000-8000-0000000000${String(k).padStart(2, '0')}`;
    const command = (k: number) => ({
      id: id(k),
      type: 'mail',
      envelope: envelopeOf('x'.repeat(1_000)),
      delayMs: 0,
      idempotency: { scope: `${k}`, fingerprint: 'f' },
    });
    let k = 0;
    while ((await store.accept([command(k)]))[0]!.kind === 'accepted') k += 1;
    t.ok(k > 3 && k < 20, `${k} events`);
    t.same(await store.accept([command(k)]), [{ kind: 'full' }]);
    t.match(await store.accept([command(0)]), [{ kind: 'accepted', id: id(0) }], 'the same event again');
    t.match(await store.accept([{ ...command(0), id: id(99) }]), [{ kind: 'duplicate', id: id(0) }]);
    await store.close();
    store = await open();
    t.same(await store.accept([command(k)]), [{ kind: 'full' }], 'also after a start');
    const records = await store.readOutbox(0, null, { records: 100, bytes: 1 << 20 });
    await store.markArchived(0, records.at(-1)!.pos, 1);
    t.match(await store.accept([command(k)]), [{ kind: 'accepted' }], 'what is archived weighs less');
    await store.close();
  });
});

interface HeldDisk extends Files {
  syncs: number;
  hold(): void;
  release(): void;
}

/** A disk whose syncs can be held up. */
function heldDisk(): HeldDisk {
  let released: Promise<void> = Promise.resolve();
  let release = () => {};
  return {
    ...nodeFiles,
    syncs: 0,
    async sync(fd) {
      this.syncs += 1;
      await released;
      await nodeFiles.sync(fd);
    },
    hold() {
      released = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
  };
}
