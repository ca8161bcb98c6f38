/** What is declared of types, at hand: how old it may be, and how often the store is asked. */
import t from 'tap';
import type { TypeView } from '../../src/event/command.js';
import { Policies } from '../../src/queue/policies.js';

function bench() {
  let now = 0;
  let declared: TypeView['declared'] = { attemptsMax: 1 };
  let version = 1;
  const asked: ((failure?: Error) => void)[] = [];
  const policies = new Policies(
    (type) =>
      new Promise((resolve, reject) => {
        const view = { type, version, declared, paused: false } as unknown as TypeView;
        asked.push((failure) => (failure ? reject(failure) : resolve(view)));
      }),
    () => now,
  );
  return {
    policies,
    asked,
    pass: (ms: number) => {
      now += ms;
    },
    declare: (next: TypeView['declared']) => {
      declared = next;
      version += 1;
    },
  };
}

t.test('calls at the same time ask once, and later ones do not wait', async (t) => {
  const { policies, asked, pass } = bench();
  const both = [policies.of('mail'), policies.of('mail')];
  t.equal(asked.length, 1);
  asked[0]!();
  t.same(await Promise.all(both), [{ attemptsMax: 1 }, { attemptsMax: 1 }]);
  pass(499);
  t.same(policies.of('mail'), { attemptsMax: 1 });
  t.equal(asked.length, 1);
});

t.test('what is in use is read again before it is too old', async (t) => {
  const { policies, asked, pass, declare } = bench();
  const first = policies.of('mail');
  asked[0]!();
  const known = await first;
  pass(500);
  t.equal(policies.of('mail'), known, 'nobody waits');
  t.equal(asked.length, 2);
  asked[1]!();
  await new Promise(setImmediate);
  t.equal(policies.of('mail'), known, 'the same version is the same object');
  declare({ attemptsMax: 2 });
  pass(500);
  t.equal(policies.of('mail'), known);
  asked[2]!();
  await new Promise(setImmediate);
  t.same(policies.of('mail'), { attemptsMax: 2 });
});

t.test('what is a second old is not used, whatever the store does', async (t) => {
  const { policies, asked, pass } = bench();
  const first = policies.of('mail');
  asked[0]!();
  await first;
  pass(500);
  policies.of('mail');
  asked[1]!(new Error('the store is away'));
  await new Promise(setImmediate);
  pass(500);
  const again = policies.of('mail');
  asked[2]!(new Error('the store is away'));
  await t.rejects(Promise.resolve(again), { message: 'the store is away' });
});

t.test('what was changed is asked for anew, and an answer that is under way is not kept', async (t) => {
  const { policies, asked, declare } = bench();
  const early = policies.of('mail');
  declare({ attemptsMax: 2 });
  policies.forget('mail');
  const late = policies.of('mail');
  asked[1]!();
  t.same(await late, { attemptsMax: 2 });
  asked[0]!();
  await early;
  t.same(policies.of('mail'), { attemptsMax: 2 });
});
