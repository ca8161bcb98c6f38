/** Many events in one request: JSON arrays, NDJSON and CloudEvents, each item judged by itself. */
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';
import { CoreStore } from '../support/core-store.js';

const NDJSON = 'application/x-ndjson';
const JSON_TYPE = 'application/json';

function bulk(
  { send }: TestApp,
  payload: string | Buffer,
  contentType: string,
  headers: Record<string, string> = {},
) {
  return send({
    method: 'POST',
    url: '/v1/events',
    headers: { 'content-type': contentType, ...headers },
    payload,
  });
}

async function requestOf({ send }: TestApp, id: string) {
  const reply = await send({ method: 'GET', url: `/v1/events/${id}/request` });
  return { bytes: reply.rawPayload, contentType: reply.headers['content-type'] };
}

async function leaseAll({ send }: TestApp, type: string) {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: [type], max: 500 } });
  return { text: reply.body, events: reply.json().leases.map((lease: { event: unknown }) => lease.event) };
}

t.test('NDJSON: a result a line, and one bad line sinks no other', async (t) => {
  const app = await openApp(t);
  const big = '{ "n":9007199254740993,"x":1.0,"x":2 }';
  const lines = [
    `{"type":"a","body":${big}}`,
    '{"type":"a","body":',
    '',
    '{"type":"a","body":{"__proto__":1}}\r',
    '{"type":"a","body":"caf\\u00e9","bodyEncoding":"text","contentType":"text/plain"}',
    '{"type":"a","body":"AP8=","bodyEncoding":"base64"}',
    '{"type":"","body":1}',
    '{"type":"a","bodyy":1}',
    '{"type":"a"}',
    '[1]',
  ];
  const reply = await bulk(app, lines.join('\n'), NDJSON);
  t.equal(reply.statusCode, 200);
  const { results, accepted, refused } = reply.json();
  t.same([accepted, refused, results.length], [4, 5, 9], 'blank lines are none');
  const codes = results.map((each: { error?: { code: string } }) => each.error?.code ?? null);
  t.same(codes, [
    null,
    'invalid-json',
    'unsafe-json',
    null,
    null,
    'invalid-request',
    'invalid-request',
    null,
    'invalid-request',
  ]);
  t.equal(results[1].error.line, 2, 'the line in the body');
  t.match(results[6].error, {
    pointer: '/bodyy',
    detail: /not known/,
    type: 'urn:clockwork:error:invalid-request',
  });

  const bodies = await Promise.all([0, 3, 4, 7].map((at) => requestOf(app, results[at].event.id)));
  t.same(
    bodies.map(({ bytes }) => bytes.toString('latin1')),
    [big, Buffer.from('café').toString('latin1'), '\0\xff', ''],
  );
  t.same(
    bodies.map(({ contentType }) => contentType),
    ['application/json', 'text/plain', 'application/octet-stream', 'application/octet-stream'],
  );
  const { text } = await leaseAll(app, 'a');
  t.ok(text.includes(`"body":${big}}`), 'as the text it came as');
});

t.test('a JSON array: each element cut out as it came; one with unsafe keys sinks no other', async (t) => {
  const app = await openApp(t);
  const document =
    '[ {"type":"a","body" : [1.0,  2] }, {"type":"a","body":{"__proto__":1}},\n{"type":"b","body":"x"} ]';
  const { results } = (await bulk(app, document, JSON_TYPE)).json();
  t.equal((await requestOf(app, results[0].event.id)).bytes.toString(), '[1.0,  2]');
  t.equal(results[1].error.code, 'unsafe-json');
  t.equal(
    (await requestOf(app, results[2].event.id)).bytes.toString(),
    '"x"',
    'a bare string is a JSON string',
  );
  t.same((await bulk(app, '[]', JSON_TYPE)).json(), { accepted: 0, refused: 0, results: [] });
  const broken = await bulk(app, '[{"type":"a"},{]', JSON_TYPE);
  t.match(broken.json(), { code: 'invalid-json', offset: 15 }, 'where the items are cannot be told');
});

t.test('one object is one event; refused, it is the refusal of the call', async (t) => {
  const app = await openApp(t);
  const reply = await bulk(
    app,
    JSON.stringify({
      type: 'a',
      body: 'hello',
      contentType: 'text/plain',
      headers: { 'X-Tenant': 'acme', Authorization: 'secret', 'x-many': ['1', '2'] },
      version: '3',
      correlationId: 'c',
    }),
    JSON_TYPE,
    { 'event-version': '1' },
  );
  t.equal(reply.statusCode, 200);
  const [{ event }] = reply.json().results;
  t.match(event, { type: 'a', status: 'pending' });
  t.equal(
    (await requestOf(app, event.id)).bytes.toString(),
    'hello',
    'a string under a text type is the text',
  );
  const { events } = await leaseAll(app, 'a');
  t.match(events[0], {
    headers: [
      ['x-tenant', 'acme'],
      ['authorization', '[redacted]'],
      ['x-many', '1'],
      ['x-many', '2'],
    ],
    version: '3',
    correlationId: 'c',
    path: '/v1/events',
  });

  const refusal = async (item: unknown) => (await bulk(app, JSON.stringify(item), JSON_TYPE)).json();
  t.match(await refusal({ body: 1 }), { code: 'invalid-request', status: 400 });
  t.match(await refusal({ type: 'a', body: 1, bodyEncoding: 'text' }), { code: 'invalid-request' });
  t.match(await refusal({ type: 'a', body: 'A', bodyEncoding: 'base64' }), { code: 'invalid-request' });
  t.match(await refusal({ type: 'a', body: '\ud800', bodyEncoding: 'text' }), { code: 'invalid-request' });
  t.match(await refusal({ type: 'a', headers: { 'a b': 'x' } }), { code: 'invalid-request' });
  t.match(await refusal({ type: 'a', headers: { a: 'x\r\ny' } }), { code: 'invalid-request' });
  t.match(await refusal({ type: '..' }), { code: 'invalid-type-name' });
  t.match(await refusal({ type: 'a', delayMs: 7_776_000_001 }), {
    code: 'invalid-request',
    pointer: '/delayMs',
  });
  const json = { type: 'a', body: '{"a":', bodyEncoding: 'text', contentType: 'application/json' };
  t.match(await refusal(json), { code: 'invalid-json' }, 'text that says it is JSON must be');
  t.match((await bulk(app, 'x', 'text/plain')).json(), { code: 'unsupported-media-type', status: 415 });
});

t.test('items, their bodies and the request have limits', async (t) => {
  const app = await openApp(t, { env: { BODY_BYTES_MAX: '1024' }, config: { bulkBytesMax: 200_000 } });
  const items = (count: number) => JSON.stringify(Array.from({ length: count }, () => ({ type: 'a' })));
  t.equal((await bulk(app, items(1_000), JSON_TYPE)).json().accepted, 1_000);
  t.match((await bulk(app, items(1_001), JSON_TYPE)).json(), { code: 'too-many-items', status: 413 });
  t.match((await bulk(app, '{"type":"a"}\n'.repeat(1_001), NDJSON)).json(), { code: 'too-many-items' });
  const ofBytes = (bytes: number) => `[{"type":"a","body":"${'x'.repeat(bytes)}","bodyEncoding":"text"}]`;
  t.equal((await bulk(app, ofBytes(1_024), JSON_TYPE)).json().accepted, 1);
  t.equal((await bulk(app, ofBytes(1_025), JSON_TYPE)).json().results[0].error.code, 'body-too-large');
  t.equal((await bulk(app, `[]${' '.repeat(199_998)}`, JSON_TYPE)).statusCode, 200);
  t.match((await bulk(app, `[]${' '.repeat(199_999)}`, JSON_TYPE)).json(), {
    code: 'body-too-large',
    status: 413,
  });
});

t.test('S7: the idempotency key of item i is key#i', async (t) => {
  const app = await openApp(t);
  const items = (last: number) =>
    JSON.stringify([
      { type: 'a', body: 1 },
      { type: 'a', body: last },
    ]);
  const headers = { 'idempotency-key': 'k' };
  const first = await bulk(app, items(2), JSON_TYPE, headers);
  t.equal(first.json().accepted, 2);
  t.same((await bulk(app, items(2), JSON_TYPE, headers)).json(), first.json());
  const changed = (await bulk(app, items(3), JSON_TYPE, headers)).json();
  t.same(changed.results[0], first.json().results[0]);
  t.equal(changed.results[1].error.code, 'idempotency-conflict');
});

t.test('what the store refuses of a bulk request is told item by item', async (t) => {
  const app = await openApp(t, { store: new CoreStore({ limits: { typesMax: 1 } }) });
  const { results } = (await bulk(app, '[{"type":"a"},{"type":"b"},{"type":"a"}]', JSON_TYPE)).json();
  t.same(
    results.map((each: { error?: { code: string } }) => each.error?.code ?? null),
    [null, 'too-many-types', null],
  );
  const single = await bulk(app, '{"type":"b"}', JSON_TYPE);
  t.match(single.json(), { code: 'too-many-types', status: 409 });
});

t.test('a CloudEvent in binary mode: attributes in headers, the body is the data', async (t) => {
  const app = await openApp(t);
  const attributes = {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/shop',
    'ce-type': 'invoice.paid',
    'ce-subject': 'Euro%20%E2%82%AC',
    'ce-time': '2026-11-23T08:00:00Z',
    'ce-region': 'eu',
  };
  const reply = await bulk(app, '{"n":1.0}', JSON_TYPE, attributes);
  t.equal(reply.statusCode, 200);
  t.equal(reply.json().results[0].event.type, 'invoice.paid');
  const { text, events } = await leaseAll(app, 'invoice.paid');
  t.ok(text.includes('"body":{"n":1.0}}'));
  t.same(events[0].cloudEvent, {
    specversion: '1.0',
    id: '1',
    source: '/shop',
    type: 'invoice.paid',
    subject: 'Euro €',
    time: '2026-11-23T08:00:00Z',
    region: 'eu',
    datacontenttype: 'application/json',
  });
  const bytes = await bulk(app, Buffer.from([0, 255]), 'application/octet-stream', attributes);
  t.same((await requestOf(app, bytes.json().results[0].event.id)).bytes, Buffer.from([0, 255]));
  const without = async (name: string) => {
    const { [name as keyof typeof attributes]: _, ...rest } = attributes;
    return (await bulk(app, 'x', 'text/plain', rest as Record<string, string>)).json();
  };
  for (const name of ['ce-id', 'ce-source', 'ce-type']) {
    t.match(await without(name), { code: 'invalid-cloudevent', status: 400 }, name);
  }
  const odd = { 'ce-specversion': '0.3', 'ce-time': 'yesterday', 'ce-Bad-Name': 'x', 'ce-subject': '%ff' };
  for (const [name, value] of Object.entries(odd)) {
    const refused = await bulk(app, 'x', 'text/plain', { ...attributes, [name]: value });
    t.match(refused.json(), { code: 'invalid-cloudevent' }, name);
  }
});

t.test('CloudEvents in structured and batched mode: the data is cut out as it came', async (t) => {
  const app = await openApp(t);
  const base = '"specversion":"1.0","id":"1","source":"/s","type":"t"';
  const structured = 'application/cloudevents+json; charset=utf-8';
  const one = await bulk(app, `{${base},"data": {"x":1.0,"x":2} ,"flag":true,"count":7}`, structured);
  t.equal(one.statusCode, 200);
  const batch = [
    `{${base},"data_base64":"AP8="}`,
    `{${base},"datacontenttype":"text/plain","data":"text"}`,
    `{${base},"data":"json"}`,
    `{${base}}`,
    `{${base},"data":1,"data_base64":"AA=="}`,
    '{"specversion":"1.0"}',
    `{${base},"extension":{}}`,
    `{${base},"ext":1.5}`,
    '7',
  ];
  const many = await bulk(app, `[${batch.join(',')}]`, 'application/cloudevents-batch+json');
  const { results, accepted, refused } = many.json();
  t.same([accepted, refused], [4, 5]);
  const ids = [
    one.json().results[0].event.id,
    ...results.slice(0, 4).map((each: { event: { id: string } }) => each.event.id),
  ];
  const bodies = await Promise.all(ids.map((id) => requestOf(app, id)));
  t.same(
    bodies.map(({ bytes }) => bytes.toString('latin1')),
    ['{"x":1.0,"x":2}', '\0\xff', 'text', '"json"', ''],
  );
  for (const { error } of results.slice(4)) t.equal(error.code, 'invalid-cloudevent');
  const { events } = await leaseAll(app, 't');
  t.match(events[0].cloudEvent, { flag: true, count: 7 });
  t.equal(events[2].contentType, 'text/plain');

  t.match((await bulk(app, '[]', structured)).json(), { code: 'invalid-cloudevent' }, 'an array is a batch');
  t.match((await bulk(app, '{}', 'application/cloudevents-batch+json')).json(), {
    code: 'invalid-cloudevent',
  });
  t.match((await bulk(app, '{"id":"1"}', structured)).json(), { code: 'invalid-cloudevent', status: 400 });
});
