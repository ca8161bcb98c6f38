/** The listener, against the real service: what handlers say and throw, lost replies, long work, stops. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Client, type Event } from '../../src/sdk/client.js';
import {
  type Answer,
  ClockworkError,
  type ErrorContext,
  Listener,
  type ListenerOptions,
} from '../../src/sdk/listener.js';
import { Deferred } from '../support/deferred.js';
import { FaultyProxy, type Passing } from '../support/faulty-proxy.js';
import { Service } from '../support/service.js';

const IN_TIME = { timeoutMs: 30_000 };
const QUICK_RETRY = { first: 5, max: 50 };

interface Told extends ErrorContext {
  readonly error: unknown;
}

type Given = Omit<ListenerOptions, 'url' | 'onError'> & { readonly url?: string };

t.test('against the service', async (t) => {
  const service = await Service.start({ env: { BACKOFF_FIRST_MS: '50', ATTEMPTS_MAX: '3' } });
  t.teardown(() => service.stop());
  const client = new Client({ url: service.url });

  /** One that runs until the test has ended, and what it has told of errors. */
  const listen = (t: Test, options: Given) => {
    const told: Told[] = [];
    const onError = (error: unknown, context: ErrorContext) => told.push({ error, ...context });
    const listener = new Listener({ url: service.url, retryMs: QUICK_RETRY, ...options, onError });
    listener.start();
    t.teardown(() => listener.stop({ graceMs: 0 }));
    return { listener, told };
  };
  const ask = async (type: string, body?: unknown): Promise<Event> =>
    client.wait(await client.submit(type, body), IN_TIME);

  t.test('under a name of its own, once that was declared', async (t) => {
    const audited = new Deferred<unknown>();
    const { told } = listen(t, {
      types: ['named'],
      listener: 'audit',
      handleSideEffects: ({ body }) => audited.resolve(body),
    });
    while (told.length === 0) await delay(10);
    t.match(told[0], { during: 'lease', error: { code: 'not-subscribed' } });
    for (const name of ['default', 'audit']) {
      const url = `${service.url}/v1/types/named/listeners/${name}`;
      const headers = { 'content-type': 'application/json' };
      t.equal((await fetch(url, { method: 'PUT', headers, body: '{}' })).status, 201);
    }
    listen(t, { types: ['named'], handleSideEffects: () => ({ body: 'from the responder' }) });
    const { response } = await ask('named', 'hello');
    t.equal(response?.body, 'from the responder');
    t.equal(await audited.promise, 'hello');
  });

  t.test('an answer of every kind', async (t) => {
    const answers: Record<string, Answer | undefined> = {
      nothing: undefined,
      json: { status: 201, headers: { 'x-mine': ['a', 'b'] }, body: { ü: [1] } },
      string: { body: 'as JSON' },
      text: { headers: { 'Content-Type': 'text/csv' }, body: 'a,b' },
      bytes: { headers: { 'content-type': 'image/png' }, body: new Uint8Array([0, 255]) },
      blob: { body: new Blob(['<a/>'], { type: 'image/svg+xml' }) },
      status: { status: 204 },
      no: { outcome: 'fail', status: 404, body: null, errors: [{ why: 'unknown' }] },
    };
    const { told } = listen(t, {
      types: ['answers'],
      handleSideEffects: ({ body }) => answers[String(body)],
    });
    const got = async (name: string) => {
      const { outcome, response, errors } = await ask('answers', name);
      return { outcome, status: response?.status, type: response?.contentType, body: response?.body, errors };
    };
    t.match(await got('nothing'), { outcome: 'success', status: undefined });
    t.match(await got('json'), {
      outcome: 'success',
      status: 201,
      type: 'application/json',
      body: { ü: [1] },
    });
    t.match(await got('string'), { type: 'application/json', body: 'as JSON' });
    t.match(await got('text'), { type: 'text/csv', body: 'a,b' });
    t.same((await got('bytes')).body, new Uint8Array([0, 255]));
    t.match(await got('blob'), { type: 'image/svg+xml', body: '<a/>' });
    t.match(await got('status'), { status: 204, outcome: 'success' });
    t.match(await got('no'), { outcome: 'fail', status: 404, errors: [{ why: 'unknown' }] });
    t.same(told, []);
  });

  t.test('the handler sees the event as it was submitted, its body as what it is', async (t) => {
    const seen: unknown[] = [];
    const attempts: number[] = [];
    listen(t, {
      types: ['seen'],
      handleSideEffects: (event, { attempt }) => {
        seen.push(event.body);
        attempts.push(attempt);
        return { body: [event.contentType, event.version, event.method] };
      },
    });
    const submitted = await client.submit('seen', { a: 1 }, { version: '7' });
    t.same((await client.wait(submitted, IN_TIME)).response?.body, ['application/json', '7', 'POST']);
    await ask('seen', new Uint8Array([1, 2]));
    await client.wait(await client.submit('seen', 'a b', { contentType: 'text/plain' }), IN_TIME);
    t.same(seen, [{ a: 1 }, new Uint8Array([1, 2]), 'a b']);
    t.same(attempts, [1, 1, 1]);
  });

  t.test('what a handler throws fails the attempt, by the policy, and never the listener', async (t) => {
    const bad: unknown[] = [
      () => Promise.reject(new RangeError('too far')),
      () => {
        throw 'a word';
      },
      () => 'no answer',
      () => ({ text: 'no member' }),
      () => ({ body: 12n }),
      () => ({ body: () => 1 }),
    ];
    let n = -1;
    const { told } = listen(t, {
      types: ['thrown'],
      handleSideEffects: ({ body }) => {
        n += 1;
        const make = body === 'bad' ? bad[n % bad.length] : () => ({ body: 'well' });
        return (make as () => Answer)();
      },
    });
    const errors: unknown[] = [];
    for (let event = 0; event < 2; event += 1) {
      const failed = await ask('thrown', 'bad');
      t.match(failed, { outcome: 'fail', reason: 'attempts_exhausted', attempts: 3 });
      for (const { result } of await client.attempts(failed.id)) {
        errors.push(result && 'errors' in result ? result.errors[0] : null);
      }
    }
    t.match(errors, [
      { name: 'RangeError', message: 'too far' },
      { message: 'a word' },
      { name: 'TypeError', message: /no answer/ },
      { name: 'TypeError', message: /no member `text`/ },
      { name: 'TypeError', message: /BigInt/ },
      { name: 'TypeError', message: /function is no JSON/ },
    ]);
    t.equal((await ask('thrown', 'good')).response?.body, 'well', 'and goes on');
    t.equal(told.length, 6);
    t.ok(told.every(({ during, id }) => during === 'handler' && typeof id === 'string'));
  });

  t.test('what clients are shown of an error is the owner’s to say', async (t) => {
    const shown = [(error: unknown) => ({ ref: (error as Error).message.length }), () => 1n];
    for (const describeError of shown) {
      const { listener } = listen(t, {
        types: ['shown'],
        describeError,
        handleSideEffects: () => Promise.reject(new Error('secret')),
      });
      const { errors } = await ask('shown');
      t.match(errors, describeError === shown[0] ? [{ ref: 6 }] : [{ message: /cannot be shown/ }]);
      await listener.stop();
    }
  });

  t.test('an answer brings events about, with bodies of every kind, once', async (t) => {
    const bodies = [{ a: 1 }, 'a string', new Uint8Array([0, 255])];
    const { told } = listen(t, {
      types: ['emitting'],
      handleSideEffects: ({ body }) =>
        body === 'retried'
          ? { outcome: 'fail', retry: 'policy', emit: [{ type: 'emitted' }] }
          : {
              body: 'done',
              emit: [
                ...bodies.map((each) => ({ type: 'emitted', body: each })),
                { type: 'emitted', body: 'a,b', contentType: 'text/csv', version: '2', correlationId: 'c' },
              ],
            },
    });
    const { id } = await ask('emitting');
    const emitted = (await client.attempts(id)).flatMap((attempt) => attempt.emitted);
    t.equal(emitted.length, 4);
    const seen: unknown[] = [];
    listen(t, {
      types: ['emitted'],
      handleSideEffects: ({ body, contentType, version, correlationId }) =>
        void seen.push([body, contentType, version, correlationId]),
    });
    for (const each of emitted)
      t.match(await client.wait(each, IN_TIME), { outcome: 'success', parent: id, root: id });
    t.same(seen, [
      [bodies[0], 'application/json', null, null],
      [bodies[1], 'application/json', null, null],
      [bodies[2], 'application/octet-stream', null, null],
      ['a,b', 'text/csv', '2', 'c'],
    ]);
    t.same(told, []);
    const refused = await ask('emitting', 'retried');
    t.match(refused, { outcome: 'fail', attempts: 1 }, 'no events of an attempt that is tried again');
    t.match(told, [{ during: 'complete', id: refused.id }]);
  });

  t.test('an answer that the service refuses ends the event, and says why', async (t) => {
    const { told } = listen(t, {
      types: ['refused'],
      handleSideEffects: () => ({ body: 'x'.repeat(5 * 1024 * 1024) }),
    });
    const event = await ask('refused');
    t.match(event, {
      outcome: 'fail',
      reason: 'listener',
      attempts: 1,
      errors: [{ code: 'body-too-large' }],
    });
    t.match(told, [{ during: 'complete', id: event.id, error: { code: 'body-too-large' } }]);
  });

  t.test('an event that the filter refuses fails at once, and is never begun', async (t) => {
    const begun: unknown[] = [];
    listen(t, {
      types: ['filtered'],
      filterEvent: async ({ version }) => version === '2',
      handleStateUpdate: ({ body }) => void begun.push(['state', body]),
      handleSideEffects: ({ body }) => void begun.push(['effect', body]),
    });
    const refused = await client.submit('filtered', 'old', { version: '1' });
    t.match(await client.wait(refused, IN_TIME), {
      outcome: 'fail',
      attempts: 1,
      errors: [{ code: 'filtered' }],
    });
    const taken = await client.submit('filtered', 'new', { version: '2' });
    t.equal((await client.wait(taken, IN_TIME)).outcome, 'success');
    t.same(begun, [
      ['state', 'new'],
      ['effect', 'new'],
    ]);
  });

  t.test('many at once: no more than `concurrency`, each once, and few calls for leases', async (t) => {
    const proxy = await FaultyProxy.start(service.url);
    t.teardown(() => proxy.stop());
    const calls = { leases: 0, completions: 0 };
    proxy.misbehave = ({ path }) => {
      if (path === '/v1/leases') calls.leases += 1;
      if (path.endsWith('/completion')) calls.completions += 1;
      return null;
    };
    const count = 200;
    const results = await client.submitMany(
      Array.from({ length: count }, (_, n) => ({ type: 'many', body: n })),
    );
    let now = 0;
    let most = 0;
    const handled: unknown[] = [];
    const { told } = listen(t, {
      url: proxy.url,
      types: ['many'],
      concurrency: 8,
      handleSideEffects: async ({ body }) => {
        most = Math.max(most, ++now);
        await delay(1);
        now -= 1;
        handled.push(body);
      },
    });
    for (const each of results)
      if (each.ok) t.equal((await client.wait(each.event, IN_TIME)).outcome, 'success');
    t.equal(most, 8);
    t.same(
      [...handled].sort((a, b) => Number(a) - Number(b)),
      Array.from({ length: count }, (_, n) => n),
    );
    t.equal(calls.completions, count);
    t.ok(
      calls.leases <= count / 10,
      `${calls.leases} calls for leases: completions bring the next event along`,
    );
    t.same(told, []);
  });

  t.test('with the first reply of every call lost, each event is still handled once', async (t) => {
    const proxy = await FaultyProxy.start(service.url);
    t.teardown(() => proxy.stop());
    const seen = new Set<string>();
    const kinds = ['drop', 'cut', 'twice'] as const;
    proxy.misbehave = ({ method, path, idempotencyKey }: Passing) => {
      const call = `${method} ${path} ${idempotencyKey}`;
      if (seen.has(call)) return null;
      seen.add(call);
      return { kind: kinds[seen.size % kinds.length]! };
    };
    const count = 60;
    const results = await client.submitMany(
      Array.from({ length: count }, (_, n) => ({ type: 'lossy', body: n })),
    );
    const handled: unknown[] = [];
    const { listener, told } = listen(t, {
      url: proxy.url,
      types: ['lossy'],
      concurrency: 5,
      leaseMs: 60_000,
      handleSideEffects: ({ body }) => void handled.push(body),
    });
    for (const each of results) {
      if (!each.ok) throw each.error;
      t.match(await client.wait(each.event, IN_TIME), { outcome: 'success', attempts: 1 });
    }
    t.equal(handled.length, count);
    t.ok(told.length > 20, `${told.length} replies were missed`);
    t.ok(told.every(({ error }) => error instanceof ClockworkError && error.code === 'unreachable'));
    await listener.stop();
  });

  t.test('a lease is extended as long as its handler takes', async (t) => {
    const { told } = listen(t, { types: ['long'], leaseMs: 3_000, handleSideEffects: () => delay(4_000) });
    t.match(await ask('long'), { outcome: 'success', attempts: 1 });
    t.same(told, []);
  });

  t.test('a handler hears that somebody asked to cancel its event', async (t) => {
    const began = new Deferred<void>();
    listen(t, {
      types: ['cancelled'],
      leaseMs: 3_000,
      handleSideEffects: async (_event, { signal }) => {
        began.resolve();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        throw signal.reason;
      },
    });
    const receipt = await client.submit('cancelled');
    await began.promise;
    t.equal((await client.cancel(receipt)).kind, 'requested');
    t.match(await client.wait(receipt, IN_TIME), {
      outcome: 'fail',
      reason: 'cancelled',
      attempts: 1,
      errors: [{ message: /asked to cancel/ }],
    });
  });

  t.test('a stop lets handlers end, and hands back what none has begun', async (t) => {
    const gates = { effect: new Deferred<void>(), filter: new Deferred<void>() };
    const began = { effect: new Deferred<void>(), filter: new Deferred<void>() };
    const { listener, told } = listen(t, {
      types: ['stopped'],
      filterEvent: async ({ body }) => {
        if (body !== 'not begun') return true;
        began.filter.resolve();
        await gates.filter.promise;
        return true;
      },
      handleSideEffects: async ({ body }) => {
        began.effect.resolve();
        await gates.effect.promise;
        return { body: `${body} ended` };
      },
    });
    const begun = await client.submit('stopped', 'begun');
    await began.effect.promise;
    const notBegun = await client.submit('stopped', 'not begun');
    await began.filter.promise;
    let hasStopped = false;
    const stopping = listener.stop().then(() => {
      hasStopped = true;
    });
    const after = await client.submit('stopped', 'after');
    gates.filter.resolve();
    while ((await client.attempts(notBegun)).some(({ end }) => end !== 'handed_back')) await delay(10);
    t.notOk(hasStopped, 'a handler is at work');
    t.ok(listener.isRunning);
    gates.effect.resolve();
    await stopping;
    t.notOk(listener.isRunning);
    t.match(await client.poll(begun), { outcome: 'success', response: { body: 'begun ended' } });
    t.match(await client.poll(notBegun), { outcome: null, attempts: 0 });
    t.match(await client.poll(after), { status: 'pending', attempts: 0 }, 'nothing was leased since');
    t.same(told, []);

    listener.start();
    t.throws(() => listener.start(), /runs already/);
    t.match(
      await client.wait(notBegun, IN_TIME),
      { outcome: 'success', attempts: 1 },
      'it can be started again',
    );
    await client.wait(after, IN_TIME);
    await listener.stop();
    await listener.stop();
  });

  t.test('a handler that does not end in time is told, and its event goes to another', async (t) => {
    const began = new Deferred<void>();
    const heard = new Deferred<unknown>();
    const { listener } = listen(t, {
      types: ['stuck'],
      handleSideEffects: async (_event, { signal }) => {
        signal.addEventListener('abort', () => heard.resolve(signal.reason));
        began.resolve();
        await new Promise(() => {});
      },
    });
    const receipt = await client.submit('stuck');
    await began.promise;
    await listener.stop({ graceMs: 20 });
    t.match(await heard.promise, { code: 'stopped', id: receipt.id });
    listen(t, { types: ['stuck'], handleSideEffects: () => ({ body: 'done' }) });
    t.match(await client.wait(receipt, IN_TIME), { outcome: 'success', attempts: 1 }, 'not counted');
  });

  t.test('leases that were on their way to a listener that stops are handed back', async (t) => {
    const proxy = await FaultyProxy.start(service.url);
    t.teardown(() => proxy.stop());
    const held = new Deferred<void>();
    const asked = new Deferred<void>();
    let calls = 0;
    proxy.misbehave = ({ path }) => {
      if (path !== '/v1/leases' || ++calls > 1) return null;
      asked.resolve();
      return { kind: 'delay', until: held.promise };
    };
    const receipt = await client.submit('on-the-way');
    const { listener } = listen(t, {
      url: proxy.url,
      types: ['on-the-way'],
      handleSideEffects: () => void t.fail('begun'),
    });
    await asked.promise;
    while ((await client.poll(receipt)).status === 'pending') await delay(10);
    await listener.stop();
    held.resolve();
    t.match(await client.attempts(receipt), [{ end: 'handed_back' }]);
    t.match(await client.poll(receipt), { attempts: 0 });
  });

  t.test('a listener outlives its service', async (t) => {
    const { told } = listen(t, { types: ['outlived'], handleSideEffects: ({ body }) => ({ body }) });
    await ask('outlived', 1);
    const away = service.kill();
    await away;
    await service.restart();
    t.equal((await ask('outlived', 2)).response?.body, 2);
    t.ok(told.length > 0, `${told.length} tries missed it`);
  });
});
