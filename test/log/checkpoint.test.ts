/** Checkpoints: what is in them, who makes them, what is done about one that is damaged; and the log that is cut. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { BlobInfo } from '../../src/blob/blob.js';
import { apply } from '../../src/event/apply.js';
import type { KeptRecord, LogRecord, Position } from '../../src/event/record.js';
import { emptyState, type PartitionState } from '../../src/event/state.js';
import { listCheckpoints, type Manifest, manifestKey, partKey, readParts } from '../../src/log/checkpoint.js';
import {
  CheckpointRefusedError,
  dropOldCheckpoints,
  makeCheckpoint,
} from '../../src/log/checkpoint-maker.js';
import { copyLog } from '../../src/log/copy.js';
import { Feed } from '../../src/log/feed.js';
import { floorOf, raiseFloor } from '../../src/log/floor.js';
import { LogReader } from '../../src/log/reader.js';
import { fill } from '../../src/log/recovery.js';
import { cutLog } from '../../src/log/retention.js';
import { CorruptSegmentError } from '../../src/log/segment.js';
import { slotKey } from '../../src/log/slot.js';
import { verifyPartition } from '../../src/log/verify.js';
import { Checkpointer } from '../../src/maintenance/checkpointer.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { logOf, type Work, work } from '../support/forgetful-work.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { LOG_ID } from '../support/records.js';
import { factsOf } from '../support/state-facts.js';
import { loadStore, startArchivers } from '../support/store-load.js';
import { writeSegments } from '../support/written-log.js';

const IDENTITY = { logId: LOG_ID, partitions: 1 };
/** The log in segments of so many records, every third slot a fence; resolves to the count of slots. */
async function write(blobs: MemoryBlobs, log: readonly LogRecord[], size: number): Promise<number> {
  const segments: { records: LogRecord[]; place?: { kind: 'fence' } }[] = [{ records: [] }];
  for (let at = 0; at < log.length; at += size) {
    segments.push({ records: log.slice(at, at + size) });
    if (segments.length % 3 === 0) segments.push({ records: [] });
  }
  await writeSegments(blobs, segments);
  return segments.length;
}

const failOnWarning = (error: Error) => {
  throw error;
};

function make(blobs: MemoryBlobs, slot: number) {
  const warn = failOnWarning;
  return makeCheckpoint({ blobs, identity: IDENTITY, partition: 0, slot, now: () => 1, warn });
}

async function made(blobs: MemoryBlobs, slot: number): Promise<Manifest> {
  const result = await make(blobs, slot);
  if (result.kind !== 'made') throw new Error(result.kind);
  return result.manifest;
}

async function recordsOf(blobs: MemoryBlobs, manifest: Manifest): Promise<KeptRecord[]> {
  const records: KeptRecord[] = [];
  for await (const part of readParts(blobs, manifest)) records.push(...part);
  return records;
}

function foldOf(records: readonly KeptRecord[]): PartitionState {
  const state = emptyState(POLICY, LIMITS);
  for (const record of records) apply(state, record);
  return state;
}

t.test('a checkpoint and what comes after it are what the whole log is, however it was made', async (t) => {
  let [keys, indexes, less] = [0, 0, 0];
  await fc.assert(
    fc.asyncProperty(work, fc.integer({ min: 1, max: 9 }), fc.nat(), fc.nat(), async (steps, size, a, b) => {
      const { log, now } = logOf(steps);
      fc.pre(log.length > 0);
      const [inSteps, atOnce] = [new MemoryBlobs(), new MemoryBlobs()];
      const slots = await write(inSteps, log, size);
      await write(atOnce, log, size);
      const last = 2 + (Math.max(a, b) % (slots - 1));
      const between = 1 + (Math.min(a, b) % last);
      await make(inSteps, between);
      const second = await make(inSteps, last);
      const manifest = await made(atOnce, last);
      const kept = await recordsOf(atOnce, manifest);
      t.same(await recordsOf(inSteps, second.manifest!), kept);
      const rest = log.filter(({ pos }) => isAfter(pos, manifest.to));
      t.same(factsOf(foldOf([...kept, ...rest]), now), factsOf(foldOf(log), now));
      keys += kept.filter(({ op }) => op === 'keyKept').length;
      indexes += kept.filter(({ op }) => op === 'indexed').length;
      less += log.length - rest.length - kept.length;
    }),
    { seed: Number(process.env['SEED'] ?? 1), numRuns: 150 },
  );
  t.ok(keys > 0 && indexes > 0 && less > 0, `${keys} keys, ${indexes} indexes, ${less} records left out`);
});

function isAfter(a: Position, b: Position): boolean {
  return a.view > b.view || (a.view === b.view && a.n > b.n);
}

/** Twelve events, most of them long gone, in slots 1 to 9. */
const STEPS: Work[] = [
  ...Array<Work>(6).fill('accept with key'),
  ...Array<Work>(5).fill('complete'),
  'prune',
  ...Array<Work>(6).fill('accept'),
  'prune',
  'complete',
];

async function scene(): Promise<{ blobs: MemoryBlobs; log: LogRecord[]; slots: number }> {
  const blobs = new MemoryBlobs();
  const { log } = logOf(STEPS);
  const slots = await write(blobs, log, 6);
  return { blobs, log, slots };
}

function flip(blobs: MemoryBlobs, key: string): void {
  const bytes = Buffer.from(blobs.objects.get(key)!);
  bytes[bytes.length >> 1]! ^= 1;
  blobs.objects.set(key, bytes);
}

async function emptyStore(t: Test): Promise<EmbeddedStore> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-checkpoint-'));
  const store = await EmbeddedStore.open({ dir, policy: POLICY, limits: LIMITS });
  t.teardown(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });
  return store;
}

/** Fills a new store; resolves to the keys of what could not be used. */
async function filled(t: Test, blobs: MemoryBlobs, slots: number, to: Position) {
  const store = await emptyStore(t);
  const damaged: string[] = [];
  const slotsRead: number[] = [];
  const done = await fill(
    {
      store,
      blobs,
      reader: new LogReader(blobs, IDENTITY),
      identity: IDENTITY,
      partition: 0,
      warn: ({ key }) => damaged.push(key),
      progress: ({ slot }) => slotsRead.push(slot),
    },
    { slot: slots + 1, epoch: 5, view: 1, to },
  );
  t.equal(done, true);
  await store.beginRecovery(0, 6);
  await store.finishRecovery(0, 6, LOG_ID, 2);
  const page = await store.list({
    type: null,
    status: null,
    outcome: null,
    cursor: null,
    limit: 99,
    scanMax: 99,
  });
  if (page.kind !== 'page') throw new Error(page.kind);
  return { store, damaged, slotsRead, ids: page.events.map(({ id }) => id) };
}

t.test(
  'a store is filled from the newest checkpoint, else from the one before, else from the log',
  async (t) => {
    const { blobs, log, slots } = await scene();
    const to = log.at(-1)!.pos;
    const first = await made(blobs, 4);
    const second = await made(blobs, slots - 1);
    const { ids, slotsRead, store } = await filled(t, blobs, slots, to);
    t.same(ids, [...foldOf(log).events.keys()].reverse());
    t.same([...new Set(slotsRead)], [second.slot, slots]);
    t.match(await store.standing(0), { open: true, last: to, archived: { pos: to }, logId: LOG_ID });
    t.equal(await store.indexedTo(0), foldOf(log).indexed);

    flip(blobs, partKey(0, second.slot, 1));
    const older = await filled(t, blobs, slots, to);
    t.same(older.damaged, [partKey(0, second.slot, 1)], 'it is named');
    t.same([older.ids, older.slotsRead[0]], [ids, first.slot]);

    flip(blobs, manifestKey(0, first.slot));
    const oldest = await filled(t, blobs, slots, to);
    t.ok(oldest.damaged.includes(manifestKey(0, first.slot)));
    t.same([oldest.ids, oldest.slotsRead[0]], [ids, 1]);

    await raiseFloor(blobs, { logId: LOG_ID, partition: 0 }, 3);
    await t.rejects(filled(t, blobs, slots, to), {
      name: 'CorruptSegmentError',
      reason: /no checkpoint that has it is whole/,
    });
  },
);

t.test('a segment that is damaged stops the filling with its name', async (t) => {
  for (const damage of ['a flipped bit', 'cut off'] as const) {
    const { blobs, log, slots } = await scene();
    await made(blobs, 4);
    const key = slotKey(0, slots);
    if (damage === 'cut off') blobs.objects.set(key, blobs.objects.get(key)!.subarray(0, -9));
    else flip(blobs, key);
    await t.rejects(filled(t, blobs, slots, log.at(-1)!.pos), { name: 'CorruptSegmentError', key }, damage);
  }
});

t.test('makers at once make one; another content in its place is refused', async (t) => {
  const { blobs } = await scene();
  const [one, two] = await Promise.all([make(blobs, 4), make(blobs, 4)]);
  t.same(one.manifest!.parts, two.manifest!.parts);
  t.equal((await make(blobs, 4)).kind, 'nothing new');

  const other = await scene();
  other.blobs.objects.set(partKey(0, 4, 1), blobs.objects.get(partKey(0, 4, 1))!);
  t.equal((await make(other.blobs, 4)).kind, 'made', 'of the same content it is as good');
  const third = await scene();
  const { blobs: longer } = await scene();
  await made(longer, 5);
  const part = longer.objects.get(partKey(0, 5, 1))!;
  third.blobs.objects.set(partKey(0, 4, 1), part);
  await t.rejects(make(third.blobs, 4), { name: 'CheckpointDamagedError' }, 'of another slot');

  const fourth = await scene();
  await raiseFloor(fourth.blobs, { logId: LOG_ID, partition: 0 }, 3);
  await t.rejects(make(fourth.blobs, 4), CheckpointRefusedError, 'the log was cut meanwhile');
});

t.test('the two newest are kept', async (t) => {
  const { blobs, slots } = await scene();
  await made(blobs, 2);
  await made(blobs, 4);
  t.same(await dropOldCheckpoints(blobs, IDENTITY, 0), []);
  blobs.objects.set(partKey(0, 3, 1), Buffer.from('never finished'));
  await made(blobs, slots);
  const slotsOf = async () => (await listCheckpoints(blobs, 0)).map(({ slot }) => slot);
  t.same(await slotsOf(), [2, 3, 4, slots]);
  t.same(await dropOldCheckpoints(blobs, IDENTITY, 0), []);
  t.same(await slotsOf(), [4, slots], 'with what was left over');

  await made(blobs, slots - 1).catch(() => undefined);
  flip(blobs, partKey(0, slots, 1));
  blobs.objects.set(partKey(0, 1, 1), Buffer.from('left over'));
  await t.rejects(dropOldCheckpoints(blobs, IDENTITY, 0), { name: 'CheckpointDamagedError' });
  t.ok(blobs.objects.has(partKey(0, 1, 1)), 'nothing goes unless the newest can be read');
});

/** Segments whose age can be told. */
class AgedBlobs extends MemoryBlobs {
  /** Slots above are young. */
  oldTo = 0;
  refused: string | null = null;

  override async list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]> {
    const found = await super.list(prefix, options);
    return found.map((info) => ({ ...info, modifiedAt: info.key > slotKey(0, this.oldTo) ? 9 : 1 }));
  }

  override async delete(keys: readonly string[]) {
    const refused = keys.includes(this.refused ?? '') ? this.refused : null;
    const deleted = await super.delete(keys.filter((key) => key !== refused));
    return refused === null ? deleted : [...deleted, { key: refused, deleted: false, message: 'locked' }];
  }
}

t.test('the log is cut where two checkpoints cover what is old', async (t) => {
  const blobs = new AgedBlobs();
  const { log } = logOf(STEPS);
  const slots = await write(blobs, log, 3);
  const reader = new LogReader(blobs, IDENTITY);
  const cut = () => cutLog({ blobs, reader, identity: IDENTITY, partition: 0, writtenBefore: 5 });
  const slotsLeft = async () =>
    (await blobs.list('log/', { limit: 999 })).map(({ key }) => Number(key.slice(6, 26)));
  const all = await slotsLeft();
  const isFence = async (slot: number) => (await reader.read(0, slot))?.header.kind === 'fence';
  const fences: number[] = [];
  for (const slot of all) if (await isFence(slot)) fences.push(slot);

  blobs.oldTo = 6;
  t.match(await cut(), { floor: 1, segments: 0 }, 'without a checkpoint nothing goes');
  const first = await made(blobs, 8);
  t.match(await cut(), { floor: 1, segments: 0 }, 'with one neither');
  await made(blobs, slots);
  const feed = new Feed(feedOptions(blobs, log, slots));
  t.teardown(() => feed.stop());
  const read = (after: string | null, limit: number) =>
    feed.read({ after, types: null, limit, waitMs: 0, signal: null });
  const page = await read(null, 2);
  if (page.kind !== 'page') throw new Error(page.kind);

  flip(blobs, partKey(0, first.slot, 1));
  await t.rejects(cut(), { name: 'CheckpointDamagedError' });
  t.same(await slotsLeft(), all, 'a checkpoint that cannot be read covers nothing');
  flip(blobs, partKey(0, first.slot, 1));

  blobs.refused = slotKey(0, 2);
  const { problems, floor, segments } = await cut();
  t.same(problems, [`${slotKey(0, 2)}: locked`]);
  t.equal(floor, 7);
  t.equal(await floorOf(blobs, 0), 7);
  const gone = [3, 4, 5, 6].filter((slot) => !fences.includes(slot));
  t.same(
    await slotsLeft(),
    all.filter((slot) => !gone.includes(slot)),
    'fences stay, and what cannot be deleted',
  );
  t.equal(segments, gone.length + 1);
  blobs.refused = null;
  blobs.oldTo = slots;
  await cut();
  t.equal(
    await floorOf(blobs, 0),
    (await highestData(reader, first.slot)) + 1,
    'not beyond the older checkpoint',
  );

  const later = new Feed(feedOptions(blobs, log, slots));
  t.teardown(() => later.stop());
  const refused = await later.read({ after: page.cursor, types: null, limit: 9, waitMs: 0, signal: null });
  if (refused.kind !== 'gone') throw new Error(refused.kind);
  const rest = await later.read({
    after: refused.earliest,
    types: null,
    limit: 999,
    waitMs: 0,
    signal: null,
  });
  if (rest.kind !== 'page') throw new Error(rest.kind);
  t.same(
    rest.records.map(String),
    log.filter(({ pos }) => isAfter(pos, first.to)).map(({ pos }) => `"${pos.n}"`),
  );

  const { ids } = await filled(t, blobs, slots, log.at(-1)!.pos);
  t.same(ids, [...foldOf(log).events.keys()].reverse(), 'and a store is filled as before');

  const verify = () => verifyPartition(blobs, IDENTITY, 0, () => undefined);
  const { fault, checkpoints, floor: begins } = await verify();
  t.match({ checkpoints, begins }, { checkpoints: [first.slot, slots], begins: await floorOf(blobs, 0) });
  t.equal(fault, null, 'what is left is sound');
  flip(blobs, partKey(0, slots, 1));
  t.equal((await verify()).fault?.key, partKey(0, slots, 1), 'a checkpoint that is not is told');
});

function feedOptions(blobs: MemoryBlobs, log: readonly LogRecord[], slots: number) {
  return {
    blobs,
    store: {
      ...IDENTITY,
      archivedTo: async () => ({ pos: log.at(-1)!.pos, slot: slots }),
      hurryArchiving: async () => undefined,
      onWake: () => () => undefined,
    },
    render: ({ pos }: LogRecord) => `"${pos.n}"`,
    cacheBytesMax: 0,
    pageBytesMax: 1 << 20,
    pageSegmentsMax: 99,
    waitersMax: 1,
    slowLookMs: 1_000,
  };
}

async function highestData(reader: LogReader, upTo: number): Promise<number> {
  // What was cut is not there, so the slot is known by what is.
  return (await reader.read(0, upTo)) === null ? upTo : upTo - 1;
}

t.test('the service makes one when enough has come, if it archives', async (t) => {
  const { blobs, log, slots } = await scene();
  let archived = { pos: log[5]!.pos, slot: 2 };
  // As in a store, what it is stands behind getters.
  class Archived {
    get logId() {
      return LOG_ID;
    }
    get partitions() {
      return 1;
    }
    archivedTo = async () => archived;
  }
  const store = new Archived() as unknown as EmbeddedStore;
  let archives = false;
  const options = { records: 6, ageMsMax: null, intervalMs: 60_000, archives: () => archives };
  const duty = new Checkpointer(store, blobs, options, pino({ level: 'silent' }));
  t.equal(await duty.round(), 0);
  archives = true;
  t.equal(await duty.round(), 1);
  t.equal(await duty.round(), 0, 'nothing has come since');
  archived = { pos: log[9]!.pos, slot: 3 };
  t.equal(await duty.round(), 0, 'not enough');
  archived = { pos: log.at(-1)!.pos, slot: slots };
  t.equal(await duty.round(), 1);
  t.same(
    (await listCheckpoints(blobs, 0)).map(({ slot }) => slot),
    [2, slots],
  );
  const aged = new Checkpointer(
    store,
    blobs,
    { ...options, records: 1e9, ageMsMax: 0 },
    pino({ level: 'silent' }),
  );
  t.equal(await aged.round(), 0, 'however old, when nothing has come');
  duty.start();
  await duty.stop();
});

t.test('a record that stands in checkpoints only is none of a segment', async (t) => {
  const { blobs, log, slots } = await scene();
  const manifest = await made(blobs, slots);
  const kept = (await recordsOf(blobs, manifest)).filter(({ op }) => op === 'keyKept' || op === 'indexed');
  t.ok(kept.length > 1);
  const strange = new MemoryBlobs();
  await writeSegments(strange, [{ records: [log[0]!, ...kept] as LogRecord[] }]);
  await t.rejects(new LogReader(strange, IDENTITY).read(0, 1), CorruptSegmentError);
});

t.test('of a log that was cut a copy begins with a checkpoint, and restores to the same', async (t) => {
  const blobs = new AgedBlobs();
  const { log } = logOf(STEPS);
  const slots = await write(blobs, log, 3);
  const first = await made(blobs, 8);
  await made(blobs, slots);
  blobs.oldTo = slots;
  const reader = new LogReader(blobs, IDENTITY);
  await cutLog({ blobs, reader, identity: IDENTITY, partition: 0, writtenBefore: 5 });
  const copy = async (pos: Position) => {
    const to = new MemoryBlobs();
    const about = { from: blobs, identity: IDENTITY, logId: 'copy', partition: 0, writer: 'test' };
    const until = { kind: 'position', pos } as const;
    return { to, copied: await copyLog({ ...about, to, until, progress: () => undefined }) };
  };
  const middle = log.find(({ pos }) => isAfter(pos, first.to))!.pos;
  for (const [pos, segments] of [
    [first.to, 1],
    [middle, 1],
    [log.at(-1)!.pos, slots - 8],
  ] as const) {
    const { to, copied } = await copy(pos);
    t.match(copied, { checkpoint: pos === log.at(-1)!.pos ? slots : 8 });
    const identity = { logId: 'copy', partitions: 1 };
    t.match(await verifyPartition(to, identity, 0, () => undefined), { fault: null });
    t.ok(copied.segments >= Math.min(1, segments));
  }
  await t.rejects(copy({ view: 1, n: 1 }), { name: 'TooEarlyError' });
});

t.test('what a real store has archived is in the checkpoint that the service makes', async (t) => {
  const store = await emptyStore(t);
  const blobs = new MemoryBlobs();
  await store.beginRecovery(0, 1);
  await store.finishRecovery(0, 1, store.logId, 1);
  const archivers = startArchivers(store, blobs, 20);
  await loadStore(store, 30, ['mail']);
  await Promise.all(archivers.map((archiver) => archiver.stop(10_000)));
  const options = { records: 10, ageMsMax: null, intervalMs: 60_000, archives: () => true };
  const duty = new Checkpointer(store, blobs, options, pino({ level: 'silent' }));
  t.equal(await duty.round(), 1);
  const { logId, partitions } = store;
  const report = await verifyPartition(blobs, { logId, partitions }, 0, () => undefined);
  t.match(report, { fault: null, checkpoints: [(await store.archivedTo(0))!.slot], records: 91 });
});
