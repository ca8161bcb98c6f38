/** Complete: a result ends its attempt, once, by its holder alone. */

import type { Test } from 'tap';
import { shown } from '../../support/shown.js';
import type { StoreHarness } from '../store.js';
import { completionOf, HOUR, MINUTE, NOON, resultOf, SECOND, scene } from './scene.js';

const POLICY_RETRY = { kind: 'policy' } as const;
const retryAfter = (afterMs: number) => ({ kind: 'after', afterMs }) as const;

export async function completeContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('success ends the event with its result', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    await s.pass(SECOND);
    const result = resultOf('the answer');
    t.same(await s.complete(lease, { result }), {
      kind: 'completed',
      archive: null,
      id,
      type: 'mail',
      listener: 'default',
      status: 'complete',
      outcome: 'success',
      reason: null,
      retryAt: null,
      emitted: [],
    });
    const event = await s.event(id);
    t.match(event, { status: 'complete', outcome: 'success', reason: null, completedAt: NOON + SECOND });
    t.ok(result.equals(event.result!));
    t.same(await s.leaseAll('mail'), []);
  });

  await t.test('failure is final unless it asks to be retried', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const result = resultOf('no', 'fail');
    t.match(await s.fail(await s.lease('mail'), { result }), {
      status: 'complete',
      outcome: 'fail',
      reason: 'listener',
      retryAt: null,
    });
    const event = await s.event(id);
    t.match(event, { status: 'complete', outcome: 'fail', reason: 'listener', completedAt: NOON });
    t.ok(result.equals(event.result!));
  });

  await t.test('a wish to retry is not heeded with success', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const answer = await s.complete(await s.lease('mail'), { retry: POLICY_RETRY });
    t.match(answer, { status: 'complete', outcome: 'success' });
  });

  await t.test('a failure that asks for the policy is tried again after the backoff', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const retryAt = NOON + SECOND;
    t.same(await s.fail(await s.lease('mail'), { retry: POLICY_RETRY }), {
      kind: 'completed',
      archive: null,
      id,
      type: 'mail',
      listener: 'default',
      status: 'in_process',
      outcome: null,
      reason: null,
      retryAt,
      emitted: [],
    });
    t.match(await s.event(id), { status: 'in_process', outcome: null, result: null, completedAt: null });
    await s.setClock(retryAt - 1);
    t.same(await s.leaseAll('mail'), []);
    await s.setClock(retryAt);
    t.match(await s.lease('mail'), { attempt: 2, event: { id } });
  });

  await t.test('a failure that names a wait is tried again after that, also at once', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    t.match(await s.fail(await s.lease('mail'), { retry: retryAfter(0) }), { retryAt: NOON });
    t.match(await s.fail(await s.lease('mail'), { retry: retryAfter(HOUR) }), { retryAt: NOON + HOUR });
    await s.pass(HOUR - 1);
    t.same(await s.leaseAll('mail'), []);
    await s.pass(1);
    t.match(await s.lease('mail'), { attempt: 3 });
  });

  await t.test('when the attempts have run out a failure is the end, with the last result', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    for (const attempt of [1, 2]) {
      const lease = await s.lease('mail');
      t.equal(lease.attempt, attempt);
      t.match(await s.fail(lease, { retry: retryAfter(0) }), { status: 'in_process' });
    }
    const result = resultOf('third', 'fail');
    t.match(await s.fail(await s.lease('mail'), { retry: retryAfter(0), result }), {
      status: 'complete',
      outcome: 'fail',
      reason: 'attempts_exhausted',
      retryAt: null,
    });
    const event = await s.event(id);
    t.match(event, { status: 'complete', outcome: 'fail', reason: 'attempts_exhausted', attempts: 3 });
    t.ok(result.equals(event.result!));
    t.same(await s.leaseAll('mail'), []);
    t.same((await s.opsOf(id, 'mail')).at(-1), 'dead');
  });

  await t.test('the same completion again is one completion with one answer (S4)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    const first = await s.complete(lease);
    const before = await s.event(id);
    await s.pass(HOUR);
    t.same(await s.complete(lease), first);
    t.same(await s.event(id), before);
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'completed']);
  });

  await t.test('a repeat is known before its token is looked at (S4)', async (t) => {
    const s = await scene(t, harness);
    await s.accept('mail');
    const lease = await s.lease('mail');
    const first = await s.complete(lease);
    t.same(await s.complete(lease, { token: 'forgotten' }), first);
  });

  await t.test(
    'another completion of a completed attempt is a conflict and changes nothing (S3, S4)',
    async (t) => {
      const s = await scene(t, harness);
      const id = await s.accept('mail');
      const lease = await s.lease('mail');
      await s.complete(lease);
      const before = await s.event(id);
      t.same(await s.complete(lease, { result: resultOf('other') }), { kind: 'conflict' });
      t.same(await s.fail(lease), { kind: 'conflict' });
      t.same(await s.complete(lease, { result: resultOf('other'), token: 'wrong' }), { kind: 'conflict' });
      t.same(await s.event(id), before);
      t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'completed']);
    },
  );

  await t.test(
    'a retried failure again hears the same, though the event has gone on since (S4)',
    async (t) => {
      const s = await scene(t, harness);
      const id = await s.accept('mail');
      const lease = await s.lease('mail');
      const first = await s.fail(lease, { retry: POLICY_RETRY });
      await s.pass(SECOND);
      const second = await s.lease('mail');
      t.same(await s.fail(lease, { retry: POLICY_RETRY }), first);
      t.match(await s.complete(second), { kind: 'completed', outcome: 'success' });
      t.same(await s.fail(lease, { retry: POLICY_RETRY }), first);
      t.same(await s.fail(lease, { result: resultOf('other', 'fail') }), { kind: 'conflict' });
      t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'retried', 'granted', 'completed']);
    },
  );

  await t.test('the last failure again hears that the attempts have run out (S4)', async (t) => {
    const s = await scene(t, harness, { policy: { attemptsMax: 1 } });
    await s.accept('mail');
    const lease = await s.lease('mail');
    const first = await s.fail(lease, { retry: POLICY_RETRY });
    t.match(first, { reason: 'attempts_exhausted' });
    t.same(await s.fail(lease, { retry: POLICY_RETRY }), first);
  });

  await t.test('a wrong token completes nothing, and its result is not kept (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    const before = await s.event(id);
    t.same(await s.complete(lease, { token: 'wrong' }), { kind: 'lease_lost' });
    t.same(await s.event(id), before);
    t.match(await s.store.readAttempts(id), [{ end: null, result: null, late: null }]);
    t.match(await s.complete(lease), { kind: 'completed', outcome: 'success' });
  });

  await t.test('the token of one attempt is worth nothing for another (S2)', async (t) => {
    const s = await scene(t, harness);
    await s.acceptMany('mail', 2);
    const [one, two] = await s.leaseAll('mail');
    t.same(await s.complete({ ...one!, token: two!.token }), { kind: 'lease_lost' });
    t.match(await s.complete(one!), { kind: 'completed' });
  });

  await t.test('a completion after its time is refused, and kept once for people to see (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(2 * SECOND);
    await s.expire();
    await s.pass(SECOND);
    const result = resultOf('too late');
    t.same(await s.complete(lease, { result }), { kind: 'lease_lost' });
    t.same(await s.complete(lease, { result }), { kind: 'lease_lost' });
    t.same(await s.complete(lease, { result: resultOf('and another') }), { kind: 'lease_lost' });
    t.match(await s.event(id), { status: 'in_process', outcome: null, result: null });
    const [attempt] = shown(await s.store.readAttempts(id));
    t.match(attempt, { end: 'expired', result: null, late: { at: NOON + 3 * SECOND } });
    t.ok(result.equals(attempt!.late!.result));
    t.same(await s.opsOf(id, 'mail'), ['accepted', 'granted', 'retried', 'late']);
  });

  await t.test('a late completion with a wrong token is not kept', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    await s.expire();
    t.same(await s.complete(lease, { token: 'wrong' }), { kind: 'lease_lost' });
    t.match(await s.store.readAttempts(id), [{ late: null }]);
  });

  await t.test('a lease is over by the clock even when nobody has noticed yet (S2)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    t.same(await s.complete(lease), { kind: 'lease_lost' });
    t.match(await s.event(id), { status: 'in_process', outcome: null });
    t.match(await s.store.readAttempts(id), [{ end: 'expired', late: { at: NOON + SECOND } }]);
    t.equal(await s.expire(), 0, 'it has been ended already');
    await s.pass(SECOND);
    t.match(await s.lease('mail'), { attempt: 2 });
  });

  await t.test('a late completion does not touch the attempt that came after (S2, S3)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const first = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    await s.expire();
    await s.pass(SECOND);
    const second = await s.lease('mail');
    t.same(await s.complete(first, { result: resultOf('old') }), { kind: 'lease_lost' });
    const result = resultOf('new');
    t.match(await s.complete(second, { result }), { kind: 'completed' });
    t.same(await s.complete(first, { result: resultOf('old') }), { kind: 'lease_lost' });
    t.ok(result.equals((await s.event(id)).result!));
  });

  await t.test('one call completes many; each item stands for itself and sees those before it', async (t) => {
    const s = await scene(t, harness);
    const ids = await s.acceptMany('mail', 3);
    const [one, two, three] = await s.leaseAll('mail');
    const results = await s.store.complete([
      completionOf(two!),
      { ...completionOf(one!), token: 'wrong' },
      completionOf(two!),
      completionOf(two!, { result: resultOf('other') }),
      { ...completionOf(three!), attemptId: 'nonsense' },
      completionOf(three!, { outcome: 'fail' }),
    ]);
    t.match(results, [
      { kind: 'completed', id: ids[1], outcome: 'success' },
      { kind: 'lease_lost' },
      { kind: 'completed', id: ids[1], outcome: 'success' },
      { kind: 'conflict' },
      { kind: 'unknown' },
      { kind: 'completed', id: ids[2], outcome: 'fail' },
    ]);
    t.match(await s.event(ids[0]!), { status: 'in_process' });
    t.same(await s.store.complete([]), []);
  });

  await t.test('of completions made at once exactly one is the completion (S3, S4)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    const texts = Array.from({ length: 10 }, (_, k) => `answer ${k}`);
    const answers = await Promise.all(texts.map((text) => s.complete(lease, { result: resultOf(text) })));
    const winners = texts.filter((_, k) => answers[k]!.kind === 'completed');
    t.equal(winners.length, 1);
    t.equal(answers.filter((answer) => answer.kind === 'conflict').length, 9);
    t.ok(resultOf(winners[0]!).equals((await s.event(id)).result!));
  });

  await t.test('a complete event never changes again, whatever is tried (S3)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const first = await s.lease('mail', { leaseMs: SECOND });
    await s.pass(SECOND);
    await s.expire();
    await s.pass(MINUTE);
    const lease = await s.lease('mail');
    await s.complete(lease);
    const { version, ...before } = await s.event(id);
    const { attemptId, token } = lease;
    await s.fail(lease);
    await s.fail(first);
    t.same(await s.store.extend({ attemptId, token, leaseMs: MINUTE }), { kind: 'lease_lost' });
    t.same(await s.store.handBack({ attemptId, token }), { kind: 'lease_lost' });
    t.same(await s.store.cancel(id), { kind: 'complete', archive: null });
    await s.pass(HOUR);
    t.equal(await s.expire(), 0);
    t.same(await s.leaseAll('mail'), []);
    const { version: versionAfter, ...after } = await s.event(id);
    t.same(after, before);
    t.ok(versionAfter >= version);
  });

  await t.test('what was completed, and how, outlives the store (S1, S4, L3)', async (t) => {
    const s = await scene(t, harness);
    const id = await s.accept('mail');
    const lease = await s.lease('mail');
    const result = resultOf('kept');
    const answer = await s.complete(lease, { result });
    const before = await s.event(id);
    await s.reopen();
    t.same(await s.event(id), before);
    t.same(await s.complete(lease, { result }), answer);
    t.same(await s.complete(lease, { result: resultOf('other') }), { kind: 'conflict' });
  });
}
