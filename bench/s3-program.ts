/**
 * An S3 in memory that takes so long for every call, as a process of its own. It says its endpoint to its parent, and
 * how many objects and bytes it holds whenever it is asked.
 *
 * Usage: node s3-program.js MS, with an IPC channel; it ends with it
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TestS3Server } from '../test/support/s3-server.js';

const ms = Number(process.argv[2]);
const s3 = await TestS3Server.start(['bench']);
if (ms > 0) s3.misbehave = () => ({ kind: 'delay', until: delay(ms) });

process.on('disconnect', () => process.exit());
process.on('message', () => {
  const objects = [...s3.buckets.values()].flatMap((bucket) => [...bucket.values()]);
  const bytes = objects.reduce((sum, { body }) => sum + body.byteLength, 0);
  process.send?.({ puts: s3.count('put'), bytes });
});
process.send?.({ endpoint: s3.endpoint });
