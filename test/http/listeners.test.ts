/** Listeners over HTTP: declaring them, what their filters take, and what leasing as one needs. */
import t from 'tap';
import { openApp } from '../support/app.js';

type Sent = Awaited<ReturnType<typeof openApp>>;

const put = ({ send }: Sent, name: string, payload: object = {}, type = 'order') =>
  send({
    method: 'PUT',
    url: `/v1/types/${encodeURIComponent(type)}/listeners/${name}`,
    payload,
  });

async function submit({ send }: Sent, payload: unknown = { amount: 1 }, headers = {}): Promise<string> {
  const reply = await send({
    method: 'POST',
    url: '/v1/types/order/events',
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(payload),
  });
  return reply.json().id;
}

async function lease({ send }: Sent, listener: string, max = 10) {
  const payload = { types: ['order'], listener, max };
  const reply = await send({ method: 'POST', url: '/v1/leases', payload });
  return reply.json().leases as { attemptId: string; token: string; event: { id: string } }[];
}

const idsFor = async (app: Sent, listener: string) =>
  (await lease(app, listener)).map(({ event }) => event.id);

t.test('a listener is declared, changed, listed and deleted', async (t) => {
  const app = await openApp(t);
  const { send } = app;
  const created = await put(app, 'billing', { responder: true });
  t.equal(created.statusCode, 201);
  t.same(created.json(), {
    type: 'order',
    name: 'billing',
    responder: true,
    filter: null,
    beginning: null,
  });
  const changed = await put(app, 'billing', { filter: { method: ['POST'] } });
  t.equal(changed.statusCode, 200);
  const url = '/v1/types/order/listeners';
  t.same((await send({ method: 'GET', url })).json(), { listeners: [changed.json()] });
  t.same((await send({ method: 'GET', url: `${url}/billing` })).json(), changed.json());
  t.equal((await send({ method: 'DELETE', url: `${url}/billing` })).statusCode, 204);
  t.match((await send({ method: 'DELETE', url: `${url}/billing` })).json(), { code: 'listener-not-found' });
  t.match((await send({ method: 'GET', url: `${url}/billing` })).json(), { code: 'listener-not-found' });
  const none = await send({ method: 'GET', url: '/v1/types/none/listeners' });
  t.match(none.json(), { code: 'type-not-found' });
});

t.test('a lease as somebody who was not declared says which call to make', async (t) => {
  const app = await openApp(t);
  const payload = { types: ['a/b'], listener: 'billing' };
  const reply = await app.send({ method: 'POST', url: '/v1/leases', payload });
  t.match(reply.json(), { status: 409, code: 'not-subscribed', listener: 'billing', eventType: 'a/b' });
  t.match(reply.json().hint, 'PUT /v1/types/a%2Fb/listeners/billing');
  await put(app, 'billing', {}, 'a/b');
  t.same((await app.send({ method: 'POST', url: '/v1/leases', payload })).json(), { leases: [] });
});

t.test('filters look at method, version, headers and body', async (t) => {
  const app = await openApp(t);
  await put(app, 'all');
  await put(app, 'big', { filter: { body: [{ pointer: '/amount', equals: 100 }] } });
  await put(app, 'noted', { filter: { body: [{ pointer: '/notes/0', exists: true }] } });
  await put(app, 'plain', { filter: { body: [{ pointer: '/notes', exists: false }] } });
  await put(app, 'urgent', { filter: { header: { 'x-priority': 'high' }, method: ['POST'] } });
  await put(app, 'second', { filter: { version: ['2', '3'] } });
  await put(app, 'elsewhere', { filter: { path: '/v2/*' } });
  const ids = [
    await submit(app, { amount: 1 }),
    await submit(app, { amount: 100, notes: ['x'] }, { 'x-priority': 'high' }),
    await submit(app, { amount: '100' }, { 'event-version': '2' }),
  ];
  t.same(await idsFor(app, 'all'), ids);
  t.same(await idsFor(app, 'big'), [ids[1]]);
  t.same(await idsFor(app, 'noted'), [ids[1]]);
  t.same(await idsFor(app, 'plain'), [ids[0], ids[2]]);
  t.same(await idsFor(app, 'urgent'), [ids[1]]);
  t.same(await idsFor(app, 'second'), [ids[2]]);
  t.same(await idsFor(app, 'elsewhere'), []);
});

t.test('a path pattern fits whole segments', async (t) => {
  const app = await openApp(t);
  await put(app, 'one', { filter: { path: '/orders/{id}' } }, 'HTTP');
  await put(app, 'below', { filter: { path: '/orders/*' } }, 'HTTP');
  for (const path of ['orders', 'orders/7', 'orders/7/lines', 'other'])
    await app.send({ method: 'POST', url: `/http/${path}`, payload: 'x' });
  const paths = async (listener: string) => {
    const payload = { types: ['HTTP'], listener, max: 10 };
    const reply = await app.send({ method: 'POST', url: '/v1/leases', payload });
    return reply.json().leases.map(({ event }: { event: { path: string } }) => event.path);
  };
  t.same(await paths('one'), ['/orders/7']);
  t.same(await paths('below'), ['/orders', '/orders/7', '/orders/7/lines']);
  const { events } = (await app.send({ method: 'GET', url: '/v1/events?type=HTTP' })).json();
  t.match(events[0], { status: 'complete', outcome: 'fail', reason: 'unmatched', settled: true });
});

t.test('what is no filter is refused with its place', async (t) => {
  const app = await openApp(t);
  const faults: [object, string][] = [
    [{ path: 'orders' }, '/filter/path'],
    [{ path: '/a*/b' }, '/filter/path'],
    [{ path: '/*/b' }, '/filter/path'],
    [{ method: ['POST', 'get'] }, '/filter/method/1'],
    [{ header: { 'X-A': 'b' } }, '/filter/header'],
    [{ body: [{ pointer: 'amount', exists: true }] }, '/filter/body/0/pointer'],
    [{ body: [{ pointer: '/a~2', exists: true }] }, '/filter/body/0/pointer'],
    [{ header: { a: 'x'.repeat(8_192) } }, '/filter'],
  ];
  for (const [filter, pointer] of faults)
    t.match((await put(app, 'a', { filter })).json(), { code: 'invalid-request', pointer }, pointer);
  t.match((await put(app, 'a', { filter: { query: 'x' } })).json(), { code: 'invalid-request' });
  t.match((await put(app, '%00')).json(), { code: 'invalid-request' });
});

t.test(
  'a completion of one that is not the responder tells how the event stands; next is of its own',
  async (t) => {
    const app = await openApp(t);
    await put(app, 'billing');
    await put(app, 'audit');
    const [first, second] = [await submit(app), await submit(app)];
    const [held] = await lease(app, 'audit', 1);
    const reply = await app.send({
      method: 'PUT',
      url: `/v1/attempts/${held!.attemptId}/completion`,
      headers: { 'lease-token': held!.token },
      payload: { outcome: 'success', next: { max: 1 } },
    });
    t.match(reply.json(), { event: { id: first, status: 'in_process', outcome: null } });
    t.same(
      reply.json().next.map(({ event }: { event: { id: string } }) => event.id),
      [second],
    );
    t.match((await app.send({ method: 'GET', url: `/v1/events/${first}` })).json(), { settled: false });
  },
);

t.test('a listener may begin with the past, and shows how far it is', async (t) => {
  const app = await openApp(t);
  await submit(app);
  await lease(app, 'default');
  const now = await put(app, 'audit');
  t.match([now.statusCode, now.json()], [201, { beginning: null }]);
  const reply = await put(app, 'search', { start: 'beginning' });
  t.equal(reply.statusCode, 201);
  const beginning = { status: 'running', endedAt: null, scanned: 0, sent: 0, waiting: null, problem: null };
  t.match(reply.json(), { name: 'search', beginning });
  const again = await put(app, 'search', { start: 'beginning' });
  t.match([again.statusCode, again.json()], [200, { beginning: { id: reply.json().beginning.id } }]);
  const read = await app.send({ method: 'GET', url: '/v1/types/order/listeners/search' });
  t.match(read.json(), { beginning });
  const all = await app.send({ method: 'GET', url: '/v1/types/order/listeners' });
  t.same(
    all.json().listeners.map((each: { beginning: unknown }) => each.beginning !== null),
    [false, false, true],
  );
  t.equal((await put(app, 'other', { start: 'yesterday' })).statusCode, 400);
  for (let made = 1; made < 10; made += 1) await put(app, `search-${made}`, { start: 'beginning' });
  t.match((await put(app, 'one-too-many', { start: 'beginning' })).json(), { code: 'too-many-redrives' });
});
