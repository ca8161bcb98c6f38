/** Emitting over HTTP: what a completion brings about, and what it is answered. */
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

interface Held {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string } & Record<string, unknown>;
}

async function submit(
  { send }: TestApp,
  type: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const reply = await send({ method: 'POST', url: `/v1/types/${type}/events`, headers, payload: 'x' });
  return reply.json().id;
}

async function lease({ send }: TestApp, type: string): Promise<Held> {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: [type] } });
  return reply.json().leases[0];
}

function complete({ send }: TestApp, { attemptId, token }: Held, completion: object | string) {
  return send({
    method: 'PUT',
    url: `/v1/attempts/${attemptId}/completion`,
    headers: { 'lease-token': token, 'content-type': 'application/json' },
    payload: completion,
  });
}

async function read({ send }: TestApp, id: string) {
  return (await send({ method: 'GET', url: `/v1/events/${id}` })).json();
}

t.test('what a completion emits is answered with ids, and knows where it comes from (S5)', async (t) => {
  const app = await openApp(t);
  const parent = await submit(app, 'a');
  const reply = await complete(app, await lease(app, 'a'), {
    outcome: 'success',
    emit: [
      { type: 'b', body: { n: 1 } },
      { type: 'c', bodyEncoding: 'text', body: 'text', delayMs: 1_000 },
    ],
  });
  t.equal(reply.statusCode, 200);
  const { event, emitted } = reply.json();
  t.match(event, { id: parent, status: 'complete' });
  t.match(emitted, [{ type: 'b' }, { type: 'c' }]);
  for (const { id, type, links } of emitted) {
    t.equal(links.self, `/v1/events/${id}`);
    t.match(await read(app, id), { id, type, status: 'pending', parent, root: parent });
  }
  t.match(await read(app, parent), { parent: null, root: null });
  const { attempts } = (await app.send({ method: 'GET', url: `/v1/events/${parent}/attempts` })).json();
  t.same(
    attempts[0].emitted,
    emitted.map(({ id }: { id: string }) => id),
  );
  const child = await lease(app, 'b');
  t.match(child.event, { method: 'POST', path: '/v1/events', clientAddress: null, body: { n: 1 } });
});

t.test('the body of an emitted event is kept as the text it came as', async (t) => {
  const app = await openApp(t);
  await submit(app, 'a');
  const held = await lease(app, 'a');
  await complete(
    app,
    held,
    '{"emit":[{"type":"b","body":{"n":9007199254740993,"n" :1.0}}],"outcome":"success"}',
  );
  const child = await lease(app, 'b');
  const request = await app.send({ method: 'GET', url: `/v1/events/${child.event.id}/request` });
  t.equal(request.payload, '{"n":9007199254740993,"n" :1.0}');
});

t.test('correlation id and traceparent are carried on, unless the item names its own', async (t) => {
  const app = await openApp(t);
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const own = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  await submit(app, 'a', { 'event-correlation-id': 'order 7', traceparent });
  await complete(app, await lease(app, 'a'), {
    outcome: 'success',
    emit: [{ type: 'b' }, { type: 'c', correlationId: 'mine', headers: { traceparent: own } }],
  });
  const child = await lease(app, 'b');
  t.match(child.event, { correlationId: 'order 7', traceparent });
  t.match((await lease(app, 'c')).event, { correlationId: 'mine', traceparent: own });
  await complete(app, child, { outcome: 'success', emit: [{ type: 'd' }] });
  t.match((await lease(app, 'd')).event, { correlationId: 'order 7', traceparent });
});

t.test(
  'the same completion again hears the same ids; with something else to emit it is another',
  async (t) => {
    const app = await openApp(t);
    await submit(app, 'a');
    const held = await lease(app, 'a');
    const completion = { outcome: 'success', emit: [{ type: 'b', body: 1 }] };
    const first = await complete(app, held, completion);
    t.same((await complete(app, held, completion)).json(), first.json());
    for (const emit of [
      [{ type: 'b', body: 2 }],
      [{ type: 'c', body: 1 }],
      [{ type: 'b', body: 1, delayMs: 5 }],
      [],
    ]) {
      const other = await complete(app, held, { outcome: 'success', emit });
      t.equal(other.json().code, 'completion-conflict', JSON.stringify(emit));
    }
    t.ok(await lease(app, 'b'));
    t.equal(await lease(app, 'b'), undefined);
  },
);

t.test('many completions emit, each for itself', async (t) => {
  const app = await openApp(t);
  await submit(app, 'a');
  await submit(app, 'a');
  const [one, two] = [await lease(app, 'a'), await lease(app, 'a')];
  const of = ({ attemptId, token }: Held, emit: object[]) => ({ attemptId, token, outcome: 'success', emit });
  const payload = [of(one, [{ type: 'b' }]), of(two, [{ type: 'b' }, { type: '' }]), of(two, [])];
  const { results } = (await app.send({ method: 'POST', url: '/v1/completions', payload })).json();
  t.match(results, [{ emitted: [{ type: 'b' }] }, { error: { code: 'invalid-request' } }, { emitted: [] }]);
  t.equal(results[1].error.pointer, '/emit/1/type');
});

t.test('what cannot be emitted refuses the completion with its place, and the lease stays', async (t) => {
  const app = await openApp(t);
  await submit(app, 'a');
  const held = await lease(app, 'a');
  const refusals: [object, number, string, string][] = [
    [{ outcome: 'success', emit: [{ type: 'b' }, { type: '..' }] }, 400, 'invalid-type-name', '/emit/1'],
    [{ outcome: 'success', emit: [{ type: 'b', unknown: 1 }] }, 400, 'invalid-request', '/emit/0/unknown'],
    [
      { outcome: 'success', emit: [{ type: 'b', bodyEncoding: 'base64', body: '?' }] },
      400,
      'invalid-request',
      '/emit/0',
    ],
    [
      { outcome: 'success', emit: [{ type: 'b', body: 'x'.repeat(2 << 20) }] },
      413,
      'body-too-large',
      '/emit/0',
    ],
    [{ outcome: 'success', emit: Array(1_001).fill({ type: 'b' }) }, 413, 'too-many-items', '/emit'],
    [{ outcome: 'fail', retry: 'policy', emit: [{ type: 'b' }] }, 400, 'invalid-request', '/emit'],
  ];
  for (const [completion, status, code, pointer] of refusals) {
    const reply = await complete(app, held, completion);
    t.match([reply.statusCode, reply.json().code, reply.json().pointer], [status, code, pointer]);
  }
  t.equal(await lease(app, 'b'), undefined);
  t.equal((await complete(app, held, { outcome: 'fail', emit: [{ type: 'b' }] })).statusCode, 200);
  t.ok(await lease(app, 'b'));
});

t.test('a lost lease emits nothing, and a type too many refuses', async (t) => {
  const app = await openApp(t, { env: { TYPES_MAX: '2' } });
  await submit(app, 'a');
  const held = await lease(app, 'a');
  const lost = await complete(
    app,
    { ...held, token: 'wrong' },
    { outcome: 'success', emit: [{ type: 'b' }] },
  );
  t.equal(lost.json().code, 'lease-lost');
  t.equal(await lease(app, 'b'), undefined);
});

t.test('archive durability that cannot be kept refuses the completion', async (t) => {
  const app = await openApp(t, { canArchive: () => false });
  await submit(app, 'a');
  const held = await lease(app, 'a');
  const emit = [{ type: 'b', durability: 'archive' }];
  t.equal((await complete(app, held, { outcome: 'success', emit })).json().code, 'archive-unavailable');
  t.equal((await complete(app, held, { outcome: 'success', emit: [{ type: 'b' }] })).statusCode, 200);
});

async function readTree({ send }: TestApp, id: string, headers: Record<string, string> = {}, query = '') {
  return (await send({ method: 'GET', url: `/v1/events/${id}/tree${query}`, headers })).json();
}

t.test('a tree tells how all of a cascade stands, by any of its events', async (t) => {
  const app = await openApp(t);
  const root = await submit(app, 'a');
  t.match(await readTree(app, root), {
    root,
    counts: { pending: 1 },
    settled: false,
    emitted: 0,
    children: [],
  });
  const emit = [{ type: 'b' }, { type: 'b' }, { type: 'c' }];
  const { emitted } = (await complete(app, await lease(app, 'a'), { outcome: 'success', emit })).json();
  const tree = await readTree(app, root);
  t.same(tree.counts, { pending: 3, inProcess: 0, success: 1, fail: 0, relaying: 0 });
  t.match(tree, { settled: false, emitted: 3, children: emitted });
  t.equal((await readTree(app, root, {}, '?limit=1')).children.length, 1);
  const child = await lease(app, 'b');
  t.match(await readTree(app, child.event.id), { root, counts: { inProcess: 1 }, emitted: 0, children: [] });
  await complete(app, child, { outcome: 'fail' });
  await complete(app, await lease(app, 'b'), { outcome: 'success' });
  t.match(await readTree(app, root), { counts: { pending: 1, success: 2, fail: 1 }, settled: false });
  await complete(app, await lease(app, 'c'), { outcome: 'success' });
  t.match(await readTree(app, root), { counts: { pending: 0, success: 3, fail: 1 }, settled: true });
  const unknown = await readTree(app, '0198f1d2-7c3a-7000-8000-000000000000');
  t.equal(unknown.code, 'event-not-found');
});

t.test('who waits for a tree is answered when it is settled', async (t) => {
  const app = await openApp(t);
  const root = await submit(app, 'a');
  const waiting = readTree(app, root, { prefer: 'wait=20' });
  await complete(app, await lease(app, 'a'), { outcome: 'success', emit: [{ type: 'b' }] });
  await complete(app, await lease(app, 'b'), { outcome: 'success', emit: [{ type: 'c' }] });
  await complete(app, await lease(app, 'c'), { outcome: 'success' });
  t.match(await waiting, { root, settled: true, counts: { success: 3 } });
});

t.test('cancelling a tree ends what waits, asks who holds, and leaves alone what is complete', async (t) => {
  const app = await openApp(t);
  const root = await submit(app, 'a');
  const emit = [{ type: 'b' }, { type: 'b' }, { type: 'c' }];
  await complete(app, await lease(app, 'a'), { outcome: 'success', emit });
  const held = await lease(app, 'b');
  await complete(app, await lease(app, 'b'), { outcome: 'success', emit: [{ type: 'd' }] });
  const cancel = () => app.send({ method: 'DELETE', url: `/v1/events/${root}?tree=true` });
  const reply = await cancel();
  t.equal(reply.statusCode, 202);
  t.same(reply.json(), { cancelled: 2, requested: 1, complete: 2, more: false });
  t.equal(await lease(app, 'c'), undefined);
  t.equal(await lease(app, 'd'), undefined);
  await complete(app, held, { outcome: 'fail' });
  const again = await cancel();
  t.equal(again.statusCode, 200);
  t.same(again.json(), { cancelled: 2, requested: 0, complete: 3, more: false });
  t.match(await readTree(app, root), { settled: true, counts: { success: 2, fail: 3 } });
  const unknown = '/v1/events/0198f1d2-7c3a-7000-8000-000000000000?tree=true';
  t.equal((await app.send({ method: 'DELETE', url: unknown })).statusCode, 404);
});

t.test(
  'what is emitted must fit the schema of its type, or nothing happens; what that redacts is redacted',
  async (t) => {
    const app = await openApp(t);
    const schema = { type: 'object', required: ['to'], properties: { to: { type: 'string' } } };
    const declare = (tag: string, payload: object) =>
      app.send({ method: 'PUT', url: '/v1/types/mail', headers: { 'if-match': tag }, payload });
    t.equal((await declare('"0"', { schema, redact: ['/secret'] })).statusCode, 200);
    const parent = await submit(app, 'a');
    const held = await lease(app, 'a');
    const emitting = (...bodies: unknown[]) => ({
      outcome: 'success',
      emit: [{ type: 'free', body: 1 }, ...bodies.map((body) => ({ type: 'mail', body }))],
    });
    const refused = await complete(app, held, emitting({ to: 'ada' }, { to: 1 }));
    t.equal(refused.statusCode, 422);
    const why = { code: 'schema-mismatch', pointer: '/emit/2/body', errors: [{ pointer: '/to' }] };
    t.match(refused.json(), why);
    const many = (completion: object) =>
      app.send({
        method: 'POST',
        url: '/v1/completions',
        payload: [{ attemptId: held.attemptId, token: held.token, ...completion }],
      });
    t.match((await many(emitting({}))).json(), { results: [{ error: { pointer: '/emit/1/body' } }] });
    t.match(await read(app, parent), { status: 'in_process' });
    t.equal((await app.send({ method: 'GET', url: '/v1/events?type=free' })).json().events.length, 0);

    const sound = emitting({ to: 'ada', secret: 'x' });
    const first = await complete(app, held, sound);
    t.equal(first.statusCode, 200);
    const { id } = first.json().emitted[1];
    const request = await app.send({ method: 'GET', url: `/v1/events/${id}/request` });
    t.equal(request.body, '{"to":"ada","secret":"[redacted]"}');
    t.equal((await declare('"1"', { redact: ['/to'] })).statusCode, 200);
    t.same(
      (await complete(app, held, sound)).json(),
      first.json(),
      'a repeat is one, whatever was declared since',
    );
    t.same((await many(sound)).json().results[0].emitted, first.json().emitted);
    const other = await complete(app, held, emitting({ to: 'ada', secret: 'y' }));
    t.match(other.json(), { code: 'completion-conflict' }, 'told apart by what came');
  },
);
