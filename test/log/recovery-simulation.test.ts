/**
 * Archiver, opening and recovery as a simulation over failovers, zombies and emptied stores.
 *
 * `SEED=123 SEEDS=1` runs one seed again.
 */
import t from 'tap';
import { runSeeds, simulate } from '../support/recovery-seeds.js';

t.test('nothing acknowledged is lost, and all heals, whatever befalls stores, log and instances', (t) =>
  runSeeds(t, 300),
);

t.test('a seed gives the same run again', async (t) => {
  t.same(await simulate({ seeds: 3 }), await simulate({ seeds: 3 }));
});
