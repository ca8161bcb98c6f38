/** The core under random operations, clocks that step back and restarts: its invariants hold after each step. */
import fc from 'fast-check';
import t from 'tap';
import { CoreMachine } from './core-machine.js';
import { ops } from './core-ops.js';

const RUNS = 500;
/** The same runs each time, so that a failure is one of the change at hand; `SEED` looks elsewhere. */
const SEED = Number(process.env['SEED'] ?? 1);

t.test('S1, S2, S3, S4, S6, S7, S8, S9, L1 and L2 hold after each of many random operations', async (t) => {
  let steps = 0;
  fc.assert(
    fc.property(ops, (ops) => {
      const machine = new CoreMachine();
      for (const each of ops) {
        machine.run(each);
        machine.check();
        steps += 1;
      }
      machine.checkFold();
    }),
    { numRuns: RUNS, seed: SEED },
  );
  t.ok(steps > RUNS * 10, `${steps} operations`);
});
