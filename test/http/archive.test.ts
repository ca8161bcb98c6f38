/** Events with `archive` durability over HTTP: answers wait for the archive, and say so when it does not come in time. */
import { setImmediate } from 'node:timers/promises';
import type { LightMyRequestResponse } from 'fastify';
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';
import { until } from '../support/archiver-bench.js';

const ARCHIVE = { 'event-durability': 'archive' };
/** A deadline that has come as soon as it is looked at. */
const AT_ONCE = { env: { ARCHIVE_TIMEOUT_MS: '100' } };

function submit({ send }: TestApp, headers: Record<string, string> = ARCHIVE, url = '/v1/types/a/events') {
  return send({ method: 'POST', url, headers, payload: 'hello' });
}

async function lease({ send }: TestApp): Promise<{ attemptId: string; token: string }[]> {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['a'], max: 10 } });
  return reply.json().leases;
}

function complete({ send }: TestApp, held: { attemptId: string; token: string }, more: object = {}) {
  return send({
    method: 'PUT',
    url: `/v1/attempts/${held.attemptId}/completion`,
    headers: { 'lease-token': held.token },
    payload: { outcome: 'success', response: { body: 'done' }, ...more },
  });
}

/** What is asked for, once it is seen to wait for the archive and that has come. */
async function archived(app: TestApp, asking: Promise<LightMyRequestResponse>) {
  let answered = false;
  void asking.finally(() => {
    answered = true;
  });
  await until('it waits', () => app.queue.waiting > 0);
  for (let turns = 0; turns < 5; turns += 1) await setImmediate();
  if (answered) throw new Error('it was answered before it was archived');
  await app.store.markArchived();
  return asking;
}

t.test('the receipt of an event comes when it is archived, and says so', async (t) => {
  const app = await openApp(t);
  const reply = await archived(app, submit(app));
  t.equal(reply.statusCode, 202);
  t.match(reply.json(), { durable: 'archived', status: 'pending' });
  t.match((await submit(app, {})).json(), { durable: 'memory' }, 'others do not wait');
  t.match((await submit(app, { 'event-durability': 'store' })).json(), { durable: 'memory' });
  const refused = await submit(app, { 'event-durability': 'tape' });
  t.match([refused.statusCode, refused.json().code], [400, 'invalid-header']);
});

t.test('what is not archived in time is 503 with the id, and a repeat is the same event', async (t) => {
  const app = await openApp(t, AT_ONCE);
  const keyed = { ...ARCHIVE, 'idempotency-key': 'k' };
  const late = await submit(app, keyed);
  t.equal(late.statusCode, 503);
  const { id, code, hint } = late.json();
  t.equal(code, 'not-archived');
  t.match(hint, /Idempotency-Key/);
  t.equal(late.headers.location, `/v1/events/${id}`);
  t.equal(late.headers['retry-after'], '1');

  for (const path of ['', '/request', '/response', '/attempts']) {
    const poll = await app.send({ url: `/v1/events/${id}${path}` });
    t.match([poll.statusCode, poll.json().code], [503, 'not-archived'], `GET …${path}`);
    t.equal(poll.headers['retry-after'], '1');
  }
  t.same((await app.send({ url: '/v1/events' })).json().events, []);
  t.same(await lease(app), [], 'nobody works on it');

  await app.store.markArchived();
  t.match((await app.send({ url: `/v1/events/${id}` })).json(), { id, status: 'pending' });
  const again = await submit(app, keyed);
  t.equal(again.statusCode, 202);
  t.match(again.json(), { id, durable: 'archived' });
  t.equal((await lease(app)).length, 1);
});

t.test('in bulk each item waits, and carries its own error', async (t) => {
  const app = await openApp(t, AT_ONCE);
  const payload = [
    { type: 'a', body: 1, durability: 'archive' },
    { type: 'a', body: 2, durability: 'store' },
    { type: 'a', body: 3 },
    { type: 'a', body: 4, durability: 'tape' },
  ];
  const send = (headers: Record<string, string>) =>
    app.send({ method: 'POST', url: '/v1/events', headers, payload });
  const late = (await send({})).json();
  t.same([late.accepted, late.refused], [2, 2]);
  t.match(late.results, [
    { error: { code: 'not-archived', status: 503, id: /^[0-9a-f-]{36}$/ } },
    { event: { durable: 'memory' } },
    { event: { durable: 'memory' } },
    { error: { code: 'invalid-request' } },
  ]);
  const all = (await archived(app, send(ARCHIVE))).json();
  t.match(all.results, [
    { event: { durable: 'archived' } },
    { event: { durable: 'memory' } },
    { event: { durable: 'archived' } },
    { error: { code: 'invalid-request' } },
  ]);
  const one = await app.send({ method: 'POST', url: '/v1/events', headers: ARCHIVE, payload: payload[2]! });
  t.equal(one.statusCode, 503);
  t.equal(one.headers.location, `/v1/events/${one.json().id}`);
});

t.test('CloudEvents and the gateway wait as well', async (t) => {
  const app = await openApp(t);
  const cloudEvent = { specversion: '1.0', id: '1', source: '/s', type: 'a', data: 1 };
  const headers = { ...ARCHIVE, 'content-type': 'application/cloudevents+json' };
  const structured = { method: 'POST', url: '/v1/events', headers, payload: cloudEvent } as const;
  const reply = await archived(app, app.send(structured));
  t.match(reply.json().results, [{ event: { durable: 'archived' } }]);
  const through = await archived(app, submit(app, ARCHIVE, '/http/ping'));
  t.match(through.json(), { type: 'HTTP', durable: 'archived' });
});

t.test('where nothing can be archived nothing is taken', async (t) => {
  let can = false;
  const app = await openApp(t, { canArchive: () => can });
  const refused = await submit(app);
  t.match([refused.statusCode, refused.json().code], [503, 'archive-unavailable']);
  t.equal(refused.headers['retry-after'], '5');
  const payload = [{ type: 'a', durability: 'archive' }, { type: 'a' }, { type: 'b', durability: 'archive' }];
  const bulk = await app.send({ method: 'POST', url: '/v1/events', payload });
  t.match(bulk.json().results, [
    { error: { code: 'archive-unavailable' } },
    { event: { type: 'a' } },
    { error: { code: 'archive-unavailable' } },
  ]);
  t.equal((await app.store.depths()).events, 1, 'only the other');
  can = true;
  t.equal((await archived(app, submit(app))).statusCode, 202);
});

t.test(
  'a completion is answered when it is archived; a poll shows it then, and blocks nobody before',
  async (t) => {
    const app = await openApp(t);
    const { id } = (await archived(app, submit(app))).json();
    const [held] = await lease(app);
    const poll = async () => (await app.send({ url: `/v1/events/${id}` })).json();
    const before = await poll();
    t.match(before, { status: 'pending', attempts: 0 });
    const waiting = app.send({ url: `/v1/events/${id}`, headers: { prefer: 'wait=20' } });
    await until('the poll waits', () => app.queue.waiting === 1);

    const completing = complete(app, held!, { next: { max: 1 } });
    await until('the completion waits', () => app.queue.waiting === 2);
    t.same(await poll(), before, 'as it was');
    const response = await app.send({ url: `/v1/events/${id}/response` });
    t.match([response.statusCode, response.json().code], [409, 'event-not-complete']);

    await app.store.markArchived();
    t.match((await completing).json(), { event: { status: 'complete', outcome: 'success' }, next: [] });
    t.match((await waiting).json(), { status: 'complete' });
  },
);

t.test('a completion that is not archived in time is 503, and may be sent again', async (t) => {
  const app = await openApp(t, AT_ONCE);
  const { id } = (await archived(app, submit(app))).json();
  const [held] = await lease(app);
  const late = await complete(app, held!);
  t.match([late.statusCode, late.json().code, late.json().id], [503, 'not-archived', id]);
  const many = await app.send({
    method: 'POST',
    url: '/v1/completions',
    payload: [{ ...held, outcome: 'success', response: { body: 'done' } }].map(
      ({ attemptId, token, outcome, response }) => ({ attemptId, token, outcome, response }),
    ),
  });
  t.match(many.json().results, [{ error: { code: 'not-archived' } }]);
  t.match((await app.send({ url: `/v1/events/${id}` })).json(), { status: 'pending' });
  await app.store.markArchived();
  t.match((await complete(app, held!)).json(), { event: { id, status: 'complete' } });
});

t.test('a cancel is answered when it is archived', async (t) => {
  const app = await openApp(t, AT_ONCE);
  const { id } = (await archived(app, submit(app))).json();
  const cancel = () => app.send({ method: 'DELETE', url: `/v1/events/${id}` });
  const late = await cancel();
  t.match([late.statusCode, late.json().code], [503, 'not-archived']);
  t.match((await app.send({ url: `/v1/events/${id}` })).json(), { status: 'pending' });
  const reply = await archived(app, cancel());
  t.equal(reply.statusCode, 200);
  t.match(reply.json(), { status: 'complete', reason: 'cancelled' });
});

t.test('a poll that prefers to wait waits for an event that is not archived, too', async (t) => {
  const app = await openApp(t, AT_ONCE);
  const { id } = (await submit(app)).json();
  const waiting = app.send({
    url: `/v1/events/${id}`,
    headers: { prefer: 'wait=20', 'if-none-match': '"0"' },
  });
  const reply = await archived(app, waiting);
  t.match([reply.statusCode, reply.json().status], [200, 'pending']);
});

t.test('who waits when the service stops is told the id', async (t) => {
  const app = await openApp(t);
  const sending = submit(app);
  await until('it waits', () => app.queue.waiting > 0);
  app.queue.stop();
  t.match((await sending).json(), { code: 'not-archived', id: /^[0-9a-f-]{36}$/ });
});
