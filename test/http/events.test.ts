/** What is asked about events over HTTP: how they stand, waiting, responses, requests, attempts, lists, cancelling, the gateway. */
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

async function submit({ send }: TestApp, body = 'x', headers: Record<string, string> = {}): Promise<string> {
  const reply = await send({ method: 'POST', url: '/v1/types/a/events', headers, payload: body });
  return reply.json().id;
}

async function lease({ send }: TestApp, type = 'a', waitMs = 0) {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: [type], waitMs } });
  return reply.json().leases[0];
}

function complete({ send }: TestApp, held: { attemptId: string; token: string }, completion: object) {
  return send({
    method: 'PUT',
    url: `/v1/attempts/${held.attemptId}/completion`,
    headers: { 'lease-token': held.token },
    payload: completion,
  });
}

const get = ({ send }: TestApp, url: string, headers: Record<string, string> = {}) =>
  send({ method: 'GET', url, headers });

t.test('an event shows where it is, from pending to complete', async (t) => {
  const app = await openApp(t);
  const id = await submit(app);
  const url = `/v1/events/${id}`;
  t.match((await get(app, url)).json(), {
    status: 'pending',
    outcome: null,
    startedAt: null,
    response: null,
    errors: [],
  });
  t.match((await get(app, `${url}/response`)).json(), {
    code: 'event-not-complete',
    status: 409,
    eventStatus: 'pending',
  });
  const held = await lease(app);
  t.match((await get(app, url)).json(), { status: 'in_process', attempts: 1, completedAt: null });
  await complete(app, held, {
    outcome: 'fail',
    response: { status: 422, headers: { 'Content-Type': 'text/csv', 'x-a': ['1', '2'] }, body: 'a,b\n' },
    errors: [{ code: 'bad', big: 1 }],
  });
  const { response, ...event } = (await get(app, url)).json();
  t.match(event, {
    status: 'complete',
    outcome: 'fail',
    reason: 'listener',
    errors: [{ code: 'bad', big: 1 }],
  });
  t.same(response, {
    status: 422,
    headers: [
      ['content-type', 'text/csv'],
      ['x-a', '1'],
      ['x-a', '2'],
    ],
    contentType: 'text/csv',
    bytes: 4,
    bodyEncoding: 'text',
    body: 'a,b\n',
  });
  const bare = await get(app, `${url}/response`);
  t.equal(bare.statusCode, 200, 'the status is that of the call');
  t.equal(bare.body, 'a,b\n');
  t.match(bare.headers, {
    'content-type': 'text/csv',
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'sandbox',
  });
  t.equal((await get(app, `/v1/events/${id.toUpperCase()}`)).statusCode, 200, 'ids have no case');
});

t.test('an unknown event is 404 everywhere, and 503 while the store cannot say', async (t) => {
  const app = await openApp(t);
  const unknown = '01a2077a-d0ec-7ea4-8006-e1e09c8d8179';
  const calls = ['', '/response', '/request', '/attempts'].map((path) => `/v1/events/${unknown}${path}`);
  for (const url of [...calls, '/v1/events/nonsense', `/v1/events/${unknown}0`]) {
    t.match((await get(app, url)).json(), { code: 'event-not-found', status: 404 }, url);
  }
  const cancel = await app.send({ method: 'DELETE', url: `/v1/events/${unknown}` });
  t.match(cancel.json(), { code: 'event-not-found' });
  app.store.failure = 'recovering';
  for (const url of calls)
    t.match((await get(app, url)).json(), { code: 'store-recovering', status: 503 }, url);
});

t.test('an ETag changes with the event, and If-None-Match is heeded', async (t) => {
  const app = await openApp(t);
  const url = `/v1/events/${await submit(app)}`;
  const first = await get(app, url);
  const tag = first.headers['etag']!.toString();
  t.match(tag, /^"\d+"$/);
  for (const given of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const same = await get(app, url, { 'if-none-match': given });
    t.equal(same.statusCode, 304, given);
    t.equal(same.body, '');
    t.equal(same.headers['etag'], tag);
  }
  await lease(app);
  const changed = await get(app, url, { 'if-none-match': tag });
  t.equal(changed.statusCode, 200);
  t.not(changed.headers['etag'], tag);
  const head = await app.send({ method: 'HEAD', url });
  t.equal(head.statusCode, 200);
  t.equal(head.body, '');
  t.ok(Number(head.headers['content-length']) > 0);
});

t.test('Prefer: wait answers when the event is complete; with If-None-Match at any change', async (t) => {
  const app = await openApp(t);
  const url = `/v1/events/${await submit(app)}`;
  const tag = (await get(app, url)).headers['etag']!.toString();
  const forAnyChange = get(app, url, { prefer: 'wait=20', 'if-none-match': tag });
  const untilComplete = get(app, url, { prefer: 'wait=20' });
  const held = await lease(app);
  const changed = await forAnyChange;
  t.equal(changed.json().status, 'in_process');
  t.equal(changed.headers['preference-applied'], 'wait=20');
  await complete(app, held, { outcome: 'success' });
  t.match((await untilComplete).json(), { status: 'complete', outcome: 'success', response: null });

  const slow = `/v1/events/${await submit(app)}`;
  const version = (await get(app, slow)).headers['etag']!.toString();
  const timedOut = await get(app, slow, { prefer: 'wait=1', 'if-none-match': version });
  t.equal(timedOut.statusCode, 304, 'nothing has changed in the time');
  const foreign = await get(app, slow, { prefer: 'wait=20', 'if-none-match': '"other"' });
  t.equal(foreign.statusCode, 200, 'a tag that is none of ours is of another version');
});

t.test('one waiting call too many is refused, a submission never', async (t) => {
  const app = await openApp(t, { env: { WAITERS_MAX: '1' } });
  const url = `/v1/events/${await submit(app)}`;
  const waiting = get(app, url, { prefer: 'wait=20' });
  while (app.queue.hasRoomToWait) await new Promise((resolve) => setImmediate(resolve));
  const refused = await get(app, url, { prefer: 'wait=20' });
  t.match(refused.json(), { code: 'too-many-waiters', status: 503 });
  const leasing = await app.send({
    method: 'POST',
    url: '/v1/leases',
    payload: { types: ['b'], waitMs: 1_000 },
  });
  t.match(leasing.json(), { code: 'too-many-waiters' });
  const post = {
    method: 'POST',
    url: '/v1/types/a/events',
    payload: 'x',
    headers: { prefer: 'wait=20' },
  } as const;
  t.equal((await app.send(post)).statusCode, 202);
  app.queue.stop();
  t.equal((await waiting).json().status, 'pending', 'a stop answers with what there is');
});

t.test('events are listed newest first, in pages', async (t) => {
  const app = await openApp(t);
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1) ids.push(await submit(app));
  await app.send({ method: 'POST', url: '/v1/types/b/events', payload: 'x' });
  await complete(app, await lease(app, 'b'), { outcome: 'fail' });
  const page = (await get(app, '/v1/events?type=a&limit=2')).json();
  t.equal(page.events.length, 2);
  t.ok(page.cursor);
  const rest = (await get(app, `/v1/events?type=a&limit=2&cursor=${page.cursor}`)).json();
  const listed = [...page.events, ...rest.events].map(({ id }: { id: string }) => id);
  t.same(listed.sort(), ids.sort());
  t.equal(rest.cursor, null);
  const failed = (await get(app, '/v1/events?status=complete&outcome=fail')).json().events;
  t.match(failed, [{ type: 'b', outcome: 'fail', reason: 'listener' }]);
  for (const query of [
    'limit=0',
    'limit=501',
    'limit=x',
    'status=done',
    'outcome=maybe',
    'unknown=1',
    'cursor=none',
  ]) {
    t.match((await get(app, `/v1/events?${query}`)).json(), { code: 'invalid-request', status: 400 }, query);
  }
  t.equal((await get(app, '/v1/events?limit=500')).statusCode, 200);
});

t.test('cancelling ends an event, asks who holds it, or comes too late', async (t) => {
  const app = await openApp(t);
  const cancel = (id: string) => app.send({ method: 'DELETE', url: `/v1/events/${id}` });
  const waiting = await submit(app);
  const done = await cancel(waiting);
  t.equal(done.statusCode, 200);
  t.match(done.json(), { status: 'complete', outcome: 'fail', reason: 'cancelled' });
  t.equal((await cancel(waiting)).statusCode, 200, 'again is the same');
  t.match((await get(app, `/v1/events/${waiting}/response`)).json(), {
    code: 'response-not-found',
    status: 404,
    reason: 'cancelled',
  });

  const leased = await submit(app);
  const held = await lease(app);
  const asked = await cancel(leased);
  t.equal(asked.statusCode, 202);
  t.match(asked.json(), { status: 'in_process', cancelRequested: true });
  await complete(app, held, { outcome: 'success' });
  t.match((await cancel(leased)).json(), { code: 'event-complete', status: 409 });
});

t.test('attempts show every lease, what came of it, and what came too late', async (t) => {
  const app = await openApp(t, { config: { leaseBytesMax: 4_096 } });
  app.store.now = 1_000_000;
  const id = await submit(app);
  const first = (
    await app.send({ method: 'POST', url: '/v1/leases', payload: { types: ['a'], worker: 'w1' } })
  ).json().leases[0];
  app.store.now += 30_000;
  t.equal((await complete(app, first, { outcome: 'success', response: { body: 'late' } })).statusCode, 409);
  app.store.now += 1_000;
  await complete(app, await lease(app), { outcome: 'fail', retry: 'policy', errors: ['once more'] });
  app.store.now += 5_000;
  await complete(app, await lease(app), { outcome: 'success', response: { body: 'x'.repeat(5_000) } });
  const { attempts } = (await get(app, `/v1/events/${id}/attempts`)).json();
  t.match(attempts, [
    {
      attempt: 1,
      worker: 'w1',
      end: 'expired',
      result: null,
      late: { result: { response: { body: 'late' } } },
    },
    {
      attempt: 2,
      worker: null,
      end: 'retried',
      result: { outcome: 'fail', errors: ['once more'] },
      late: null,
    },
    { attempt: 3, end: 'completed', result: { omitted: true } },
  ]);
});

t.test('the gateway makes an event of any request and gives back what its listener answers', async (t) => {
  const app = await openApp(t);
  const answer = async (url: string, completion: object, method: 'GET' | 'PUT' | 'HEAD' = 'GET') => {
    const waiting = app.send({ method, url, headers: { prefer: 'wait=20' } });
    const held = await lease(app, 'HTTP', 5_000);
    await complete(app, held, completion);
    return { reply: await waiting, event: held.event };
  };
  const { reply, event } = await answer('/http/ping/a%2Fb?x=1', {
    outcome: 'success',
    response: {
      status: 201,
      headers: {
        'content-type': 'text/html',
        'x-own': 'kept',
        'set-cookie': ['a=1', 'b=2'],
        connection: 'x-hop',
        'x-hop': 'gone',
        'transfer-encoding': 'chunked',
        'content-length': '1',
        'content-security-policy': 'none',
      },
      body: '<b>hello</b>',
    },
  });
  t.match(event, { type: 'HTTP', method: 'GET', path: '/ping/a%2Fb', query: 'x=1', body: '' });
  t.equal(reply.statusCode, 201);
  t.equal(reply.body, '<b>hello</b>');
  t.match(reply.headers, {
    'content-type': 'text/html',
    'x-own': 'kept',
    'set-cookie': ['a=1', 'b=2'],
    'content-length': '12',
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
    'preference-applied': 'wait=20',
    location: `/v1/events/${event.id}`,
  });
  for (const name of ['x-hop', 'transfer-encoding']) t.notOk(reply.headers[name], name);

  const failed = await answer('/http', { outcome: 'fail', response: { status: 418, body: { short: true } } });
  t.equal(failed.event.path, '/');
  t.equal(failed.reply.statusCode, 418, 'a failure with a response is that response');
  t.same(failed.reply.json(), { short: true });
  const silent = await answer('/http/', { outcome: 'fail' });
  t.match(silent.reply.json(), {
    code: 'listener-failed',
    status: 502,
    reason: 'listener',
    eventId: silent.event.id,
  });
  t.equal((await answer('/http/x', { outcome: 'success' })).reply.statusCode, 204);
  const empty = await answer('/http/x', { outcome: 'success', response: { status: 304 } });
  t.equal(empty.reply.statusCode, 304);
  const head = await answer('/http/x', { outcome: 'success', response: { body: [1] } }, 'HEAD');
  t.equal(head.reply.statusCode, 200);
  t.equal(head.event.method, 'HEAD');
});

t.test('the gateway takes every method, with bodies as they came', async (t) => {
  const app = await openApp(t);
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
    const hasBody = method !== 'GET';
    const reply = await app.send({
      method,
      url: '/http/thing',
      ...(hasBody ? { payload: Buffer.from([0, 255]), headers: { 'content-type': 'image/png' } } : {}),
    });
    t.equal(reply.statusCode, 202, method);
    const { event } = await lease(app, 'HTTP');
    t.match(event, { method, path: '/thing', bytes: hasBody ? 2 : 0 });
  }
  const odd = await app.app.inject({ method: 'PROPFIND' as 'GET', url: '/http/dav', payload: '<x/>' });
  t.equal(odd.statusCode, 202);
  t.match((await lease(app, 'HTTP')).event, { method: 'PROPFIND', bytes: 4 });
  const refused = await app.send({ method: 'GET', url: '/http/x', payload: 'body' });
  t.match(refused.json(), { code: 'invalid-request', status: 400 });
});
