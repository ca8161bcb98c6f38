/** What every blob store must do, run on each adapter. A harness gives stores that begin empty. */
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { BlobError, type BlobFailure, type BlobStore } from '../../src/blob/blob.js';

export interface BlobHarness {
  /** A new, empty place; called twice with the same name it gives another store on the same place. */
  open(name: string): Promise<BlobStore>;
  close(): Promise<void>;
}

const RACERS = 20;

/** How a call failed, or that it did not. */
export async function failureOf(action: Promise<unknown>): Promise<BlobFailure | 'none'> {
  try {
    await action;
    return 'none';
  } catch (error) {
    if (error instanceof BlobError) return error.failure;
    throw error;
  }
}

export async function blobContract(t: Test, harness: BlobHarness): Promise<void> {
  let places = 0;
  const fresh = () => harness.open(`place-${places++}`);
  t.teardown(() => harness.close());

  await t.test('what was put is what is got, byte for byte', async (t) => {
    const blobs = await fresh();
    const bodies = [Buffer.alloc(0), Buffer.from([0]), Buffer.from('a\r\n\u0000é'), randomBytes(1 << 20)];
    for (const [i, body] of bodies.entries()) {
      t.equal(await blobs.putIfAbsent(`log/0/${i}.bin`, body), 'created');
      t.ok(
        body.equals((await blobs.get(`log/0/${i}.bin`)) ?? Buffer.from('none')),
        `${body.byteLength} bytes`,
      );
    }
  });

  await t.test('a view into a larger buffer is put as what it shows', async (t) => {
    const blobs = await fresh();
    await blobs.putIfAbsent('part', new Uint8Array(new TextEncoder().encode('xxhelloxx')).subarray(2, 7));
    t.equal((await blobs.get('part'))?.toString(), 'hello');
  });

  await t.test('a key that exists keeps its first body', async (t) => {
    const blobs = await fresh();
    t.equal(await blobs.putIfAbsent('a/b', Buffer.from('first')), 'created');
    t.equal(await blobs.putIfAbsent('a/b', Buffer.from('second')), 'exists');
    t.equal((await blobs.get('a/b'))?.toString(), 'first');
  });

  await t.test(
    'of twenty who create the same key at once exactly one hears created, and its body stays',
    async (t) => {
      const place = `place-${places++}`;
      const stores = await Promise.all(Array.from({ length: RACERS }, () => harness.open(place)));
      for (let round = 0; round < 5; round++) {
        const results = await Promise.all(
          stores.map((blobs, i) => blobs.putIfAbsent(`race/${round}/x`, Buffer.from(`racer ${i}`))),
        );
        const winners = results.flatMap((result, i) => (result === 'created' ? [i] : []));
        t.equal(winners.length, 1);
        t.equal((await stores[0]?.get(`race/${round}/x`))?.toString(), `racer ${winners[0]}`);
      }
      await Promise.all(stores.map((blobs) => blobs.close()));
    },
  );

  await t.test('another store on the same place sees what the first has put', async (t) => {
    const place = `place-${places++}`;
    await (await harness.open(place)).putIfAbsent('seen', Buffer.from('yes'));
    const other = await harness.open(place);
    t.equal((await other.get('seen'))?.toString(), 'yes');
    t.equal(await other.putIfAbsent('seen', Buffer.from('no')), 'exists');
  });

  await t.test('what is not there is null', async (t) => {
    const blobs = await fresh();
    t.equal(await blobs.get('nothing'), null);
    t.equal(await blobs.get('deep/down/nothing'), null);
    t.equal(await blobs.getRange('nothing', 0, 1), null);
    await blobs.putIfAbsent('folder/file', Buffer.from('x'));
    t.equal(await blobs.get('folder'), null);
  });

  await t.test('a range is what lies between, shorter at the end, empty past it', async (t) => {
    const blobs = await fresh();
    await blobs.putIfAbsent('digits', Buffer.from('0123456789'));
    t.equal((await blobs.getRange('digits', 0, 1))?.toString(), '0');
    t.equal((await blobs.getRange('digits', 3, 7))?.toString(), '3456');
    t.equal((await blobs.getRange('digits', 7, 100))?.toString(), '789');
    t.equal((await blobs.getRange('digits', 10, 20))?.toString(), '');
    t.equal((await blobs.getRange('digits', 50, 60))?.toString(), '');
  });

  await t.test(
    'a list is in the order of bytes across folders, by prefix, after a key, and bounded',
    async (t) => {
      const blobs = await fresh();
      const keys = [
        'a-b',
        'a.b',
        'a/1',
        'a/1-2',
        'a/2/x',
        'a/2/y',
        'a/3',
        'a0',
        'b/1',
        'b/1.x/y',
        'b/10/z',
        'c',
      ];
      for (const key of [...keys].reverse()) await blobs.putIfAbsent(key, Buffer.from(key));
      const sorted = [...keys].sort();
      const list = async (prefix: string, options: { after?: string; limit: number }) =>
        (await blobs.list(prefix, options)).map((info) => info.key);
      t.same(await list('', { limit: 1000 }), sorted);
      t.same(await list('', { limit: 5 }), sorted.slice(0, 5));
      for (const [i, after] of sorted.entries()) {
        t.same(await list('', { after, limit: 1000 }), sorted.slice(i + 1), `after ${after}`);
      }
      for (const prefix of ['a', 'a/', 'a/2', 'a/2/', 'b/1', 'c', 'd', 'a/2/x']) {
        const expected = sorted.filter((key) => key.startsWith(prefix));
        t.same(await list(prefix, { limit: 1000 }), expected, `prefix ${prefix}`);
        t.same(
          await list(prefix, { after: 'a/2/x', limit: 2 }),
          expected.filter((key) => key > 'a/2/x').slice(0, 2),
        );
      }
      t.same(
        await list('a/', { after: 'a/2', limit: 1000 }),
        ['a/2/x', 'a/2/y', 'a/3'],
        'after what is no key',
      );
    },
  );

  await t.test('pages of a list join without a gap or a double', async (t) => {
    const blobs = await fresh();
    const keys = Array.from({ length: 45 }, (_, i) => `p/${i % 7}/${String(i).padStart(20, '0')}.gz`).sort();
    await Promise.all(keys.map((key) => blobs.putIfAbsent(key, Buffer.from(key))));
    for (const limit of [1, 2, 10, 45, 46]) {
      const seen: string[] = [];
      for (;;) {
        const after = seen.at(-1);
        const page = await blobs.list('p/', after === undefined ? { limit } : { after, limit });
        seen.push(...page.map((info) => info.key));
        if (page.length < limit) break;
      }
      t.same(seen, keys, `pages of ${limit}`);
    }
  });

  await t.test('a list tells size and time', async (t) => {
    const blobs = await fresh();
    const before = Date.now();
    await blobs.putIfAbsent('sized', Buffer.alloc(1234));
    const [info] = await blobs.list('', { limit: 1 });
    t.equal(info?.bytes, 1234);
    t.ok(Math.abs((info?.modifiedAt ?? 0) - before) < 60_000);
  });

  await t.test(
    'what is deleted is gone and can be created again; what was not there counts as deleted',
    async (t) => {
      const blobs = await fresh();
      await blobs.putIfAbsent('d/1', Buffer.from('1'));
      await blobs.putIfAbsent('d/2', Buffer.from('2'));
      t.same(await blobs.delete(['d/1', 'd/none']), [
        { key: 'd/1', deleted: true, message: null },
        { key: 'd/none', deleted: true, message: null },
      ]);
      t.equal(await blobs.get('d/1'), null);
      t.same(
        (await blobs.list('', { limit: 10 })).map((info) => info.key),
        ['d/2'],
      );
      t.equal(await blobs.putIfAbsent('d/1', Buffer.from('again')), 'created');
    },
  );

  await t.test('a probe finds that the condition is honoured, and leaves nothing behind', async (t) => {
    const blobs = await fresh();
    t.same(await blobs.probe(), { conditionalPut: true });
    t.same(await blobs.list('', { limit: 10 }), []);
  });

  await t.test('what is no key is a programmer’s mistake, and reaches no place', async (t) => {
    const blobs = await fresh();
    for (const key of [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/../b',
      'a/./b',
      'A',
      'a b',
      'a\u0000b',
      '~a',
      'é',
    ]) {
      await t.rejects(blobs.putIfAbsent(key, Buffer.from('x')), TypeError, JSON.stringify(key));
      await t.rejects(blobs.get(key), TypeError);
      await t.rejects(blobs.getRange(key, 0, 1), TypeError);
      await t.rejects(blobs.delete([key]), TypeError);
    }
    await t.rejects(blobs.putIfAbsent('a'.repeat(513), Buffer.from('x')), TypeError);
    await t.rejects(blobs.list('../', { limit: 1 }), TypeError);
    await t.rejects(blobs.list('', { limit: 0 }), RangeError);
    await t.rejects(blobs.list('', { limit: 1001 }), RangeError);
    await t.rejects(blobs.getRange('a', 2, 2), RangeError);
    await t.rejects(blobs.getRange('a', -1, 2), RangeError);
    t.same(await blobs.list('', { limit: 10 }), []);
  });
}
