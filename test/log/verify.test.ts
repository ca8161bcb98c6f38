/** Verifying: a sound log is told what it holds, and each thing that can be wrong with one is found and named. */
import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { makeEventId } from '../../src/event/id.js';
import type { LogRecord, Position, TypeSet } from '../../src/event/record.js';
import { slotKey } from '../../src/log/slot.js';
import { type PartitionReport, verifyPartition } from '../../src/log/verify.js';
import { partitionOfType } from '../../src/store/store.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { acceptedRecord, LOG_ID } from '../support/records.js';
import { type WrittenSegment, writeSegments } from '../support/written-log.js';

const IDENTITY = { logId: LOG_ID, partitions: 1 };

const IDS = Array.from({ length: 5 }, () => makeEventId(1, 0));

/** As from a store: with an id that is one. */
const accepted = (n: number) => ({ ...acceptedRecord({ view: 1, n }), id: IDS[n]! });

const typeSet = (pos: Position): TypeSet => ({
  op: 'typeSet',
  pos,
  at: 1,
  type: 'mail',
  ordinal: 0,
  version: 0,
});

/** A type, two events, one of them completed; over three segments, with a fence and a later view. */
function segments(): WrittenSegment[] {
  const [one, two] = [accepted(2), accepted(3)];
  const ref = { id: one.id, type: 'mail', listener: 0, grant: 1 };
  const granted: LogRecord = {
    op: 'granted',
    pos: { view: 2, n: 1 },
    at: one.at + 10,
    ...ref,
    id: two.id,
    attempt: 1,
    token: 't',
    worker: null,
    expiresAt: one.at + 1_000,
    call: 'c',
    claim: 1,
  };
  const cancelled: LogRecord = {
    op: 'cancelled',
    pos: { view: 2, n: 2 },
    at: one.at + 20,
    id: one.id,
    type: 'mail',
  };
  return [
    { records: [typeSet({ view: 1, n: 1 }), one] },
    { records: [two], place: { epoch: 2 } },
    { records: [], place: { epoch: 3, view: 2 } },
    { records: [granted, cancelled], place: { epoch: 3, view: 2 } },
  ];
}

async function verify(blobs: MemoryBlobs, identity = IDENTITY): Promise<PartitionReport> {
  return verifyPartition(blobs, identity, 0, () => undefined);
}

async function written(change: (segments: WrittenSegment[]) => WrittenSegment[] = (all) => all) {
  const blobs = new MemoryBlobs();
  await writeSegments(blobs, change(segments()));
  return blobs;
}

t.test('a sound log is told what it holds', async (t) => {
  const blobs = await written();
  const seen: [number, number][] = [];
  const report = await verifyPartition(blobs, IDENTITY, 0, (done, total) => seen.push([done, total]));
  t.match(report, {
    firstSlot: 1,
    lastSlot: 4,
    segments: 4,
    fences: 1,
    records: 5,
    recordsByOp: { typeSet: 1, accepted: 2, granted: 1, cancelled: 1 },
    from: '1-1',
    to: '2-2',
    epoch: 3,
    view: 2,
    events: { accepted: 2, pending: 0, inProcess: 1, success: 0, fail: 1 },
    digest: /^[0-9a-f]{64}$/,
    fault: null,
    strangers: [],
  });
  const bytes = [...blobs.objects.values()].reduce((sum, object) => sum + object.byteLength, 0);
  t.equal(report.bytes, bytes);
  t.same(
    seen,
    [1, 2, 3, 4].map((done) => [done, 4]),
  );
});

t.test('a partition without segments is empty, and sound', async (t) => {
  t.match(await verify(new MemoryBlobs()), {
    firstSlot: null,
    segments: 0,
    fault: null,
    digest: '0'.repeat(64),
  });
});

t.test('a log whose beginning was taken by retention is sound, and has no digest', async (t) => {
  const blobs = await written();
  blobs.objects.delete(slotKey(0, 1));
  t.match(await verify(blobs), { firstSlot: 2, records: 3, fault: null, digest: null, events: null });
});

t.test('what lies in the folder and is no segment is told', async (t) => {
  const blobs = await written();
  blobs.objects.set('log/0/readme.txt', Buffer.from('hello'));
  t.match(await verify(blobs), { segments: 4, fault: null, strangers: ['log/0/readme.txt'] });
});

t.test('what comes while it reads is read too', async (t) => {
  const blobs = new MemoryBlobs();
  await writeSegments(blobs, segments().slice(0, 2));
  const later = await written();
  const report = await verifyPartition(blobs, IDENTITY, 0, (done) => {
    if (done === 1) for (const [key, bytes] of later.objects) blobs.objects.set(key, bytes);
  });
  t.match(report, { segments: 4, fault: null });
});

/** What is done to a sound log, where that is found, and how it is said. */
const FAULTS: Record<string, [change: (blobs: MemoryBlobs) => void, slot: number, said: RegExp]> = {
  'a bit of a segment is flipped': [(blobs) => flip(blobs, 2), 2, /unpack|SHA-256/],
  'a segment is cut short': [
    (blobs) => edit(blobs, 2, (bytes) => bytes.subarray(0, -5)),
    2,
    /does not unpack/,
  ],
  'a segment lacks its footer': [
    (blobs) =>
      edit(blobs, 2, (bytes) =>
        gzipSync(
          gunzipSync(bytes)
            .toString()
            .replace(/\{"end.*\n$/, ''),
        ),
      ),
    2,
    /has no footer/,
  ],
  'a record was changed': [
    (blobs) => edit(blobs, 2, (bytes) => gzipSync(gunzipSync(bytes).toString().replace('"mail"', '"male"'))),
    2,
    /content has SHA-256/,
  ],
  'a slot is missing': [
    (blobs) => void blobs.objects.delete(slotKey(0, 2)),
    2,
    /missing, and slot 3 is there/,
  ],
  'two segments have changed places': [
    (blobs) => {
      const [two, three] = [blobs.objects.get(slotKey(0, 2))!, blobs.objects.get(slotKey(0, 3))!];
      blobs.objects.set(slotKey(0, 2), three).set(slotKey(0, 3), two);
    },
    2,
    /is slot 3 of partition 0 by its header/,
  ],
};

for (const [title, [change, slot, said]] of Object.entries(FAULTS)) {
  t.test(`it is found that ${title}`, async (t) => {
    const blobs = await written();
    change(blobs);
    const report = await verify(blobs);
    t.match(report, { fault: { key: slotKey(0, slot), reason: said }, digest: null, events: null });
    t.equal(report.segments, slot - 1, 'what came before was looked at');
  });
}

/** Logs that are whole segment by segment, and wrong as a row. */
const ROWS: Record<
  string,
  [change: (all: WrittenSegment[]) => WrittenSegment[], slot: number, said: RegExp]
> = {
  'the chain of hashes breaks': [
    (all) => at(all, 1, { place: { previous: 'f'.repeat(64) } }),
    2,
    /follows a segment with SHA-256 f/,
  ],
  'an epoch goes back': [(all) => at(all, 3, { place: { epoch: 1, view: 2 } }), 4, /its epoch is 1, after 3/],
  'a view goes back': [(all) => at(all, 3, { place: { epoch: 3, view: 1 } }), 4, /its view is 1, after 2/],
  'a position is left out': [(all) => at(all, 1, { records: [accepted(4)] }), 2, /begins at 1-4 after 1-2/],
  'a position is there twice': [
    (all) => at(all, 1, { records: [accepted(2)] }),
    2,
    /begins at 1-2 after 1-2/,
  ],
  'a record has no event': [
    (all) =>
      at(all, 1, {
        records: [{ ...segments()[3]!.records[1]!, id: IDS[0]!, pos: { view: 1, n: 3 } } as LogRecord],
      }),
    2,
    /record 1-3 does not fold: record of an event that is not there/,
  ],
  'a segment is of another log': [
    (all) => at(all, 1, { place: { logId: 'another' } }),
    2,
    /logId is another/,
  ],
  'a segment counts other partitions': [
    (all) => at(all, 1, { place: { partitions: 4 } }),
    2,
    /4 partitions, not 1/,
  ],
};

for (const [title, [change, slot, said]] of Object.entries(ROWS)) {
  t.test(`it is found that ${title}`, async (t) => {
    const report = await verify(await written(change));
    t.match(report, { fault: { key: slotKey(0, slot), reason: said }, digest: null });
  });
}

t.test('it is found that a type, or an event, is in the wrong partition', async (t) => {
  const identity = { ...IDENTITY, partitions: 16 };
  t.not(partitionOfType('mail', 16), 0);
  const byType = new MemoryBlobs();
  await writeSegments(byType, [{ records: [typeSet({ view: 1, n: 1 })] }], { partitions: 16 });
  t.match(await verify(byType, identity), { fault: { reason: /type "mail", whose partition is/ } });
  const byId = new MemoryBlobs();
  const records = [{ ...acceptedRecord({ view: 1, n: 1 }), id: makeEventId(1, 3) }];
  await writeSegments(byId, [{ records }], { partitions: 16 });
  t.match(await verify(byId, identity), { fault: { reason: /an event whose id names partition 3/ } });
});

function edit(blobs: MemoryBlobs, slot: number, change: (bytes: Buffer) => Buffer): void {
  const key = slotKey(0, slot);
  blobs.objects.set(key, change(blobs.objects.get(key)!));
}

function flip(blobs: MemoryBlobs, slot: number): void {
  edit(blobs, slot, (bytes) => {
    const changed = Buffer.from(bytes);
    changed[changed.byteLength >> 1]! ^= 1;
    return changed;
  });
}

function at(all: WrittenSegment[], index: number, change: Partial<WrittenSegment>): WrittenSegment[] {
  return all.map((segment, each) => (each === index ? { ...segment, ...change } : segment));
}
