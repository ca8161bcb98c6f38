/** The parts of the Redis adapter that need no server: coalescing, URLs, scripts, what errors mean. */

import t from 'tap';
import { describeAddress, parseAddress } from '../../src/store/redis/address.js';
import { Coalescer } from '../../src/store/redis/coalescer.js';
import { failureOf } from '../../src/store/redis/failure.js';
import { Keys } from '../../src/store/redis/keys.js';
import { loadScripts } from '../../src/store/redis/scripts.js';
import { Deferred } from '../support/deferred.js';

t.test('the coalescer', async (t) => {
  /** Runs that a test ends one by one; each answers with ten times its items. */
  function stage(limits: { itemsMax?: number; bytesMax?: number } = {}) {
    const runs: { items: readonly number[]; end: Deferred<void> }[] = [];
    const coalescer = new Coalescer<number, number>({
      itemsMax: 100,
      bytesMax: 1_000,
      ...limits,
      bytesOf: (item) => item,
      run: async (items) => {
        const end = new Deferred<void>();
        runs.push({ items, end });
        await end.promise;
        return items.map((item) => item * 10);
      },
    });
    const nth = async (index: number) => {
      while (runs.length <= index) await new Promise((resolve) => setImmediate(resolve));
      return runs[index]!;
    };
    return { coalescer, nth, runs };
  }

  await t.test('a call with nobody else about goes at once, alone', async (t) => {
    const { coalescer, nth } = stage();
    const result = coalescer.submit(1);
    const run = await nth(0);
    t.same(run.items, [1]);
    run.end.resolve();
    t.equal(await result, 10);
  });

  await t.test('what arrives meanwhile goes together, in order, each with its own result', async (t) => {
    const { coalescer, nth, runs } = stage();
    const first = coalescer.submit(1);
    const { end } = await nth(0);
    const others = [2, 3, 4].map((item) => coalescer.submit(item));
    t.equal(runs.length, 1);
    end.resolve();
    await first;
    const second = await nth(1);
    t.same(second.items, [2, 3, 4]);
    second.end.resolve();
    t.same(await Promise.all(others), [20, 30, 40]);
  });

  await t.test('a run is bounded in items and in bytes, but a single item may weigh more', async (t) => {
    const { coalescer, nth } = stage({ itemsMax: 3, bytesMax: 10 });
    const results = [1, 1, 1, 1, 5, 6, 50, 1].map((item) => coalescer.submit(item));
    const seen: (readonly number[])[] = [];
    for (let k = 0; k < 5; k += 1) {
      const run = await nth(k);
      seen.push(run.items);
      run.end.resolve();
    }
    t.same(seen, [[1, 1, 1], [1, 5], [6], [50], [1]]);
    t.same(await Promise.all(results), [10, 10, 10, 10, 50, 60, 500, 10]);
  });

  await t.test('a failure is that of all who waited, and the next call is tried anew', async (t) => {
    const { coalescer, nth } = stage();
    const first = coalescer.submit(1);
    const { end } = await nth(0);
    const behind = coalescer.submit(2);
    end.reject(new Error('broken'));
    await t.rejects(first, { message: 'broken' });
    await t.rejects(behind, { message: 'broken' });
    const next = coalescer.submit(3);
    (await nth(1)).end.resolve();
    t.equal(await next, 30);
  });
});

t.test('the four kinds of URL are understood', async (t) => {
  t.match(parseAddress('redis://localhost'), {
    kind: 'single',
    tls: false,
    hosts: [{ host: 'localhost', port: 6379 }],
  });
  t.match(parseAddress('rediss://user:p%40ss@h:1/2'), {
    tls: true,
    username: 'user',
    password: 'p@ss',
    db: 2,
  });
  t.match(parseAddress('redis://:secret@[::1]:7000'), {
    password: 'secret',
    hosts: [{ host: '::1', port: 7000 }],
  });
  t.match(parseAddress('redis+sentinel://a:1,b/main/3'), {
    kind: 'sentinel',
    master: 'main',
    db: 3,
    hosts: [
      { host: 'a', port: 1 },
      { host: 'b', port: 26379 },
    ],
  });
  t.match(parseAddress('redis+cluster://a:1,b:2'), { kind: 'cluster', hosts: [{ port: 1 }, { port: 2 }] });
  const hidden = describeAddress(parseAddress('redis+sentinel://u:secret@a:1,b/main'));
  t.equal(hidden, 'redis+sentinel://a:1,b:26379/main');
});

t.test('another URL is refused with the reason, and without the password', async (t) => {
  for (const url of [
    '',
    'http://x',
    'redis://',
    'redis://h:x',
    'redis://h/x',
    'redis+sentinel://h',
    'redis+cluster://h/1',
  ]) {
    t.throws(() => parseAddress(url.replace('h', 'u:secret@h')), { message: /^(?!.*secret)/ }, url);
  }
});

t.test('each error has its meaning', async (t) => {
  const said: Record<string, string> = {
    'NOSCRIPT No matching script.': 'no_script',
    'RECOVERING this partition is not open script: 12': 'recovering',
    "OOM command not allowed when used memory > 'maxmemory'.": 'out_of_memory',
    'LOADING Redis is loading the dataset in memory': 'passing',
    'BUSY Redis is busy running a script.': 'passing',
    'TRYAGAIN Multiple keys request during rehashing of slot': 'passing',
    'CLUSTERDOWN The cluster is down': 'passing',
    "READONLY You can't write against a read only replica.": 'passing',
    'MASTERDOWN Link with MASTER is down': 'passing',
    'MOVED 3999 127.0.0.1:6381': 'passing',
    'Connection is closed.': 'passing',
    'connect ECONNREFUSED 127.0.0.1:1': 'passing',
    'Command timed out': 'lasting',
    'MISCONF Redis is configured to save RDB snapshots': 'lasting',
    'NOREPLICAS Not enough good replicas to write.': 'lasting',
    'NOAUTH Authentication required.': 'lasting',
    'ERR user_script:1: attempt to index a nil value': 'lasting',
  };
  for (const [message, failure] of Object.entries(said))
    t.equal(failureOf(new Error(message)), failure, message);
});

t.test('every script says what it is for, and has all its includes', async (t) => {
  const scripts = loadScripts();
  t.ok(scripts.size > 15);
  for (const { name, source, keys } of scripts.values()) {
    t.match(source, /^#!lua( flags=[a-z,-]+)?\n/, name);
    t.match(source, /-- KEYS /, name);
    t.match(source, /-- RETURNS /, name);
    t.notMatch(source, /^--@/m, name);
    t.equal(keys[0], 'meta', name);
  }
});

t.test(
  'what drains is allowed when memory is short, what fills is not; what only reads says so',
  async (t) => {
    const flags = (name: string) => /flags=(\S+)/.exec(loadScripts().get(name)!.source)?.[1] ?? '';
    t.equal(flags('accept'), '');
    for (const name of [
      'lease',
      'extend',
      'complete',
      'hand-back',
      'cancel',
      'expire',
      'promote',
      'mark-archived',
    ]) {
      t.equal(flags(name), 'allow-oom', name);
    }
    for (const name of [
      'read',
      'read-request',
      'read-attempts',
      'list',
      'read-outbox',
      'expire-peek',
      'promote-peek',
    ]) {
      t.equal(flags(name), 'no-writes', name);
    }
  },
);

t.test('all keys of a partition carry its tag, and a name in a call reaches none of them', async (t) => {
  const keys = new Keys('some prefix', 3);
  for (const key of [keys.constant('events'), keys.fresh(1, 0), keys.again(1, 0), keys.call('}:evil{\r\n')]) {
    t.ok(key.startsWith('{some prefix:3}:'), key);
    t.notMatch(key, /evil|[\r\n]/);
  }
});
