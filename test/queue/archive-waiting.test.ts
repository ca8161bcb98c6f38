/** Waiting for the archive: shared looks, deadlines, and a store that was recovered meanwhile. */
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { EventView } from '../../src/event/command.js';
import type { Position } from '../../src/event/record.js';
import { NOT_ARCHIVED, type NotArchived } from '../../src/event/unarchived.js';
import { ArchiveWaiting } from '../../src/queue/archive-waiting.js';
import { StoreError } from '../../src/store/store.js';

const ID = '0193f1c2-7b5a-7c3e-8000-5f2d9a1b4c6d';
/** Far away: tests do not wait for it. */
const LATER_MS = 60_000;

/** Says how far it is archived, and how the event stands. */
class Log {
  archived: Position | null = null;
  event: Pick<EventView, 'position'> | NotArchived | null = null;
  looks = 0;
  failure: Error | null = null;
  /** While set, looks wait for it. */
  gate: Promise<void> | null = null;

  async archivedTo() {
    this.looks += 1;
    const { archived } = this;
    await this.gate;
    if (this.failure) throw this.failure;
    return archived && { pos: archived, slot: 1 };
  }

  async read() {
    if (this.failure) throw this.failure;
    return this.event as EventView | NotArchived | null;
  }
}

function setUp(lookMs = LATER_MS) {
  const log = new Log();
  const waiting = new ArchiveWaiting(log, lookMs);
  const until = (position: Position, more: { accepts?: string; ms?: number } = {}) => {
    const { accepts = null, ms = LATER_MS } = more;
    return waiting.until({ partition: 0, position, accepts }, performance.now() + ms);
  };
  return { log, waiting, until };
}

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await setImmediate();
}

/** What `promise` resolved to by now; null when it did not. */
async function soFar(promise: Promise<boolean>): Promise<boolean | null> {
  return Promise.race([promise, turns().then(() => null)]);
}

t.test('who waits is told when its position is archived, not before', async (t) => {
  const { log, waiting, until } = setUp();
  const [first, second] = [until({ view: 1, n: 5 }), until({ view: 1, n: 7 })];
  t.same([await soFar(first), waiting.size], [null, 2]);
  log.archived = { view: 1, n: 5 };
  waiting.wake(1);
  t.equal(await soFar(first), null, 'another partition is none of theirs');
  waiting.wake(0);
  t.same([await first, await soFar(second), waiting.size], [true, null, 1]);
  log.archived = { view: 1, n: 9 };
  waiting.wake(0);
  t.same([await second, waiting.size], [true, 0]);
  t.equal(await until({ view: 1, n: 9 }), true, 'what is archived already is not waited for');
});

t.test('however many wait, one look does for all', async (t) => {
  const { log, waiting, until } = setUp();
  let open: () => void = () => undefined;
  log.gate = new Promise((resolve) => {
    open = resolve;
  });
  const all = Array.from({ length: 1_000 }, (_, n) => until({ view: 1, n: n + 1 }));
  await turns();
  t.equal(log.looks, 1);
  log.archived = { view: 1, n: 1_000 };
  for (let wakes = 0; wakes < 10; wakes += 1) waiting.wake(0);
  log.gate = null;
  open();
  t.ok((await Promise.all(all)).every(Boolean));
  t.equal(log.looks, 2, 'one more, for what came while the first was under way');
});

t.test('a hint that was lost is made up for by the clock', async (t) => {
  const { log, until } = setUp(5);
  const waits = until({ view: 1, n: 1 });
  await turns();
  log.archived = { view: 1, n: 1 };
  t.equal(await waits, true);
});

t.test('the time is up, or the service stops: not archived', async (t) => {
  const { waiting, until } = setUp();
  t.equal(await until({ view: 1, n: 1 }, { ms: 1 }), false);
  const waits = until({ view: 1, n: 1 });
  await turns();
  waiting.stop();
  t.equal(await waits, false);
  t.equal(await until({ view: 1, n: 1 }), false);
  t.equal(waiting.size, 0);
});

t.test('a store that is away is waited for; a fault is told', async (t) => {
  const { log, waiting, until } = setUp();
  log.failure = new StoreError('unavailable', 'archivedTo', new Error('away'));
  const waits = until({ view: 1, n: 1 });
  t.equal(await soFar(waits), null);
  log.failure = new Error('a fault');
  waiting.wake(0);
  await t.rejects(waits, { message: 'a fault' });
  t.equal(waiting.size, 0);
});

t.test('after a recovery the position counts for nothing, and the event is looked at', async (t) => {
  const mine = { view: 1, n: 5 };
  const later = { view: 2, n: 1 };

  await t.test('it was in the log', async (t) => {
    const { log, until } = setUp();
    log.archived = later;
    log.event = { position: mine };
    t.equal(await until(mine, { accepts: ID }), true);
  });

  await t.test('it was lost', async (t) => {
    const { log, until } = setUp();
    log.archived = later;
    t.equal(await until(mine, { accepts: ID }), false);
    log.event = { position: later };
    t.equal(await until(mine, { accepts: ID }), false, 'or is another by now');
  });

  await t.test('the store kept it, and it is archived after all', async (t) => {
    const { log, waiting, until } = setUp();
    log.archived = later;
    log.event = NOT_ARCHIVED;
    const waits = until(mine, { accepts: ID });
    t.equal(await soFar(waits), null);
    waiting.wake(0);
    t.equal(await soFar(waits), null, 'without news nobody looks at the event again');
    log.archived = { view: 2, n: 2 };
    log.event = { position: mine };
    waiting.wake(0);
    t.equal(await waits, true);
    log.event = NOT_ARCHIVED;
    t.equal(await until(mine, { accepts: ID, ms: 1 }), false, 'or not in time');
  });

  await t.test('what can be asked for again is not answered', async (t) => {
    const { log, until } = setUp();
    log.archived = later;
    t.equal(await until(mine), false);
  });

  await t.test('a store that cannot tell has not archived it', async (t) => {
    const { log, until } = setUp();
    log.archived = later;
    const { read } = log;
    log.read = async () => {
      log.failure = new StoreError('recovering', 'read', new Error('behind the log'));
      return read.call(log);
    };
    t.equal(await until(mine, { accepts: ID }), false);
  });
});
