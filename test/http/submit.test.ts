/** Submitting one event over HTTP: bodies byte for byte, names, headers, limits and idempotency keys. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { InjectOptions } from 'fastify';
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';
import { CoreStore } from '../support/core-store.js';

const MIB = 1024 * 1024;

interface Posted {
  readonly type?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly query?: string;
}

function post(
  { send }: TestApp,
  payload: InjectOptions['payload'],
  { type = 'a', headers = {}, query = '' }: Posted = {},
) {
  const url = `/v1/types/${encodeURIComponent(type)}/events${query}`;
  return send({ method: 'POST', url, headers: headers as Record<string, string>, payload: payload! });
}

async function leaseOne({ send }: TestApp, type = 'a') {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: [type] } });
  return { text: reply.body, lease: reply.json().leases[0] };
}

t.test('a request becomes an event: receipt, head, and body as it came', async (t) => {
  const app = await openApp(t);
  const text = '{ "n":9007199254740993, "x":1.0, "x":2 }\n';
  const reply = await post(app, text, {
    query: '?a=1&a=%2F',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer secret',
      cookie: 'sid=secret',
      'X-Api-Key': 'secret',
      'lease-token': 'secret',
      'x-other': 'kept',
      'event-version': '2',
      'event-correlation-id': 'order 7',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    },
  });
  t.equal(reply.statusCode, 202);
  const receipt = reply.json();
  t.match(receipt, { type: 'a', status: 'pending', outcome: null, durable: 'memory' });
  t.equal(reply.headers['location'], `/v1/events/${receipt.id}`);
  t.equal(reply.headers['retry-after'], '1');
  t.equal(receipt.links.self, reply.headers['location']);

  const { text: leased, lease } = await leaseOne(app);
  t.ok(leased.includes(`"body":${text}}`), 'the body is in the lease as the text it came as');
  const { headers, ...event } = lease.event;
  t.match(event, {
    id: receipt.id,
    method: 'POST',
    path: '/v1/types/a/events',
    query: 'a=1&a=%2F',
    clientAddress: '127.0.0.1',
    contentType: 'application/json',
    bytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
    bodyEncoding: 'json',
    version: '2',
    correlationId: 'order 7',
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  });
  const pairs = new Map<string, string>(headers);
  for (const name of ['authorization', 'cookie', 'x-api-key', 'lease-token']) {
    t.equal(pairs.get(name), '[redacted]', name);
  }
  t.equal(pairs.get('x-other'), 'kept');
  t.notOk(leased.includes('secret'));
});

t.test('the operator may name further headers to redact', async (t) => {
  const app = await openApp(t, { env: { REDACT_HEADERS: 'X-Tenant-Secret' } });
  await post(app, 'x', { headers: { 'x-tenant-secret': 'hush' } });
  const { text } = await leaseOne(app);
  t.notOk(text.includes('hush'));
});

const GZIP_BOMB = gzipSync(Buffer.alloc(16 * MIB));
const BODIES: readonly [name: string, body: Buffer, contentType: string | null, encoding: string][] = [
  ['a number above 2^53', Buffer.from('9007199254740993'), 'application/json', 'json'],
  ['duplicate keys', Buffer.from('{"a":1,"a":2}'), 'application/json', 'json'],
  ['half a surrogate pair, escaped', Buffer.from('"\\ud800"'), 'application/json', 'json'],
  ['depth 64', Buffer.from('['.repeat(64) + ']'.repeat(64)), 'application/json', 'json'],
  ['depth 65', Buffer.from('['.repeat(65) + ']'.repeat(65)), 'application/json', 'base64'],
  ['depth 10,000', Buffer.from('['.repeat(10_000) + ']'.repeat(10_000)), 'application/json', 'base64'],
  ['text with NUL and quotes', Buffer.from('a\0b"\\\u2028'), 'text/plain', 'text'],
  ['text that is not UTF-8', Buffer.from([0x61, 0xff, 0x62]), 'text/plain', 'base64'],
  ['a form', Buffer.from('a=1&b=%00'), 'application/x-www-form-urlencoded', 'text'],
  ['1 MiB of bytes', Buffer.alloc(MIB, 'a\xff\0'), 'application/octet-stream', 'base64'],
  ['no content type', Buffer.from([0, 1, 2]), null, 'base64'],
  ['nothing', Buffer.alloc(0), null, 'text'],
  ['nothing that says it is JSON', Buffer.alloc(0), 'application/json', 'text'],
];

t.test('bodies come back byte for byte', async (t) => {
  const app = await openApp(t);
  for (const [name, body, contentType, encoding] of BODIES) {
    await t.test(name, async (t) => {
      const headers = contentType === null ? {} : { 'content-type': contentType };
      const reply = await post(app, body, { headers });
      t.equal(reply.statusCode, 202);
      const request = await app.send({ method: 'GET', url: reply.json().links.request });
      t.ok(request.rawPayload.equals(body), 'from /request');
      t.equal(request.headers['content-type'], contentType ?? 'application/octet-stream');
      t.match(request.headers, { 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' });

      const { text, lease } = await leaseOne(app);
      t.equal(lease.event.bodyEncoding, encoding);
      const handed = lease.event.body;
      if (encoding === 'base64') t.ok(Buffer.from(handed, 'base64').equals(body), 'as base64 in the lease');
      else if (encoding === 'text') t.ok(Buffer.from(handed).equals(body), 'as a string in the lease');
      else t.ok(text.includes(`"body":${body}}`), 'as JSON in the lease');
    });
  }
});

t.test('a packed body is kept as sent and never unpacked', async (t) => {
  const app = await openApp(t);
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const reply = await post(app, GZIP_BOMB, { headers });
  t.equal(reply.statusCode, 202);
  const request = await app.send({ method: 'GET', url: reply.json().links.request });
  t.ok(request.rawPayload.equals(GZIP_BOMB));
  t.equal(request.headers['content-encoding'], 'gzip', 'so that its reader knows');
  const { lease } = await leaseOne(app);
  t.equal(lease.event.bodyEncoding, 'base64');
  t.equal(lease.event.bytes, GZIP_BOMB.length);
});

t.test('JSON that is none, or that no parser should be given, is refused', async (t) => {
  const app = await openApp(t);
  const headers = { 'content-type': 'application/json' };
  const broken = await post(app, '{"a":1,\n}', { headers });
  t.match(broken.json(), { code: 'invalid-json', status: 400, line: 2, column: 1, offset: 8 });
  const unsafe = await post(app, '{"__proto__":{"x":1}}', { headers });
  t.match(unsafe.json(), { code: 'unsafe-json', status: 400 });
  t.match(unsafe.headers['content-type'], /^application\/problem\+json/);
  const asBytes = await post(app, '{"__proto__":{"x":1}}', { headers: { 'content-type': 'text/plain' } });
  t.equal(asBytes.statusCode, 202, 'as text it is only text');
});

const HOSTILE = [
  'a/b',
  '../../etc/passwd',
  '..%2f',
  '{type}',
  ':type',
  '*',
  'a\r\nLocation: http://evil',
  'Ünïcødé 😀',
  ' ',
  "'; DROP TABLE events; --",
  '__proto__',
  'constructor',
  '{0}:ready',
  'x'.repeat(256),
  '\u202e',
  '%',
  'a?b#c',
];

t.test('a type may have any name, and each is its own', async (t) => {
  const app = await openApp(t);
  for (const type of HOSTILE) {
    const reply = await post(app, type, { type });
    t.equal(reply.statusCode, 202, JSON.stringify(type).slice(0, 30));
    t.equal(reply.json().type, type);
    t.match(reply.headers['location'], /^\/v1\/events\/[0-9a-f-]{36}$/);
  }
  for (const type of HOSTILE) {
    const { lease } = await leaseOne(app, type);
    t.equal(Buffer.from(lease.event.body, 'base64').toString(), type);
    const list = await app.send({ method: 'GET', url: `/v1/events?type=${encodeURIComponent(type)}` });
    t.equal(list.json().events.length, 1);
  }
});

t.test('a name that is none is refused', async (t) => {
  const app = await openApp(t);
  for (const path of ['a%00b', '%F0%9F%98', '%ED%A0%80', '%', 'x'.repeat(257), '%C3%A9'.repeat(129), '']) {
    const reply = await app.send({ method: 'POST', url: `/v1/types/${path}/events`, payload: 'x' });
    t.ok([400, 404].includes(reply.statusCode), `${path.slice(0, 20)} ${reply.statusCode}`);
    t.match(reply.json().code, /^(invalid-type-name|invalid-request|route-not-found)$/);
  }
  const long = await app.send({ method: 'POST', url: `/v1/types/${'x'.repeat(257)}/events`, payload: 'x' });
  t.equal(long.json().code, 'invalid-type-name');
});

t.test('one byte above the limit of a body is too much', async (t) => {
  const app = await openApp(t, { env: { BODY_BYTES_MAX: '2048' } });
  t.equal((await post(app, Buffer.alloc(2_048))).statusCode, 202);
  const reply = await post(app, Buffer.alloc(2_049));
  t.match(reply.json(), { code: 'body-too-large', status: 413 });
});

t.test('headers of the event are checked', async (t) => {
  const app = await openApp(t);
  const codeOf = async (headers: Record<string, string | string[]>) => {
    const reply = await post(app, 'x', { headers });
    return reply.statusCode === 202 ? null : reply.json().code;
  };
  t.equal(await codeOf({ 'event-delay-ms': '7776000000' }), null, '90 days');
  t.equal(await codeOf({ 'event-delay-ms': '7776000001' }), 'invalid-header');
  t.equal(await codeOf({ 'event-delay-ms': '-1' }), 'invalid-header');
  t.equal(await codeOf({ 'event-delay-ms': '1.5' }), 'invalid-header');
  t.equal(await codeOf({ 'event-durability': 'store' }), null);
  t.equal(await codeOf({ 'event-durability': 'tape' }), 'invalid-header');
  t.equal(await codeOf({ 'event-key': 'k' }), null);
  t.equal(await codeOf({ 'event-key': 'x'.repeat(257) }), 'invalid-header');
  t.equal(await codeOf({ 'event-key': 'k', 'event-delay-ms': '1' }), 'key-with-delay');
  t.equal(await codeOf({ 'event-key': 'k', 'event-delay-ms': '0' }), null);
  t.equal(await codeOf({ 'event-priority': '1' }), 'unsupported-header');
  t.equal(await codeOf({ 'event-version': 'x'.repeat(256) }), null);
  t.equal(await codeOf({ 'event-version': 'x'.repeat(257) }), 'invalid-header');
  t.equal(await codeOf({ 'event-correlation-id': 'x'.repeat(257) }), 'invalid-header');
  t.equal(await codeOf({ 'idempotency-key': 'x'.repeat(256) }), null);
  t.equal(await codeOf({ 'idempotency-key': 'x'.repeat(257) }), 'invalid-header');
  t.equal(await codeOf({ 'idempotency-key': '""' }), 'invalid-header');
  t.equal(await codeOf({ 'content-type': 'nonsense' }), 'unsupported-media-type');
  t.equal(await codeOf({ traceparent: 'nonsense' }), null, 'is passed over');
});

t.test('a delayed event is leased when its time has come', async (t) => {
  const store = new CoreStore();
  store.now = 1_000_000;
  const app = await openApp(t, { store });
  await post(app, 'x', { headers: { 'event-delay-ms': '500' } });
  t.equal((await leaseOne(app)).lease, undefined);
  store.now += 500;
  t.ok((await leaseOne(app)).lease);
});

t.test('S7: the same key with the same request is the same event with the same answer', async (t) => {
  const app = await openApp(t);
  const headers = { 'content-type': 'text/plain', 'idempotency-key': 'k' };
  const first = await post(app, 'x', { headers });
  const again = await post(app, 'x', {
    headers: { ...headers, 'idempotency-key': '"k"', 'user-agent': 'other' },
  });
  t.equal(again.statusCode, 202);
  t.equal(again.body, first.body, 'a quoted key is the same key');
  const others = [
    post(app, 'y', { headers }),
    post(app, 'x', { headers, type: 'b' }),
    post(app, 'x', { headers: { ...headers, 'content-type': 'text/html' } }),
    post(app, 'x', { headers: { ...headers, 'event-version': '2' } }),
  ];
  for (const reply of await Promise.all(others)) {
    t.match(reply.json(), { code: 'idempotency-conflict', status: 422, eventId: first.json().id });
  }
});

t.test('what the store cannot take is told apart', async (t) => {
  const full = await openApp(t, { store: new CoreStore({ limits: { bytesMax: 3_000, typesMax: 2 } }) });
  t.equal((await post(full, 'x', { type: 'a' })).statusCode, 202);
  t.equal((await post(full, 'x', { type: 'b' })).statusCode, 202);
  const store = new CoreStore({ limits: { typesMax: 2 } });
  const app = await openApp(t, { store });
  await post(app, 'x', { type: 'a' });
  await post(app, 'x', { type: 'b' });
  t.match((await post(app, 'x', { type: 'c' })).json(), { code: 'too-many-types', status: 409 });
  const refused = await post(full, Buffer.alloc(3_000));
  t.match(refused.json(), { code: 'store-full', status: 503 });
  t.equal(refused.headers['retry-after'], '5');
  for (const failure of ['unavailable', 'recovering'] as const) {
    store.failure = failure;
    const reply = await post(app, 'x');
    t.match(reply.json(), { code: `store-${failure}`, status: 503 });
    t.equal(reply.headers['retry-after'], '1');
  }
});

t.test('with Prefer: wait the answer is the completed event, if it completes in time', async (t) => {
  const app = await openApp(t);
  const waiting = post(app, 'x', { headers: { prefer: 'wait=20' } });
  const { lease } = await leaseOne({ ...app, send: app.send });
  const held =
    lease ??
    (await app.send({ method: 'POST', url: '/v1/leases', payload: { types: ['a'], waitMs: 5_000 } })).json()
      .leases[0];
  await app.send({
    method: 'PUT',
    url: `/v1/attempts/${held.attemptId}/completion`,
    headers: { 'lease-token': held.token },
    payload: { outcome: 'success', response: { body: { done: true } } },
  });
  const reply = await waiting;
  t.equal(reply.statusCode, 200);
  t.equal(reply.headers['preference-applied'], 'wait=20');
  t.equal(reply.headers['location'], reply.json().links.self);
  t.match(reply.json(), {
    status: 'complete',
    outcome: 'success',
    response: { status: 200, body: { done: true } },
  });

  const late = await post(app, 'x', { headers: { prefer: 'wait=0' } });
  t.equal(late.statusCode, 202);
  t.notOk(late.headers['preference-applied']);
});

t.test('an event that was taken is never answered as if it were not', async (t) => {
  const store = new CoreStore();
  const app = await openApp(t, { store });
  const { accept } = store;
  store.accept = async (commands) => {
    const results = await accept.call(store, commands);
    store.failure = 'unavailable';
    return results;
  };
  const reply = await post(app, 'x', { headers: { prefer: 'wait=5' } });
  t.equal(reply.statusCode, 202);
  store.failure = null;
  t.equal((await app.send({ method: 'GET', url: reply.json().links.self })).statusCode, 200);
});
