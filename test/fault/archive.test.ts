/** `archive` durability while S3 is away: answers say so in time, others go on, and all heals. More of it in the slow tests. */
import t from 'tap';
import {
  ARCHIVE,
  AWAY,
  complete,
  type Event,
  lease,
  open,
  read,
  submit,
  TIMEOUT_MS,
  until,
} from '../support/archive-service.js';

t.setTimeout(120_000);

for (const store of ['embedded', 'redis']) {
  t.test(`${store}: with an S3 that is away, answers are 503 at the deadline, and all heals`, async (t) => {
    const { s3, api } = await open(t, store);
    const first = (await submit(api)).json<Event>();
    const [held] = await lease(api, 5_000);
    t.equal(held?.event.id, first.id);
    await until('the lease shows', async () =>
      (await read(api, first.id))[1].status === 'in_process' ? true : null,
    );

    s3.misbehave = ({ operation }) => (operation === 'put' ? AWAY : null);
    const keyed = { ...ARCHIVE, 'idempotency-key': 'k' };
    const startedAt = performance.now();
    const late = await submit(api, keyed);
    t.ok(performance.now() - startedAt >= TIMEOUT_MS - 50, 'not before');
    t.match([late.status, late.json<Event>().code], [503, 'not-archived']);
    const { id } = late.json<Event>();
    t.equal(late.headers['location'], `/v1/events/${id}`);
    t.match(await read(api, id), [503, { code: 'not-archived' }], 'never 404');
    const lateEnd = await complete(api, held!);
    t.match([lateEnd.status, lateEnd.json<Event>().code], [503, 'not-archived']);
    t.match(await read(api, first.id), [200, { status: 'in_process' }], 'nothing that could be taken back');
    t.equal((await submit(api, {})).status, 202, 'others go on');
    const [other] = await lease(api);
    t.notSame(other?.event.id, id);
    t.equal((await complete(api, other!)).status, 200);

    s3.misbehave = () => null;
    await until('it is archived', async () => ((await read(api, id))[0] === 200 ? true : null));
    const again = await submit(api, keyed);
    t.match([again.status, again.json()], [202, { id, durable: 'archived' }], 'the same event');
    t.match((await complete(api, held!)).json(), { event: { id: first.id, status: 'complete' } });
    t.match(await read(api, first.id), [200, { status: 'complete' }]);
    t.equal((await lease(api, 5_000))[0]?.event.id, id);
  });
}
