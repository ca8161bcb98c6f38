/** NATS JetStream, its stream in a file; a publication waits for the server's word that it is kept. See contest.mjs. */
import { AckPolicy, connect } from 'nats';
import { BULK, BULKS_AT_ONCE, contest, given, times } from './contest.mjs';

const STREAM = 'bench';
const WORKER = 'worker';
const connection = await connect({ servers: given.url });
const manager = await connection.jetstreamManager();
const stream = connection.jetstream();
const body = Buffer.from(JSON.stringify(given.data));

/** A stream from which a message goes when it is acknowledged. */
async function begin() {
  await manager.streams.add({ name: STREAM, subjects: [STREAM], retention: 'workqueue', storage: 'file' });
  const consumer = { durable_name: WORKER, ack_policy: AckPolicy.Explicit, max_ack_pending: -1 };
  await manager.consumers.add(STREAM, consumer);
}

async function processAll(count) {
  const consumer = await stream.consumers.get(STREAM, WORKER);
  let left = count;
  await times(BULKS_AT_ONCE, BULKS_AT_ONCE, async () => {
    while (left > 0) {
      const max = Math.min(BULK, left);
      left -= max;
      const acknowledged = [];
      for await (const message of await consumer.fetch({ max_messages: max }))
        acknowledged.push(message.ackAck());
      await Promise.all(acknowledged);
      left += max - acknowledged.length;
    }
  });
}

const add = () => stream.publish(STREAM, body);
await begin();
await contest({
  add,
  addBulk: () => Promise.all(Array.from({ length: BULK }, add)),
  process: processAll,
  clear: async () => {
    await manager.streams.delete(STREAM);
    await begin();
  },
});
