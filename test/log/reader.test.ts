/** The reader follows the chain and names what breaks it; FORMAT.md says what is really written. */
import { readFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { sha256Hex, unpackEnvelope } from '../../src/event/envelope.js';
import { formatPosition, type LogRecord } from '../../src/event/record.js';
import { LogReader } from '../../src/log/reader.js';
import { LOG_OPS } from '../../src/log/record-line.js';
import {
  decodeSegment,
  encodeSegment,
  SEGMENT_BYTES_MAX,
  SEGMENT_RAW_BYTES_MAX,
  SEGMENT_RECORDS_MAX,
} from '../../src/log/segment.js';
import type { SegmentPlace } from '../../src/log/segment-header.js';
import { findHeadSlot, slotKey } from '../../src/log/slot.js';
import { Witness } from '../../src/log/witness.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { acceptedRecords, LOG_ID } from '../support/records.js';

const IDENTITY = { logId: LOG_ID, partitions: 1 };

/** Writes one segment for each list of records, in slots from 1 on; `change` may alter what the header says. */
async function writeLog(
  blobs: MemoryBlobs,
  runs: readonly (readonly LogRecord[])[],
  change: (place: SegmentPlace) => SegmentPlace = (place) => place,
): Promise<void> {
  let previous: string | null = null;
  for (const [i, records] of runs.entries()) {
    const slot = i + 1;
    const place: SegmentPlace = {
      ...IDENTITY,
      kind: 'data',
      partition: 0,
      slot,
      epoch: 1,
      view: 1,
      writer: 'test',
      putId: `put-${slot}`,
      previous,
    };
    const segment = await encodeSegment(change(place), records);
    previous = segment.sha256;
    blobs.objects.set(slotKey(0, slot), segment.bytes);
  }
}

async function positionsFrom(blobs: MemoryBlobs, from = 1): Promise<string[]> {
  const positions: string[] = [];
  for await (const segment of new LogReader(blobs, IDENTITY).segments(0, from)) {
    positions.push(...segment.records.map((record) => formatPosition(record.pos)));
  }
  return positions;
}

const RUNS = [acceptedRecords(1, 1, 2), acceptedRecords(1, 3, 1), acceptedRecords(2, 1, 2)];

t.test('segments come in order, from the first or from any other', async (t) => {
  const blobs = new MemoryBlobs();
  t.same(await positionsFrom(blobs), []);
  await writeLog(blobs, RUNS);
  t.same(await positionsFrom(blobs), ['1-1', '1-2', '1-3', '2-1', '2-2']);
  t.same(await positionsFrom(blobs, 3), ['2-1', '2-2']);
  t.same(await positionsFrom(blobs, 4), []);
  t.equal(await new LogReader(blobs, IDENTITY).read(0, 4), null);
});

t.test('a chain that is broken is named where it breaks', async (t) => {
  const cases: [string, (blobs: MemoryBlobs) => void | Promise<void>, RegExp][] = [
    [
      'a slot is missing',
      (blobs) => void blobs.objects.delete(slotKey(0, 2)),
      /0{19}2\.ndjson\.gz is corrupt: it is missing, and slot 3 is there/,
    ],
    [
      'a segment is another’s',
      async (blobs) => {
        const other = new MemoryBlobs();
        await writeLog(other, [acceptedRecords(1, 1, 1), acceptedRecords(1, 2, 2)]);
        blobs.objects.set(slotKey(0, 2), other.objects.get(slotKey(0, 2)) ?? Buffer.alloc(0));
      },
      /0{19}2\.ndjson\.gz is corrupt: it follows a segment with SHA-256/,
    ],
    [
      'a segment lies in another slot',
      (blobs) => void blobs.objects.set(slotKey(0, 2), blobs.objects.get(slotKey(0, 3)) ?? Buffer.alloc(0)),
      /0{19}2\.ndjson\.gz is corrupt: it is slot 3 of partition 0 by its header/,
    ],
    [
      'records are left out',
      (blobs) => writeLog(blobs, [acceptedRecords(1, 1, 2), acceptedRecords(1, 4, 1)]),
      /0{19}2\.ndjson\.gz is corrupt: it begins at 1-4 after 1-2/,
    ],
    [
      'records come twice',
      (blobs) => writeLog(blobs, [acceptedRecords(1, 1, 2), acceptedRecords(1, 2, 2)]),
      /it begins at 1-2 after 1-2/,
    ],
    [
      'the view goes back',
      (blobs) => writeLog(blobs, [acceptedRecords(2, 1, 2), acceptedRecords(1, 3, 2)]),
      /it begins at 1-3 after 2-2/,
    ],
    [
      'the first names one before it',
      (blobs) => writeLog(blobs, RUNS, (place) => ({ ...place, previous: 'ab' })),
      /0{19}1\.ndjson\.gz is corrupt: it names one before it/,
    ],
    [
      'the log is another’s',
      (blobs) => writeLog(blobs, RUNS, (place) => ({ ...place, logId: 'other' })),
      /0{19}1\.ndjson\.gz is of another log: its logId is other/,
    ],
    [
      'the log has more partitions',
      (blobs) => writeLog(blobs, RUNS, (place) => ({ ...place, partitions: 4 })),
      /it has 4 partitions, not 1/,
    ],
  ];
  for (const [title, damage, message] of cases) {
    await t.test(title, async (t) => {
      const blobs = new MemoryBlobs();
      await writeLog(blobs, RUNS);
      await damage(blobs);
      await t.rejects(positionsFrom(blobs), { message });
    });
  }
});

t.test('a slot won between two looks is not taken for a gap', async (t) => {
  const blobs = new MemoryBlobs();
  await writeLog(blobs, RUNS);
  const late = blobs.objects.get(slotKey(0, 3)) ?? Buffer.alloc(0);
  blobs.objects.delete(slotKey(0, 3));
  blobs.list = async (prefix, options) => {
    blobs.objects.set(slotKey(0, 3), late);
    return MemoryBlobs.prototype.list.call(blobs, prefix, options);
  };
  t.equal((await positionsFrom(blobs)).length, 5);
});

t.test(
  'the head is found from any slot below it, and is what was known when nothing lies above',
  async (t) => {
    for (const head of [0, 1, 2, 3, 7, 8, 9, 100]) {
      const blobs = new MemoryBlobs();
      for (let slot = 1; slot <= head; slot++) blobs.objects.set(slotKey(0, slot), Buffer.alloc(0));
      blobs.objects.set(slotKey(1, head + 5), Buffer.alloc(0));
      for (let known = 0; known <= head; known++) {
        if ((await findHeadSlot(blobs, 0, known)) !== head) t.fail(`from ${known}, the head being ${head}`);
      }
      t.equal(await findHeadSlot(blobs, 0, head + 10), head + 10);
    }
  },
);

t.test('a store is witnessed while the log ends in its view, and no longer', async (t) => {
  const blobs = new MemoryBlobs();
  const { isCurrent } = new Witness(blobs);
  const claim = { logId: LOG_ID, view: 1, slot: 0 };
  t.equal(await isCurrent(0, claim), true, 'there is no log yet');
  t.equal(await isCurrent(0, { ...claim, slot: 3 }), false, 'nor is there what the store has archived');
  await writeLog(blobs, RUNS);
  t.equal(await isCurrent(0, claim), true);
  t.equal(await isCurrent(0, { ...claim, view: 2 }), false);
  t.equal(await isCurrent(0, { ...claim, logId: 'other' }), false);
  await writeLog(blobs, [...RUNS, acceptedRecords(2, 3, 1)], (place) => ({
    ...place,
    view: place.slot === 4 ? 2 : 1,
  }));
  t.equal(await isCurrent(0, claim), false, 'it has gone on with another');
  t.equal(await isCurrent(0, { ...claim, view: 2, slot: 4 }), true);
});

t.test('FORMAT.md', async (t) => {
  const page = await readFile(new URL('../../../src/log/FORMAT.md', import.meta.url), 'utf8');
  const example = /```ndjson\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

  await t.test('has an example that is a real segment, to the byte', async (t) => {
    const { header, records } = await decodeSegment('the example', gzipSync(example));
    const { v: _v, from: _from, to: _to, count: _count, ...place } = header;
    t.equal(gunzipSync((await encodeSegment(place, records)).bytes).toString(), example);
    for (const record of records) {
      if (record.op !== 'accepted') continue;
      const { head, body } = unpackEnvelope(record.payload);
      t.equal(head.bytes, body.byteLength);
      t.equal(head.sha256, sha256Hex(body));
    }
  });

  await t.test('names every operation there is and no other, and the limits as they are', (t) => {
    const table = page.slice(page.indexOf('and further, by `op`'), page.indexOf('### Bodies'));
    const named = [...table.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1]).slice(1);
    t.same(named.sort(), [...LOG_OPS].sort());
    t.equal(SEGMENT_RECORDS_MAX, 10_000);
    t.equal(SEGMENT_RAW_BYTES_MAX, 4 * 1024 * 1024);
    t.equal(SEGMENT_BYTES_MAX, 8 * 1024 * 1024);
    t.match(page, 'at most 10,000 records and 4 MiB of\nlines');
    t.match(page, 'at most 8 MiB as an object');
    t.end();
  });

  await t.test('names every field of the header and of the example’s records', async (t) => {
    for (const line of example.trimEnd().split('\n')) {
      for (const name of Object.keys(JSON.parse(line) as object)) t.ok(page.includes(`\`${name}\``), name);
    }
  });
});
