/**
 * BullMQ, in one process with its caller: no HTTP, no log beside Redis, no answer for who has added the job.
 *
 *   node bullmq.mjs add|addBulk|process REDIS_PORT JOBS BODY_BYTES
 *
 * Prints one line of JSON: jobs a second, and the processor time of this process for each.
 */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [mode, port, jobs, bodyBytes] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const BULK = 100;
const BULKS_AT_ONCE = 8;
const CONCURRENCY = 64;

const connection = new Redis({ port, maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection });
const data = { orderId: 4711, note: 'n'.repeat(bodyBytes - 26) };

/** `count` times `work`, so many at a time. */
async function times(count, atOnce, work) {
  let left = count;
  const one = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

const addBulk = (count) =>
  times(count / BULK, BULKS_AT_ONCE, () =>
    queue.addBulk(Array.from({ length: BULK }, () => ({ name: 'order', data }))),
  );

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

const MODES = {
  add: { before: () => {}, run: (count) => times(count, CONCURRENCY, () => queue.add('order', data)) },
  addBulk: { before: () => {}, run: addBulk },
  process: { before: addBulk, run: processAll },
};

async function measure(count) {
  const { before, run } = MODES[mode];
  await before(count);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await run(count);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: count / seconds, cpuUs: (user + system) / count };
}

await measure(Math.ceil(jobs / 10 / BULK) * BULK);
await connection.flushall();
console.log(JSON.stringify(await measure(jobs)));
// A worker leaves connections open that were given to it.
process.exit();
