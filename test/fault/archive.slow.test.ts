/** `archive` durability with a log that is slow, behind, killed or no log at all: the real service on each store. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { Api } from '../support/api.js';
import {
  ARCHIVE,
  AWAY,
  complete,
  type Event,
  lease,
  open,
  read,
  submit,
  until,
} from '../support/archive-service.js';
import { Service } from '../support/service.js';

t.setTimeout(300_000);

const MIB = 1 << 20;

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: with an S3 that is slow, answers come when the segment is there`, async (t) => {
    const { s3, api } = await open(t, store, { ARCHIVE_TIMEOUT_MS: '20000' });
    let arrive: () => void = () => undefined;
    const hold = (): { until: Promise<void> } => ({
      until: new Promise((resolve) => {
        arrive = resolve;
      }),
    });
    const holdPuts = () => s3.failNext('put', { kind: 'delay', ...hold() });

    holdPuts();
    const puts = s3.count('put');
    let answered = false;
    const submitting = submit(api).finally(() => {
      answered = true;
    });
    await until('the put is under way', async () => (s3.count('put') > puts ? true : null));
    t.equal((await submit(api, {})).status, 202, 'others do not wait');
    const [other] = await lease(api);
    t.notOk(answered, 'the receipt waits');
    t.equal((await complete(api, other!)).status, 200);
    t.same(await lease(api), [], 'nobody can lease it');
    arrive();
    const receipt = await submitting;
    t.equal(receipt.status, 202);
    const { id, durable } = receipt.json<Event>();
    t.equal(durable, 'archived');
    t.match(await read(api, id), [200, { status: 'pending' }]);

    const [held] = await lease(api, 5_000);
    t.equal(held?.event.id, id);
    await until('the lease shows', async () =>
      (await read(api, id))[1].status === 'in_process' ? true : null,
    );
    holdPuts();
    const again = s3.count('put');
    let completed = false;
    const completing = complete(api, held!).finally(() => {
      completed = true;
    });
    await until('the put is under way', async () => (s3.count('put') > again ? true : null));
    t.match(await read(api, id), [200, { status: 'in_process' }], 'a poll answers at once, as it was');
    t.notOk(completed);
    arrive();
    t.equal((await completing).status, 200);
    t.match(await read(api, id), [200, { status: 'complete' }]);
  });

  t.test(
    `${store}: what may wait to be archived is bounded; leases and completions go on; it heals`,
    async (t) => {
      const { s3, api } = await open(t, store, {
        OUTBOX_BYTES_MAX: String(MIB),
        EMBEDDED_BYTES_MAX: String(MIB),
        RETENTION_MS: '60000',
      });
      await submit(api);
      s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
      // The embedded store counts what is archived too, though less of it: there the records must weigh most.
      const body = randomBytes(store === 'redis' ? 32 * 1_024 : 10);
      const octets = { 'content-type': 'application/octet-stream' };
      let refused = await submit(api, octets, body);
      while (refused.status === 202) refused = await submit(api, octets, body);
      t.match(
        [refused.status, refused.json<Event>().code],
        [503, store === 'redis' ? 'log-behind' : 'store-full'],
      );
      t.ok(Number(refused.headers['retry-after']) > 0);
      // The first is one that waits for the archive.
      await lease(api);
      const [held] = await lease(api);
      t.equal((await complete(api, held!)).status, 200, 'what is there is worked on');
      s3.misbehave = () => null;
      await until('it is taken again', async () => ((await submit(api, {})).status === 202 ? true : null));
    },
  );
}

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: what was not archived when the service was killed is archived after it`, async (t) => {
    const { s3, api, service } = await open(t, store);
    const first = (await submit(api)).json<Event>();
    const [held] = await lease(api, 5_000);
    s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
    const keyed = { ...ARCHIVE, 'idempotency-key': 'k' };
    const { id, code } = (await submit(api, keyed)).json<Event>();
    t.equal(code, 'not-archived');
    t.equal((await complete(api, held!)).status, 503);
    await service.kill();
    s3.misbehave = () => null;
    await service.restart();
    await until('it is archived', async () => ((await read(api, id))[0] === 200 ? true : null));
    t.match((await submit(api, keyed)).json(), { id, durable: 'archived' });
    t.equal((await complete(api, held!)).status, 200);
    t.match(await read(api, first.id), [200, { status: 'complete' }]);
    t.equal((await lease(api, 5_000))[0]?.event.id, id);
  });
}

t.test('beside an S3 that cannot tell writers apart nothing is promised', async (t) => {
  const { api } = await open(t, 'embedded', {}, ({ operation }) =>
    operation === 'put' ? { kind: 'ignoreCondition' } : null,
  );
  const refused = await submit(api);
  t.match([refused.status, refused.json<Event>().code], [503, 'archive-unavailable']);
  t.notOk('id' in refused.json<Event>(), 'it was not taken');
  t.equal((await submit(api, {})).status, 202, 'others are');
});

t.test('whichever instance archives hears at once that somebody waits at another', async (t) => {
  const { env, api: one } = await open(t, 'redis', {
    ARCHIVE_INTERVAL_MS: '60000',
    ARCHIVE_TIMEOUT_MS: '20000',
  });
  const second = await Service.start({ env });
  t.teardown(() => second.stop());
  const other = new Api(second.url);
  t.teardown(() => other.close());
  for (const [at, api] of [one, other, one, other].entries()) {
    const startedAt = performance.now();
    const receipt = await submit(api);
    t.equal(receipt.status, 202);
    t.ok(performance.now() - startedAt < 10_000, `${at}: long before the interval is over`);
    const { id } = receipt.json<Event>();
    t.match(await read(at % 2 === 0 ? other : one, id), [200, { id, status: 'pending' }], 'everywhere');
  }
  const [held] = await lease(other, 5_000);
  t.equal((await complete(one, held!)).status, 200);
});
