/** @platformatic/job-queue in its caller's own process; it has no way to add many at once. See contest.mjs. */
import { Queue, RedisStorage } from '@platformatic/job-queue';
import { Redis } from 'iovalkey';
import { BULK, CONCURRENCY, contest, given } from './contest.mjs';

const admin = new Redis(given.url);
const storage = new RedisStorage({ url: given.url });
const producer = new Queue({ storage });
await producer.start();
let n = 0;

const add = () => producer.enqueue(`job-${n++}`, given.data);

/** Results are kept for an hour, as it does unless told otherwise. */
async function processAll(count) {
  const worker = new Queue({ storage: new RedisStorage({ url: given.url }), concurrency: CONCURRENCY });
  await new Promise((resolve, reject) => {
    let done = 0;
    worker.on('completed', () => {
      done += 1;
      if (done === count) resolve();
    });
    worker.execute(async () => true);
    worker.start().catch(reject);
  });
  await worker.stop();
}

await contest({
  add,
  addBulk: () => Promise.all(Array.from({ length: BULK }, add)),
  process: processAll,
  clear: () => admin.flushall(),
});
