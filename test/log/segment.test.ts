/** Segments: what goes in comes out, byte for byte; what is damaged is refused by name. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { pack } from '../../src/event/packed.js';
import type { Completed, LogRecord } from '../../src/event/record.js';
import { decodeRecord, encodeRecord } from '../../src/log/record-line.js';
import {
  CorruptSegmentError,
  decodeSegment,
  encodeSegment,
  SEGMENT_RAW_BYTES_MAX,
  SEGMENT_RECORDS_MAX,
} from '../../src/log/segment.js';
import type { SegmentPlace } from '../../src/log/segment-header.js';
import { slotKey, slotOfKey } from '../../src/log/slot.js';
import { acceptedRecord, acceptedRecords, arbitraryRecords, LOG_ID } from '../support/records.js';

/** The same records each time; `SEED` looks elsewhere. */
const SEED = Number(process.env['SEED'] ?? 1);
const KEY = slotKey(0, 1);
const PLACE: SegmentPlace = {
  kind: 'data',
  logId: LOG_ID,
  partition: 0,
  partitions: 1,
  slot: 1,
  epoch: 1,
  view: 1,
  writer: 'test',
  putId: 'put-1',
  previous: null,
};

/** Payloads as Buffers, whatever view of bytes they were. */
function comparable(records: readonly LogRecord[]): unknown[] {
  return records.map((record) =>
    'payload' in record && record.payload !== null
      ? { ...record, payload: Buffer.from(record.payload) }
      : record,
  );
}

/** The segment's lines, with `change` made to them, compressed again; its footer is made to fit when asked for. */
function rewritten(
  bytes: Buffer,
  change: (lines: string[]) => string[],
  options: { reseal: boolean },
): Buffer {
  const lines = change(gunzipSync(bytes).toString().trimEnd().split('\n'));
  if (!options.reseal) return gzipSync(`${lines.join('\n')}\n`);
  const content = `${lines.slice(0, -1).join('\n')}\n`;
  const sha256 = createHash('sha256').update(content).digest('hex');
  return gzipSync(`${content}${JSON.stringify({ end: true, count: lines.length - 2, sha256 })}\n`);
}

async function reasonOf(bytes: Uint8Array): Promise<string> {
  try {
    await decodeSegment(KEY, bytes);
  } catch (error) {
    if (error instanceof CorruptSegmentError && error.key === KEY && error.message.includes(KEY))
      return error.reason;
    throw error;
  }
  return 'none';
}

t.test('a record’s line gives the very bytes back, whatever the record holds', (t) => {
  fc.assert(
    fc.property(arbitraryRecords, (records) => {
      for (const record of records) {
        const line = encodeRecord(record);
        const fields = JSON.parse(line) as Record<string, unknown>;
        assert.ok(!line.includes('\n'));
        assert.equal(fields['pos'], `${record.pos.view}-${record.pos.n}`);
        assert.equal(fields['op'], record.op);
        assert.deepStrictEqual(comparable([decodeRecord(line)]), comparable([record]));
      }
    }),
    { numRuns: 500, seed: SEED },
  );
  t.pass('500 runs of up to 30 records');
  t.end();
});

t.test('in a line', async (t) => {
  const lineOf = (body: Uint8Array) => JSON.parse(encodeRecord(acceptedRecord({ view: 1, n: 1 }, body)));

  await t.test('a head’s fields stand beside the body, so that one can ask for `request.path`', (t) => {
    const line = encodeRecord(acceptedRecord({ view: 1, n: 2 }, Buffer.from('{"big":9007199254740993}')));
    t.match(line, /^\{"pos":"1-2","at":\d+,"op":"accepted","id":"event-1-2","type":"mail",/);
    t.match(
      line,
      '"request":{"method":"POST","path":"/","headers":[["content-type","application/json"]],"bodyEncoding":"text","body":"',
    );
    t.equal(JSON.parse(line).request.body, '{"big":9007199254740993}');
    t.end();
  });

  await t.test('valid UTF-8 is a string, all else base64; so is what is mostly control characters', (t) => {
    t.equal(lineOf(Buffer.from('é\u2028"\ufeff')).request.body, 'é\u2028"\ufeff');
    t.equal(lineOf(Buffer.alloc(0)).request.body, '');
    t.equal(lineOf(Buffer.from([0xff, 0xfe])).request.bodyBase64, '//4=');
    t.equal(lineOf(Buffer.from([0xed, 0xa0, 0x80])).request.bodyBase64, '7aCA', 'a lone surrogate');
    t.equal(lineOf(Buffer.alloc(3)).request.bodyBase64, 'AAAA');
    t.equal(lineOf(Buffer.from('"""')).request.body, '"""');
    t.end();
  });

  await t.test('a result that is not there is null, and a head without fields is no obstacle', (t) => {
    const retried: LogRecord = {
      op: 'retried',
      pos: { view: 1, n: 1 },
      at: 1,
      id: 'x',
      type: 'mail',
      listener: 0,
      grant: 1,
      why: 'expired',
      dueAt: 2,
      fingerprint: null,
      payload: null,
    };
    t.match(encodeRecord(retried), '"result":null}');
    t.same(decodeRecord(encodeRecord(retried)), retried);
    const bare = { ...acceptedRecord({ view: 1, n: 1 }), payload: pack({}, Buffer.from('x')) };
    t.strictSame(decodeRecord(encodeRecord(bare)), bare);
    t.end();
  });

  await t.test('what is no record is refused', (t) => {
    for (const line of [
      '',
      'x',
      'null',
      '[]',
      '{}',
      '{"pos":"1","op":"cancelled"}',
      '{"pos":1,"op":"cancelled"}',
      '{"pos":"1-1","op":"unheard"}',
      '{"pos":"1-1","op":"toString"}',
      '{"pos":"1-1","op":"accepted","request":7}',
      '{"pos":"1-1","op":"accepted","request":{}}',
    ]) {
      t.throws(() => decodeRecord(line), line);
    }
    t.end();
  });
});

t.test('a segment gives back its records, header and hash', async (t) => {
  await fc.assert(
    fc.asyncProperty(arbitraryRecords, async (records) => {
      const encoded = await encodeSegment({ ...PLACE, previous: 'ab', slot: 7 }, records);
      const segment = await decodeSegment(KEY, encoded.bytes);
      assert.deepStrictEqual(comparable(segment.records), comparable(records));
      assert.deepStrictEqual(segment.header, encoded.header);
      assert.equal(segment.sha256, encoded.sha256);
    }),
    { numRuns: 100, seed: SEED },
  );
  t.pass('100 segments');
});

t.test(
  'a segment is what zcat and sha256sum show: header, records, footer over what stands before it',
  async (t) => {
    const { bytes, sha256 } = await encodeSegment(PLACE, acceptedRecords(1, 5, 3));
    const text = gunzipSync(bytes).toString();
    const lines = text.split('\n');
    t.equal(lines.length, 6, 'header, three records, footer, and the end of the last line');
    t.same(JSON.parse(lines[0] ?? ''), { v: 1, ...PLACE, from: '1-5', to: '1-7', count: 3 });
    const content = text.slice(0, text.lastIndexOf('{"end"'));
    t.equal(createHash('sha256').update(content).digest('hex'), sha256);
    t.same(JSON.parse(lines[4] ?? ''), { end: true, count: 3, sha256 });
    t.same(
      lines.slice(1, 4).map((line) => JSON.parse(line).pos),
      ['1-5', '1-6', '1-7'],
    );
  },
);

t.test('the same records under the same header are the same bytes', async (t) => {
  const records = acceptedRecords(1, 1, 50);
  const first = await encodeSegment(PLACE, records);
  t.ok(first.bytes.equals((await encodeSegment(PLACE, records)).bytes));
});

t.test('a segment takes', async (t) => {
  await t.test('10,000 records and not one more', async (t) => {
    const { header } = await encodeSegment(PLACE, acceptedRecords(1, 1, SEGMENT_RECORDS_MAX + 1));
    t.equal(header.count, SEGMENT_RECORDS_MAX);
    t.same(header.to, { view: 1, n: SEGMENT_RECORDS_MAX });
  });

  await t.test('4 MiB of lines, and a record that would go beyond waits for the next', async (t) => {
    const body = Buffer.alloc(600_000, 'x');
    const records = Array.from({ length: 10 }, (_, i) => acceptedRecord({ view: 1, n: i + 1 }, body));
    const { header, bytes } = await encodeSegment(PLACE, records);
    t.equal(header.count, 6);
    t.ok(gunzipSync(bytes).byteLength <= SEGMENT_RAW_BYTES_MAX + 1024, 'header and footer aside');
  });

  await t.test('a record larger than that alone, whatever its bytes are', async (t) => {
    const noise = Buffer.from(Array.from({ length: 4 << 20 }, (_, i) => (i * 2_654_435_761) >>> 13));
    for (const body of [noise, Buffer.alloc(4 << 20, '"'), Buffer.alloc(4 << 20)]) {
      const records = [acceptedRecord({ view: 1, n: 1 }, body), acceptedRecord({ view: 1, n: 2 })];
      const { header, bytes } = await encodeSegment(PLACE, records);
      t.equal(header.count, 1);
      t.strictSame(comparable((await decodeSegment(KEY, bytes)).records), comparable(records.slice(0, 1)));
    }
  });

  await t.test('no records at all, or records out of order: a programmer’s mistake', async (t) => {
    await t.rejects(encodeSegment(PLACE, []), RangeError);
    const [a, b] = acceptedRecords(1, 1, 2);
    if (a && b) await t.rejects(encodeSegment(PLACE, [b, a]), RangeError);
    if (a) await t.rejects(encodeSegment(PLACE, [a, a]), RangeError);
  });
});

t.test('of a damaged segment nothing is believed', async (t) => {
  const records = acceptedRecords(1, 1, 3);
  const { bytes } = await encodeSegment(PLACE, records);
  const whole = comparable(records);

  await t.test('cut at any length', async (t) => {
    for (let length = 0; length < bytes.byteLength; length++) {
      if ((await reasonOf(bytes.subarray(0, length))) === 'none') t.fail(`cut to ${length} bytes`);
    }
    t.pass(`${bytes.byteLength} cuts`);
  });

  await t.test('with any one bit turned: refused, or the very same records', async (t) => {
    let same = 0;
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const segment = await decodeSegment(KEY, flipped).catch((error: unknown) => {
        if (error instanceof CorruptSegmentError) return null;
        throw error;
      });
      if (segment === null) continue;
      same++;
      if (!isDeepStrictEqual(comparable(segment.records), whole)) t.fail(`bit ${bit}`);
    }
    t.ok(
      same < 100,
      `${bytes.byteLength * 8} bits, ${same} of them in parts of the gzip header that mean nothing`,
    );
  });

  const changes: [string, RegExp, (lines: string[]) => string[], boolean][] = [
    ['without its footer', /no footer/, (lines) => lines.slice(0, -1), false],
    ['without a record', /SHA-256/, (lines) => lines.toSpliced(2, 1), false],
    ['with a record doubled', /SHA-256/, (lines) => lines.toSpliced(2, 0, lines[2] ?? ''), false],
    [
      'with another count in the footer',
      /holds 3 records, its footer says 4/,
      (lines) => [...lines.slice(0, -1), (lines.at(-1) ?? '').replace('"count":3', '"count":4')],
      false,
    ],
    ['without a record, the footer made to fit', /holds 2 records/, (lines) => lines.toSpliced(2, 1), true],
    ['without a header, the footer made to fit', /version undefined/, (lines) => lines.slice(1), true],
    [
      'with two records exchanged, the footer made to fit',
      /comes after/,
      ([h = '', a = '', b = '', ...rest]) => [h, b, a, ...rest],
      true,
    ],
    [
      'with other positions in its header',
      /other positions/,
      ([h = '', ...rest]) => [h.replace('"from":"1-1"', '"from":"1-0"'), ...rest],
      true,
    ],
    [
      'of a later version',
      /version 2; this reader knows 1/,
      ([h = '', ...rest]) => [h.replace('"v":1', '"v":2'), ...rest],
      true,
    ],
    [
      'with an operation that is not known',
      /record 1 is an operation that is not known/,
      ([h = '', a = '', ...rest]) => [h, a.replace('"op":"accepted"', '"op":"invented"'), ...rest],
      true,
    ],
    [
      'with a slot that is none',
      /-1 as slot/,
      ([h = '', ...rest]) => [h.replace('"slot":1', '"slot":-1'), ...rest],
      true,
    ],
  ];
  for (const [title, reason, change, reseal] of changes) {
    await t.test(title, async (t) => {
      t.match(await reasonOf(rewritten(bytes, change, { reseal })), reason);
    });
  }

  await t.test('that is no gzip, or unpacks to more than any segment', async (t) => {
    t.match(await reasonOf(Buffer.from('<html>')), /does not unpack/);
    t.match(await reasonOf(gzipSync(Buffer.alloc(65 << 20))), /does not unpack/);
    t.match(await reasonOf(gzipSync('')), /does not end/);
    t.match(await reasonOf(gzipSync('\n')), /no footer/);
  });
});

t.test('a slot’s key is of numbers only, in the order of slots, and read back', (t) => {
  t.equal(slotKey(3, 42), 'log/3/00000000000000000042.ndjson.gz');
  t.equal(slotOfKey(slotKey(3, 42)), 42);
  t.equal(slotOfKey('log/3/manifest.json'), null);
  t.ok(slotKey(0, 9) < slotKey(0, 10));
  t.throws(() => slotKey(-1, 1), RangeError);
  t.throws(() => slotKey(0, 1.5), RangeError);
  t.end();
});

t.test('a completion’s result stands in its line as people look for it', (t) => {
  const completed: Completed = {
    op: 'completed',
    pos: { view: 2, n: 9 },
    at: 5,
    id: 'e',
    type: 'mail',
    listener: 0,
    grant: 1,
    outcome: 'success',
    reason: null,
    fingerprint: 'f',
    payload: pack({ outcome: 'success', response: { status: 200 }, errors: [] }, Buffer.from('pong')),
  };
  t.equal(
    encodeRecord(completed),
    '{"pos":"2-9","at":5,"op":"completed","id":"e","type":"mail","listener":0,"grant":1,"outcome":"success","reason":null,' +
      '"fingerprint":"f","result":{"outcome":"success","response":{"status":200},"errors":[],"body":"pong"}}',
  );
  t.end();
});
