/** Crashes: at whatever operation on a file the process or the machine dies, nothing that was answered is lost. */
import fs from 'node:fs';
import t from 'tap';
import type { CompleteResult } from '../../../src/event/command.js';
import { emptyState } from '../../../src/event/state.js';
import { compact } from '../../../src/store/embedded/compact.js';
import { nodeFiles } from '../../../src/store/embedded/files.js';
import { FolderError, readContents, readIdentity, snapshotPath } from '../../../src/store/embedded/folder.js';
import { keepInMemory } from '../../../src/store/embedded/payload.js';
import { readSnapshot } from '../../../src/store/embedded/snapshot-file.js';
import { StoreError } from '../../../src/store/store.js';
import { completionOf, LIMITS, NOON, POLICY, type Scene } from '../../contract/store/scene.js';
import { copyFolder, liveThrough, openScene, readFolder, tempFolder } from './folder.js';
import { type Loss, quickFiles, SimulatedDisk } from './simulated-disk.js';

const SMALL = { journalFileBytes: 2 << 10, compactBytesMin: 1 << 30, files: quickFiles };

interface Answered {
  readonly accepted: string[];
  readonly completed: Extract<CompleteResult, { kind: 'completed' }>[];
}

/** Works until the disk dies; what was answered until then. */
async function work(s: Scene, answered: Answered): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    answered.accepted.push(...(await s.acceptMany('mail', 2)));
    const both = await Promise.all([s.accept('mail'), s.accept('bill')]);
    answered.accepted.push(...both);
    const leases = await s.leaseAll('mail', { max: 2 });
    for (const result of await s.store.complete(leases.map((lease) => completionOf(lease)))) {
      if (result.kind === 'completed') answered.completed.push(result);
    }
  }
}

/** Opens a folder on `disk` and works on it; true when the disk lived through it all. */
async function liveOn(dir: string, disk: SimulatedDisk, answered: Answered): Promise<boolean> {
  let s: Scene | null = null;
  try {
    s = await openScene(dir, { ...SMALL, files: disk });
    await work(s, answered);
    await s.store.close();
    return true;
  } catch (error) {
    if (!disk.dead) throw error;
    await s?.store.close().catch(() => {});
    return false;
  }
}

for (const loss of ['none', 'all', 'half'] as const satisfies Loss[]) {
  const what = { none: 'nothing', all: 'all that was not synced', half: 'half of what was not synced' }[loss];
  t.test(
    `whatever operation a crash comes at that takes ${what}, what was answered is there (S1, L3)`,
    async (t) => {
      const root = tempFolder(t);
      let diesAt = 0;
      for (let alive = false; !alive; diesAt += 1) {
        const dir = `${root}/${diesAt}`;
        const answered: Answered = { accepted: [], completed: [] };
        alive = await liveOn(dir, new SimulatedDisk(diesAt, loss), answered);
        const s = await openScene(dir, SMALL);
        const lost = [];
        for (const id of answered.accepted) if (!(await s.store.read(id))) lost.push(id);
        for (const { id, outcome } of answered.completed) {
          if ((await s.event(id)).outcome !== outcome) lost.push(id);
        }
        if (lost.length > 0) t.fail(`dies at ${diesAt}: ${lost.length} lost`);
        await s.accept('mail');
        await s.store.close();
        fs.rmSync(dir, { recursive: true });
      }
      t.ok(diesAt > 60, `${diesAt} operations`);
    },
  );
}

t.test('when a write fails, who waits is told, and everybody after; nothing goes on in doubt', async (t) => {
  const dir = tempFolder(t);
  let broken = false;
  const files = {
    ...nodeFiles,
    sync: async (fd: number) => {
      if (broken) throw new Error('EIO: i/o error');
      await nodeFiles.sync(fd);
    },
  };
  const s = await openScene(dir, { files });
  const id = await s.accept('mail');
  t.match(await s.store.health(), { ready: true, notes: [], durable: 'fsync', kind: 'embedded' });
  broken = true;
  const unavailable = { name: 'StoreError', failure: 'unavailable', message: /EIO: i\/o error/ };
  const together = await Promise.allSettled([s.accept('mail'), s.accept('mail')]);
  t.ok(together.every((each) => each.status === 'rejected' && each.reason instanceof StoreError));
  broken = false;
  await t.rejects(s.accept('mail'), unavailable);
  await t.rejects(s.event(id), unavailable, 'also to read what is known');
  await t.rejects(
    s.store.list({ type: null, status: null, outcome: null, cursor: null, limit: 1, scanMax: 1 }),
    unavailable,
  );
  await t.rejects(s.store.readOutbox(0, null, { records: 1, bytes: 1 }), unavailable);
  await t.rejects(s.expire(), unavailable);
  t.match(await s.store.health(), { ready: false, notes: [/EIO/] });
  await t.rejects(s.store.close(), unavailable);
  await s.store.close().catch(() => {});
  const after = await openScene(dir);
  t.equal((await after.event(id)).id, id);
  await after.store.close();
});

t.test('a snapshot and what comes after it hold what all the journals held', async (t) => {
  const dir = tempFolder(t);
  const s = await openScene(dir, SMALL);
  await liveThrough(s, 3);
  await s.store.close();
  const before = readFolder(dir);
  const logId = readIdentity(dir)!;
  const job = { dir, logId, policy: POLICY, limits: LIMITS, now: NOON };
  const { journals } = readContents(dir);
  const half = journals[journals.length >> 1]!;
  t.match(await compact(nodeFiles, { ...job, snapshot: null, upTo: half }), { snapshot: half + 1 });
  t.same(readContents(dir), {
    journals: journals.filter((n) => n > half),
    snapshots: [half + 1],
    unfinished: [],
  });
  t.same(readFolder(dir), before);
  const upTo = journals.at(-2)!;
  await compact(nodeFiles, { ...job, snapshot: half + 1, upTo });
  t.same(readContents(dir).snapshots, [upTo + 1]);
  t.same(readFolder(dir), before);
});

t.test(
  'whatever operation of a compaction a crash comes at, the folder holds what it held (L3)',
  async (t) => {
    const root = tempFolder(t);
    const dir = `${root}/store`;
    const s = await openScene(dir, SMALL);
    await liveThrough(s, 2);
    await s.store.close();
    const logId = readIdentity(dir)!;
    const jobs = { logId, policy: POLICY, limits: LIMITS, now: NOON };
    const { journals } = readContents(dir);
    await compact(nodeFiles, { ...jobs, dir, snapshot: null, upTo: 3 });
    const before = readFolder(dir);
    let diesAt = 0;
    for (let alive = false; !alive; diesAt += 1) {
      const copy = `${root}/copy`;
      copyFolder(dir, copy);
      const disk = new SimulatedDisk(diesAt, 'all');
      try {
        await compact(disk, { ...jobs, dir: copy, snapshot: 4, upTo: journals.at(-2)! });
        alive = true;
      } catch (error) {
        if (!disk.dead) throw error;
      }
      t.same(readFolder(copy), before);
      const again = await openScene(copy, SMALL);
      await again.accept('mail');
      await again.store.close();
      const { snapshots, unfinished } = readContents(copy);
      t.same(unfinished, []);
      t.equal(snapshots.length, 1, 'a start leaves the newest snapshot alone');
    }
    t.ok(diesAt > 10, `${diesAt} operations`);
  },
);

t.test('a snapshot that is damaged or cut anywhere refuses the start', async (t) => {
  const dir = tempFolder(t);
  const s = await openScene(dir, SMALL);
  await liveThrough(s);
  await s.store.close();
  // The second of its journals is enough: a snapshot of a few kilobytes, read once for each byte of it.
  const job = { dir, logId: readIdentity(dir)!, policy: POLICY, limits: LIMITS, now: NOON };
  const { snapshot } = await compact(quickFiles, { ...job, snapshot: null, upTo: 2 });
  const path = snapshotPath(dir, snapshot);
  const bytes = fs.readFileSync(path);
  const keep = keepInMemory();
  const refuses = () => {
    try {
      readSnapshot(path, job.logId, emptyState(POLICY, LIMITS), keep);
      return false;
    } catch (error) {
      return error instanceof FolderError && error.message.startsWith(`${path}: damaged at offset`);
    }
  };
  t.notOk(refuses());
  const fd = fs.openSync(path, 'r+');
  let found = 0;
  for (let offset = 0; offset < bytes.length; offset += 1) {
    fs.writeSync(fd, Buffer.of(bytes[offset]! ^ (1 << (offset % 8))), 0, 1, offset);
    if (refuses()) found += 1;
    else t.fail(`flip at ${offset}`);
    fs.writeSync(fd, bytes, offset, 1, offset);
  }
  t.equal(found, bytes.length);
  for (let length = bytes.length - 1; length >= 0; length -= 1) {
    fs.ftruncateSync(fd, length);
    if (refuses()) found += 1;
    else t.fail(`cut at ${length}`);
  }
  t.equal(found, 2 * bytes.length);
  fs.closeSync(fd);
});
