/** Exact times over HTTP, on a clock that stands still: what a header or a body names is what happens, to the millisecond. */
import t, { type Test } from 'tap';
import { openApp, type TestApp } from '../support/app.js';

const NOON = Date.UTC(2026, 0, 15, 12);
const MINUTE = 60_000;

interface Leased {
  readonly attemptId: string;
  readonly token: string;
  readonly deadline: string | null;
}

async function openAtNoon(t: Test): Promise<TestApp> {
  const opened = await openApp(t);
  opened.store.now = NOON;
  const backoff = { firstMs: 1_500, factor: 2, capMs: 4_000, jitter: 0 };
  await opened.send({ method: 'PUT', url: '/v1/types/mail', payload: { attemptsMax: 9, backoff } });
  return opened;
}

async function submit({ send }: TestApp, headers: Record<string, string> = {}): Promise<string> {
  const reply = await send({ method: 'POST', url: '/v1/types/mail/events', headers, payload: 'x' });
  return reply.json<{ id: string }>().id;
}

async function leaseAll({ send }: TestApp): Promise<Leased[]> {
  const reply = await send({ method: 'POST', url: '/v1/leases', payload: { types: ['mail'], max: 100 } });
  return reply.json<{ leases: Leased[] }>().leases;
}

async function complete({ send }: TestApp, { attemptId, token }: Leased, payload: object) {
  const url = `/v1/attempts/${attemptId}/completion`;
  return await send({ method: 'PUT', url, headers: { 'lease-token': token }, payload });
}

const at = (ms: number) => new Date(NOON + ms).toISOString();

t.test(
  'the words of a retry: when the answer says that it will be, it is leasable, and not before',
  async (t) => {
    const rows = [
      // What is said, by which attempt, how long it waits; null: it is not tried again.
      ['policy', 1, 1_500],
      ['policy', 2, 3_000],
      ['policy', 3, 4_000],
      [{ afterMs: 0 }, 1, 0],
      [{ afterMs: 1 }, 3, 1],
      [{ afterMs: 7_776_000_000 }, 1, 7_776_000_000],
      ['never', 1, null],
      [undefined, 1, null],
    ] as const;
    for (const [retry, attempt, waitMs] of rows) {
      const opened = await openAtNoon(t);
      await submit(opened);
      for (let k = 1; k < attempt; k += 1)
        await complete(opened, (await leaseAll(opened))[0]!, { outcome: 'fail', retry: { afterMs: 0 } });
      const [lease] = await leaseAll(opened);
      const reply = await complete(opened, lease!, { outcome: 'fail', ...(retry && { retry }) });
      const said = `${JSON.stringify(retry)} by attempt ${attempt}`;
      const retryAt = waitMs === null ? null : at(waitMs);
      t.match(
        reply.json(),
        { event: { status: waitMs === null ? 'complete' : 'in_process', retryAt } },
        said,
      );
      if (waitMs === null) continue;
      opened.store.now = NOON + waitMs - 1;
      // What need not wait is ready, and stays so when the clock steps back.
      t.equal((await leaseAll(opened)).length, waitMs === 0 ? 1 : 0, said);
      opened.store.now = NOON + waitMs;
      t.equal((await leaseAll(opened)).length, waitMs === 0 ? 0 : 1, said);
    }
  },
);

t.test('a delay and a deadline that a submit names end to the millisecond', async (t) => {
  const opened = await openAtNoon(t);
  const { store } = opened;
  await submit(opened, { 'event-delay-ms': String(MINUTE) });
  const dated = await submit(opened, { 'event-deadline-ms': String(2 * MINUTE) });
  const [held] = await leaseAll(opened);
  t.equal(held!.deadline, at(2 * MINUTE));
  const shown = await opened.send({ method: 'GET', url: `/v1/events/${dated}` });
  t.equal(shown.json().deadline, at(2 * MINUTE));
  const { events } = (await opened.send({ method: 'GET', url: '/v1/events' })).json();
  t.same(
    events.map(({ deadline }: { deadline?: string }) => deadline),
    [at(2 * MINUTE), undefined],
    'shown where there is one',
  );
  store.now = NOON + MINUTE - 1;
  t.equal((await leaseAll(opened)).length, 0);
  store.now = NOON + MINUTE;
  t.match(await leaseAll(opened), [{ deadline: null }]);

  const url = `/v1/attempts/${held!.attemptId}`;
  const extend = () =>
    opened.send({
      method: 'PATCH',
      url,
      headers: { 'lease-token': held!.token },
      payload: { leaseMs: MINUTE },
    });
  store.now = NOON + 25_000;
  t.equal((await extend()).statusCode, 200);
  store.now = NOON + 70_000;
  t.equal((await extend()).statusCode, 200);
  store.now = NOON + 2 * MINUTE - 1;
  t.equal((await extend()).json<{ expiresAt: string }>().expiresAt, at(3 * MINUTE - 1));
  store.now = NOON + 2 * MINUTE;
  const late = await complete(opened, held!, { outcome: 'success' });
  t.match([late.statusCode, late.json()], [409, { code: 'lease-lost' }]);
  const event = await opened.send({ method: 'GET', url: `/v1/events/${dated}` });
  t.match(event.json(), {
    status: 'complete',
    outcome: 'fail',
    reason: 'deadline',
    completedAt: at(2 * MINUTE),
  });
});
