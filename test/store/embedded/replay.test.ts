/** Records that are replayed in sheets: the store holds the same as with one by one, in memory, in its journals and in snapshots. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { LogRecord } from '../../../src/event/record.js';
import { recordsOf, type Sheet } from '../../../src/event/sheet.js';
import { encodeRecord } from '../../../src/log/record-line.js';
import { sheetOf } from '../../../src/log/sheet.js';
import { compact } from '../../../src/store/embedded/compact.js';
import { EmbeddedStore } from '../../../src/store/embedded/embedded.js';
import { FolderError, journalPath, readContents, readIdentity } from '../../../src/store/embedded/folder.js';
import { LIMITS, NOON, POLICY } from '../../contract/store/scene.js';
import { acceptedRecords } from '../../support/records.js';
import { type Made, made, workOf } from '../random-replays.js';
import { copyFolder, readFolder, tempFolder } from './folder.js';
import { quickFiles } from './simulated-disk.js';

const SEED = Number(process.env['SEED'] ?? 1);
const SMALL = { journalFileBytes: 2 << 10, compactBytesMin: 1 << 30, files: quickFiles };

/** Packed bytes have a head before them. */
const HEAD = Buffer.from('{}\n');

function withHead(record: LogRecord): LogRecord {
  if (!('payload' in record) || record.payload === null) return record;
  return { ...record, payload: Buffer.concat([HEAD, record.payload]) };
}

function asSheet(records: readonly LogRecord[]): Sheet {
  const text = records.map((record) => `${encodeRecord(record)}\n`).join('');
  return sheetOf(Buffer.from(text), records.length);
}

interface Replaying extends Pick<Made, 'policy' | 'pieces' | 'had'> {
  readonly dir: string;
  readonly now: number;
  readonly log: readonly LogRecord[];
  readonly inSheets: boolean;
}

/** What the folder holds afterwards, twice over some of it. */
async function replayed({ dir, policy, now, log, pieces, had, inSheets }: Replaying) {
  const store = await EmbeddedStore.open({ dir, policy, limits: LIMITS, now: () => now, ...SMALL });
  const overlap = Math.floor((log.length * had) / 8);
  const parts = [log.slice(0, overlap), log.slice(Math.max(0, overlap - 7))];
  for (const [index, part] of parts.entries()) {
    assert.equal(await store.beginRecovery(0, index + 1), true);
    const running: Promise<boolean>[] = [];
    for (let [at, turn] = [0, 0]; at < part.length; turn += 1) {
      const piece = part.slice(at, at + pieces[turn % pieces.length]!);
      at += piece.length;
      const sheet = inSheets ? asSheet(piece) : undefined;
      const archived = { pos: piece.at(-1)!.pos, slot: 1 };
      running.push(store.replay(0, index + 1, sheet ? recordsOf(sheet) : piece, archived, sheet));
    }
    for (const done of await Promise.all(running)) assert.equal(done, true);
  }
  await store.finishRecovery(0, 2, 'log', 2);
  await store.close();
}

t.test('what is replayed in sheets is what is replayed one by one (S8)', async (t) => {
  const root = tempFolder(t);
  let [runs, sheets] = [0, 0];
  const property = fc.asyncProperty(made, async ({ policy, steps, afterMs, pieces, had }) => {
    const { log, now } = await workOf({ policy, steps });
    if (log.length === 0) return;
    const settings = { policy, limits: LIMITS };
    const [one, other] = [join(root, 'one'), join(root, 'other')];
    for (const dir of [one, other]) fs.rmSync(dir, { recursive: true, force: true });
    const all = { policy, pieces, had, now: now + afterMs, log: log.map(withHead) };
    await replayed({ ...all, dir: one, inSheets: false });
    await replayed({ ...all, dir: other, inSheets: true });
    const expected = readFolder(one, settings);
    assert.deepEqual(readFolder(other, settings), expected, 'in the journals');
    const { journals } = readContents(other);
    if (journals.length < 2) return;
    const job = { dir: other, logId: readIdentity(other)!, ...settings, now: 0 };
    await compact(quickFiles, { ...job, snapshot: null, upTo: journals.at(-2)! });
    assert.deepEqual(readFolder(other, settings), expected, 'in a snapshot');
    runs += 1;
    sheets += journals.length;
  });
  await fc.assert(property, { numRuns: 60, seed: SEED, interruptAfterTimeLimit: 15_000 });
  t.ok(runs > 5, `${runs} runs with a snapshot, of ${sheets} journals`);
});

t.test('a sheet that is cut or damaged is a torn tail or is named, as any frame', async (t) => {
  const dir = tempFolder(t);
  const type = {
    op: 'typeSet',
    pos: { view: 1, n: 1 },
    at: NOON,
    type: 'mail',
    ordinal: 0,
    version: 0,
  } as const;
  const log: LogRecord[] = [type, ...acceptedRecords(1, 2, 20)];
  const options = { dir: join(dir, 'store'), policy: POLICY, limits: LIMITS, files: quickFiles };
  const store = await EmbeddedStore.open({ ...options, journalFileBytes: 64 << 10 });
  t.teardown(() => store.close());
  await store.beginRecovery(0, 1);
  await store.replay(0, 1, log.slice(0, 1), { pos: type.pos, slot: 0 });
  const rest = log.slice(1);
  const sheet = asSheet(rest);
  await store.replay(0, 1, recordsOf(sheet), { pos: rest.at(-1)!.pos, slot: 1 }, sheet);
  const whole = readFolder(options.dir);
  t.equal(whole.events.length, 20);

  const copy = join(dir, 'copy');
  copyFolder(options.dir, copy);
  const path = journalPath(copy, 1);
  const bytes = fs.readFileSync(path);
  const place = bytes.indexOf('{"op":"sheet"');
  t.ok(place > 0);
  const damaged = Buffer.from(bytes);
  damaged[place + 300]! ^= 1;
  fs.writeFileSync(path, damaged);
  t.throws(() => readFolder(copy), FolderError, 'its group had been synced');
  const torn = Buffer.from(bytes);
  torn.fill(0, place + 300);
  fs.writeFileSync(path, torn);
  t.equal(readFolder(copy).events.length, 0, 'all of it is gone, or nothing');
});
