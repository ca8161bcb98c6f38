/** What is declared of a type and concerns requests: what bodies must be, what is redacted, what is handed on. */
import t, { type Test } from 'tap';
import { openApp, type TestApp } from '../support/app.js';

const json = { 'content-type': 'application/json' };

async function openWith(t: Test, policy: object, env: Record<string, string> = {}): Promise<TestApp> {
  const opened = await openApp(t, { env });
  const reply = await opened.send({ method: 'PUT', url: '/v1/types/mail', payload: policy });
  if (reply.statusCode !== 200) throw new Error(reply.body);
  return opened;
}

const submit = ({ send }: TestApp, payload: string, headers: Record<string, string> = json) =>
  send({ method: 'POST', url: '/v1/types/mail/events', payload, headers });

const PERSON = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[a-z]+$' }, tags: { $ref: '#/$defs/tags' } },
  additionalProperties: false,
  $defs: { tags: { type: 'array', uniqueItems: true } },
};

t.test('a body that does not fit the schema of its type is refused, with the places', async (t) => {
  const app = await openWith(t, { schema: PERSON });
  t.equal((await submit(app, '{"name":"ada","tags":[1,"1",{"a":1,"b":2}]}')).statusCode, 202);
  const refused: [string, string][] = [
    ['{}', '/name'],
    ['{"name":1}', '/name'],
    ['{"name":"Ada"}', '/name'],
    ['{"name":"ada","a/b":1}', '/a~1b'],
    ['{"name":"ada","tags":[{"a":1,"b":2},{"b":2,"a":1}]}', '/tags'],
    ['[]', ''],
  ];
  for (const [body, pointer] of refused) {
    const reply = await submit(app, body);
    t.match(
      [reply.statusCode, reply.json()],
      [422, { code: 'schema-mismatch', errors: [{ pointer }] }],
      body,
    );
  }
  for (const headers of [{ 'content-type': 'text/plain' }, { ...json, 'content-encoding': 'gzip' }])
    t.match((await submit(app, '{"name":"ada"}', headers)).json(), { code: 'schema-mismatch' });
  t.match((await submit(app, '')).json(), { code: 'schema-mismatch' }, 'nothing is no JSON');
  const bulk = await app.send({
    method: 'POST',
    url: '/v1/events',
    payload: [
      { type: 'mail', body: { name: 'ada' } },
      { type: 'mail', body: {} },
      { type: 'other', body: {} },
    ],
  });
  t.match(bulk.json(), { accepted: 2, results: [{}, { error: { code: 'schema-mismatch' } }, {}] });
  const event = { specversion: '1.0', id: '1', source: '/', type: 'mail', data: {} };
  const structured = await app.send({
    method: 'POST',
    url: '/v1/events',
    headers: { 'content-type': 'application/cloudevents+json' },
    payload: JSON.stringify(event),
  });
  t.match([structured.statusCode, structured.json()], [422, { errors: [{ pointer: '/name' }] }]);
});

t.test('what is declared holds at once here: another schema, and none', async (t) => {
  const app = await openWith(t, { schema: { type: 'string' } });
  t.equal((await submit(app, '1')).statusCode, 422);
  const change = (payload: object, tag: string) =>
    app.send({ method: 'PUT', url: '/v1/types/mail', payload, headers: { ...json, 'if-match': tag } });
  await change({ schema: { type: 'number' } }, '"1"');
  t.equal((await submit(app, '1')).statusCode, 202);
  await change({}, '"2"');
  t.equal((await submit(app, '"1"')).statusCode, 202);
});

t.test('a schema that cannot be used is refused when it is declared', async (t) => {
  const { send } = await openApp(t);
  const schemas: unknown[] = [
    { $ref: 'https://example.org/schema.json' },
    { $ref: '#/$defs/none' },
    { $schema: 'http://json-schema.org/draft-07/schema#' },
    { type: 'nothing' },
    { pattern: '(?=a)' },
    { pattern: '(a)\\1' },
    { patternProperties: { '[': true } },
    { $async: true, type: 'object' },
    'text',
    [],
    null,
  ];
  for (const schema of schemas) {
    const reply = await send({ method: 'PUT', url: '/v1/types/mail', payload: { schema } });
    const label = JSON.stringify(schema);
    t.match([reply.statusCode, reply.json()], [400, { code: 'invalid-request', pointer: '/schema' }], label);
  }
  t.equal((await send({ method: 'GET', url: '/v1/types/mail' })).statusCode, 404);
  const deep = `{"schema":${'{"not":'.repeat(70)}true${'}'.repeat(70)}}`;
  const reply = await send({ method: 'PUT', url: '/v1/types/mail', payload: deep, headers: json });
  t.match(reply.json(), { code: 'invalid-request' });
});

/** Each part leads twice to the next. */
function doubling(parts: number, lead: (ref: { $ref: string }) => object): object {
  const name = (part: number) => ({ $ref: `#/$defs/part${part}` });
  const $defs = Object.fromEntries(
    Array.from({ length: parts }, (_, part) => [
      `part${part}`,
      part + 1 === parts ? { type: 'object' } : lead(name(part + 1)),
    ]),
  );
  return { ...name(0), $defs };
}

t.test(
  'references that multiply, or lead back to themselves, are refused when they are declared',
  async (t) => {
    const { send } = await openApp(t);
    const began = performance.now();
    const schemas: object[] = [
      doubling(40, (ref) => ({ allOf: [ref, ref] })),
      doubling(40, (ref) => ({ anyOf: [{ not: ref }, ref] })),
      { ...doubling(40, (ref) => ({ oneOf: [ref, ref] })), $ref: '#/$defs/part0' },
      { $ref: '#' },
      {
        allOf: [{ $ref: '#/$defs/a' }],
        $defs: { a: { not: { $ref: '#/$defs/b' } }, b: { $ref: '#/$defs/a' } },
      },
      { $dynamicRef: '#here', $dynamicAnchor: 'here' },
      { $ref: '#/hidden/a', hidden: { a: { allOf: [{ $ref: '#/hidden/a' }] } } },
      { const: { $ref: '#' } },
      { type: 'object', 'clockwork:steps': -1_000_000 },
    ];
    for (const schema of schemas) {
      const reply = await send({ method: 'PUT', url: '/v1/types/mail', payload: { schema } });
      const label = JSON.stringify(schema).slice(0, 100);
      t.match(
        [reply.statusCode, reply.json()],
        [400, { code: 'invalid-request', pointer: '/schema' }],
        label,
      );
    }
    t.ok(performance.now() - began < 20_000);
  },
);

t.test('references that multiply with the body end as well: such a body cannot be checked', async (t) => {
  const again = { $ref: '#' };
  const schema = {
    $defs: { a: { properties: { a: again } } },
    allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }],
    required: [],
  };
  const app = await openWith(t, { schema });
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  t.equal((await submit(app, nested(5))).statusCode, 202);
  const began = performance.now();
  const reply = await submit(app, nested(60));
  t.match([reply.statusCode, reply.json()], [422, { code: 'schema-mismatch', errors: [{ pointer: '' }] }]);
  t.ok(performance.now() - began < 20_000);
});

t.test('a schema that refers to itself where the body goes on is one like others', async (t) => {
  const tree = { type: 'object', properties: { value: {}, kids: { type: 'array', items: { $ref: '#' } } } };
  const app = await openWith(t, { schema: { ...tree, required: ['value'], unevaluatedProperties: false } });
  t.equal((await submit(app, '{"value":1,"kids":[{"value":2,"kids":[]}]}')).statusCode, 202);
  const reply = await submit(app, '{"value":1,"kids":[{"value":2},{"valve":2}]}');
  t.match(reply.json(), { errors: [{ pointer: '/kids/1/value' }] });
  t.equal((await submit(app, '{"value":1,"more":2}')).statusCode, 422);
});

t.test('no pattern and no list keeps the service busy for long', async (t) => {
  const pattern = { type: 'string', pattern: '^(a+)+$' };
  const app = await openWith(t, { schema: { anyOf: [pattern, { type: 'array', uniqueItems: true }] } });
  const began = performance.now();
  t.equal((await submit(app, JSON.stringify(`${'a'.repeat(5_000)}!`))).statusCode, 422);
  const items = Array.from({ length: 20_000 }, (_, item) => ({ item }));
  t.equal((await submit(app, JSON.stringify(items))).statusCode, 202);
  // With an engine that goes back, or each item held against each, it would be hours.
  t.ok(performance.now() - began < 20_000);
});

t.test('two patterns of one schema are told apart', async (t) => {
  const properties = { a: { pattern: '^a$' }, b: { pattern: '^b$' } };
  const app = await openWith(t, { schema: { properties } });
  t.equal((await submit(app, '{"a":"a","b":"b"}')).statusCode, 202);
  t.match((await submit(app, '{"a":"a","b":"a"}')).json(), { errors: [{ pointer: '/b' }] });
});

t.test('what the policy names is redacted before anything is stored', async (t) => {
  const app = await openWith(t, { redact: ['/card/number', '/list/1', '/a~1b', '/none', '/card/number'] });
  const post = (body: string) => submit(app, body, { ...json, 'idempotency-key': 'k' });
  const body = '{ "card": {"number": "4111", "name": "Ada"}, "list": [1,2,3], "a/b": {"x": 1}, "e": 1.0 }';
  const { id } = (await post(body)).json<{ id: string }>();
  const redacted =
    '{"card":{"number":"[redacted]","name":"Ada"},"list":[1,"[redacted]",3],"a/b":"[redacted]","e":1}';
  const request = await app.send({ method: 'GET', url: `/v1/events/${id}/request` });
  t.equal(request.body, redacted);
  const leased = await app.send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'] } });
  t.match(leased.json(), { leases: [{ event: { bytes: redacted.length, body: JSON.parse(redacted) } }] });
  t.equal((await post(body)).json<{ id: string }>().id, id, 'the same request again');
  const other = await post(body.replace('4111', '4112'));
  t.match(other.json(), { code: 'idempotency-conflict' }, 'told apart by what came');

  const plain = '{ "e": 1.0 }';
  const kept = (await submit(app, plain)).json<{ id: string }>();
  t.equal((await app.send({ method: 'GET', url: `/v1/events/${kept.id}/request` })).body, plain);
  t.match((await submit(app, 'x', { 'content-type': 'text/plain' })).json(), { code: 'schema-mismatch' });
  t.equal((await submit(app, '')).statusCode, 202, 'nothing has nothing to redact');
});

t.test('secret headers are handed on where the type says so, and no others', async (t) => {
  const app = await openWith(
    t,
    { passHeaders: ['cookie', 'authorization', 'x-api-key'] },
    { REDACT_HEADERS: 'Cookie' },
  );
  const headers = { ...json, authorization: 'Bearer secret', cookie: 'a=b', 'lease-token': 'x' };
  await submit(app, '{}', headers);
  await app.send({ method: 'POST', url: '/v1/types/other/events', payload: '{}', headers });
  await app.send({
    method: 'POST',
    url: '/v1/events',
    payload: [{ type: 'mail', headers: { Authorization: 'Basic secret' } }],
  });
  const leased = await app.send({
    method: 'POST',
    url: '/v1/leases',
    payload: { types: ['mail', 'other'], max: 3 },
  });
  const { leases } = leased.json<{ leases: { event: { headers: [string, string][] } }[] }>();
  const seen = leases.map(({ event }) => new Map(event.headers));
  t.same(
    seen.map((each) => each.get('authorization')),
    ['Bearer secret', '[redacted]', 'Basic secret'],
  );
  t.same(
    seen.slice(0, 2).map((each) => [each.get('cookie'), each.get('lease-token')]),
    [
      ['[redacted]', '[redacted]'],
      ['[redacted]', '[redacted]'],
    ],
  );
});

t.test('an event that does not say waits for what its type says', async (t) => {
  const app = await openWith(t, { durability: 'archive' });
  const waiting = submit(app, '{}');
  const archived = setInterval(() => void app.store.markArchived(), 5);
  t.teardown(() => clearInterval(archived));
  t.match((await waiting).json(), { durable: 'archived' });
  const stored = await submit(app, '{}', { ...json, 'event-durability': 'store' });
  t.match(stored.json(), { durable: 'memory' });
});
