/** The behaviour that programs of the framework rely on, line by line as `docs/framework.md` has it: a test for each line, and no line without one. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Client } from '../../src/sdk/client.js';
import { Listener, type ListenerOptions, type StateStore } from '../../src/sdk/listener.js';
import { Service } from '../support/service.js';

const IN_TIME = { timeoutMs: 30_000 };

const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '50', BACKOFF_FIRST_MS: '20' } });
t.teardown(() => service.stop());
const client = new Client({ url: service.url });

/** Runs until the test has ended. */
function listen(t: Test, options: Omit<ListenerOptions, 'url' | 'onError'>): Listener {
  const listener = new Listener({ url: service.url, ...options, onError: () => {} });
  t.teardown(() => listener.stop({ graceMs: 0 }));
  listener.start();
  return listener;
}

const ask = async (...submit: Parameters<Client['submit']>) =>
  client.wait(await client.submit(...submit), IN_TIME);

/** A state in memory: the bodies that it has seen, and its cursor. */
class Bodies implements StateStore {
  seen: unknown[] = [];
  cursor: string | null = null;
  loadCursor(): string | null {
    return this.cursor;
  }
  saveCursor(cursor: string): void {
    this.cursor = cursor;
  }
  clear(): void {
    this.seen = [];
    this.cursor = null;
  }
}

const LINES: Record<string, (t: Test) => Promise<void>> = {
  '`listenFor` a type of events': async (t) => {
    const seen: unknown[] = [];
    for (const name of ['one', 'two']) {
      listen(t, {
        types: ['listened', 'listened-too'],
        handleSideEffects: ({ type, body }) => {
          seen.push(body);
          return { body: `${type} by ${name}` };
        },
      });
    }
    const other = await client.submit('not-listened', 0);
    const bodies = Array.from({ length: 20 }, (_, n) => n);
    const results = await Promise.all(bodies.map((n) => ask(n % 2 === 0 ? 'listened' : 'listened-too', n)));
    t.same(
      results.map(({ response }) => String(response?.body).split(' ')[0]),
      bodies.map((n) => (n % 2 === 0 ? 'listened' : 'listened-too')),
    );
    t.same(
      seen.sort((a, b) => Number(a) - Number(b)),
      bodies,
      'each by one',
    );
    t.match(await client.poll(other), { status: 'pending', attempts: 0 });
  },

  '`filterEvent` by path and version': async (t) => {
    const updated: string[] = [];
    const handled: string[] = [];
    listen(t, {
      types: ['HTTP'],
      filterEvent: ({ path, version }) => path.startsWith('/users/') && version === '2',
      handleStateUpdate: ({ path }) => void updated.push(path),
      handleSideEffects: ({ path }) => void handled.push(path),
    });
    const call = async (path: string, version: string) => {
      const reply = await fetch(`${service.url}/http${path}`, {
        method: 'POST',
        headers: { 'event-version': version },
      });
      const { outcome, errors } = await client.wait(((await reply.json()) as { id: string }).id, IN_TIME);
      return { outcome, errors };
    };
    t.match(await call('/users/1', '2'), { outcome: 'success' });
    t.match(await call('/users/2', '1'), { outcome: 'fail', errors: [{ code: 'filtered' }] });
    t.match(await call('/orders/3', '2'), { outcome: 'fail', errors: [{ code: 'filtered' }] });
    t.same(updated, ['/users/1']);
    t.same(handled, ['/users/1']);
  },

  'several listeners filter one type, each for itself': async (t) => {
    const declare = (name: string, body: object) =>
      fetch(`${service.url}/v1/types/users/listeners/${name}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const handled: string[] = [];
    const filters = { old: { version: ['1'] }, new: { version: ['2'] }, audit: { path: '/v1/*' } };
    for (const [name, filter] of Object.entries(filters)) {
      t.ok((await declare(name, { filter, responder: name !== 'audit' })).ok);
      listen(t, {
        types: ['users'],
        listener: name,
        handleSideEffects: ({ body }) => {
          handled.push(`${name} ${body}`);
          return { body: name };
        },
      });
    }
    t.equal((await ask('users', 'a', { version: '1' })).response?.body, 'old');
    t.equal((await ask('users', 'b', { version: '2' })).response?.body, 'new');
    while (handled.length < 4) await delay(5);
    t.same(handled.sort(), ['audit a', 'audit b', 'new b', 'old a']);
  },

  '`handleStateUpdate` before `handleSideEffects`': async (t) => {
    // Two processes, each with a state of its own: whoever answers has seen all events up to this one.
    for (let n = 0; n < 2; n += 1) {
      const state = new Bodies();
      listen(t, {
        types: ['ordered'],
        state,
        concurrency: 2,
        handleStateUpdate: ({ body }) => void state.seen.push(body),
        handleSideEffects: ({ body }) => ({ body: state.seen.slice(0, Number(body) + 1) }),
      });
    }
    const bodies = Array.from({ length: 12 }, (_, n) => n);
    const receipts = [];
    for (const n of bodies) receipts.push(await client.submit('ordered', n));
    for (const [n, receipt] of receipts.entries()) {
      const { response } = await client.wait(receipt, IN_TIME);
      t.same(response?.body, bodies.slice(0, n + 1));
    }
  },

  'the state is synced from the log on start': async (t) => {
    const answering = listen(t, { types: ['synced'], handleSideEffects: () => undefined });
    for (const n of [0, 1, 2]) await ask('synced', n, { durability: 'archive' });
    await answering.stop();

    const state = new Bodies();
    const late = listen(t, {
      types: ['synced'],
      state,
      handleStateUpdate: ({ body }) => void state.seen.push(body),
      handleSideEffects: () => ({ body: [...state.seen] }),
    });
    t.same((await ask('synced', 3)).response?.body, [0, 1, 2, 3], 'what was before it came');
    await late.stop();
    const cursor = state.cursor;

    const again = new Bodies();
    again.cursor = cursor;
    listen(t, {
      types: ['synced'],
      state: again,
      handleStateUpdate: ({ body }) => void again.seen.push(body),
      handleSideEffects: () => ({ body: [...again.seen] }),
    });
    t.same((await ask('synced', 4)).response?.body, [4], 'from its cursor on');
  },

  'a replay has no side effects': async (t) => {
    let effects = 0;
    const state = new Bodies();
    const listener = listen(t, {
      types: ['replayed'],
      state,
      handleStateUpdate: ({ body }) => void state.seen.push(body),
      handleSideEffects: () => {
        effects += 1;
      },
    });
    const events = [];
    for (const n of [0, 1, 2]) events.push(await ask('replayed', n));
    await listener.stop();
    const live = [...state.seen];
    state.seen = ['spoilt'];
    await listener.rebuild();
    t.same(state.seen, live);
    t.equal(effects, 3);
    for (const event of events) t.same(await client.poll(event.id), event, 'no event is touched');
  },

  'what `handleSideEffects` returns is the response': async (t) => {
    listen(t, {
      types: ['HTTP'],
      handleSideEffects: ({ path }) => ({ status: 201, headers: { 'x-made': 'yes' }, body: { path } }),
    });
    const reply = await fetch(`${service.url}/http/things`, {
      method: 'PUT',
      headers: { prefer: 'wait=20' },
    });
    t.equal(reply.status, 201);
    t.equal(reply.headers.get('x-made'), 'yes');
    t.same(await reply.json(), { path: '/things' });
  },

  'a returned event is sent on': async (t) => {
    listen(t, {
      types: ['update_password'],
      handleSideEffects: ({ body }) => ({
        body: { updated: true },
        emit: [{ type: 'send_email', body: { to: (body as { user: string }).user } }],
      }),
    });
    const sent: unknown[] = [];
    const update = await ask('update_password', { user: 'ada' });
    const [attempt] = await client.attempts(update.id);
    listen(t, { types: ['send_email'], handleSideEffects: ({ body }) => void sent.push(body) });
    t.equal(attempt?.emitted.length, 1);
    const email = await client.wait(attempt!.emitted[0]!, IN_TIME);
    t.match(email, { type: 'send_email', outcome: 'success', parent: update.id, root: update.id });
    t.same(sent, [{ to: 'ada' }]);
  },

  'a failure is final': async (t) => {
    const tries = new Map<unknown, number>();
    listen(t, {
      types: ['failing'],
      handleSideEffects: ({ body }) => {
        tries.set(body, (tries.get(body) ?? 0) + 1);
        if (body === 'thrown' && tries.get(body) === 1) throw new Error('not now');
        return body === 'said' ? { outcome: 'fail', errors: ['no'] } : undefined;
      },
    });
    t.match(await ask('failing', 'said'), {
      outcome: 'fail',
      reason: 'listener',
      errors: ['no'],
      attempts: 1,
    });
    t.match(await ask('failing', 'thrown'), { outcome: 'success', attempts: 2 });
    t.equal(tries.get('said'), 1);
  },

  'the client has an id and polls it': async (t) => {
    const receipt = await client.submit('polled', { name: 'Ada' });
    t.match(receipt.id, /^[0-9a-f-]{36}$/);
    t.match(await client.poll(receipt), { status: 'pending', outcome: null, response: null });
    let end = () => {};
    const gate = new Promise<void>((resolve) => {
      end = resolve;
    });
    listen(t, {
      types: ['polled'],
      handleSideEffects: async ({ body }) => {
        await gate;
        return { body };
      },
    });
    const seen = new Set<string>();
    for (;;) {
      const event = await client.poll(receipt);
      seen.add(event.status);
      if (event.status === 'in_process') end();
      if (event.status === 'complete') {
        t.match(event, { outcome: 'success', response: { body: { name: 'Ada' } } });
        break;
      }
      await delay(10);
    }
    t.ok(seen.has('in_process'));
    t.same(await client.poll(receipt), await client.wait(receipt, IN_TIME));
  },

  'any request is an event': async (t) => {
    const reply = await fetch(`${service.url}/http/a%20b?q=1&q=2`, {
      method: 'PATCH',
      headers: { 'content-type': 'text/csv', 'x-mine': 'yes' },
      body: 'a,b',
    });
    t.equal(reply.status, 202);
    const { id } = (await reply.json()) as { id: string };
    listen(t, { types: ['HTTP'], handleSideEffects: (event) => ({ body: event }) });
    t.match((await client.wait(id, IN_TIME)).response?.body, {
      type: 'HTTP',
      method: 'PATCH',
      path: '/a%20b',
      query: 'q=1&q=2',
      contentType: 'text/csv',
      body: 'a,b',
    });
  },
};

t.test('the page has a line for each of these, and no other', async (t) => {
  const page = readFileSync('docs/framework.md', 'utf8');
  const lines = [...page.matchAll(/^\| (?!---|in the framework)(.+?) \|/gm)].map(([, line]) => line);
  t.same(lines, Object.keys(LINES));
});

for (const [line, run] of Object.entries(LINES)) t.test(line, run);
