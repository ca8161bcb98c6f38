/** Sheets, and the thread that makes them: the records are those that a reader of the lines itself would have. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { KeptRecord, LogRecord } from '../../src/event/record.js';
import { recordsOf } from '../../src/event/sheet.js';
import { Decoder } from '../../src/log/decoder.js';
import { Encoder } from '../../src/log/encoder.js';
import { decodeKeptRecord, encodeRecord } from '../../src/log/record-line.js';
import { CorruptSegmentError, decodeSegment, encodeSegment } from '../../src/log/segment.js';
import { sheetFrom, sheetOf } from '../../src/log/sheet.js';
import { slotKey } from '../../src/log/slot.js';
import { acceptedRecords, arbitraryRecords, LOG_ID } from '../support/records.js';

const SEED = Number(process.env['SEED'] ?? 1);
const KEY = slotKey(0, 1);
const PLACE = {
  logId: LOG_ID,
  partition: 0,
  partitions: 1,
  slot: 1,
  epoch: 1,
  view: 1,
  writer: 'test',
} as const;

function throughSheet(lines: readonly string[]): unknown[] {
  return comparable(recordsOf(sheetOf(Buffer.from(lines.map((line) => `${line}\n`).join('')), lines.length)));
}

/** Payloads as text that tells all bytes, whatever view of bytes they were. */
function comparable(records: readonly KeptRecord[]): unknown[] {
  return records.map((record) =>
    'payload' in record && record.payload !== null
      ? { ...record, payload: Buffer.from(record.payload).toString('latin1') }
      : { ...record },
  );
}

/** What comes of `act`; all failures are one. */
function outcomeOf(act: () => unknown): unknown {
  try {
    return act();
  } catch {
    return 'failed';
  }
}

t.test('a sheet holds what the lines hold, whatever that is', (t) => {
  fc.assert(
    fc.property(arbitraryRecords, (records) => {
      assert.deepStrictEqual(throughSheet(records.map(encodeRecord)), comparable(records));
    }),
    { numRuns: 500, seed: SEED },
  );
  t.pass('500 runs of up to 30 records');
  t.end();
});

t.test('of lines that nobody has written a sheet says what a reader of the line says', (t) => {
  const change = fc.record({
    place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    cut: fc.nat(3),
    text: fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.constantFrom('"', '\\', '\\u0041', '\\x', '{', '}', ',"request":{', '-', '0', '"body":"', '\t'),
    ),
  });
  let [same, failed] = [0, 0];
  fc.assert(
    fc.property(arbitraryRecords, change, ([record], { place, cut, text }) => {
      if (record === undefined) return;
      const line = encodeRecord(record);
      const at = Math.floor(place * line.length);
      // As bytes say it: half a character is none.
      const changed = Buffer.from(
        `${line.slice(0, at)}${text}${line.slice(at + cut)}`.replaceAll('\n', ''),
      ).toString();
      const expected = outcomeOf(() => comparable([decodeKeptRecord(changed)]));
      assert.deepStrictEqual(
        outcomeOf(() => throughSheet([changed])),
        expected,
        changed,
      );
      if (expected === 'failed') failed += 1;
      else same += 1;
    }),
    { numRuns: 5_000, seed: SEED },
  );
  t.ok(same > 200 && failed > 500, `${same} were read, ${failed} were not`);
  t.end();
});

t.test('a line that is two records, and fewer or more lines than there should be, are refused', (t) => {
  const [line, other] = [1, 2].map((n) =>
    encodeRecord({ op: 'cancelled', pos: { view: 1, n }, at: 1, id: `event-${n}`, type: 'mail' }),
  ) as [string, string];
  t.throws(() => throughSheet([`${line},${other}`]));
  t.throws(() => sheetOf(Buffer.from(`${line}\n${other}\n`), 1));
  t.throws(() => sheetOf(Buffer.from(`${line}\n`), 2));
  t.end();
});

t.test('records that grow when they are parsed find room', (t) => {
  const line = encodeRecord(acceptedRecords(1, 1, 1)[0]!);
  // Not in the order in which a line is written, so that it is parsed; and in long it is longer.
  const strange = line.replace('"at":', '"more":[1e20,1e20,1e20,1e20,1e20,1e20,1e20,1e20],"at":');
  const lines = [...Array<string>(50).fill(strange), ...Array<string>(50).fill(line)];
  t.strictSame(throughSheet(lines), comparable(lines.map(decodeKeptRecord)));
  t.end();
});

t.test('a thread', async (t) => {
  const decoder = new Decoder();
  t.teardown(() => decoder.close());
  const records = acceptedRecords(1, 1, 500);
  const place = { ...PLACE, kind: 'data', putId: 'put-1', previous: null } as const;
  const { bytes, sha256 } = await encodeSegment(place, records);

  await t.test('reads segments, several at one time, as they are read without it', async (t) => {
    const reads = await Promise.all([1, 2, 3].map(() => decodeSegment(KEY, bytes, decoder.read)));
    const without = await decodeSegment(KEY, bytes);
    for (const segment of reads) {
      t.strictSame(comparable(segment.records), comparable(records as readonly LogRecord[]));
      t.strictSame(segment.header, without.header);
      t.equal(segment.sha256, sha256);
    }
  });

  await t.test('says nothing of what is not whole, and the reader names that itself', async (t) => {
    for (const at of [0, 10, bytes.byteLength >> 1, bytes.byteLength - 5]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x10;
      t.equal(await decoder.read(damaged), null);
      const error = await decodeSegment(KEY, damaged, decoder.read).catch((error: unknown) => error);
      t.ok(error instanceof CorruptSegmentError && error.message.includes(KEY), String(error));
    }
    t.not(await decoder.read(bytes), null, 'and goes on');
  });

  await t.test('that has ended leaves all to the reader', async (t) => {
    const waiting = decoder.read(bytes);
    await decoder.close();
    await waiting;
    t.equal(await decoder.read(bytes), null);
    t.equal((await decodeSegment(KEY, bytes, decoder.read)).records.length, 500);
  });
});

t.test('records go through a sheet as they are', async (t) => {
  await fc.assert(
    fc.asyncProperty(arbitraryRecords, async (records) => {
      t.strictSame(comparable(recordsOf(await sheetFrom(records))), comparable(records));
    }),
    { seed: SEED, numRuns: 200 },
  );
});

t.test('segments are made in a thread of their own', async (t) => {
  const encoder = new Encoder();
  t.teardown(() => encoder.close());
  const place = { ...PLACE, kind: 'data', putId: 'put-1', previous: null } as const;
  const large = Buffer.alloc(10_000, '{"a":"\u00fc"}');
  const many = acceptedRecords(1, 1, 600).map((record) => ({
    ...record,
    payload: Buffer.concat([Buffer.from('{}\n'), large]),
  }));

  await t.test('as they are made without it, also when not all fit', async (t) => {
    for (const records of [many, many.slice(0, 50), acceptedRecords(1, 1, 3)]) {
      const [made, without] = [await encoder.encode(place, records), await encodeSegment(place, records)];
      t.strictSame(made.header, without.header);
      t.equal(made.sha256, without.sha256);
      t.ok(made.bytes.equals(without.bytes));
    }
    t.ok((await encoder.encode(place, many)).header.count < many.length);
  });

  await t.test('what cannot be made is refused as it is without it', async (t) => {
    await t.rejects(encoder.encode(place, []), RangeError);
    await t.rejects(encoder.encode(place, [...many].reverse()), RangeError);
  });

  await t.test('and here when it has ended', async (t) => {
    const waiting = encoder.encode(place, many);
    await encoder.close();
    const { sha256 } = await encodeSegment(place, many);
    t.equal((await waiting).sha256, sha256);
    t.equal((await encoder.encode(place, many)).sha256, sha256);
  });
});
