/** The client, against the real service: whole, over a connection that loses replies, and while the service is away. */
import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import { Client, ClockworkError, type Event } from '../../src/sdk/client.js';
import { Api } from '../support/api.js';
import { FaultyProxy, type Passing } from '../support/faulty-proxy.js';
import { ManualTimers } from '../support/manual-timers.js';
import { Service } from '../support/service.js';

interface Mine {
  greeting: { request: { name: string }; response: { text: string } };
  mail: { request: string; response: null };
}

interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
}

const HOUR_MS = 3_600_000;

function failure(error: unknown): ClockworkError {
  if (error instanceof ClockworkError) return error;
  throw error;
}

/** The error that `call` is known to throw. */
async function failing(call: Promise<unknown>): Promise<ClockworkError> {
  return call.then(() => Promise.reject(new Error('It did not fail.')), failure);
}

t.test('against the service', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  const api = new Api(service.url);
  t.teardown(() => api.close());
  const client = new Client<Mine>({ url: service.url });
  const anyClient = new Client({ url: `${service.url}/` });

  const lease = async (type: string): Promise<LeaseBody> => {
    const reply = await api.call('POST', '/v1/leases', { body: { types: [type], waitMs: 10_000 } });
    return reply.json<{ leases: LeaseBody[] }>().leases[0]!;
  };
  const complete = async ({ attemptId, token }: LeaseBody, body: object): Promise<void> => {
    const headers = { 'lease-token': token };
    await api.call('PUT', `/v1/attempts/${attemptId}/completion`, { headers, body });
  };

  t.test('submit, poll, wait, response, request, attempts', async (t) => {
    const receipt = await client.submit('greeting', { name: 'Ada' });
    t.match(receipt, { type: 'greeting', status: 'pending', durable: 'fsync' });
    const before = await client.poll(receipt);
    t.match(before, { id: receipt.id, status: 'pending', response: null });
    t.equal(await client.poll(receipt, { etag: before.etag }), null, 'nothing has changed');
    t.equal((await failing(client.response(receipt))).code, 'event-not-complete');

    const seen: string[] = [];
    const onChange = (event: Event<unknown>) => seen.push(event.status);
    const waiting = client.wait(receipt, { timeoutMs: 20_000, onChange });
    const taken = await lease('greeting');
    t.match(await client.poll(receipt, { etag: before.etag, waitMs: 5_000 }), { status: 'in_process' });
    await complete(taken, { outcome: 'success', response: { status: 201, body: { text: 'Hello, Ada!' } } });
    const event = await waiting;
    const text: string | undefined = event.response?.body.text;
    t.equal(text, 'Hello, Ada!', 'its type is known from that of the event');
    t.match(event, { status: 'complete', outcome: 'success', response: { status: 201 } });
    t.equal(seen[0], 'pending');
    t.notOk(seen.includes('complete'));

    const response = await client.response(receipt.id);
    t.same(response.json(), { text: 'Hello, Ada!' });
    t.equal(response.contentType, 'application/json');
    t.equal((await client.request(receipt)).text(), '{"name":"Ada"}');
    t.match(await client.attempts(receipt), [{ attempt: 1, end: 'completed' }]);
  });

  t.test('what submit says beside the body reaches the listener', async (t) => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await anyClient.submit(
      'told',
      { a: 1 },
      { version: '2', correlationId: 'c-1', traceparent, headers: { 'x-of': 'mine' } },
    );
    const taken = await lease('told');
    t.match(taken, { event: { version: '2', correlationId: 'c-1', traceparent } });
    const { headers } = (taken as unknown as { event: { headers: [string, string][] } }).event;
    t.equal(Object.fromEntries(headers)['x-of'], 'mine');

    await anyClient.submit('keyed', 1, { key: 'k' });
    await anyClient.submitMany([{ type: 'keyed', body: 2, key: 'k' }]);
    t.match(await lease('keyed'), { event: { key: 'k', body: 1 } });
    const behind = await api.call('POST', '/v1/leases', { body: { types: ['keyed'] } });
    t.same(behind.json<{ leases: [] }>().leases, []);

    await anyClient.submit('later', null, { delayMs: HOUR_MS });
    const none = await api.call('POST', '/v1/leases', { body: { types: ['later'] } });
    t.same(none.json<{ leases: [] }>().leases, []);
    const archived = await anyClient.submit('kept', null, { durability: 'archive' });
    t.equal(archived.durable, 'archived');
  });

  t.test('bodies of every kind come back to the byte', async (t) => {
    const bytes = new Uint8Array([0, 255, 13, 10, 128]);
    const form = new FormData();
    form.set('field', 'value');
    const cases: [string, unknown, string | undefined, string | RegExp, string | RegExp | Uint8Array][] = [
      ['an object', { big: 1, ü: ['☃'] }, undefined, 'application/json', '{"big":1,"ü":["☃"]}'],
      ['a string', 'text', undefined, 'application/json', '"text"'],
      ['null', null, undefined, 'application/json', 'null'],
      ['a string with a type', 'a,b', 'text/csv', 'text/csv', 'a,b'],
      [
        'JSON that is text already',
        '{"n":12345678901234567890}',
        'application/json',
        'application/json',
        '{"n":12345678901234567890}',
      ],
      ['nothing', undefined, undefined, /./, ''],
      ['bytes', bytes, undefined, 'application/octet-stream', bytes],
      ['a buffer', bytes.buffer, 'image/x-mine', 'image/x-mine', bytes],
      [
        'a part of a buffer',
        bytes.subarray(1, 3),
        undefined,
        'application/octet-stream',
        bytes.subarray(1, 3),
      ],
      ['a blob', new Blob([bytes], { type: 'image/png' }), undefined, 'image/png', bytes],
      [
        'fields',
        new URLSearchParams({ a: 'b c' }),
        undefined,
        /^application\/x-www-form-urlencoded/,
        'a=b+c',
      ],
      ['a form', form, undefined, /^multipart\/form-data; boundary=/, /name="field"\r\n\r\nvalue\r\n/],
    ];
    for (const [name, body, contentType, type, sent] of cases) {
      const options = contentType === undefined ? {} : { contentType };
      const alone = await client.request(await anyClient.submit('bodies', body, options));
      const [result] = await anyClient.submitMany([{ type: 'bodies', body, ...options }]);
      if (!result?.ok) throw new Error(`${name}: ${result?.error}`);
      const inBulk = await client.request(result.event);
      for (const content of [alone, inBulk]) {
        t.match(content.contentType, type, name);
        if (sent instanceof Uint8Array) t.same(content.bytes, sent, name);
        else
          t.match(
            content.text(),
            typeof sent === 'string' ? new RegExp(`^${sent.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`) : sent,
            name,
          );
      }
    }
    await t.rejects(
      anyClient.submit('bodies', () => 1),
      TypeError,
      'a function is none',
    );
  });

  t.test('bytes that a listener answers with come as bytes', async (t) => {
    const receipt = await anyClient.submit('bytes');
    await complete(await lease('bytes'), {
      outcome: 'success',
      response: { bodyEncoding: 'base64', body: 'AP8=', headers: { 'content-type': 'image/png' } },
    });
    t.same((await client.wait(receipt)).response?.body, new Uint8Array([0, 255]));
    t.same((await client.response(receipt)).bytes, new Uint8Array([0, 255]));
  });

  t.test('many at once: a result for each, in order, in as many calls as it takes', async (t) => {
    const items = Array.from({ length: 2_500 }, (_, n) => ({
      type: n === 1_200 ? '..' : 'bulk',
      body: { n },
    }));
    const results = await anyClient.submitMany(items, { idempotencyKey: 'bulk-1' });
    t.equal(results.length, 2_500);
    t.equal(results.filter((each) => each.ok).length, 2_499);
    const refused = results[1_200]!;
    t.match(refused, { ok: false, error: { code: 'invalid-type-name', status: 400 } });
    t.ok(!refused.ok && refused.error instanceof ClockworkError);
    const last = results[2_499]!;
    t.equal(last.ok && (await client.request(last.event)).text(), '{"n":2499}');
    const again = await anyClient.submitMany(items, { idempotencyKey: 'bulk-1' });
    const idsOf = (all: typeof results) => all.map((each) => (each.ok ? each.event.id : null));
    t.same(idsOf(again), idsOf(results), 'the same key, the same events');
    t.same(await anyClient.submitMany([]), []);
  });

  t.test('list goes through all pages, and no further than it is read', async (t) => {
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.push((await anyClient.submit('listed', n)).id);
    const all: string[] = [];
    for await (const event of client.list({ type: 'listed', pageSize: 2 })) all.push(event.id);
    t.same(all, made.reverse(), 'newest first');
    for await (const event of client.list({ type: 'listed', status: 'complete' })) t.fail(event.id);
    for await (const event of client.list({ type: 'listed' })) {
      t.equal(event.id, all[0]);
      break;
    }
  });

  t.test('tree: what came of an event, until that is settled, and cancelled as a whole', async (t) => {
    const receipt = await anyClient.submit('planted');
    await complete(await lease('planted'), {
      outcome: 'success',
      emit: [{ type: 'twig' }, { type: 'leaf' }],
    });
    t.match(await client.tree(receipt), {
      root: receipt.id,
      settled: false,
      emitted: 2,
      counts: { pending: 2 },
    });
    t.equal((await client.tree(receipt, { limit: 1 })).children.length, 1);
    const settled = client.tree(receipt.id, { waitMs: 20_000 });
    await complete(await lease('twig'), { outcome: 'success' });
    t.match(await client.cancelTree(receipt), { cancelled: 1, requested: 0, complete: 2, more: false });
    t.match(await settled, { settled: true, counts: { success: 2, fail: 1 } });
  });

  t.test('past events are sent again: asked for, looked at, listed, cancelled', async (t) => {
    await anyClient.submit('past');
    const job = await client.redrive('past', { filter: 'dead', dryRun: true, idempotencyKey: 'once' });
    t.match(job, { type: 'past', filter: 'dead', dryRun: true, ratePerSecond: 100, status: 'running' });
    t.same(await client.redrive('past', { filter: 'dead', dryRun: true, idempotencyKey: 'once' }), job);
    t.equal((await client.readRedrive(job.id)).id, job.id);
    const all = [];
    for await (const each of client.redrives({ type: 'past' })) all.push(each.id);
    t.same(all, [job.id]);
    t.equal((await client.cancelRedrive(job.id)).status, 'cancelled');
    t.equal((await failing(client.redrive('nobody knows it', { filter: 'any' }))).code, 'type-not-found');
    t.equal((await failing(client.readRedrive(job.id.replace(/^./, 'f')))).code, 'redrive-not-found');
  });

  t.test('how a type stands', async (t) => {
    await anyClient.submit('standing');
    await anyClient.submit('standing');
    const before = await client.typeStats('standing');
    t.match(before, { open: 2, waiting: 2, leased: 0, listeners: [{ name: 'default', askedAt: null }] });
    await lease('standing');
    const after = await client.typeStats('standing');
    t.match(after, { waiting: 1, leased: 1, listeners: [{ leased: 1, askedAt: String }] });
    t.ok(after.rates.acceptedPerSecond > 0);
    t.equal((await failing(client.typeStats('nobody knows it'))).code, 'type-not-found');
  });

  t.test('cancel: at once, asked of the listener, too late', async (t) => {
    const receipt = await anyClient.submit('cancelled');
    t.match(await client.cancel(receipt), { kind: 'cancelled', event: { reason: 'cancelled' } });
    t.match(await client.cancel(receipt), { kind: 'cancelled' }, 'again');
    const held = await anyClient.submit('cancelled');
    const taken = await lease('cancelled');
    t.match(await client.cancel(held), { kind: 'requested', event: { cancelRequested: true } });
    await complete(taken, { outcome: 'success' });
    t.equal((await failing(client.cancel(held))).code, 'event-complete');
  });

  t.test('errors carry what the problem says', async (t) => {
    const id = randomUUID();
    const unknown = await failing(client.poll(id));
    t.match(unknown, { name: 'ClockworkError', code: 'event-not-found', status: 404, id, detail: /./ });
    t.equal(unknown.problem?.title, 'Event not found');
    const key = { idempotencyKey: 'one' };
    const first = await client.submit('greeting', { name: 'Ada' }, key);
    const conflict = await failing(client.submit('greeting', { name: 'Grace' }, key));
    t.match(conflict, { code: 'idempotency-conflict', status: 422, id: first.id, hint: /new key/ });
    t.equal((await client.submit('greeting', { name: 'Ada' }, key)).id, first.id);
  });

  t.test('a wait ends with its time, and with its signal', async (t) => {
    const receipt = await anyClient.submit('nobody');
    t.match(await failing(client.wait(receipt, { timeoutMs: 50 })), { code: 'timed-out', id: receipt.id });
    const reason = new Error('enough');
    const stopping = new AbortController();
    const waiting = client.wait(receipt, { signal: stopping.signal });
    stopping.abort(reason);
    await t.rejects(waiting, reason);
    await t.rejects(
      client.wait(receipt, { signal: stopping.signal }),
      reason,
      'also when it was over before',
    );
  });

  t.test('with the first reply of every call lost, each is still done once', (t) => loseReplies(t, service));

  t.test('a wait goes through a restart of the service', async (t) => {
    const receipt = await client.submit('mail', 'to you');
    const waiting = client.wait(receipt, { timeoutMs: 60_000 });
    await service.kill();
    await service.restart();
    await complete(await lease('mail'), { outcome: 'success' });
    t.equal((await waiting).outcome, 'success');
  });
});

async function loseReplies(t: Test, service: Service): Promise<void> {
  const proxy = await FaultyProxy.start(service.url);
  t.teardown(() => proxy.stop());
  const seen = new Set<string>();
  let cut = false;
  proxy.misbehave = ({ method, path, idempotencyKey }: Passing) => {
    const call = `${method} ${path} ${idempotencyKey}`;
    if (seen.has(call)) return null;
    seen.add(call);
    cut = !cut;
    return { kind: cut ? 'cut' : 'drop' };
  };
  const client = new Client({ url: proxy.url, retryMs: { first: 5, max: 20 } });
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) ids.push((await client.submit('lossy', n)).id);
  const results = await client.submitMany(Array.from({ length: 20 }, (_, n) => ({ type: 'lossy', body: n })));
  for (const result of results) if (result.ok) ids.push(result.event.id);
  t.equal(new Set(ids).size, 40);
  const listed: string[] = [];
  for await (const event of client.list({ type: 'lossy' })) listed.push(event.id);
  t.same(listed.sort(), ids.sort(), 'no event is doubled');
  t.match(await client.cancel(ids[0]!), { kind: 'cancelled' }, 'whose first answer was lost');
}

t.test('what is sent again, and when', async (t) => {
  type Answer = Response | Error;
  const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
    new Response(JSON.stringify({ type: 'urn', title: 'T', status, detail: 'D.', code, id: 'the-event' }), {
      status,
      headers: { 'content-type': 'application/problem+json', ...headers },
    });
  const receipt = () => new Response('{"id":"1"}', { status: 202 });

  /** A client whose calls get these answers, one after the other. */
  const scripted = (answers: Answer[], random = 0) => {
    const clock = new ManualTimers();
    const keys: (string | null)[] = [];
    const client = new Client({
      url: 'http://service',
      clock,
      random: () => random,
      fetch: async (_url, init) => {
        keys.push(new Headers(init?.headers).get('idempotency-key'));
        const answer = answers.shift();
        if (answer instanceof Error || answer === undefined) throw answer ?? new Error('no answer left');
        return answer;
      },
    });
    return { clock, keys, client, submit: () => clock.until(client.submit('a', 1)) };
  };

  t.test('no answer, 408, 429, 502, 503 and 504, with one key', async (t) => {
    const statuses = [408, 429, 502, 503, 504];
    for (const status of statuses) {
      const { submit, keys } = scripted([problem(status, 'store-unavailable'), receipt()]);
      t.equal((await submit()).id, '1', `after ${status}`);
      t.equal(keys[0], keys[1]);
      t.match(keys[0], /^[0-9a-f]{32}$/);
    }
    const { submit, keys, clock } = scripted([new TypeError('fetch failed'), receipt()]);
    t.equal((await submit()).id, '1');
    t.equal(new Set(keys).size, 1);
    t.equal(clock.pending, 0, 'no timer is left');
  });

  t.test('nothing else', async (t) => {
    for (const status of [400, 404, 409, 410, 413, 422, 500]) {
      const { submit, keys } = scripted([problem(status, 'invalid-request')]);
      t.match(await failing(submit()), { status, code: 'invalid-request' });
      t.equal(keys.length, 1);
    }
  });

  t.test('after a time that doubles up to a bound, with up to half of it chance', async (t) => {
    for (const [random, waits] of [
      [0, [100, 200, 400, 800, 1_600]],
      [0.999_999, [200, 400, 800, 1_600, 3_200]],
    ] as const) {
      const { submit, clock, keys } = scripted(
        Array.from({ length: 9 }, () => new Error('away')),
        random,
      );
      t.match(await failing(submit()), { code: 'unreachable', status: null, cause: { message: 'away' } });
      t.equal(keys.length, 6, 'six tries');
      t.same(clock.ran.map(Math.round), waits);
    }
  });

  t.test('not before the service said, in seconds or as a date', async (t) => {
    const inSeconds = scripted([problem(503, 'store-full', { 'retry-after': '7' }), receipt()]);
    await inSeconds.submit();
    t.same(inSeconds.clock.ran, [7_000]);
    const date = new Date(Date.now() + 60_000).toUTCString();
    const asDate = scripted([problem(503, 'store-full', { 'retry-after': date }), receipt()]);
    await asDate.submit();
    t.ok(asDate.clock.ran[0]! > 50_000 && asDate.clock.ran[0]! <= 60_000, `${asDate.clock.ran}`);
  });

  t.test('the last error is thrown, with the id of an event that was taken', async (t) => {
    const answers = Array.from({ length: 6 }, () => problem(503, 'not-archived'));
    t.match(await failing(scripted(answers).submit()), {
      code: 'not-archived',
      id: 'the-event',
      status: 503,
    });
    const html = () =>
      new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html' } });
    const foreign = await failing(scripted(Array.from({ length: 6 }, html)).submit());
    t.match(foreign, { code: 'unexpected-reply', status: 502, detail: /Bad gateway/, problem: null });
  });

  t.test('a try that gets no answer in time is given up, and the next one is made', async (t) => {
    const clock = new ManualTimers();
    let calls = 0;
    const client = new Client({
      url: 'http://service',
      clock,
      random: () => 0,
      fetch: (_url, init) => {
        calls += 1;
        if (calls > 1) return Promise.resolve(receipt());
        return new Promise((_, reject) =>
          init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
        );
      },
    });
    t.equal((await clock.until(client.submit('a', 1))).id, '1');
    t.same(clock.ran, [30_000, 100]);
  });

  t.test('items of a bulk that the service was too full for', async (t) => {
    const full = { error: { type: 'urn', title: 'T', status: 503, detail: 'D.', code: 'store-full' } };
    const bulk = (...results: object[]) => new Response(JSON.stringify({ results }), { status: 200 });
    const { client, clock, keys } = scripted([
      bulk({ event: { id: '1' } }, full),
      bulk({ event: { id: '1' } }, { event: { id: '2' } }),
    ]);
    const results = await clock.until(client.submitMany([{ type: 'a' }, { type: 'a' }]));
    t.match(results, [
      { ok: true, event: { id: '1' } },
      { ok: true, event: { id: '2' } },
    ]);
    t.equal(keys[0], keys[1]);
    const stuck = scripted(Array.from({ length: 6 }, () => bulk(full)));
    t.match(await stuck.clock.until(stuck.client.submitMany([{ type: 'a' }])), [
      { ok: false, error: { code: 'store-full' } },
    ]);
  });

  t.test('an abort ends the wait between two tries', async (t) => {
    const { client, clock } = scripted([new Error('away')]);
    const stopping = new AbortController();
    const submitting = client.submit('a', 1, { signal: stopping.signal });
    submitting.catch(() => {});
    while (clock.pending !== 1) await new Promise(setImmediate);
    stopping.abort(new Error('enough'));
    await t.rejects(submitting, { message: 'enough' });
    t.equal(clock.pending, 0);
  });

  t.test('a service that does not wait is not asked without a pause', async (t) => {
    const clock = new ManualTimers();
    const pending = () =>
      new Response('{"id":"1","status":"pending","response":null}', {
        status: 200,
        headers: { etag: '"1"' },
      });
    let calls = 0;
    const client = new Client({
      url: 'http://service',
      clock,
      fetch: async () => (calls++ === 0 ? pending() : new Response(null, { status: 304 })),
    });
    t.match(await failing(clock.until(client.wait('1', { timeoutMs: 10_000 }))), { code: 'timed-out' });
    t.ok(calls <= 42, `${calls} calls`);
  });
});
