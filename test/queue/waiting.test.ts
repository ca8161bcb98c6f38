/** Waiting and waking: a sleeper is woken by its topics, by the slow look, by its time, or by the one who hung up. */
import { mock } from 'node:test';
import t from 'tap';
import { Waiting } from '../../src/queue/waiting.js';

const OPTIONS = { sleepersMax: 3, slowLookMs: 5_000 };

t.beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
t.afterEach(() => mock.timers.reset());

t.test('a hint wakes the one that has slept longest, one a delivery', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const order: string[] = [];
  const sleeps = ['first', 'second', 'third'].map((name) =>
    waiting
      .register(['q'])
      .sleep(1_000, null)
      .then((why) => order.push(`${name} ${why}`)),
  );
  waiting.wake('q', 2);
  await Promise.all(sleeps.slice(0, 2));
  t.same(order, ['first woken', 'second woken']);
  t.equal(waiting.size, 1);
  mock.timers.tick(1_000);
  await sleeps[2];
  t.same(order[2], 'third timeout');
  t.equal(waiting.size, 0);
});

t.test('a hint that comes between the look and the sleep is not missed', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const place = waiting.register(['q']);
  waiting.wake('q', 1);
  t.equal(await place.sleep(1_000, null), 'woken');
});

t.test('a call that leaves without having looked gives its hint back', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const place = waiting.register(['a', 'b']);
  waiting.wake('b', 1);
  t.equal(place.leave(), 'b');
  t.equal(waiting.register(['a']).leave(), null, 'one that was not woken has none to give');
  t.equal(waiting.size, 0);
});

t.test('a call that waits for several topics is woken by any of them, once', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const both = waiting.register(['a', 'b']);
  const onlyB = waiting.register(['b']);
  waiting.wake('a', 1);
  waiting.wake('b', 1);
  t.equal(await both.sleep(1_000, null), 'woken');
  t.equal(both.hint, 'a');
  t.equal(await onlyB.sleep(1_000, null), 'woken', 'the second hint went to the next in line');
});

t.test('a caller that goes away stops waiting', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const caller = new AbortController();
  const sleep = waiting.register(['q']).sleep(1_000, caller.signal);
  caller.abort();
  t.equal(await sleep, 'aborted');
  t.equal(waiting.size, 0);
  t.equal(
    await waiting.register(['q']).sleep(1_000, caller.signal),
    'aborted',
    'also when it had gone before',
  );
});

t.test('without hints one sleeper a topic looks by the clock', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const first = waiting.register(['q']).sleep(60_000, null);
  const second = waiting.register(['q']);
  mock.timers.tick(OPTIONS.slowLookMs);
  t.equal(await first, 'woken');
  t.equal(waiting.size, 1, 'the others sleep on');
  t.equal(second.leave(), null);
});

t.test('stopping answers everybody, now and from now on', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const sleep = waiting.register(['q']).sleep(60_000, null);
  waiting.stop();
  t.equal(await sleep, 'stopped');
  t.equal(await waiting.register(['q']).sleep(60_000, null), 'stopped');
  t.equal(waiting.size, 0);
});

t.test('there is room for so many and no more', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const places = ['a', 'b', 'c'].map((topic) => waiting.register([topic]));
  t.equal(waiting.hasRoom, false);
  places[0]!.leave();
  t.equal(waiting.hasRoom, true);
  for (const place of places) place.leave();
});

t.test('leaving twice, or after having been woken, changes nothing', async (t) => {
  const waiting = new Waiting(OPTIONS);
  const place = waiting.register(['q']);
  const other = waiting.register(['q']);
  waiting.wake('q', 1);
  place.leave();
  place.leave();
  t.equal(waiting.size, 1);
  other.leave();
  t.equal(waiting.size, 0);
});
