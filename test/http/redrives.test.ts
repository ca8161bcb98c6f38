/** Redrives over HTTP: asking for one, looking at it, cancelling it, and everything that can be asked wrongly. */
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

const URL = '/v1/redrives';

const post = ({ send }: TestApp, payload: object, headers = {}) =>
  send({ method: 'POST', url: URL, headers: { 'content-type': 'application/json', ...headers }, payload });

const get = ({ send }: TestApp, path = '') => send({ method: 'GET', url: `${URL}${path}` });

async function withType(app: TestApp, type = 'mail'): Promise<TestApp> {
  await app.send({
    method: 'POST',
    url: `/v1/types/${type}/events`,
    payload: 'x',
    headers: { 'content-type': 'text/plain' },
  });
  return app;
}

t.test('a redrive is made, shown, listed and cancelled', async (t) => {
  const app = await withType(await openApp(t));
  const body = {
    type: 'mail',
    filter: 'failed',
    from: '2026-01-01T00:00:00Z',
    to: '2026-01-02T00:00:00+01:00',
    dryRun: true,
    ratePerSecond: 7,
  };
  const made = await post(app, body);
  t.equal(made.statusCode, 202);
  const redrive = made.json();
  t.match(redrive, {
    ...body,
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T23:00:00.000Z',
    listener: null,
    status: 'running',
    endedAt: null,
    scanned: 0,
    matched: 0,
    sent: 0,
    skipped: { requestGone: 0 },
    waiting: null,
    links: { self: made.headers['location'] },
  });
  t.same((await get(app, `/${redrive.id}`)).json(), redrive);
  t.same((await get(app)).json(), { redrives: [redrive], cursor: null });
  const cancel = () => app.send({ method: 'DELETE', url: `${URL}/${redrive.id}` });
  const cancelled = await cancel();
  t.match([cancelled.statusCode, cancelled.json()], [200, { id: redrive.id, status: 'cancelled' }]);
  t.same((await cancel()).json(), cancelled.json(), 'again');
});

t.test('what is left out is what is usual', async (t) => {
  const app = await withType(await openApp(t));
  const usual = { listener: null, from: null, to: null, dryRun: false, ratePerSecond: 100 };
  t.match((await post(app, { type: 'mail', filter: 'dead' })).json(), usual);
  t.match(
    (await post(app, { type: 'mail', filter: 'dead', listener: null, from: null, to: null })).json(),
    usual,
  );
});

t.test('the list goes page by page, the newest first, of one type or of all', async (t) => {
  const app = await withType(await withType(await openApp(t)), 'other');
  const ids: string[] = [];
  for (const type of ['mail', 'other', 'mail']) {
    ids.unshift((await post(app, { type, filter: 'dead' })).json().id);
    // Ids of one millisecond are in no order.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const first = (await get(app, '?limit=2')).json();
  t.same(
    first.redrives.map(({ id }: { id: string }) => id),
    ids.slice(0, 2),
  );
  const rest = (await get(app, `?limit=2&cursor=${first.cursor}`)).json();
  t.match(rest, { redrives: [{ id: ids[2] }], cursor: null });
  t.match((await get(app, '?type=other')).json(), { redrives: [{ id: ids[1] }], cursor: null });
  t.same((await get(app, '?type=unknown')).json(), { redrives: [], cursor: null });
  t.match((await get(app, '?cursor=nonsense')).json(), { code: 'invalid-request' });
});

t.test('the same request with the same key is the same redrive', async (t) => {
  const app = await withType(await openApp(t));
  const key = { 'idempotency-key': 'monday' };
  const first = (await post(app, { type: 'mail', filter: 'dead' }, key)).json();
  t.same((await post(app, { type: 'mail', filter: 'dead' }, key)).json(), first);
  const other = await post(app, { type: 'mail', filter: 'any' }, key);
  t.match([other.statusCode, other.json()], [422, { code: 'idempotency-conflict', redrive: first.id }]);
});

t.test('what is asked wrongly is refused, with where and why', async (t) => {
  const app = await withType(await openApp(t));
  const good = { type: 'mail', filter: 'dead' };
  const cases: readonly [object, number, object][] = [
    [{ filter: 'dead' }, 400, { code: 'invalid-request' }],
    [{ type: 'mail' }, 400, { code: 'invalid-request' }],
    [{ ...good, filter: 'bad' }, 400, { code: 'invalid-request', pointer: '/filter' }],
    [{ ...good, rate: 5 }, 400, { code: 'invalid-request', pointer: '/rate' }],
    [{ ...good, ratePerSecond: 1.5 }, 400, { code: 'invalid-request', pointer: '/ratePerSecond' }],
    [{ ...good, from: 'yesterday' }, 400, { code: 'invalid-request' }],
    [{ ...good, to: '2026-13-01T00:00:00Z' }, 400, { code: 'invalid-request' }],
    [
      { ...good, from: '2026-01-02T00:00:00Z', to: '2026-01-02T00:00:00Z' },
      400,
      { code: 'invalid-request', pointer: '/from' },
    ],
    [{ ...good, type: '..' }, 400, { code: 'invalid-type-name' }],
    [{ ...good, type: 'unknown' }, 404, { code: 'type-not-found' }],
    [{ ...good, listener: 'nobody' }, 404, { code: 'listener-not-found', listener: 'nobody', hint: /PUT/ }],
    [{ ...good, listener: '' }, 400, { code: 'invalid-request' }],
  ];
  for (const [body, status, problem] of cases) {
    const reply = await post(app, body);
    t.match([reply.statusCode, reply.json()], [status, problem], JSON.stringify(body));
  }
  t.same((await get(app)).json().redrives, [], 'none was made');
});

t.test('a redrive that there is not', async (t) => {
  const app = await withType(await openApp(t));
  for (const id of ['nonsense', '019bc186-de00-7081-8007-c45fde79edb7']) {
    for (const method of ['GET', 'DELETE'] as const) {
      const reply = await app.send({ method, url: `${URL}/${id}` });
      t.match([reply.statusCode, reply.json()], [404, { code: 'redrive-not-found', redrive: id }]);
    }
  }
});

t.test('one that has ended cannot be cancelled', async (t) => {
  const app = await withType(await openApp(t));
  const { id } = (await post(app, { type: 'mail', filter: 'dead' })).json();
  const [job] = await app.store.readRedrives(0, 'all');
  await app.store.setRedrive({ kind: 'advance', id, after: 0, status: 'done', progress: job!.progress });
  const reply = await app.send({ method: 'DELETE', url: `${URL}/${id}` });
  t.match([reply.statusCode, reply.json()], [409, { code: 'redrive-ended' }]);
  t.match((await get(app, `/${id}`)).json(), { status: 'done', problem: null });
});
