/** The server on real sockets: what it does with malformed, late and oversized requests, and when it stops. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

async function portOf(app: TestApp): Promise<number> {
  return Number(new URL(await app.listen()).port);
}

async function opened(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes back until the connection ends. */
async function toTheEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  return text;
}

async function talk(port: number, bytes: string): Promise<string> {
  const socket = await opened(port);
  socket.write(bytes, 'latin1');
  return toTheEnd(socket);
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly text: string;
}

function answerIn(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const status = Number(head.split(' ')[1]);
  return { status, code: /"code":"([\w-]+)"/.exec(body)?.[1], text };
}

const post = (head: string[], body = '', path = '/v1/types/a/events') =>
  `${[`POST ${path} HTTP/1.1`, 'host: x', 'connection: close', `content-length: ${body.length}`, ...head].join('\r\n')}\r\n\r\n${body}`;

t.test('what is not HTTP, too large or too late is answered as a problem', async (t) => {
  const app = await openApp(t, { config: { headersTimeoutMs: 300, requestTimeoutMs: 600 } });
  const port = await portOf(app);
  const ask = async (bytes: string) => answerIn(await talk(port, bytes));
  t.match(await ask('nonsense\r\n\r\n'), { status: 400, code: 'malformed-request' });
  t.match(await ask(post(['content-length: 7'], 'x')), { status: 400, code: 'malformed-request' });
  t.match(await ask(post([`x-large: ${'x'.repeat(16_400)}`])), { status: 431, code: 'headers-too-large' });
  t.match(await ask(post([`x-large: ${'x'.repeat(15_000)}`])), { status: 202 });
  t.match(await ask(post(['expect: a-miracle'])), { status: 417, code: 'expectation-failed' });
  t.match(await ask('POST /v1/types/a/events HTTP/1.1\r\nhost: x\r\n'), {
    status: 408,
    code: 'request-timeout',
  });
  const slowBody = 'POST /v1/types/a/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab';
  t.match(await ask(slowBody), { status: 408, code: 'request-timeout' });
});

t.test('the number of headers, and doubles of those that count, are limited', async (t) => {
  const app = await openApp(t);
  const port = await portOf(app);
  const ask = async (head: string[], path?: string) => answerIn(await talk(port, post(head, '', path)));
  const many = (count: number) => Array.from({ length: count - 3 }, (_, n) => `x-${n}: 1`);
  t.match(await ask(many(100)), { status: 202 });
  t.match(await ask(many(101)), { status: 431, code: 'headers-too-large' });
  t.match(await ask(['host: y']), { status: 400, code: 'duplicate-header' });
  for (const name of ['Authorization', 'Content-Type', 'Idempotency-Key']) {
    const twice = await ask([`${name}: text/plain`, `${name.toLowerCase()}: text/plain`]);
    t.match(twice, { status: 400, code: 'duplicate-header' }, name);
  }
  t.match(await ask(['x-a: 1', 'x-a: 1', 'accept: a', 'accept: b']), { status: 202 });
  t.match(await ask(['event-version: 1', 'event-version: 1']), { status: 400, code: 'duplicate-header' });
  t.match(await ask(['ce-specversion: 1.0', 'ce-id: 1', 'ce-id: 2'], '/v1/events'), {
    code: 'invalid-cloudevent',
  });
});

t.test('paths are taken as they come', async (t) => {
  const app = await openApp(t);
  const port = await portOf(app);
  const ask = async (path: string) => answerIn(await talk(port, post([], '', path)));
  for (const dots of ['.', '..', '%2E', '%2e%2E', '']) {
    t.match(await ask(`/v1/types/${dots}/events`), { status: 400, code: 'invalid-type-name' }, dots);
  }
  t.match(await ask('/v1/types/%/events'), { status: 400, code: 'invalid-request' });
  t.match(await ask(`/v1/types/${'%C3%A9'.repeat(128)}/events`), { status: 202 });
  t.match(await ask(`/v1/types/${'%C3%A9'.repeat(129)}/events`), { status: 400, code: 'invalid-type-name' });
  t.match(await ask('/v1/types/a/events/'), { status: 404, code: 'route-not-found' });
  const gateway = await ask('/%68ttp/ping//x/../y?q');
  t.equal(gateway.status, 202);
  const { leases } = (
    await app.send({ method: 'POST', url: '/v1/leases', payload: { types: ['HTTP'] } })
  ).json();
  t.match(leases[0].event, { path: '/ping//x/../y', query: 'q' });
});

t.test('a path or a method that is not there is told', async (t) => {
  const app = await openApp(t);
  t.match((await app.send({ method: 'GET', url: '/v2/events?secret=1' })).json(), {
    type: 'urn:clockwork:error:route-not-found',
    title: 'Route not found',
    status: 404,
    code: 'route-not-found',
    instance: '/v2/events',
  });
  const put = await app.send({ method: 'PUT', url: '/v1/events/x' });
  t.match(put.json(), { code: 'method-not-allowed', status: 405 });
  t.equal(put.headers['allow'], 'DELETE, GET, HEAD, OPTIONS');
  const options = await app.send({ method: 'OPTIONS', url: '/v1/leases' });
  t.equal(options.statusCode, 204);
  t.equal(options.headers['allow'], 'POST, OPTIONS');
  const head = await app.send({ method: 'HEAD', url: '/v1/events/01a2077a-d0ec-7ea4-8006-e1e09c8d8179' });
  t.equal(head.statusCode, 404);
  t.equal(head.body, '');
});

t.test('requests have ids: the caller’s own, or one of ours', async (t) => {
  const app = await openApp(t);
  const idOf = async (given?: string) => {
    const headers = given === undefined ? {} : { 'x-request-id': given };
    return (await app.send({ method: 'GET', url: '/livez', headers })).headers['x-request-id'];
  };
  t.equal(await idOf('trace-7'), 'trace-7');
  const [one, two] = [await idOf(), await idOf()];
  t.not(one, two);
  t.not(await idOf('a b'), 'a b');
  t.not(await idOf('x'.repeat(129)), 'x'.repeat(129));
  const missing = await app.send({ method: 'GET', url: '/nothing', headers: { 'x-request-id': 'r' } });
  t.equal(missing.json().requestId, 'r');
});

t.test('the log says what failed, under the request’s id, and holds no secret', async (t) => {
  const lines: string[] = [];
  const app = await openApp(t, { onLog: (line) => lines.push(line) });
  app.store.accept = () => Promise.reject(new Error('a fault of ours'));
  const reply = await app.send({
    method: 'POST',
    url: '/v1/types/a/events?key=hush',
    headers: { 'x-request-id': 'r1', authorization: 'hush' },
    payload: 'hush',
  });
  t.match(reply.json(), { code: 'internal-error', status: 500, detail: 'The service has a fault.' });
  t.notOk(reply.body.includes('a fault of ours'), 'what is wrong inside is not for callers');
  const log = lines.join('');
  t.ok(log.includes('a fault of ours') && log.includes('"requestId":"r1"'));
  t.notOk(log.includes('hush'));
  await app.send({ method: 'GET', url: '/nothing' });
  t.equal(lines.length, 1, 'a caller’s mistake is not logged');
});

t.test('health: the process lives, and the service is ready when store and log are', async (t) => {
  const app = await openApp(t);
  t.same((await app.send({ method: 'GET', url: '/livez' })).json(), { status: 'ok' });
  const ready = await app.send({ method: 'GET', url: '/readyz' });
  t.equal(ready.statusCode, 200);
  t.match(ready.json(), {
    status: 'ready',
    durable: 'memory',
    store: { kind: 'core' },
    log: { ready: true },
  });
  app.store.failure = 'unavailable';
  t.equal((await app.send({ method: 'GET', url: '/livez' })).statusCode, 200);
  const away = await app.send({ method: 'GET', url: '/readyz' });
  t.equal(away.statusCode, 503);
  t.equal(away.json().status, 'not ready');
});

t.test('the contract is served, and pages to read it', async (t) => {
  const app = await openApp(t);
  const contract = await app.send({ method: 'GET', url: '/openapi.json' });
  t.match(contract.json(), { openapi: '3.1.0', paths: { '/v1/leases': { post: { operationId: 'lease' } } } });
  const page = await app.send({ method: 'GET', url: '/docs' });
  t.equal(page.statusCode, 200);
  t.match(page.headers['content-security-policy'], /default-src/);
  t.equal(page.headers['x-frame-options'], 'SAMEORIGIN');
  t.equal((await app.send({ method: 'GET', url: '/docs/static/swagger-ui.css' })).statusCode, 200);
  t.equal((await app.send({ method: 'GET', url: '/docs/static/nothing' })).statusCode, 404);
});

t.test('pages of other origins may call only when the operator says so', async (t) => {
  const preflight = (app: TestApp, origin: string) =>
    app.send({
      method: 'OPTIONS',
      url: '/v1/leases',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
  const closed = await openApp(t);
  t.notOk((await preflight(closed, 'https://a.example')).headers['access-control-allow-origin']);
  const open = await openApp(t, { env: { CORS_ORIGINS: 'https://a.example,https://b.example' } });
  const allowed = await preflight(open, 'https://a.example');
  t.equal(allowed.statusCode, 204);
  t.equal(allowed.headers['access-control-allow-origin'], 'https://a.example');
  t.notOk((await preflight(open, 'https://evil.example')).headers['access-control-allow-origin']);
  const reply = await open.send({ method: 'GET', url: '/livez', headers: { origin: 'https://a.example' } });
  t.match(reply.headers['access-control-expose-headers'], /Location/);
  const event = await open.send({
    method: 'OPTIONS',
    url: '/http/x',
    headers: { origin: 'https://a.example' },
  });
  t.equal(event.statusCode, 202, 'an OPTIONS that is no preflight is a request like others');
  t.equal((await open.send({ method: 'OPTIONS', url: '/v1/leases' })).headers['allow'], 'POST, OPTIONS');
  const everybody = await openApp(t, { env: { CORS_ORIGINS: '*' } });
  t.equal((await preflight(everybody, 'https://c.example')).headers['access-control-allow-origin'], '*');
});

t.test('a stop answers what waits, and ends', async (t) => {
  const app = await openApp(t);
  const port = await portOf(app);
  const { lease } = app.store;
  const looked = new Promise<void>((resolve) => {
    app.store.lease = (command) => {
      resolve();
      return lease.call(app.store, command);
    };
  });
  const body = JSON.stringify({ types: ['a'], waitMs: 25_000 });
  const socket = await opened(port);
  const head = ['POST /v1/leases HTTP/1.1', 'host: x', 'content-type: application/json'];
  socket.write(`${[...head, `content-length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
  await looked;
  app.queue.stop();
  const closed = app.app.close();
  const text = await toTheEnd(socket);
  await closed;
  t.match(text, /^HTTP\/1.1 200/);
  t.match(text, /\{"leases":\[\]\}$/);
});

t.test(
  'what is under way at a stop is answered, what comes then is told that the service is stopping',
  async (t) => {
    const app = await openApp(t);
    const port = await portOf(app);
    const { accept } = app.store;
    let go: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      app.store.accept = async (commands) => {
        resolve();
        await new Promise<void>((next) => {
          go = next;
        });
        return accept.call(app.store, commands);
      };
    });
    const post = 'POST /v1/types/a/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx';
    const socket = await opened(port);
    const other = await opened(port);
    const half = post.slice(0, 20);
    other.write(half);
    socket.write(post);
    await reached;
    const closed = app.app.close();
    const refused = toTheEnd(other);
    other.write(post.slice(20));
    t.match(answerIn(await refused), { status: 503, code: 'shutting-down' });
    go();
    t.match(answerIn(await toTheEnd(socket)), { status: 202 });
    await closed;
  },
);
