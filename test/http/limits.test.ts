/**
 * Every limit that cannot be set, at its real size: met, it does no harm, and one more is refused with the limit's own
 * code. The limits of time on a connection are tested with shorter ones, see server.test.ts.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { SETTINGS } from '../../src/config.js';
import { openApp, type TestApp } from '../support/app.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { acceptedRecord } from '../support/records.js';
import { shown } from '../support/shown.js';
import { writeSegments } from '../support/written-log.js';

const MIB = 1_024 * 1_024;
const TIMES = ['headersTimeoutMs', 'requestTimeoutMs', 'keepAliveTimeoutMs'];
const tested = new Set<string>();

/** A test of the limit of that name, which is `max`. */
function limit(
  name: keyof typeof SETTINGS,
  max: number,
  test: (t: Test, max: number) => Promise<void>,
): void {
  tested.add(name);
  t.test(`${name}: ${max}`, async (t) => {
    t.equal(SETTINGS[name].fallback, max);
    await test(t, max);
  });
}

interface Told {
  readonly status: number;
  readonly code?: string;
}

async function call(
  { send }: TestApp,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH',
  url: string,
  payload?: object | string | Buffer,
  headers: Record<string, string> = {},
) {
  const type = typeof payload === 'object' && !Buffer.isBuffer(payload) ? 'application/json' : 'text/plain';
  const options = payload === undefined ? {} : { payload };
  return send({ method, url, headers: { 'content-type': type, ...headers }, ...options });
}

async function told(...args: Parameters<typeof call>): Promise<Told> {
  const reply = await call(...args);
  const json = reply.headers['content-type']?.toString().includes('json') ? reply.json() : {};
  return { status: reply.statusCode, ...(json.code ? { code: json.code } : {}) };
}

const ok: Told = { status: 200 };
const accepted: Told = { status: 202 };
const refused = (status: number, code: string): Told => ({ status, code });

const EVENTS = '/v1/types/a/events';
const JSON_TYPE = { 'content-type': 'application/json' };
const NDJSON = { 'content-type': 'application/x-ndjson' };

async function submitMany(app: TestApp, count: number, type = 'a'): Promise<void> {
  for (let left = count; left > 0; left -= 1_000) {
    const lines = `${JSON.stringify({ type })}\n`.repeat(Math.min(left, 1_000));
    await call(app, 'POST', '/v1/events', lines, NDJSON);
  }
}

async function leaseOne(app: TestApp): Promise<{ completion: string; attempt: string; token: string }> {
  await call(app, 'POST', EVENTS, 'x');
  const [lease] = (await call(app, 'POST', '/v1/leases', { types: ['a'] })).json().leases;
  const attempt = `/v1/attempts/${lease.attemptId}`;
  return { completion: `${attempt}/completion`, attempt, token: lease.token };
}

/** What a completion with this text is told, of an attempt of its own. */
async function completed(app: TestApp, completion: object | string): Promise<Told> {
  const { completion: url, token } = await leaseOne(app);
  return told(app, 'PUT', url, completion, { ...JSON_TYPE, 'lease-token': token });
}

limit('bodyBytesMax', MIB, async (t, max) => {
  for (const [app, bytes] of [
    [await openApp(t), max],
    [await openApp(t, { env: { BODY_BYTES_MAX: String(4 * MIB) } }), 4 * MIB],
  ] as const) {
    t.same(await told(app, 'POST', EVENTS, Buffer.alloc(bytes)), accepted);
    t.same(await told(app, 'POST', EVENTS, Buffer.alloc(bytes + 1)), refused(413, 'body-too-large'));
  }
});

/** A request as bytes: what a client library adds would be counted too. */
async function speak(port: number, fields: readonly string[]): Promise<Told> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`POST ${EVENTS} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  const code = /"code":"([\w-]+)"/.exec(text)?.[1];
  return { status: Number(text.split(' ')[1]), ...(code ? { code } : {}) };
}

const FIELDS = ['host: x', 'connection: close', 'content-length: 0'];

limit('headersMax', 100, async (t, max) => {
  const port = Number(new URL(await (await openApp(t)).listen()).port);
  const more = (count: number) => Array.from({ length: count - FIELDS.length }, (_, n) => `x-${n}: 1`);
  t.same(await speak(port, [...FIELDS, ...more(max)]), accepted);
  t.same(await speak(port, [...FIELDS, ...more(max + 1)]), refused(431, 'headers-too-large'));
});

limit('headerBytesMax', 16_384, async (t, max) => {
  const port = Number(new URL(await (await openApp(t)).listen()).port);
  // The target, and names and values of the fields without what stands between them.
  const counted = EVENTS.length + [...FIELDS, 'x: '].join('').replaceAll(': ', '').length;
  const filled = (bytes: number) => [...FIELDS, `x: ${'y'.repeat(bytes - counted)}`];
  t.same(await speak(port, filled(max)), accepted);
  t.same(await speak(port, filled(max + 1)), refused(431, 'headers-too-large'));
});

limit('nameBytesMax', 256, async (t, max) => {
  const app = await openApp(t);
  for (const letter of ['a', 'é']) {
    const longest = letter.repeat(max / Buffer.byteLength(letter));
    const to = (type: string) => `/v1/types/${encodeURIComponent(type)}/events`;
    t.same(await told(app, 'POST', to(longest), 'x'), accepted);
    t.same(await told(app, 'POST', to(`${longest}a`), 'x'), refused(400, 'invalid-type-name'));
  }
  const as = (listener: string) => told(app, 'POST', '/v1/leases', { types: ['a'], listener });
  t.same(await as('l'.repeat(max)), refused(409, 'not-subscribed'));
  t.same(await as('l'.repeat(max + 1)), refused(400, 'invalid-request'));
});

limit('keyBytesMax', 256, async (t, max) => {
  const app = await openApp(t);
  for (const name of ['idempotency-key', 'event-version', 'event-correlation-id']) {
    t.same(await told(app, 'POST', EVENTS, 'x', { [name]: 'k'.repeat(max) }), accepted, name);
    const over = await told(app, 'POST', EVENTS, 'x', { [name]: 'k'.repeat(max + 1) });
    t.same(over, refused(400, 'invalid-header'), name);
  }
  const by = (worker: string) => told(app, 'POST', '/v1/leases', { types: ['none'], worker });
  t.same(await by('w'.repeat(max)), ok);
  t.same(await by('w'.repeat(max + 1)), refused(400, 'invalid-request'));
});

limit('jsonDepthMax', 64, async (t, max) => {
  const app = await openApp(t);
  for (const depth of [max, max + 1]) {
    const body = '['.repeat(depth) + ']'.repeat(depth);
    t.same(await told(app, 'POST', EVENTS, body, JSON_TYPE), accepted);
  }
  const { leases } = (await call(app, 'POST', '/v1/leases', { types: ['a'], max: 2 })).json();
  const encodings = leases.map((lease: { event: { bodyEncoding: string } }) => lease.event.bodyEncoding);
  t.same(encodings, ['json', 'base64'], 'handed on as JSON, and deeper as base64');
});

limit('bulkItemsMax', 1_000, async (t, max) => {
  const app = await openApp(t);
  for (const [headers, text] of [
    [NDJSON, (count: number) => '{"type":"a"}\n'.repeat(count)],
    [JSON_TYPE, (count: number) => JSON.stringify(Array(count).fill({ type: 'a' }))],
  ] as const) {
    t.same(await told(app, 'POST', '/v1/events', text(max), headers), ok);
    t.same(await told(app, 'POST', '/v1/events', text(max + 1), headers), refused(413, 'too-many-items'));
  }
});

limit('bulkBytesMax', 16 * MIB, async (t, max) => {
  const app = await openApp(t);
  const item = `{"type":"a","bodyEncoding":"text","body":"${'x'.repeat(MIB)}"}`;
  const items = `[${Array(15).fill(item).join(',')}]`;
  const met = await call(app, 'POST', '/v1/events', items.padEnd(max), JSON_TYPE);
  t.match(met.json(), { accepted: 15 });
  const over = await told(app, 'POST', '/v1/events', items.padEnd(max + 1), JSON_TYPE);
  t.same(over, refused(413, 'body-too-large'));

  const { token, completion } = await leaseOne(app);
  const attemptId = completion.split('/')[3];
  const completions = JSON.stringify([{ attemptId, token, outcome: 'success' }]);
  t.same(
    await told(app, 'POST', '/v1/completions', completions.padEnd(max + 1), JSON_TYPE),
    refused(413, 'body-too-large'),
  );
  t.same(await told(app, 'POST', '/v1/completions', completions.padEnd(max), JSON_TYPE), ok);
});

limit('leasesMax', 500, async (t, max) => {
  const app = await openApp(t);
  await submitMany(app, max + 1);
  const wish = { types: ['a'], max };
  t.same(await told(app, 'POST', '/v1/leases', { ...wish, max: max + 1 }), refused(400, 'invalid-request'));
  t.equal((await call(app, 'POST', '/v1/leases', wish)).json().leases.length, max);
  t.equal((await call(app, 'POST', '/v1/leases', wish)).json().leases.length, 1);
});

limit('leaseBytesMax', 8 * MIB, async (t, max) => {
  const app = await openApp(t);
  const weigh = async (id: string) => shown(await app.store.readRequest(id)).byteLength;
  const post = async (type: string, bytes: number): Promise<number> =>
    weigh((await call(app, 'POST', `/v1/types/${type}/events`, Buffer.alloc(bytes))).json().id);
  for (const [type, more, count] of [
    ['full', 0, 9],
    ['over', 1, 8],
  ] as const) {
    let left = max + more;
    for (let n = 0; n < 8; n += 1) left -= await post(type, MIB - 1_024);
    // Its length and its type's name have as many characters as there.
    const head = (await post('head', 1_000)) - 1_000;
    t.equal(await post(type, left - head), left);
    const { leases } = (await call(app, 'POST', '/v1/leases', { types: [type], max: 10 })).json();
    t.equal(leases.length, count);
  }
});

limit('leaseTypesMax', 100, async (t, max) => {
  const app = await openApp(t);
  const types = Array.from({ length: max + 1 }, (_, n) => `t${n}`);
  t.same(await told(app, 'POST', '/v1/leases', { types: types.slice(1) }), ok);
  t.same(await told(app, 'POST', '/v1/leases', { types }), refused(400, 'invalid-request'));
});

limit('responseBytesMax', 4 * MIB, async (t, max) => {
  const app = await openApp(t);
  const of = (bytes: number) => ({
    outcome: 'success',
    response: { bodyEncoding: 'text', body: 'x'.repeat(bytes) },
  });
  t.same(await completed(app, of(max)), ok);
  t.same(await completed(app, of(max + 1)), refused(413, 'body-too-large'));
});

limit('completionBytesMax', 8 * MIB, async (t, max) => {
  const app = await openApp(t);
  t.same(await completed(app, '{"outcome":"success"}'.padEnd(max)), ok);
  t.same(await completed(app, '{"outcome":"success"}'.padEnd(max + 1)), refused(413, 'body-too-large'));
});

limit('errorsMax', 100, async (t, max) => {
  const app = await openApp(t);
  t.same(await completed(app, { outcome: 'fail', errors: Array(max).fill(0) }), ok);
  const over = await completed(app, { outcome: 'fail', errors: Array(max + 1).fill(0) });
  t.same(over, refused(413, 'too-many-errors'));
});

limit('errorsBytesMax', 65_536, async (t, max) => {
  const app = await openApp(t);
  const of = (bytes: number) => ({ outcome: 'fail', errors: ['x'.repeat(bytes - '[""]'.length)] });
  t.same(await completed(app, of(max)), ok);
  t.same(await completed(app, of(max + 1)), refused(413, 'too-many-errors'));
});

limit('emitsMax', 1_000, async (t, max) => {
  const app = await openApp(t);
  const of = (count: number) => ({ outcome: 'success', emit: Array(count).fill({ type: 'b' }) });
  t.same(await completed(app, of(max)), ok);
  t.same(await completed(app, of(max + 1)), refused(413, 'too-many-items'));
});

limit('emitBytesMax', 4 * MIB, async (t, max) => {
  const app = await openApp(t);
  const item = (bytes: number) => ({ type: 'b', bodyEncoding: 'text', body: 'x'.repeat(bytes) });
  // The heads of four events and that of the result.
  const room = 2_048;
  const of = (last: number) => ({ outcome: 'success', emit: [...Array(3).fill(item(MIB)), item(last)] });
  t.same(await completed(app, of(max - 3 * MIB - room)), ok);
  t.same(await completed(app, of(max - 3 * MIB)), refused(413, 'body-too-large'));
});

for (const [name, max, over] of [
  ['leaseMsMin', 1_000, 999],
  ['leaseMsMax', 43_200_000, 43_200_001],
] as const) {
  limit(name, max, async (t) => {
    const app = await openApp(t);
    const { attempt, token } = await leaseOne(app);
    const extend = (leaseMs: number) => told(app, 'PATCH', attempt, { leaseMs }, { 'lease-token': token });
    const lease = (leaseMs: number) => told(app, 'POST', '/v1/leases', { types: ['a'], leaseMs });
    const next = (leaseMs: number) => completed(app, { outcome: 'success', next: { leaseMs } });
    for (const way of [extend, lease, next]) {
      t.same(await way(max), ok);
      t.same(await way(over), refused(400, 'invalid-request'));
    }
  });
}

limit('schemaBytesMax', 65_536, async (t, max) => {
  const app = await openApp(t);
  // {"const":"…"} has 12 bytes beside the text.
  const declared = (bytes: number) =>
    told(app, 'PUT', '/v1/types/a', { schema: { const: 'x'.repeat(bytes - 12) } }, { 'if-match': '"0"' });
  t.same(await declared(max + 1), refused(400, 'invalid-request'));
  t.same(await declared(max), ok);
});

limit('schemaStepsMax', 5_000_000, async (t, max) => {
  // One for the schema, and for each name in it; two for each of its parts, and one for each item that the part looks at.
  const [parts, names] = [100, 99];
  const schema = {
    allOf: Array.from({ length: parts }, () => ({ items: { type: 'number' } })),
    required: Array.from({ length: names }, (_, name) => `${name}`),
  };
  const fits = (max - 1 - parts - names) / parts - 2;
  const app = await openApp(t);
  await told(app, 'PUT', '/v1/types/a', { schema }, { 'if-match': '"0"' });
  const listOf = (items: number) => told(app, 'POST', EVENTS, new Array<number>(items).fill(0));
  t.same(await listOf(fits), accepted);
  t.same(await listOf(fits + 1), refused(422, 'schema-mismatch'));
});

limit('redactMax', 100, async (t, max) => {
  const app = await openApp(t);
  const declared = (count: number) =>
    told(
      app,
      'PUT',
      '/v1/types/a',
      { redact: Array.from({ length: count }, (_, place) => `/${place}`) },
      { 'if-match': '"0"' },
    );
  t.same(await declared(max + 1), refused(400, 'invalid-request'));
  t.same(await declared(max), ok);
});

limit('deadlineMsMax', 7_776_000_000, async (t, max) => {
  const app = await openApp(t);
  const ending = (ms: number) => told(app, 'POST', EVENTS, 'x', { 'event-deadline-ms': String(ms) });
  t.same(await ending(max), accepted);
  t.same(await ending(max + 1), refused(400, 'invalid-header'));
  t.same(await ending(0), refused(400, 'invalid-header'));
});

limit('delayMsMax', 7_776_000_000, async (t, max) => {
  const app = await openApp(t);
  const delayed = (ms: number) => told(app, 'POST', EVENTS, 'x', { 'event-delay-ms': String(ms) });
  t.same(await delayed(max), accepted);
  t.same(await delayed(max + 1), refused(400, 'invalid-header'));
  const item = async (delayMs: number) => {
    const reply = await call(app, 'POST', '/v1/events', [{ type: 'a', delayMs }]);
    return reply.json().results[0].error?.code ?? 'accepted';
  };
  t.same([await item(max), await item(max + 1)], ['accepted', 'invalid-request']);
  const retried = (afterMs: number) => completed(app, { outcome: 'fail', retry: { afterMs } });
  t.same(await retried(max), ok);
  t.same(await retried(max + 1), refused(400, 'invalid-request'));
});

limit('waitMsMax', 25_000, async (t, max) => {
  const app = await openApp(t);
  await submitMany(app, 1);
  const wait = (waitMs: number) => told(app, 'POST', '/v1/leases', { types: ['a'], waitMs });
  t.same(await wait(max + 1), refused(400, 'invalid-request'));
  t.same(await wait(max), ok);
});

limit('pageMax', 500, async (t, max) => {
  const app = await openApp(t);
  await submitMany(app, max + 1);
  const page = await call(app, 'GET', `/v1/events?limit=${max}`);
  t.equal(page.json().events.length, max);
  t.same(await told(app, 'GET', `/v1/events?limit=${max + 1}`), refused(400, 'invalid-request'));
});

limit('scanMax', 10_000, async (t, max) => {
  const app = await openApp(t);
  const found = async () => (await call(app, 'GET', '/v1/events?type=rare')).json().events.length;
  await submitMany(app, 1, 'rare');
  await submitMany(app, max - 1);
  t.equal(await found(), 1, 'the last that one call looks at');
  await submitMany(app, 1);
  t.equal(await found(), 0, 'one further back is on the next page');
});

limit('feedPageMax', 1_000, async (t, max) => {
  const app = await openApp(t);
  t.same(await told(app, 'GET', `/v1/log?limit=${max}`), ok);
  t.same(await told(app, 'GET', `/v1/log?limit=${max + 1}`), refused(400, 'invalid-request'));
});

limit('feedTypesMax', 100, async (t, max) => {
  const app = await openApp(t);
  const of = (count: number) => `/v1/log?${Array.from({ length: count }, (_, n) => `types=t${n}`).join('&')}`;
  t.same(await told(app, 'GET', of(max)), ok);
  t.same(await told(app, 'GET', of(max + 1)), refused(400, 'invalid-request'));
});

/** Without a look at the contract: records for tests have but a part of what an envelope holds. */
const readLog = ({ app }: TestApp, after = '') => app.inject(`/v1/log?limit=1000${after}`);

limit('feedSegmentsMax', 100, async (t, max) => {
  const blobs = new MemoryBlobs();
  const segments = Array.from({ length: max + 1 }, (_, n) => ({
    records: [acceptedRecord({ view: 1, n: n + 1 })],
  }));
  await writeSegments(blobs, segments);
  const app = await openApp(t, { blobs });
  await app.store.markArchived(0, { view: 1, n: max + 1 }, max + 1);
  const page = (await readLog(app)).json();
  t.match({ ...page, records: page.records.length }, { records: max, atEnd: false });
  const rest = (await readLog(app, `&after=${page.cursor}`)).json();
  t.match({ ...rest, records: rest.records.length }, { records: 1, atEnd: true });
});

limit('feedPageBytesMax', 8 * MIB, async (t, max) => {
  const rendered = async (bodyBytes: readonly number[]) => {
    const blobs = new MemoryBlobs();
    const records = bodyBytes.map((bytes, n) =>
      acceptedRecord({ view: 1, n: n + 1 }, Buffer.alloc(bytes, 'x')),
    );
    await writeSegments(
      blobs,
      records.map((record) => ({ records: [record] })),
    );
    const app = await openApp(t, { blobs });
    await app.store.markArchived(0, { view: 1, n: records.length }, records.length);
    const reply = await readLog(app);
    const page = reply.json();
    const around = `{"records":[],"cursor":"${page.cursor}","atEnd":${page.atEnd}}`.length;
    return {
      count: page.records.length,
      bytes: reply.rawPayload.byteLength - around - (page.records.length - 1),
    };
  };
  const most = 3 * MIB;
  const { bytes } = await rendered([most, most, 1_000_000]);
  const fill = 1_000_000 + max - bytes;
  t.same(await rendered([most, most, fill]), { count: 3, bytes: max });
  t.equal((await rendered([most, most, fill + 1])).count, 2);
});

limit('listenersMax', 64, async (t, max) => {
  const app = await openApp(t);
  const put = (n: number) => told(app, 'PUT', `/v1/types/a/listeners/l${n}`, {});
  for (let n = 1; n <= max; n += 1) t.same(await put(n), { status: 201 });
  t.same(await put(max + 1), refused(409, 'too-many-listeners'));
  t.same(await put(max), ok, 'those that are there can be declared again');
});

limit('filterBytesMax', 8_192, async (t, max) => {
  const app = await openApp(t);
  const put = (bytes: number) => {
    const around = JSON.stringify({ header: { tenant: '' } }).length;
    const filter = { header: { tenant: 'x'.repeat(bytes - around) } };
    return told(app, 'PUT', '/v1/types/a/listeners/one', { filter });
  };
  t.same(await put(max), { status: 201 });
  t.same(await put(max + 1), refused(400, 'invalid-request'));
});

limit('redrivesMax', 10, async (t, max) => {
  const app = await openApp(t);
  await call(app, 'POST', EVENTS, 'x');
  const post = () => told(app, 'POST', '/v1/redrives', { type: 'a', filter: 'dead' });
  for (let n = 1; n <= max; n += 1) t.same(await post(), accepted);
  t.same(await post(), refused(409, 'too-many-redrives'));
});

limit('redriveRate', 100, async (t, rate) => {
  const app = await openApp(t);
  await call(app, 'POST', EVENTS, 'x');
  const reply = await call(app, 'POST', '/v1/redrives', { type: 'a', filter: 'dead' });
  t.match(reply.json(), { ratePerSecond: rate });
});

limit('redriveRateMax', 10_000, async (t, max) => {
  const app = await openApp(t);
  await call(app, 'POST', EVENTS, 'x');
  const post = (ratePerSecond: number) =>
    told(app, 'POST', '/v1/redrives', { type: 'a', filter: 'dead', ratePerSecond });
  t.same(await post(max), accepted);
  t.same(await post(max + 1), refused(400, 'invalid-request'));
  t.same(await post(0), refused(400, 'invalid-request'));
});

t.test('every limit that cannot be set is tested here', async (t) => {
  const fixed = Object.entries(SETTINGS).filter(([, { variable }]) => variable === null);
  const missing = fixed.filter(([name]) => !tested.has(name) && !TIMES.includes(name));
  t.same(
    missing.map(([name]) => name),
    [],
  );
});
