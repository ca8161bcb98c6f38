/** Metrics: what is counted, what it is called, and that the page and its document say the same. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { BlobError } from '../../src/blob/blob.js';
import type { ArchiverStatus } from '../../src/log/archiver-status.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { openApp, type TestApp } from '../support/app.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { metricsDocument, withTables } from '../support/metrics-doc.js';

/** The samples of a page, `name{labels}` → value. */
function samplesOf(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

async function scrape({ send }: TestApp): Promise<Record<string, number>> {
  const reply = await send({ url: '/metrics' });
  return samplesOf(reply.body);
}

const submit = ({ send }: TestApp, headers = {}) =>
  send({ method: 'POST', url: '/v1/types/mail/events', headers, payload: 'hello' });

async function leaseOne({ send }: TestApp, more = {}): Promise<{ attemptId: string; token: string }> {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'], ...more } });
  return reply.json().leases[0];
}

function complete({ send }: TestApp, lease: { attemptId: string; token: string }, payload: object) {
  const { attemptId, token } = lease;
  return send({
    method: 'PUT',
    url: `/v1/attempts/${attemptId}/completion`,
    headers: { 'lease-token': token },
    payload,
  });
}

t.test('the document lists exactly the metrics that there are', async (t) => {
  const document = metricsDocument();
  t.equal(document, withTables(document), 'else: node dist/test/support/metrics-doc.js');
});

t.test(
  'names are as Prometheus wants them: a prefix, base units, and _total for what only grows',
  async (t) => {
    for (const { name, type, labels, samples } of new Metrics().families) {
      t.match(name, /^clockwork_[a-z_]+$/);
      t.equal(name.endsWith('_total'), type === 'counter', name);
      if (type === 'histogram') t.match(name, /_seconds$/);
      for (const sample of samples()) {
        const given = Object.keys(sample.labels).filter((label) => label !== 'le');
        t.same(given.sort(), [...labels].sort(), `${name} has the labels that it says`);
      }
    }
  },
);

t.test('the page is the text format of Prometheus', async (t) => {
  const app = await openApp(t);
  const reply = await app.send({ url: '/metrics' });
  t.equal(reply.statusCode, 200);
  t.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.match(
    reply.body,
    /^# HELP clockwork_store_up .+\n# TYPE clockwork_store_up gauge\nclockwork_store_up 1$/m,
  );
});

t.test('requests are counted by route, method and class of status, and timed', async (t) => {
  const app = await openApp(t);
  await submit(app);
  await submit(app);
  await submit(app, { 'event-delay-ms': 'soon' });
  await app.send({ method: 'PUT', url: '/http/some/where?q=1', payload: 'x' });
  await app.send({ url: '/v1/events/0193f1c2-7b5a-7c3e-8000-5f2d9a1b4c6d' });
  await app.app.inject({ url: '/nowhere' });
  const samples = await scrape(app);
  const submits = 'route="/v1/types/{type}/events",method="POST"';
  t.match(samples, {
    [`clockwork_http_requests_total{${submits},status="2xx"}`]: 2,
    [`clockwork_http_requests_total{${submits},status="4xx"}`]: 1,
    'clockwork_http_requests_total{route="/http/{path}",method="PUT",status="2xx"}': 1,
    'clockwork_http_requests_total{route="/v1/events/{id}",method="GET",status="4xx"}': 1,
    'clockwork_http_requests_total{route="unmatched",method="GET",status="4xx"}': 1,
    [`clockwork_http_request_duration_seconds_count{${submits}}`]: 3,
    [`clockwork_http_request_duration_seconds_bucket{${submits},le="+Inf"}`]: 3,
  });
  t.notOk(
    Object.keys(samples).some((sample) => sample.includes('mail') || sample.includes('some')),
    'nothing of a caller becomes a label',
  );
});

t.test('waiting is part of how long a request took', async (t) => {
  const app = await openApp(t);
  await app.send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'], waitMs: 30 } });
  const samples = await scrape(app);
  const leases = 'route="/v1/leases",method="POST"';
  t.equal(samples[`clockwork_http_request_duration_seconds_bucket{${leases},le="0.025"}`], 0);
  t.ok(samples[`clockwork_http_request_duration_seconds_sum{${leases}}`]! >= 0.029);
});

t.test('the queue counts how its operations end', async (t) => {
  const app = await openApp(t);
  const keyed = { 'idempotency-key': 'k' };
  await submit(app, keyed);
  await submit(app, keyed);
  for (let k = 0; k < 4; k += 1) await submit(app);

  const first = await leaseOne(app);
  await complete(app, first, { outcome: 'success' });
  await complete(app, first, { outcome: 'fail' });
  await complete(app, await leaseOne(app), { outcome: 'fail' });
  await complete(app, await leaseOne(app), { outcome: 'fail', retry: { afterMs: 60_000 } });
  const { attemptId, token } = await leaseOne(app);
  const headers = { 'lease-token': token };
  await app.send({ method: 'PATCH', url: `/v1/attempts/${attemptId}`, headers, payload: { leaseMs: 5_000 } });
  await app.send({ method: 'DELETE', url: `/v1/attempts/${attemptId}`, headers });
  await app.send({
    method: 'DELETE',
    url: `/v1/attempts/${attemptId}`,
    headers: { 'lease-token': 'another' },
  });
  await leaseOne(app);

  t.match(await scrape(app), {
    'clockwork_submissions_total{result="accepted"}': 5,
    'clockwork_submissions_total{result="duplicate"}': 1,
    'clockwork_submissions_total{result="full"}': 0,
    clockwork_leases_granted_total: 5,
    'clockwork_lease_extensions_total{result="extended"}': 1,
    'clockwork_hand_backs_total{result="handed_back"}': 1,
    'clockwork_hand_backs_total{result="lease_lost"}': 1,
    'clockwork_completions_total{result="success"}': 1,
    'clockwork_completions_total{result="conflict"}': 1,
    'clockwork_completions_total{result="fail"}': 1,
    'clockwork_completions_total{result="retried"}': 1,
    'clockwork_events_stored{partition="0"}': 5,
    'clockwork_deliveries_ready{partition="0"}': 1,
    'clockwork_deliveries_delayed{partition="0"}': 1,
    'clockwork_leases_out{partition="0"}': 1,
  });
});

t.test('calls that wait are seen while they do', async (t) => {
  const app = await openApp(t);
  const waiting = app.send({
    method: 'POST',
    url: '/v1/leases',
    payload: { types: ['mail'], waitMs: 20_000 },
  });
  while ((await scrape(app))['clockwork_waiting_calls'] !== 1) await delay(2);
  await submit(app);
  await waiting;
  t.equal((await scrape(app))['clockwork_waiting_calls'], 0);
});

t.test('while the store is out of reach the page says so and has the rest', async (t) => {
  const app = await openApp(t);
  await submit(app);
  app.store.failure = 'unavailable';
  const samples = await scrape(app);
  t.equal(samples['clockwork_store_up'], 0);
  t.equal(samples['clockwork_events_stored{partition="0"}'], undefined);
  t.equal(samples['clockwork_submissions_total{result="accepted"}'], 1);
});

t.test('archiving is counted a partition, and its lag and state are those of the archiver', async (t) => {
  const metrics = new Metrics();
  const { count } = metrics.archive;
  count(0, { kind: 'opened', slot: 5, recovered: true, view: 3, epoch: 2 });
  count(0, { kind: 'opened', slot: 6, recovered: false, view: 4, epoch: 3 });
  count(1, { kind: 'fenced', view: 3, logView: 4 });
  count(0, { kind: 'archived', slot: 7, records: 300, bytes: 5_000 });
  count(0, { kind: 'archived', slot: 8, records: 1, bytes: 500 });
  count(1, { kind: 'overtaken', slot: 3, writer: 'other' });
  count(1, { kind: 'failed', state: 'refused', error: new Error('no'), againInMs: 1 });
  const running: ArchiverStatus = {
    partition: 0,
    state: 'running',
    slot: 8,
    position: '1-301',
    lagMs: 1_500,
    error: null,
  };
  metrics.archive.watch(() => [
    running,
    { ...running, partition: 1, state: 'opening', slot: null, lagMs: 0 },
  ]);
  const samples = samplesOf(await metrics.text());
  t.match(samples, {
    'clockwork_archive_openings_total{partition="0"}': 2,
    'clockwork_archive_recoveries_total{partition="0"}': 1,
    'clockwork_archive_fenced_total{partition="1"}': 1,
    'clockwork_archive_view{partition="0"}': 4,
    'clockwork_archive_segments_total{partition="0"}': 2,
    'clockwork_archive_records_total{partition="0"}': 301,
    'clockwork_archive_bytes_total{partition="0"}': 5_500,
    'clockwork_archive_overtaken_total{partition="1"}': 1,
    'clockwork_archive_failures_total{partition="1",state="refused"}': 1,
    'clockwork_archive_failures_total{partition="1",state="retrying"}': 0,
    'clockwork_archive_lag_seconds{partition="0"}': 1.5,
    'clockwork_archive_state{partition="0",state="running"}': 1,
    'clockwork_archive_state{partition="1",state="running"}': 0,
    'clockwork_archive_slot{partition="0"}': 8,
  });
  t.notOk('clockwork_archive_view{partition="1"}' in samples, 'nor is a view');
  t.notOk('clockwork_archive_slot{partition="1"}' in samples, 'a slot that is not known is not shown');
});

t.test('every request to the place of the log is counted by how it ended', async (t) => {
  const metrics = new Metrics();
  const place = new MemoryBlobs();
  const blobs = metrics.logRequests.around(place);
  t.equal(await blobs.putIfAbsent('a', Buffer.from('x')), 'created');
  t.equal(await blobs.putIfAbsent('a', Buffer.from('y')), 'exists');
  t.same(await blobs.get('a'), Buffer.from('x'));
  t.equal((await blobs.list('', { limit: 10 })).length, 1);
  for (const failure of ['unavailable', 'refused', 'refused'] as const) {
    place.putIfAbsent = () => Promise.reject(new BlobError(failure, 'put', 'b', new Error('no')));
    await t.rejects(blobs.putIfAbsent('b', Buffer.from('x')), /put b/);
  }
  t.match(samplesOf(await metrics.text()), {
    'clockwork_log_requests_total{operation="put",result="ok"}': 1,
    'clockwork_log_requests_total{operation="put",result="exists"}': 1,
    'clockwork_log_requests_total{operation="put",result="unavailable"}': 1,
    'clockwork_log_requests_total{operation="put",result="refused"}': 2,
    'clockwork_log_requests_total{operation="get",result="ok"}': 1,
    'clockwork_log_request_duration_seconds_count{operation="put"}': 5,
    'clockwork_log_request_duration_seconds_count{operation="list"}': 1,
  });
});
