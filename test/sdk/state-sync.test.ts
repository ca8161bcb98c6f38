/** A listener's own state, built from the log of the real service: before each side effect, after a restart, and from the beginning. */
import t, { type Test } from 'tap';
import { Client, type Event } from '../../src/sdk/client.js';
import { type LeasedEvent, Listener, type ListenerOptions, type StateStore } from '../../src/sdk/listener.js';
import { Service } from '../support/service.js';

const IN_TIME = { timeoutMs: 30_000 };

/** A state that is kept together with its cursor, as a database would: what was not saved is lost with the process. */
class Notebook implements StateStore {
  ids: string[] = [];
  saves = 0;
  failsToSave = 0;
  #saved: { ids: string[]; cursor: string | null } = { ids: [], cursor: null };

  write(event: LeasedEvent): void {
    this.ids.push(event.id);
  }

  loadCursor(): string | null {
    this.ids = [...this.#saved.ids];
    return this.#saved.cursor;
  }

  saveCursor(cursor: string): void {
    if (this.failsToSave-- > 0) throw new Error('the disk is full');
    this.saves += 1;
    this.#saved = { ids: [...this.ids], cursor };
  }

  clear(): void {
    this.ids = [];
    this.#saved = { ids: [], cursor: null };
  }
}

t.test('a state from the log', async (t) => {
  const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '50', BACKOFF_FIRST_MS: '50' } });
  t.teardown(() => service.stop());
  const client = new Client({ url: service.url });
  const told: unknown[] = [];

  const make = (book: Notebook, options: Omit<ListenerOptions, 'url' | 'onError' | 'state'>) =>
    new Listener({
      url: service.url,
      retryMs: { first: 5, max: 50 },
      onError: (error) => told.push(error),
      handleStateUpdate: (event) => book.write(event),
      state: book,
      ...options,
    });
  const listen = (t: Test, ...given: Parameters<typeof make>) => {
    const listener = make(...given);
    listener.start();
    t.teardown(() => listener.stop({ graceMs: 0 }));
    return listener;
  };
  const submitAll = async (type: string, count: number): Promise<string[]> => {
    // In the log already, so that a read to its end has them.
    const items = Array.from({ length: count }, (_, n) => ({
      type,
      body: n,
      durability: 'archive' as const,
    }));
    const results = await client.submitMany(items);
    return results.map((each) => (each.ok ? each.event.id : ''));
  };
  const endOf = async (ids: readonly string[]): Promise<Event[]> => {
    const events: Event[] = [];
    for (const id of ids) events.push(await client.wait(id, IN_TIME));
    return events;
  };

  t.test('is up to date with an event before its side effects, whoever answers', async (t) => {
    const early = await submitAll('synced', 520);
    const seen: string[] = [];
    const books = [new Notebook(), new Notebook()];
    for (const book of books) {
      listen(t, book, {
        types: ['synced'],
        handleSideEffects: ({ id }) => {
          seen.push(id);
          const upTo = early.indexOf(id) + 1;
          const isInOrder = book.ids.slice(0, upTo).join() === early.slice(0, upTo).join();
          return { body: isInOrder && book.ids.includes(id) };
        },
      });
    }
    const events = await endOf(early);
    t.ok(events.every(({ response }) => response?.body === true));
    t.equal(seen.length, early.length, 'each side effect once, by one of the two');
    const late = await submitAll('synced', 3);
    t.ok(
      (await endOf(late)).every(({ response }) => response?.body === true),
      'also those that came since it began',
    );
    for (const listener of [make(books[0]!, { types: ['synced'], handleSideEffects: () => {} })])
      await listener.sync();
    t.same(books[0]?.ids, [...early, ...late], 'also those that the other answered');
    t.ok(books[0]!.saves >= 2, 'saved page by page');
    t.same(told, []);
  });

  t.test('goes on at its cursor after a restart, and does not wait for what lies before it', async (t) => {
    const book = new Notebook();
    const ids = await submitAll('restarted', 5);
    const before = make(book, { types: ['restarted'], handleSideEffects: () => {} });
    await before.sync();
    t.same(book.ids, ids, 'read without leasing anything');
    t.equal((await client.poll(ids[0]!)).status, 'pending');
    const writes: string[] = [];
    listen(t, book, {
      types: ['restarted'],
      handleStateUpdate: ({ id }) => void writes.push(id),
      handleSideEffects: () => ({ body: [...book.ids] }),
    });
    const events = await endOf(ids);
    t.same(events[0]?.response?.body, ids);
    t.same(writes, [], 'none is applied again');
  });

  t.test('only has what the filter lets through', async (t) => {
    const book = new Notebook();
    const ids = await submitAll('sieved', 6);
    const listener = make(book, {
      types: ['sieved'],
      filterEvent: ({ body }) => Number(body) % 2 === 0,
      handleSideEffects: () => {},
    });
    await listener.sync();
    t.same(
      book.ids,
      ids.filter((_, n) => n % 2 === 0),
    );
  });

  t.test('an update that throws fails the attempt; what was applied is not applied again', async (t) => {
    told.length = 0;
    const book = new Notebook();
    let failures = 2;
    const attempts: number[] = [];
    const listener = listen(t, book, {
      types: ['throwing'],
      handleStateUpdate: (event) => {
        if (event.body === 2 && failures-- > 0) throw new Error('not yet');
        book.write(event);
      },
      handleSideEffects: (_event, { attempt }) => void attempts.push(attempt),
    });
    await listener.sync();
    book.failsToSave = 1;
    const ids = await submitAll('throwing', 4);
    const events = await endOf(ids);
    t.ok(events.every(({ outcome }) => outcome === 'success'));
    t.same(book.ids, ids, 'in order, each once');
    t.match(told.map(String).sort(), ['Error: not yet', 'Error: not yet', 'Error: the disk is full']);
    t.equal(attempts.filter((each) => each > 1).length, 3, 'each of them failed an attempt');
    told.length = 0;
  });

  t.test('is the same when it is built again, and no event notices', async (t) => {
    const book = new Notebook();
    const ids = await submitAll('rebuilt', 30);
    const effects: number[] = [];
    const options = { types: ['rebuilt'], handleSideEffects: () => void effects.push(1) };
    const listener = listen(t, book, options);
    await endOf(ids);
    await t.rejects(listener.rebuild(), /Stop the listener/);
    await listener.stop();
    const live = [...book.ids];
    const pending = await submitAll('rebuilt', 1);
    const stateOf = async () => {
      const events = [];
      for await (const event of client.list({ type: 'rebuilt' })) events.push(event);
      return events;
    };
    const before = await stateOf();
    book.ids.push('what no event has said');
    await listener.rebuild();
    t.same(book.ids, [...live, ...pending]);
    t.equal(effects.length, ids.length);
    t.same(await stateOf(), before);
  });

  t.test('without a store for its cursor there is none', async (t) => {
    const listener = new Listener({
      url: service.url,
      types: ['a'],
      onError: () => {},
      handleSideEffects: () => {},
    });
    await t.rejects(listener.sync(), /no `state`/);
    await t.rejects(listener.rebuild(), /no `state`/);
    t.throws(
      () => new Listener({ url: '', types: [], onError: () => {}, handleSideEffects: () => {} }),
      TypeError,
    );
  });
});
