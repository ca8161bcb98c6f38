/** What a listener does to keep the leases in its hand, by the clock. */
import t from 'tap';
import { Listener } from '../../src/sdk/listener.js';
import { Deferred } from '../support/deferred.js';
import { ManualTimers } from '../support/manual-timers.js';

t.test('leases, by the clock', async (t) => {
  const lease = {
    attemptId: 'a.0.0.1',
    attempt: 1,
    token: 'token',
    position: '1-1',
    event: { id: 'a', type: 'x', bodyEncoding: 'json', body: 1 },
  };
  const json = (value: object, status = 200) => new Response(JSON.stringify(value), { status });
  const problem = (status: number, code: string) =>
    new Response(JSON.stringify({ type: 'urn', title: 'T', status, detail: 'D.', code }), {
      status,
      headers: { 'content-type': 'application/problem+json' },
    });

  /** A listener with one lease in hand, whose extensions are answered by `extend`. */
  const hold = (extend: () => Response | Promise<Response>, leaseReplies = 1) => {
    const clock = new ManualTimers();
    const extendedAtMs: number[] = [];
    const told: string[] = [];
    const aborted = new Deferred<{ atMs: number; reason: unknown }>();
    const beganAtMs = clock.nowMs();
    let leased = 0;
    const listener = new Listener({
      url: 'http://service',
      types: ['x'],
      concurrency: 1,
      leaseMs: 30_000,
      clock,
      random: () => 0,
      onError: (_error, { during }) => told.push(during),
      handleSideEffects: (_event, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted.resolve({ atMs: clock.nowMs() - beganAtMs, reason: signal.reason });
            resolve(undefined);
          });
        }),
      fetch: async (url, init) => {
        if (String(url).endsWith('/v1/leases')) {
          leased += 1;
          if (leased < leaseReplies) throw new Error('lost');
          return json({ leases: leased === leaseReplies ? [lease] : [] });
        }
        if (init?.method === 'PATCH') {
          extendedAtMs.push(Math.round(clock.nowMs() - beganAtMs));
          return extend();
        }
        return init?.method === 'DELETE' ? new Response(null, { status: 204 }) : problem(409, 'lease-lost');
      },
    });
    listener.start();
    return {
      clock,
      extendedAtMs,
      told,
      aborted: aborted.promise,
      stop: () => clock.until(listener.stop({ graceMs: 0 })),
    };
  };

  t.test('extended at each third of its time', async (t) => {
    let left = 4;
    const { clock, aborted, extendedAtMs, stop } = hold(() =>
      left-- > 0 ? json({ cancelRequested: false }) : problem(409, 'lease-lost'),
    );
    t.match(await clock.until(aborted), { atMs: 50_000, reason: { code: 'lease-lost', id: 'a' } });
    t.same(extendedAtMs, [10_000, 20_000, 30_000, 40_000, 50_000]);
    await stop();
  });

  t.test('extended at once when its reply was lost before', async (t) => {
    let left = 1;
    const { clock, aborted, extendedAtMs, stop } = hold(
      () => (left-- > 0 ? json({ cancelRequested: false }) : problem(409, 'lease-lost')),
      2,
    );
    await clock.until(aborted);
    t.same(extendedAtMs, [100, 10_100], 'after the wait before the second try');
    await stop();
  });

  t.test('given up when nobody answers until it has run out', async (t) => {
    const { clock, aborted, told, extendedAtMs, stop } = hold(() => Promise.reject(new Error('away')));
    t.match(await clock.until(aborted), { atMs: 30_000, reason: { code: 'lease-lost', id: 'a' } });
    t.ok(told.includes('extend'), 'which is told');
    t.ok(extendedAtMs.length > 4 && extendedAtMs.length < 30, `${extendedAtMs.length} tries`);
    await stop();
    t.equal(clock.pending, 0, 'no timer is left');
  });
});
