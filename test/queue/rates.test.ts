/** Rates of types: what is counted, for a minute and no longer. */
import t from 'tap';
import { Rates } from '../../src/queue/rates.js';

t.test('what went through in the last minute is told by the second, type by type', (t) => {
  let now = 1_000_000;
  const rates = new Rates(() => now);
  t.same(rates.of('mail'), { accepted: 0, completed: 0, failed: 0 });
  rates.note('mail', 'accepted', 30);
  rates.note('mail', 'failed');
  rates.note('post', 'accepted');
  now += 30_000;
  rates.note('mail', 'accepted', 30);
  rates.note('mail', 'completed', 6);
  t.same(rates.of('mail'), { accepted: 1, completed: 0.1, failed: 1 / 60 });
  now += 29_000;
  t.equal(rates.of('mail').accepted, 1);
  now += 1_000;
  t.same(
    rates.of('mail'),
    { accepted: 0.5, completed: 0.1, failed: 0 },
    'the first half is over a minute old',
  );
  now += 600_000;
  t.same(rates.of('mail'), { accepted: 0, completed: 0, failed: 0 });
  rates.note('mail', 'accepted', 6);
  t.equal(rates.of('mail').accepted, 0.1);
  t.end();
});

t.test('types that nobody uses any more make room', (t) => {
  let now = 0;
  const rates = new Rates(() => now);
  rates.note('old', 'accepted');
  now += 120_000;
  for (let type = 0; type < 10_000; type += 1) rates.note(`type ${type}`, 'accepted', 60);
  t.same([rates.of('type 0').accepted, rates.of('type 9999').accepted], [1, 1]);
  t.end();
});
