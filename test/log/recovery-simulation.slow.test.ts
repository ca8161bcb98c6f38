/** The simulation of recovery at length, and the mistakes that it must find. */
import t from 'tap';
import { MISTAKES } from '../support/recovery-mistakes.js';
import { runSeeds, simulate } from '../support/recovery-seeds.js';

t.test('ten thousand seeds', { timeout: 600_000 }, (t) => runSeeds(t, 10_000));

t.test('each planted mistake is found', { timeout: 600_000 }, async (t) => {
  for (const { name } of MISTAKES) {
    const { failed } = await simulate({ first: 1, seeds: 5_000, mistake: name });
    const said = failed?.error.split('\n', 1)[0];
    t.ok(failed, failed ? `${name}: after ${failed.tried} seeds, ${said}` : `${name} is not found`);
    if (failed) t.comment(`${name.padEnd(16)} seed ${String(failed.seed).padStart(5)}  ${said}`);
  }
});
