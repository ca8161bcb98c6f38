/** Ordering keys over HTTP: where one is said, where it is shown, and what is refused. */
import t from 'tap';
import { openApp, type TestApp } from '../support/app.js';

const JSON_TYPE = { 'content-type': 'application/json' };

function submit({ send }: TestApp, headers: Record<string, string>, type = 'mail') {
  return send({ method: 'POST', url: `/v1/types/${type}/events`, headers, payload: 'x' });
}

async function leases({ send }: TestApp, type = 'mail') {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: [type], max: 100 } });
  return reply.json().leases as {
    readonly attemptId: string;
    readonly token: string;
    readonly event: { readonly id: string; readonly key: string | null };
  }[];
}

function complete({ send }: TestApp, { attemptId, token }: { attemptId: string; token: string }, more = {}) {
  return send({
    method: 'PUT',
    url: `/v1/attempts/${attemptId}/completion`,
    headers: { 'lease-token': token, ...JSON_TYPE },
    payload: { outcome: 'success', ...more },
  });
}

async function keyOf({ send }: TestApp, id: string) {
  return (await send({ method: 'GET', url: `/v1/events/${id}` })).json().key;
}

t.test('events with one key are leased one at a time, in order, and show it (S6)', async (t) => {
  const app = await openApp(t);
  const ids: string[] = [];
  for (const key of ['a', 'a', 'b', null])
    ids.push((await submit(app, key === null ? {} : { 'event-key': key })).json().id);
  const first = await leases(app);
  t.same(
    first.map(({ event }) => [event.id, event.key]),
    [
      [ids[0], 'a'],
      [ids[2], 'b'],
      [ids[3], null],
    ],
  );
  t.same(await leases(app), []);
  t.equal((await complete(app, first[0]!, { outcome: 'fail', retry: { afterMs: 60_000 } })).statusCode, 200);
  t.same(await leases(app), [], 'who is tried again keeps its place');
  t.equal((await app.send({ method: 'DELETE', url: `/v1/events/${ids[0]}` })).statusCode, 200);
  t.match(await leases(app), [{ event: { id: ids[1], key: 'a' } }]);
  t.equal(await keyOf(app, ids[1]!), 'a');
  t.equal(await keyOf(app, ids[3]!), null);
});

t.test('a key comes with an item in bulk, with an emitted event and with a CloudEvent', async (t) => {
  const app = await openApp(t);
  const post = async (payload: unknown, headers: Record<string, string> = JSON_TYPE) =>
    (await app.send({ method: 'POST', url: '/v1/events', headers, payload: JSON.stringify(payload) })).json();
  const bulk = await post(
    [
      { type: 'mail', key: 'naïve 🕰️' },
      { type: 'mail' },
      { type: 'mail', key: 'é'.repeat(129) },
      { type: 'mail', key: 'k', delayMs: 1 },
      { type: 'mail', key: '' },
    ],
    { ...JSON_TYPE, 'event-key': 'of all' },
  );
  t.match(bulk, { accepted: 2, refused: 3 });
  t.equal(await keyOf(app, bulk.results[0].event.id), 'naïve 🕰️');
  t.equal(await keyOf(app, bulk.results[1].event.id), 'of all');
  t.same(
    bulk.results.slice(2).map((result: { error: { code: string } }) => result.error.code),
    ['invalid-request', 'key-with-delay', 'invalid-request'],
  );
  const half = await app.send({
    method: 'POST',
    url: '/v1/events',
    headers: JSON_TYPE,
    payload: '{"type":"mail","key":"\\ud800"}',
  });
  t.match(half.json(), { status: 400, code: 'invalid-request' });

  const event = { specversion: '1.0', id: '1', source: '/s', type: 'cloud', partitionkey: 'p' };
  const structured = await post(event, { 'content-type': 'application/cloudevents+json' });
  t.equal(await keyOf(app, structured.results[0].event.id), 'p');
  const named = { 'content-type': 'application/cloudevents+json', 'event-key': 'named' };
  t.equal(await keyOf(app, (await post(event, named)).results[0].event.id), 'named');
  const binary = {
    'ce-specversion': '1.0',
    'ce-id': '2',
    'ce-source': '/s',
    'ce-type': 'cloud',
    ...JSON_TYPE,
  };
  const reply = await post({}, { ...binary, 'ce-partitionkey': 'q' });
  t.equal(await keyOf(app, reply.results?.[0].event.id ?? reply.id), 'q');
  const long = await post({}, { ...binary, 'ce-partitionkey': 'x'.repeat(257) });
  t.equal(long.code, 'invalid-cloudevent');

  await submit(app, {}, 'job');
  const [job] = await leases(app, 'job');
  const refused = await complete(app, job!, { emit: [{ type: 'part', key: 'k', delayMs: 1 }] });
  t.match(refused.json(), { code: 'key-with-delay', pointer: '/emit/0' });
  const done = await complete(app, job!, {
    emit: [
      { type: 'part', key: 'k' },
      { type: 'part', key: 'k' },
    ],
  });
  const [one] = await leases(app, 'part');
  t.match(one, { event: { id: done.json().emitted[0].id, key: 'k' } });
  t.same(await leases(app, 'part'), []);
});

t.test('a key is part of what an idempotency key stands for (S7)', async (t) => {
  const app = await openApp(t);
  const first = await submit(app, { 'idempotency-key': 'i', 'event-key': 'a' });
  const again = await submit(app, { 'idempotency-key': 'i', 'event-key': 'a' });
  t.equal(again.json().id, first.json().id);
  t.equal((await submit(app, { 'idempotency-key': 'i', 'event-key': 'b' })).statusCode, 422);
  t.equal((await submit(app, { 'idempotency-key': 'i' })).statusCode, 422);
});
