/** What listeners do over HTTP: leasing, waiting, repeating a lost call, extending, completing, handing back. */
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

interface Held {
  readonly attemptId: string;
  readonly token: string;
  readonly attempt: number;
  readonly expiresAt: string;
  readonly event: { readonly id: string; readonly body: unknown };
}

async function submit({ send }: TestApp, count = 1, type = 'a'): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await send({
      method: 'POST',
      url: `/v1/types/${type}/events`,
      headers: { 'content-type': 'application/json' },
      payload: String(n),
    });
  }
}

function post({ send }: TestApp, payload: object, headers: Record<string, string> = {}) {
  return send({ method: 'POST', url: '/v1/leases', headers, payload });
}

async function lease(app: TestApp, wish: object = {}): Promise<Held[]> {
  return (await post(app, { types: ['a'], ...wish })).json().leases;
}

function complete({ send }: TestApp, held: Held, completion: object | string, token = held.token) {
  return send({
    method: 'PUT',
    url: `/v1/attempts/${held.attemptId}/completion`,
    headers: { 'lease-token': token, 'content-type': 'application/json' },
    payload: completion,
  });
}

t.test('a listener gets the oldest events, as many as it asks for', async (t) => {
  const app = await openApp(t);
  app.store.now = 1_000_000;
  await submit(app, 3);
  const leases = await lease(app, { max: 2, leaseMs: 5_000, worker: 'w' });
  t.same(
    leases.map(({ event }) => event.body),
    [0, 1],
  );
  t.equal(leases[0]!.expiresAt, new Date(1_005_000).toISOString());
  t.equal((await lease(app)).length, 1);
  t.same(await lease(app), []);
});

t.test('a lease call is checked strictly', async (t) => {
  const app = await openApp(t);
  const good = { types: ['a'] };
  const codeOf = async (payload: object) => {
    const reply = await post(app, payload);
    return reply.statusCode === 200 ? null : [reply.json().code, reply.json().pointer];
  };
  const met: [string, object][] = [
    ['types', { types: Array.from({ length: 100 }, (_, n) => `t${n}`) }],
    ['max', { ...good, max: 500 }],
    ['leaseMs', { ...good, leaseMs: 43_200_000 }],
    ['leaseMs', { ...good, leaseMs: 1_000 }],
    ['worker', { ...good, worker: 'w'.repeat(256) }],
    ['doubles', { types: ['a', 'a'] }],
  ];
  for (const [name, payload] of met) t.equal(await codeOf(payload), null, name);
  const broken: [object, string][] = [
    [{}, ''],
    [{ types: [] }, '/types'],
    [{ types: Array.from({ length: 101 }, (_, n) => `t${n}`) }, '/types'],
    [{ types: 'a' }, '/types'],
    [{ ...good, max: 501 }, '/max'],
    [{ ...good, max: 0 }, '/max'],
    [{ ...good, max: '1' }, '/max'],
    [{ ...good, leaseMs: 43_200_001 }, '/leaseMs'],
    [{ ...good, leaseMs: 999 }, '/leaseMs'],
    [{ ...good, waitMs: 25_001 }, '/waitMs'],
    [{ ...good, worker: 'w'.repeat(257) }, '/worker'],
    [{ ...good, 'a/b': 1 }, '/a~1b'],
  ];
  for (const [payload, pointer] of broken) {
    t.same(await codeOf(payload), ['invalid-request', pointer], JSON.stringify(payload).slice(0, 60));
  }
  t.same(await codeOf({ types: ['..'] }), ['invalid-type-name', undefined]);
  t.match((await post(app, { ...good, listener: 'mail' })).json(), {
    code: 'not-subscribed',
    status: 409,
    listener: 'mail',
  });
  const form = await app.send({
    method: 'POST',
    url: '/v1/leases',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: '{"types":["a"]}',
  });
  t.match(form.json(), { code: 'unsupported-media-type', status: 415, hint: /application\/json/ });
  const cut = await app.send({
    method: 'POST',
    url: '/v1/leases',
    headers: { 'content-type': 'application/json' },
    payload: '{"types":',
  });
  t.match(cut.json(), { code: 'invalid-json', line: 1, column: 10 });
});

t.test('a waiting call is answered when there is an event', async (t) => {
  const app = await openApp(t);
  const waiting = lease(app, { waitMs: 20_000 });
  await submit(app);
  t.equal((await waiting).length, 1);
});

t.test('the same key gives the same leases while they live', async (t) => {
  const app = await openApp(t);
  await submit(app, 4);
  const headers = { 'idempotency-key': 'poll-1' };
  const first = (await post(app, { types: ['a'], max: 2 }, headers)).json();
  t.same((await post(app, { types: ['a'], max: 2 }, headers)).json(), first);
  const other = (await post(app, { types: ['a'], max: 2 }, { 'idempotency-key': 'poll-2' })).json();
  t.notSame(other, first);
});

t.test('a reply is bounded in bytes, and its first lease comes whatever it weighs', async (t) => {
  const app = await openApp(t, { config: { leaseBytesMax: 4_000 } });
  for (const bytes of [1_000, 1_000, 3_000, 6_000]) {
    await app.send({ method: 'POST', url: '/v1/types/a/events', payload: Buffer.alloc(bytes) });
  }
  t.equal((await lease(app, { max: 4 })).length, 2);
  t.equal((await lease(app, { max: 4 })).length, 1);
  t.equal((await lease(app, { max: 4 })).length, 1);
});

t.test('a lease is extended, and its holder hears that it should stop', async (t) => {
  const app = await openApp(t);
  app.store.now = 1_000_000;
  await submit(app);
  const [held] = await lease(app);
  const extend = (leaseMs: unknown, token = held!.token, attemptId = held!.attemptId) =>
    app.send({
      method: 'PATCH',
      url: `/v1/attempts/${attemptId}`,
      headers: { 'lease-token': token },
      payload: { leaseMs },
    });
  t.same((await extend(60_000)).json(), {
    expiresAt: new Date(1_060_000).toISOString(),
    cancelRequested: false,
  });
  await app.send({ method: 'DELETE', url: `/v1/events/${held!.event.id}` });
  t.equal((await extend(60_000)).json().cancelRequested, true);
  t.match((await extend(43_200_001)).json(), { code: 'invalid-request', pointer: '/leaseMs' });
  t.match((await extend(60_000, 'other')).json(), { code: 'lease-lost', status: 409 }, 'S2');
  t.match((await extend(60_000, 'x', 'nonsense')).json(), { code: 'attempt-not-found', status: 404 });
  const without = await app.send({
    method: 'PATCH',
    url: `/v1/attempts/${held!.attemptId}`,
    payload: { leaseMs: 5_000 },
  });
  t.match(without.json(), { code: 'invalid-header', status: 400 });
});

t.test('a lease that is handed back is leasable at once and does not count', async (t) => {
  const app = await openApp(t);
  await submit(app);
  const [held] = await lease(app);
  const handBack = (token: string) =>
    app.send({ method: 'DELETE', url: `/v1/attempts/${held!.attemptId}`, headers: { 'lease-token': token } });
  t.match((await handBack('other')).json(), { code: 'lease-lost' });
  t.equal((await handBack(held!.token)).statusCode, 204);
  t.equal((await handBack(held!.token)).statusCode, 204, 'again is the same');
  const [again] = await lease(app);
  t.equal(again!.attempt, 1);
  await handBack(held!.token);
  t.equal(
    (await complete(app, again!, { outcome: 'success' })).statusCode,
    200,
    'the new lease is untouched',
  );
});

t.test('S4: the same completion is one completion with one answer, another is refused', async (t) => {
  const app = await openApp(t);
  await submit(app, 2);
  const [held] = await lease(app);
  const text = '{"outcome":"success","response":{"body":{"n":9007199254740993,"x":1.0}},"errors":[]}';
  const first = await complete(app, held!, text);
  t.match(first.json(), {
    event: { id: held!.event.id, status: 'complete', outcome: 'success', reason: null, retryAt: null },
    next: [],
  });
  const spaced = text.replace('"response":', ' "response" :\n').replace(',"errors":[]', '');
  t.equal(
    (await complete(app, held!, spaced)).body,
    first.body,
    'white space outside the body does not count',
  );
  t.equal((await complete(app, held!, text, 'stale')).body, first.body, 'it is checked before the token');
  const withNext = await complete(app, held!, text.replace('}}', '}},"next":{"max":1}'));
  t.same(withNext.json().event, first.json().event, 'nor does next');
  t.equal(withNext.json().next.length, 1);
  for (const other of [
    text.replace('1.0', '1'),
    text.replace('success', 'fail'),
    text.replace('[]', '[1]'),
  ]) {
    t.match((await complete(app, held!, other)).json(), { code: 'completion-conflict', status: 409 });
  }
  const event = await app.send({ method: 'GET', url: `/v1/events/${held!.event.id}` });
  t.ok(event.body.includes('"body":{"n":9007199254740993,"x":1.0}}'), 'the response is the text it came as');
});

t.test('the body of a response: JSON, text or bytes, by what the listener says', async (t) => {
  const app = await openApp(t);
  const respond = async (response: object) => {
    await submit(app);
    const [held] = await lease(app);
    const reply = await complete(app, held!, { outcome: 'success', response });
    if (reply.statusCode !== 200) return reply.json();
    const bare = await app.send({ method: 'GET', url: `/v1/events/${held!.event.id}/response` });
    const { bodyEncoding, status } = (
      await app.send({ method: 'GET', url: `/v1/events/${held!.event.id}` })
    ).json().response;
    return {
      status,
      bodyEncoding,
      bytes: bare.rawPayload.toString('latin1'),
      type: bare.headers['content-type'],
    };
  };
  t.match(await respond({ body: null }), { bytes: 'null', type: 'application/json', bodyEncoding: 'json' });
  t.match(await respond({ body: 'x' }), { bytes: '"x"', type: 'application/json', bodyEncoding: 'json' });
  t.match(await respond({ body: 'x', bodyEncoding: 'text' }), {
    bytes: 'x',
    type: 'text/plain; charset=utf-8',
  });
  t.match(await respond({ body: 'AP8=', bodyEncoding: 'base64' }), {
    bytes: '\0\xff',
    type: 'application/octet-stream',
    bodyEncoding: 'base64',
  });
  const csv = { headers: { 'content-type': 'text/csv' } };
  t.match(await respond({ ...csv, body: 'a,b' }), { bytes: 'a,b', type: 'text/csv', bodyEncoding: 'text' });
  const json = { headers: { 'content-type': 'application/json' }, bodyEncoding: 'text' };
  t.match(await respond({ ...json, body: '{"x":1.0}' }), { bytes: '{"x":1.0}', bodyEncoding: 'json' });
  t.match(await respond({ ...json, body: '{' }), { bytes: '{', bodyEncoding: 'base64' }, 'taken, not judged');
  t.match(await respond({}), { status: 200, bytes: '', type: 'application/octet-stream' });
  const packed = { headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' } };
  t.match(await respond({ ...packed, body: 'AAAA', bodyEncoding: 'base64' }), { bodyEncoding: 'base64' });
  t.match(await respond({ body: 1, bodyEncoding: 'text' }), { code: 'invalid-request' });
});

t.test('a completion is checked strictly', async (t) => {
  const app = await openApp(t, { config: { responseBytesMax: 1_024 } });
  await submit(app);
  const [held] = await lease(app);
  const codeOf = async (completion: object | string) => (await complete(app, held!, completion)).json().code;
  const success = { outcome: 'success' };
  const wrong: [object | string, string][] = [
    [{}, 'invalid-request'],
    [{ outcome: 'done' }, 'invalid-request'],
    [{ ...success, emit: [{}] }, 'invalid-request'],
    [{ ...success, response: { status: 199 } }, 'invalid-request'],
    [{ ...success, response: { status: 600 } }, 'invalid-request'],
    [{ ...success, response: { bodyy: 1 } }, 'invalid-request'],
    [{ ...success, response: { headers: { 'a\n': 'x' } } }, 'invalid-request'],
    [{ ...success, response: { headers: { a: 'x\r\ny: z' } } }, 'invalid-request'],
    [{ ...success, response: { headers: { a: '€' } } }, 'invalid-request'],
    [{ ...success, response: { headers: { a: Array(101).fill('x') } } }, 'headers-too-large'],
    [{ ...success, response: { headers: { a: 'x'.repeat(16_384) } } }, 'headers-too-large'],
    [{ ...success, response: { body: 'x'.repeat(1_023) } }, 'body-too-large'],
    [{ ...success, errors: Array(101).fill(1) }, 'too-many-errors'],
    [{ ...success, errors: ['x'.repeat(65_533)] }, 'too-many-errors'],
    [{ ...success, retry: 'policy' }, 'invalid-request'],
    [{ outcome: 'fail', retry: { afterMs: 7_776_000_001 } }, 'invalid-request'],
    [{ outcome: 'fail', retry: 'sometimes' }, 'invalid-request'],
    [{ ...success, next: { max: 501 } }, 'invalid-request'],
    ['{"outcome":"success","response":{"body":{"__proto__":1}}}', 'unsafe-json'],
    ['{"outcome":', 'invalid-json'],
  ];
  for (const [completion, code] of wrong) {
    t.equal(await codeOf(completion), code, JSON.stringify(completion).slice(0, 70));
  }
  const reply = await complete(app, held!, {
    outcome: 'fail',
    response: { status: 599, headers: { a: Array(100).fill('x') }, body: 'x'.repeat(1_022) },
    errors: ['x'.repeat(65_532)],
    retry: 'never',
  });
  t.equal(reply.statusCode, 200, 'at every limit');
});

t.test('a failure is final, or tried again as the listener says', async (t) => {
  const app = await openApp(t);
  app.store.now = 1_000_000;
  await submit(app);
  const [first] = await lease(app);
  const retried = await complete(app, first!, { outcome: 'fail', retry: { afterMs: 2_000 } });
  t.match(retried.json().event, {
    status: 'in_process',
    outcome: null,
    retryAt: new Date(1_002_000).toISOString(),
  });
  const repeated = await complete(app, first!, { outcome: 'fail', retry: { afterMs: 2_000 } });
  t.same(repeated.json(), retried.json());
  const otherwise = await complete(app, first!, { outcome: 'fail', retry: { afterMs: 2_001 } });
  t.match(otherwise.json(), { code: 'completion-conflict' }, 'when to try again is part of what is said');
  t.same(await lease(app), []);
  app.store.now += 2_000;
  const [second] = await lease(app);
  t.equal(second!.attempt, 2);
  t.match((await complete(app, second!, { outcome: 'fail' })).json().event, {
    status: 'complete',
    outcome: 'fail',
  });
  const codeOf = async (attemptId: string) =>
    (await complete(app, { ...first!, attemptId }, { outcome: 'fail' })).json().code;
  t.equal(await codeOf(`${first!.attemptId}0`), 'lease-lost', 'a grant that the event does not have');
  t.equal(await codeOf(first!.attemptId.replace('.0.0.', '.9.0.')), 'attempt-not-found');
});

t.test('a completion that comes too late changes nothing', async (t) => {
  const app = await openApp(t);
  app.store.now = 1_000_000;
  await submit(app);
  const [held] = await lease(app);
  app.store.now += 30_000;
  t.match((await complete(app, held!, { outcome: 'success' })).json(), {
    code: 'lease-lost',
    status: 409,
    attemptId: held!.attemptId,
  });
});

t.test('many completions in one call, each judged by itself', async (t) => {
  const app = await openApp(t);
  await submit(app, 3);
  const [a, b, c] = await lease(app, { max: 3 });
  const item = ({ attemptId, token }: Held, more: object) => ({
    attemptId,
    token,
    outcome: 'success',
    ...more,
  });
  const items = [
    item(a!, { response: { body: 1 } }),
    item(b!, { token: 'stale' }),
    item(c!, { next: {} }),
    { ...item(c!, {}), outcome: 'fail' },
  ];
  const call = (payload: object | string, type: string) =>
    app.send({ method: 'POST', url: '/v1/completions', headers: { 'content-type': type }, payload });
  const { results } = (await call(items, 'application/json')).json();
  t.match(results, [
    { event: { id: a!.event.id, outcome: 'success' } },
    { error: { code: 'lease-lost', status: 409 } },
    { error: { code: 'invalid-request', pointer: '/next' } },
    { event: { id: c!.event.id, outcome: 'fail' } },
  ]);
  const line = JSON.stringify(item(b!, {}));
  const lines = (await call(`${line}\n{"attemptId":1}\n`, 'application/x-ndjson')).json().results;
  t.match(lines, [{ event: { id: b!.event.id } }, { error: { code: 'invalid-request' } }]);
  t.match((await call(Array(1_001).fill(items[0]), 'application/json')).json(), { code: 'too-many-items' });
});

t.test('next gives further leases in the same call', async (t) => {
  const app = await openApp(t);
  await submit(app, 4);
  const [held] = await lease(app);
  const reply = await complete(app, held!, {
    outcome: 'success',
    next: { max: 2, leaseMs: 5_000, worker: 'w' },
  });
  t.same(
    reply.json().next.map(({ event }: Held) => event.body),
    [1, 2],
  );
});

/** A caller that asks for leases over a socket of its own and hangs up when told. */
async function rudeCaller({ app, store, listen }: TestApp, wish: object) {
  const port = Number(new URL(await listen()).port);
  const { lease: original } = store;
  let answer: () => void = () => undefined;
  const mayAnswer = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const leased = new Promise<void>((resolve) => {
    store.lease = async (command) => {
      store.lease = original;
      const result = await original.call(store, command);
      resolve();
      await mayAnswer;
      return result;
    };
  });
  const accepted = once(app.server, 'connection');
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(leaseRequest(wish));
  const [served] = await accepted;
  await leased;
  const hangUp = async () => {
    const gone = once(served, 'close');
    socket.destroy();
    await gone;
  };
  return { answer, hangUp };
}

function leaseRequest(body: object): string {
  const text = JSON.stringify(body);
  const head = [
    'POST /v1/leases HTTP/1.1',
    'host: x',
    'content-type: application/json',
    `content-length: ${text.length}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${text}`;
}

t.test('leases whose caller hung up before its answer go back at once', async (t) => {
  const app = await openApp(t);
  await submit(app);
  const { answer, hangUp } = await rudeCaller(app, { types: ['a'] });
  await hangUp();
  t.same(await lease(app), [], 'leased to a caller that has gone');
  const { abandon } = app.store;
  const abandoned = new Promise<void>((resolve) => {
    app.store.abandon = async (command) => {
      const result = await abandon.call(app.store, command);
      resolve();
      return result;
    };
  });
  answer();
  await abandoned;
  t.match(await lease(app), [{ attempt: 1 }], 'and back, not counted');
});

t.test('a caller that hangs up while waiting takes no event with it', async (t) => {
  const app = await openApp(t);
  const { answer, hangUp } = await rudeCaller(app, { types: ['a'], waitMs: 20_000 });
  answer();
  await hangUp();
  await submit(app);
  t.equal((await lease(app, { waitMs: 5_000 })).length, 1);
});
