/** pg-boss in its caller's own process: jobs are rows of PostgreSQL, fetched and completed a hundred a statement. See contest.mjs. */
import { PgBoss } from 'pg-boss';
import { BULK, BULKS_AT_ONCE, contest, given, times } from './contest.mjs';

const NAME = 'bench';
const boss = new PgBoss({ connectionString: given.url, max: 16, supervise: false, schedule: false });
boss.on('error', (error) => {
  throw error;
});
await boss.start();
await boss.createQueue(NAME);
const { data } = given;

/** By its own calls, not its worker, which waits half a second between two looks. */
async function processAll(count) {
  let left = count;
  await times(BULKS_AT_ONCE, BULKS_AT_ONCE, async () => {
    while (left > 0) {
      const jobs = await boss.fetch(NAME, { batchSize: BULK });
      if (jobs.length === 0) return;
      left -= jobs.length;
      await boss.complete(
        NAME,
        jobs.map(({ id }) => id),
      );
    }
  });
  if (left > 0) throw new Error(`${left} of ${count} jobs were not fetched`);
}

await contest({
  add: () => boss.send(NAME, data),
  addBulk: () =>
    boss.insert(
      NAME,
      Array.from({ length: BULK }, () => ({ data })),
    ),
  process: processAll,
  clear: () => boss.deleteAllJobs(NAME),
});
