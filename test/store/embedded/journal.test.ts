/** The journal's promise: what was synced is there after a start, or the start is refused and says where. */
import fs from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { emptyState } from '../../../src/event/state.js';
import { FolderError, journalPath } from '../../../src/store/embedded/folder.js';
import {
  type Expected,
  FILE_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  readJournal,
} from '../../../src/store/embedded/journal-file.js';
import { applyFrame } from '../../../src/store/embedded/recover.js';
import { LIMITS, POLICY } from '../../contract/store/scene.js';
import { dumpState, type StateDump } from '../../support/state-dump.js';
import { copyFolder, liveThrough, openScene, readFolder, tempFolder } from './folder.js';

interface Filled {
  readonly dir: string;
  readonly path: string;
  readonly bytes: Buffer;
  /** Where each group begins; the last one is the mark. */
  readonly groups: readonly number[];
  /** What the journal holds after so many groups. */
  readonly states: readonly StateDump[];
  /** What a start would make of these bytes, or why it would refuse. */
  readonly tryRead: (bytes: Buffer) => StateDump | string;
}

/** A folder of one journal that holds every kind of record, as a process that ended has left it. */
async function fill(t: Tap): Promise<Filled> {
  const dir = tempFolder(t);
  const s = await openScene(dir, { journalFileBytes: 16 << 10 });
  await liveThrough(s);
  await s.store.close();
  const path = journalPath(dir, 1);
  const bytes = fs.readFileSync(path);
  const groups = groupsOf(bytes);
  const expected = { number: 1, logId: s.store.logId, sequence: 1, last: true };
  const tryRead = (file: Buffer) => tryFold(path, file, expected);
  const states = groups.map((offset) => tryRead(zeroed(bytes, offset, bytes.length)) as StateDump);
  return { dir, path, bytes, groups, states, tryRead };
}

type Tap = Parameters<typeof tempFolder>[0];

function groupsOf(bytes: Buffer): number[] {
  const groups: number[] = [];
  let offset = FILE_HEADER_BYTES;
  while (offset < bytes.length && bytes.readUInt32LE(offset) !== 0) {
    groups.push(offset);
    offset += GROUP_HEADER_BYTES + bytes.readUInt32LE(offset + 16);
  }
  return groups;
}

function zeroed(bytes: Buffer, from: number, to: number): Buffer {
  return Buffer.from(bytes).fill(0, from, to);
}

function tryFold(path: string, bytes: Buffer, expected: Expected): StateDump | string {
  const state = emptyState(POLICY, LIMITS);
  return orRefusal(() => {
    readJournal(path, bytes, expected, (frame) => applyFrame(path, state, frame, frame.payload));
    return dumpState(state);
  });
}

function orRefusal(read: () => StateDump): StateDump | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof FolderError) return error.message;
    throw error;
  }
}

t.test('a journal that is whole reads as what was written', async (t) => {
  const { dir, bytes, states, groups, tryRead } = await fill(t);
  t.ok(groups.length >= 20, `${groups.length} groups`);
  t.same(tryRead(bytes), states.at(-1));
  t.same(readFolder(dir), states.at(-1));
  t.not(states.at(-1)!.outbox.length, 0);
});

t.test(
  'a bit that flips anywhere in what was synced is found, and the start refused by file and offset',
  async (t) => {
    const { path, bytes, groups, states, tryRead } = await fill(t);
    const mark = groups.at(-1)!;
    const whole = JSON.stringify(states.at(-1));
    const found = (offset: number, bit: number) => {
      const flipped = Buffer.from(bytes);
      flipped[offset]! ^= 1 << bit;
      return tryRead(flipped);
    };
    let refused = 0;
    for (let offset = 0; offset < mark; offset += 1) {
      const refusal = found(offset, offset % 8);
      if (typeof refusal === 'string' && refusal.startsWith(`${path}: `)) refused += 1;
      else t.fail(`offset ${offset}: ${typeof refusal === 'string' ? refusal : 'not found'}`);
    }
    t.equal(refused, mark);

    let untouched = 0;
    for (let offset = mark; offset < bytes.length; offset += 1) {
      if (JSON.stringify(found(offset, offset % 8)) === whole) untouched += 1;
    }
    t.equal(untouched, bytes.length - mark, 'a flip in the mark or behind it loses nothing');
  },
);

t.test('the offset that is named is that of the group that is damaged', async (t) => {
  const { path, bytes, groups, tryRead } = await fill(t);
  const [, second, third] = groups;
  const flipped = Buffer.from(bytes);
  flipped[second! + GROUP_HEADER_BYTES + 20]! ^= 1;
  t.match(tryRead(flipped), `${path}: damaged at offset ${second}: the group at offset ${third} shows`);
});

t.test('a file that is cut anywhere is found, and the start refused', async (t) => {
  const { path, bytes, tryRead } = await fill(t);
  let refused = 0;
  for (let length = 0; length < bytes.length; length += 1) {
    const refusal = tryRead(bytes.subarray(0, length));
    if (typeof refusal === 'string' && refusal.startsWith(`${path}: damaged at offset`)) refused += 1;
    else t.fail(`cut at ${length}`);
  }
  t.equal(refused, bytes.length);
});

t.test('a tail that a crash has torn is cut, whatever part of it reached the disk', async (t) => {
  const { bytes, groups, states, tryRead } = await fill(t);
  const mark = groups.at(-1)!;
  const last = groups.at(-2)!;
  const before = JSON.stringify(states.at(-2));
  // The group was written, its sync had not returned, so there is no mark behind it.
  const written = zeroed(bytes, mark, mark + GROUP_HEADER_BYTES);
  let cut = 0;
  let ways = 0;
  for (let offset = last; offset < mark; offset += 1) {
    // Its end is missing, its beginning, or something in between.
    for (const [from, to] of [
      [offset, mark],
      [last, offset + 1],
      [offset, Math.min(mark, offset + 7)],
    ] as const) {
      const torn = zeroed(written, from, to);
      if (torn.equals(written)) continue;
      ways += 1;
      if (JSON.stringify(tryRead(torn)) === before) cut += 1;
      else t.fail(`zeros from ${from} to ${to}`);
    }
  }
  t.ok(ways > 2 * (mark - last));
  t.equal(cut, ways);
});

t.test('a torn group behind the mark that it was to replace is cut', async (t) => {
  const { bytes, states, groups, tryRead } = await fill(t);
  const torn = Buffer.from(bytes);
  torn.write('half a group', groups.at(-1)! + GROUP_HEADER_BYTES + 5);
  t.same(tryRead(torn), states.at(-1));
});

t.test('a payload that poses as a group does not make a torn tail look like damage', async (t) => {
  const { bytes, groups, states, tryRead } = await fill(t);
  const mark = groups.at(-1)!;
  const posing = Buffer.from(bytes.subarray(mark, mark + GROUP_HEADER_BYTES));
  // With the number that a later group would have, and the CRC that anybody could compute.
  posing.writeUIntLE(groups.length + 5, 8, 6);
  posing.writeUInt32LE(crc32(posing.subarray(0, 28)), 28);
  const torn = Buffer.from(bytes);
  posing.copy(torn, mark + 100);
  t.same(tryRead(torn), states.at(-1));
});

t.test('after a torn tail was cut the store goes on, and starts again', async (t) => {
  const { dir, path, bytes, groups } = await fill(t);
  const last = groups.at(-2)!;
  const torn = Buffer.from(bytes);
  torn.fill(0, last + 40, groups.at(-1)! + GROUP_HEADER_BYTES);
  torn.fill(0xff, torn.length - 300, torn.length - 200);
  fs.writeFileSync(path, torn);
  const s = await openScene(dir, { journalFileBytes: 16 << 10 });
  const id = await s.accept('mail');
  await s.reopen();
  t.match(await s.event(id), { status: 'pending' });
  await s.store.close();
});

t.test('damage in an earlier journal, or a journal that is missing, refuses the start', async (t) => {
  const dir = tempFolder(t);
  const s = await openScene(dir, { journalFileBytes: 2 << 10, compactBytesMin: 1 << 30 });
  await liveThrough(s);
  await s.store.close();
  const journals = fs.readdirSync(dir).filter((name) => name.startsWith('journal-'));
  t.ok(journals.length >= 4, `${journals.length} journals`);
  const copy = `${dir}-copy`;
  t.teardown(() => fs.rmSync(copy, { recursive: true, force: true }));
  const whole = JSON.stringify(readFolder(dir));

  for (const name of journals.slice(0, -1)) {
    const bytes = fs.readFileSync(join(dir, name));
    copyFolder(dir, copy);
    // A mark may stand at its end, which nobody would miss.
    const lastGroup = groupsOf(bytes).findLast((offset) => bytes.readUInt32LE(offset + 20) > 0)!;
    const torn = Buffer.from(bytes);
    torn.fill(0, lastGroup + 3, lastGroup + 60);
    fs.writeFileSync(join(copy, name), torn);
    t.match(
      orRefusal(() => readFolder(copy)),
      `${join(copy, name)}: damaged at offset`,
    );
    fs.writeFileSync(
      join(copy, name),
      Buffer.concat([bytes.subarray(0, lastGroup), Buffer.alloc(bytes.length - lastGroup)]),
    );
    t.type(
      orRefusal(() => readFolder(copy)),
      'string',
      'groups that are missing at its end are missed',
    );
    fs.rmSync(join(copy, name));
    await t.rejects(openScene(copy), { message: /is missing/ });
  }
  copyFolder(dir, copy);
  t.equal(JSON.stringify(orRefusal(() => readFolder(copy))), whole);
});

t.test('journals of another folder, or misnamed ones, refuse the start', async (t) => {
  const { dir, path } = await fill(t);
  const other = await fill(t);
  fs.copyFileSync(other.path, path);
  await t.rejects(openScene(dir), { message: /belongs to log/ });
  fs.rmSync(join(dir, 'store.json'));
  fs.renameSync(path, journalPath(dir, 2));
  await t.rejects(openScene(dir), { message: /no store.json/ });
  const identity = join(other.dir, 'store.json');
  fs.writeFileSync(identity, fs.readFileSync(identity, 'utf8').replace('"format":2', '"format":3'));
  await t.rejects(openScene(other.dir), { message: /is of format 3/ });
});
