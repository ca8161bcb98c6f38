/** The archiver: when it writes, what it makes of each failure, and that it never believes what it has not seen. */
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Archiver, type ArchiverOptions } from '../../src/log/archiver.js';
import { slotKey } from '../../src/log/slot.js';
import {
  Bench,
  IDENTITY,
  INTERVAL_MS,
  positionsIn,
  positionsOf,
  segmentsOf,
  startArchiver,
  until,
} from '../support/archiver-bench.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { MemoryOutbox } from '../support/memory-outbox.js';
import { acceptedRecord, acceptedRecords, emittingRecords } from '../support/records.js';

t.test('when it writes', async (t) => {
  await t.test(
    'nothing while nothing waits; what waits goes at the next interval, and the outbox is trimmed',
    async (t) => {
      const { bench, blobs, outbox } = startArchiver(t);
      await bench.rested();
      for (let i = 0; i < 60; i++) {
        bench.clock.advance(INTERVAL_MS);
        await bench.rested();
      }
      t.equal(blobs.objects.size, 0, 'an idle minute');
      const records = acceptedRecords(1, 1, 3);
      outbox.add(...records);
      await setImmediate();
      t.equal(blobs.objects.size, 0, 'not before its time');
      bench.clock.advance(INTERVAL_MS);
      await bench.rested();
      t.same([...blobs.objects.keys()], [slotKey(0, 1)]);
      t.same(await positionsIn(blobs), positionsOf(records));
      t.same(outbox.records, []);
      t.same(outbox.archived, { pos: { view: 1, n: 3 }, slot: 1 });
      t.match(bench.archiver.status(), { state: 'running', slot: 1, position: '1-3', lagMs: 0, error: null });
    },
  );

  await t.test('one segment an interval, however little is in it', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t);
    await bench.rested();
    for (let i = 0; i < 5; i++) {
      outbox.add(acceptedRecord({ view: 1, n: i + 1 }));
      bench.clock.advance(INTERVAL_MS);
      await bench.rested();
    }
    t.equal(blobs.objects.size, 5);
    t.equal((await segmentsOf(blobs)).length, 5, 'a chain that a reader follows');
  });

  await t.test('at once, and again at once, while more waits than a segment holds', async (t) => {
    const records = acceptedRecords(1, 1, 25_000);
    const { bench, blobs, outbox } = startArchiver(t, records);
    await bench.rested();
    t.same(
      bench.of('archived').map((event) => event.records),
      [10_000, 10_000, 5_000],
    );
    t.equal(bench.clock.nowMs(), 0, 'without waiting');
    t.same(outbox.records, []);
    t.equal((await positionsIn(blobs)).length, 25_000);
  });

  await t.test('a completion and what it emits stand in one segment (S5)', async (t) => {
    const before = acceptedRecords(1, 1, 9_950);
    const records = [...before, ...emittingRecords(9_951, 120), ...acceptedRecords(1, 10_072, 10)];
    const { bench, blobs } = startArchiver(t, records);
    await bench.rested();
    const segments = await segmentsOf(blobs);
    t.same(
      segments.map((segment) => segment.header.count),
      [9_950, 131],
    );
    t.same(await positionsIn(blobs), positionsOf(records));
  });

  await t.test('large records do not wait for the interval behind small ones', async (t) => {
    const large = Buffer.alloc(4 << 20, 'x');
    const records = Array.from({ length: 6 }, (_, i) =>
      acceptedRecord({ view: 1, n: i + 1 }, i % 2 === 0 ? Buffer.from('small') : large),
    );
    const { bench, blobs } = startArchiver(t, records);
    await bench.rested();
    t.same(await positionsIn(blobs), positionsOf(records));
    t.equal(bench.clock.nowMs(), 0);
  });

  await t.test('when it is nudged', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t);
    await bench.rested();
    outbox.add(acceptedRecord({ view: 1, n: 1 }));
    bench.archiver.nudge();
    await until('archived', () => bench.of('archived').length === 1);
    t.equal(bench.clock.nowMs(), 0);
    t.equal(blobs.objects.size, 1);
  });

  await t.test('records of two views go on in one chain', async (t) => {
    const records = [...acceptedRecords(1, 1, 3), ...acceptedRecords(2, 1, 2), ...acceptedRecords(5, 1, 1)];
    const { bench, blobs } = startArchiver(t, records);
    await bench.rested();
    const [segment] = await segmentsOf(blobs);
    t.match(segment?.header, { view: 5, from: { view: 1, n: 1 }, to: { view: 5, n: 1 }, count: 6 });
  });
});

t.test('beginning again', async (t) => {
  await t.test('it goes on from the log’s end, one epoch up, whatever it was when it stopped', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t, acceptedRecords(1, 1, 2));
    await bench.rested();
    t.equal(await bench.archiver.stop(1_000), true);
    outbox.add(...acceptedRecords(2, 1, 2));
    const second = startArchiver(t, [], { blobs, outbox }, outbox).bench;
    await second.rested();
    const segments = await segmentsOf(blobs);
    t.same(
      segments.map(({ header }) => [header.slot, header.epoch, header.view]),
      [
        [1, 1, 1],
        [2, 2, 2],
      ],
    );
    t.same(await positionsIn(blobs), ['1-1', '1-2', '2-1', '2-2']);
  });

  await t.test(
    'what was put, and not noted in the store before it died, is noted and not put again',
    async (t) => {
      const records = acceptedRecords(1, 1, 2);
      const { bench, blobs, outbox } = startArchiver(t, records);
      await bench.rested();
      await bench.archiver.stop(1_000);
      outbox.archived = null;
      outbox.records = [...records, acceptedRecord({ view: 1, n: 3 })];
      await startArchiver(t, [], { blobs, outbox }, outbox).bench.rested();
      t.same(await positionsIn(blobs), ['1-1', '1-2', '1-3']);
      t.same(outbox.archived, { pos: { view: 1, n: 3 }, slot: 2 });
    },
  );

  await t.test('the end is found from far below with few looks', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t);
    await bench.rested();
    for (let n = 1; n <= 300; n++) {
      outbox.add(acceptedRecord({ view: 1, n }));
      bench.clock.advance(INTERVAL_MS);
      await bench.rested();
    }
    await bench.archiver.stop(1_000);
    outbox.archived = null;
    let lists = 0;
    const counting = new Proxy(blobs, {
      get(target, name, receiver) {
        if (name === 'list') lists++;
        const value: unknown = Reflect.get(target, name, receiver);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const second = startArchiver(t, [], { blobs: counting, outbox }, outbox).bench;
    await second.rested();
    t.equal(second.archiver.status().slot, 300);
    t.ok(lists <= 20, `${lists} lists for 300 slots`);
  });
});

t.test('two archivers', async (t) => {
  await t.test('on one outbox neither double nor lose a record, and the slower finds its way', async (t) => {
    const outbox = new MemoryOutbox();
    outbox.add(...acceptedRecords(1, 1, 5));
    const { bench: a, blobs } = startArchiver(t, [], { writer: 'a' }, outbox);
    await a.rested();
    const { bench: b } = startArchiver(t, [], { writer: 'b', blobs }, outbox);
    await b.rested();
    for (let n = 6; n < 60; n++) {
      outbox.add(acceptedRecord({ view: 1, n }));
      a.clock.advance(INTERVAL_MS);
      b.clock.advance(INTERVAL_MS);
      await Promise.all([a.rested(), b.rested()]);
    }
    t.same(await positionsIn(blobs), positionsOf(acceptedRecords(1, 1, 59)));
    t.ok(a.of('overtaken').length + b.of('overtaken').length > 0, 'they did race');
    t.same(outbox.records, []);
  });

  await t.test(
    'with one that holds the archiving the other stands by, and takes over when it may',
    async (t) => {
      const outbox = new MemoryOutbox();
      outbox.holder = 'a';
      const { bench: a, blobs } = startArchiver(t, [], { writer: 'a' }, outbox);
      const { bench: b } = startArchiver(t, [], { writer: 'b', blobs }, outbox);
      await Promise.all([a.rested(), b.rested()]);
      outbox.add(...acceptedRecords(1, 1, 2));
      b.clock.advance(INTERVAL_MS);
      await b.rested();
      t.equal(b.archiver.status().state, 'standby');
      t.equal(blobs.objects.size, 0);
      a.clock.advance(INTERVAL_MS);
      await a.rested();
      t.equal(blobs.objects.size, 1);
      t.equal(await a.archiver.stop(1_000), true);
      t.same(outbox.holds.at(-1), { holder: 'a', ms: 1 }, 'who stops lets go');
      outbox.holder = 'b';
      outbox.add(acceptedRecord({ view: 1, n: 3 }));
      b.clock.advance(INTERVAL_MS);
      await b.rested();
      t.equal(b.archiver.status().state, 'running');
      t.same(await positionsIn(blobs), ['1-1', '1-2', '1-3']);
    },
  );

  await t.test('the hold is said again well before it ends, and not with every segment', async (t) => {
    const outbox = new MemoryOutbox();
    const { bench } = startArchiver(t, [], {}, outbox);
    await bench.rested();
    for (let i = 0; i < 30; i++) {
      bench.clock.advance(INTERVAL_MS);
      await bench.rested();
    }
    t.equal(outbox.holds.length, 7, 'in thirty seconds');
    t.ok(outbox.holds.every(({ ms }) => ms === 15_000));
  });
});

t.test('what does not fit is refused, by name, and nothing is written', async (t) => {
  const written = async (t: Test) => {
    const { bench, blobs, outbox } = startArchiver(t, acceptedRecords(1, 1, 3));
    await bench.rested();
    await bench.archiver.stop(1_000);
    return { blobs, outbox };
  };

  const cases: [string, Partial<ArchiverOptions>, RegExp][] = [
    ['a log of another logId', { logId: 'other' }, /of another log: its logId is/],
    ['a log with another count of partitions', { partitions: 4 }, /has 1 partitions, not 4/],
  ];
  for (const [title, options, error] of cases) {
    await t.test(title, async (t) => {
      const { blobs } = await written(t);
      const { bench, outbox } = startArchiver(t, acceptedRecords(1, 4, 1), { blobs, ...options });
      await bench.rested();
      t.match(bench.archiver.status(), { state: 'refused', error });
      t.equal(blobs.objects.size, 1);
      t.equal(outbox.archived, null);
    });
  }

  await t.test('a log that lacks what the store has archived', async (t) => {
    const { outbox } = await written(t);
    outbox.add(acceptedRecord({ view: 1, n: 4 }));
    const { bench, blobs } = startArchiver(t, [], {}, outbox);
    await bench.rested();
    t.match(bench.archiver.status(), {
      state: 'refused',
      error: /archived up to slot 1, and log\/0\/.* is not there/,
    });
    t.equal(blobs.objects.size, 0);
  });

  await t.test('a log that ends before what the store has archived', async (t) => {
    const { blobs, outbox } = await written(t);
    outbox.archived = { pos: { view: 1, n: 9 }, slot: 1 };
    const { bench } = startArchiver(t, [acceptedRecord({ view: 1, n: 10 })], { blobs }, outbox);
    await bench.rested();
    t.match(bench.archiver.status(), { state: 'refused', error: /archived up to 1-9, the log has 1-3/ });
    t.equal(blobs.objects.size, 1);
  });

  await t.test('an outbox that leaves records out', async (t) => {
    const { blobs, outbox } = await written(t);
    const { bench } = startArchiver(t, [acceptedRecord({ view: 1, n: 6 })], { blobs }, outbox);
    await bench.rested();
    t.match(bench.archiver.status(), {
      state: 'refused',
      error: /the log has 1-3, the outbox goes on from 1-6/,
    });
    t.equal(blobs.objects.size, 1);
    outbox.records = acceptedRecords(1, 4, 3);
    await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
    t.same(
      await positionsIn(blobs),
      positionsOf(acceptedRecords(1, 1, 6)),
      'and goes on once they are there',
    );
  });

  await t.test('a damaged segment at the log’s end', async (t) => {
    const { blobs, outbox } = await written(t);
    blobs.objects.set(slotKey(0, 1), Buffer.from('not gzip'));
    const { bench } = startArchiver(t, [acceptedRecord({ view: 1, n: 4 })], { blobs }, outbox);
    await bench.rested();
    t.match(bench.archiver.status(), {
      state: 'refused',
      error: /segment log\/0\/0+1\.ndjson\.gz is corrupt/,
    });
    t.equal(blobs.objects.size, 1);
  });
});

t.test(
  'a store that is away for a moment is asked again, and what is archived is noted once it is back',
  async (t) => {
    const { bench, blobs, outbox } = startArchiver(t);
    await bench.rested();
    outbox.add(...acceptedRecords(1, 1, 2));
    outbox.failures = 3;
    await bench.goOnUntil('archived', () => bench.of('archived').length > 0);
    t.equal(bench.of('failed').length, 3);
    t.same(await positionsIn(blobs), ['1-1', '1-2']);
    t.same(outbox.records, []);
  },
);

t.test('stop', async (t) => {
  await t.test('archives what waits and then ends; a second call is the same', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t);
    await bench.rested();
    outbox.add(...acceptedRecords(1, 1, 3));
    const stopped = bench.archiver.stop(1_000);
    t.equal(bench.archiver.stop(5), stopped);
    t.equal(await stopped, true);
    t.same(await positionsIn(blobs), ['1-1', '1-2', '1-3']);
    t.same(outbox.records, []);
    t.equal(bench.archiver.status().state, 'stopped');
    t.equal(bench.clock.waiting, 0, 'no timer is left');
  });

  await t.test('of one that was never started, or started twice, is no trouble', async (t) => {
    const idle = new Bench(new MemoryBlobs(), new MemoryOutbox());
    t.equal(await idle.archiver.stop(1_000), true);
    const twice = new Bench(new MemoryBlobs(), new MemoryOutbox());
    twice.archiver.start();
    twice.archiver.start();
    await twice.rested();
    t.equal(twice.clock.waiting, 1);
    t.equal(await twice.archiver.stop(1_000), true);
  });

  await t.test('with the process’s own clock leaves no timer behind', async (t) => {
    // Only the archiver's own timers are looked at: the S3 client and the test runner have theirs.
    const made = t.capture(globalThis, 'setTimeout', globalThis.setTimeout);
    const cleared = t.capture(globalThis, 'clearTimeout', globalThis.clearTimeout);
    const outbox = new MemoryOutbox();
    const archiver = new Archiver({
      ...IDENTITY,
      blobs: new MemoryBlobs(),
      outbox,
      partition: 0,
      writer: 'a',
      archiveIntervalMs: 60_000,
      report: () => undefined,
    });
    archiver.start();
    await until('looked', () => outbox.reads > 0);
    outbox.add(acceptedRecord({ view: 1, n: 1 }));
    t.equal(await archiver.stop(60_000), true);
    t.same(outbox.records, []);
    const ended = cleared().map(({ args }) => args[0]);
    const timers = made().filter(({ args }) => args[1] === 60_000);
    t.equal(timers.length, 2, 'one between two looks, one for the flush');
    for (const timer of timers) t.ok('returned' in timer && ended.includes(timer.returned));
  });
});

t.test('while somebody waits', async (t) => {
  const put = (bench: { of: (kind: 'archived') => unknown[] }) => bench.of('archived').length;

  await t.test('the first record is put at once, the next ones no sooner than 150 ms after it', async (t) => {
    const { bench, outbox } = startArchiver(t, acceptedRecords(1, 1, 1));
    await bench.goOnUntil('archived', () => put(bench) === 1);
    bench.clock.advance(500);
    await bench.rested();
    for (let n = 2; n < 5; n += 1) {
      outbox.add(acceptedRecord({ view: 1, n }));
      bench.archiver.hurry();
      bench.archiver.hurry();
      if (n > 2) {
        await bench.rested();
        t.equal(put(bench), n - 1);
        t.equal(bench.clock.nextInMs, 150);
        bench.clock.advance(150);
      }
      await until('put', () => put(bench) === n);
      await bench.rested();
    }
    t.equal(bench.clock.nextInMs, INTERVAL_MS, 'then nobody waits any more');
  });

  await t.test('a hurry that comes while a put is under way counts for the next', async (t) => {
    const { bench, blobs, outbox } = startArchiver(t, acceptedRecords(1, 1, 1));
    const { putIfAbsent } = blobs;
    blobs.putIfAbsent = async (key, bytes) => {
      const result = await putIfAbsent.call(blobs, key, bytes);
      if (put(bench) > 0) return result;
      outbox.add(acceptedRecord({ view: 1, n: 2 }));
      bench.archiver.hurry();
      return result;
    };
    await until('archived', () => put(bench) === 1);
    await bench.rested();
    t.ok((bench.clock.nextInMs ?? 0) <= 150, `${bench.clock.nextInMs} ms`);
    bench.clock.advance(150);
    await until('archived too', () => put(bench) === 2);
  });

  await t.test('who does not archive does not hurry', async (t) => {
    const { bench } = startArchiver(t, [], { outbox: new OthersOutbox() });
    await bench.rested();
    bench.archiver.hurry();
    await bench.rested();
    t.equal(bench.clock.nextInMs, INTERVAL_MS);
  });
});

/** Another process archives it. */
class OthersOutbox extends MemoryOutbox {
  override async holdArchiving(): Promise<boolean> {
    return false;
  }
}
