/** The routes about types: what is declared of them, under which condition, and pausing them. */
import t from 'tap';
import { openApp } from '../support/app.js';

const json = { 'content-type': 'application/json' };

t.test('a type that is used can be read, one that never was cannot', async (t) => {
  const { send } = await openApp(t);
  const missing = await send({ method: 'GET', url: '/v1/types/mail' });
  t.match([missing.statusCode, missing.json()], [404, { code: 'type-not-found' }]);
  await send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x' });
  const reply = await send({ method: 'GET', url: '/v1/types/mail' });
  t.equal(reply.headers.etag, '"0"');
  t.same(reply.json(), {
    type: 'mail',
    version: 0,
    paused: false,
    open: 1,
    declared: null,
    policy: {
      attemptsMax: 5,
      backoff: { firstMs: 500, factor: 2, capMs: 60_000, jitter: 0.2 },
      leaseMs: 30_000,
      maxPending: null,
      deadlineMs: null,
      retentionMs: 86_400_000,
      durability: 'store',
      schema: null,
      redact: [],
      passHeaders: [],
    },
  });
});

t.test('what is declared is shown as it was said, and beside it what holds', async (t) => {
  const { send } = await openApp(t);
  const payload = { leaseMs: 60_000, backoff: { jitter: 0, firstMs: 1_000 }, attemptsMax: 8 };
  const reply = await send({ method: 'PUT', url: '/v1/types/a%2Fb', payload });
  t.match([reply.statusCode, reply.headers.etag], [200, '"1"']);
  t.match(reply.json(), {
    type: 'a/b',
    version: 1,
    declared: payload,
    policy: {
      attemptsMax: 8,
      leaseMs: 60_000,
      backoff: { firstMs: 1_000, factor: 2, capMs: 60_000, jitter: 0 },
    },
  });
  const read = await send({ method: 'GET', url: '/v1/types/a%2Fb' });
  t.same(read.json(), reply.json());
  const list = await send({ method: 'GET', url: '/v1/types' });
  t.same(list.json(), { types: [reply.json()], cursor: null });
});

t.test('a declared type is changed under its version only', async (t) => {
  const { send } = await openApp(t);
  const put = (attemptsMax: number, ifMatch?: string) =>
    send({
      method: 'PUT',
      url: '/v1/types/mail',
      headers: { ...json, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) },
      payload: { attemptsMax },
    });
  t.equal((await put(1)).statusCode, 200);
  const required = await put(2);
  t.match([required.statusCode, required.json()], [428, { code: 'precondition-required', version: 1 }]);
  for (const tag of ['"0"', '"2"', 'W/"1"', '"other"']) {
    const failed = await put(2, tag);
    t.match([failed.statusCode, failed.json()], [412, { code: 'precondition-failed', version: 1 }], tag);
  }
  t.match((await put(2, '1')).json(), { code: 'invalid-header' });
  t.match((await put(2, '"1"')).headers, { etag: '"2"' });
  t.match((await put(3, '*')).headers, { etag: '"3"' });
  t.match((await put(3)).headers, { etag: '"3"' }, 'nothing changes, so nothing is asked');
  const none = await send({ method: 'PUT', url: '/v1/types/new', headers: { 'if-match': '*' }, payload: {} });
  t.equal(none.statusCode, 412);

  const kept = await send({ method: 'DELETE', url: '/v1/types/mail' });
  t.equal(kept.statusCode, 428);
  const back = await send({ method: 'DELETE', url: '/v1/types/mail', headers: { 'if-match': '"3"' } });
  t.match([back.statusCode, back.json()], [200, { version: 4, declared: null, policy: { attemptsMax: 5 } }]);
  t.equal((await send({ method: 'DELETE', url: '/v1/types/unknown' })).statusCode, 404);
});

t.test('a policy that cannot be is refused with the place', async (t) => {
  const { send } = await openApp(t);
  const refused: [object, string][] = [
    [{ attempts: 3 }, '/attempts'],
    [{ attemptsMax: 0 }, '/attemptsMax'],
    [{ leaseMs: 999 }, '/leaseMs'],
    [{ backoff: { capMs: 100 } }, '/backoff/capMs'],
    [{ backoff: { firstMs: 70_000 } }, '/backoff/firstMs'],
    [{ backoff: { factor: 1.0000000001 } }, '/backoff/factor'],
    [{ backoff: { jitter: 1.5 } }, '/backoff/jitter'],
    [{ backoff: { first: 1 } }, '/backoff/first'],
  ];
  for (const [payload, pointer] of refused) {
    const reply = await send({ method: 'PUT', url: '/v1/types/mail', payload });
    t.match([reply.statusCode, reply.json()], [400, { code: 'invalid-request', pointer }], pointer);
  }
  t.equal((await send({ method: 'PUT', url: '/v1/types/..%2F', payload: {} })).statusCode, 200);
  t.equal((await send({ method: 'PUT', url: '/v1/types/a%00', payload: {} })).statusCode, 400);
  t.equal((await send({ method: 'PUT', url: '/v1/types/mail', payload: 'x' })).statusCode, 415);
});

t.test('what is declared holds for the next lease and the next failure', async (t) => {
  const { send } = await openApp(t);
  await send({ method: 'PUT', url: '/v1/types/mail', payload: { attemptsMax: 1, leaseMs: 7_200_000 } });
  await send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x' });
  const before = Date.now();
  const leased = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'] } });
  const { leases } = leased.json<{ leases: { attemptId: string; token: string; expiresAt: string }[] }>();
  const { attemptId, token, expiresAt } = leases[0]!;
  t.ok(Date.parse(expiresAt) >= before + 7_200_000);
  const failed = await send({
    method: 'PUT',
    url: `/v1/attempts/${attemptId}/completion`,
    headers: { 'lease-token': token },
    payload: { outcome: 'fail', retry: 'policy' },
  });
  t.match(failed.json(), { event: { status: 'complete', reason: 'attempts_exhausted' } });
});

t.test('a paused type gives no leases; a call that waits gets them when it is resumed', async (t) => {
  const { send } = await openApp(t);
  t.equal((await send({ method: 'POST', url: '/v1/types/mail/pause' })).statusCode, 404);
  await send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x' });
  t.match((await send({ method: 'POST', url: '/v1/types/mail/pause' })).json(), { paused: true, version: 0 });
  const leases = (waitMs: number) =>
    send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'], waitMs } });
  t.same((await leases(0)).json(), { leases: [] });
  const waiting = leases(20_000);
  t.match((await send({ method: 'POST', url: '/v1/types/mail/resume' })).json(), { paused: false });
  t.match((await waiting).json(), { leases: [{ event: { type: 'mail' } }] });
});

t.test('types are listed in pages', async (t) => {
  const { send } = await openApp(t);
  for (const type of ['a', 'b', 'c']) await send({ method: 'POST', url: `/v1/types/${type}/events` });
  const first = await send({ method: 'GET', url: '/v1/types?limit=2' });
  const { types, cursor } = first.json<{ types: { type: string }[]; cursor: string }>();
  t.same(
    types.map(({ type }) => type),
    ['a', 'b'],
  );
  const second = await send({ method: 'GET', url: `/v1/types?limit=2&cursor=${cursor}` });
  t.match(second.json(), { types: [{ type: 'c' }], cursor: null });
  t.match((await send({ method: 'GET', url: '/v1/types?cursor=x' })).json(), { code: 'invalid-request' });
});

t.test('a type with as many open events as may be refuses more, and says when to come again', async (t) => {
  const { send } = await openApp(t);
  await send({ method: 'PUT', url: '/v1/types/mail', payload: { maxPending: 1 } });
  const post = () => send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x' });
  t.equal((await post()).statusCode, 202);
  const refused = await post();
  t.match([refused.statusCode, refused.json()], [429, { code: 'too-many-pending' }]);
  t.equal(refused.headers['retry-after'], '1');
  const bulk = await send({
    method: 'POST',
    url: '/v1/events',
    payload: [{ type: 'mail' }, { type: 'other' }],
  });
  t.match(bulk.json(), { accepted: 1, refused: 1, results: [{ error: { code: 'too-many-pending' } }, {}] });
});

t.test('a deadline is shown in the lease, and ends the event', async (t) => {
  const { send, store } = await openApp(t);
  store.now = Date.UTC(2026, 0, 15);
  const submit = (headers: Record<string, string>) =>
    send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x', headers });
  const refused = await submit({ 'event-deadline-ms': '1000', 'event-delay-ms': '1000' });
  t.match([refused.statusCode, refused.json()], [400, { code: 'invalid-header' }]);
  const { id } = (await submit({ 'event-deadline-ms': '60000' })).json<{ id: string }>();
  const leased = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'] } });
  t.match(leased.json(), { leases: [{ deadline: '2026-01-15T00:01:00.000Z' }] });
  store.now += 60_000;
  await store.expire(0, 10);
  const event = await send({ method: 'GET', url: `/v1/events/${id}` });
  t.match(event.json(), { status: 'complete', outcome: 'fail', reason: 'deadline' });
  const item = { type: 'mail', deadlineMs: 5, delayMs: 10 };
  const bulk = await send({ method: 'POST', url: '/v1/events', payload: [item, { ...item, delayMs: 1 }] });
  t.match(bulk.json(), { results: [{ error: { code: 'invalid-request' } }, { event: {} }] });
  t.match((await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'] } })).json(), {
    leases: [],
  });
});

t.test('how a type stands: what waits, since when, and whether anybody is there', async (t) => {
  const { send, store } = await openApp(t);
  const missing = await send({ method: 'GET', url: '/v1/types/mail/stats' });
  t.match([missing.statusCode, missing.json()], [404, { code: 'type-not-found' }]);
  store.now = Date.UTC(2026, 0, 15, 12);
  for (const headers of [{}, {}, { 'event-delay-ms': '60000' }])
    await send({ method: 'POST', url: '/v1/types/mail/events', payload: 'x', headers });
  store.now += 1_500;
  const listener = {
    name: 'default',
    waiting: 2,
    delayed: 1,
    leased: 0,
    oldestWaitingMs: 1_500,
    askedAt: null,
  };
  const stats = await send({ method: 'GET', url: '/v1/types/mail/stats' });
  const { rates, ...rest } = stats.json();
  t.same(rest, {
    type: 'mail',
    paused: false,
    open: 3,
    waiting: 2,
    delayed: 1,
    leased: 0,
    oldestWaitingMs: 1_500,
    listeners: [listener],
  });
  t.match(rates, { windowMs: 60_000, acceptedPerSecond: 0.05, completedPerSecond: 0, failedPerSecond: 0 });

  const leases = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'], max: 2 } });
  for (const [index, { attemptId, token }] of leases.json().leases.entries())
    await send({
      method: 'PUT',
      url: `/v1/attempts/${attemptId}/completion`,
      headers: { 'lease-token': token },
      payload: { outcome: index === 0 ? 'success' : 'fail' },
    });
  t.match((await send({ method: 'GET', url: '/v1/types/mail/stats' })).json(), {
    open: 1,
    waiting: 0,
    oldestWaitingMs: null,
    rates: { completedPerSecond: 0.017, failedPerSecond: 0.017 },
    listeners: [{ askedAt: '2026-01-15T12:00:01.500Z' }],
  });
});
