/** BullMQ, in one process with its caller: no HTTP, no log beside Redis, no answer for who has added the job. See contest.mjs. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { BULK, CONCURRENCY, contest, given } from './contest.mjs';

const connection = new Redis(given.url, { maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection });
const { data } = given;

/** As many as there are: removed when done, as a queue that runs for long would have it. */
function processAll(count) {
  return new Promise((resolve) => {
    let done = 0;
    const worker = new Worker('bench', async () => {}, {
      connection: connection.duplicate(),
      concurrency: CONCURRENCY,
      removeOnComplete: { count: 0 },
    });
    worker.on('completed', () => {
      done += 1;
      if (done === count) resolve(worker.close());
    });
  });
}

await contest({
  add: () => queue.add('order', data),
  addBulk: () => queue.addBulk(Array.from({ length: BULK }, () => ({ name: 'order', data }))),
  process: processAll,
  clear: () => connection.flushall(),
});
