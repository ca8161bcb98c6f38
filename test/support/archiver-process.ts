/**
 * An archiver in a process of its own, which a test can stop and wake. Its clock runs fast, so that a pause of seconds is
 * longer than all that it takes for granted. What it reports is written out, a line of JSON each.
 *
 * Told in argv: the URL of Redis, the endpoint and the bucket of S3.
 */
import { S3BlobStore } from '../../src/blob/s3.js';
import { readConfig } from '../../src/config.js';
import { Archiver } from '../../src/log/archiver.js';
import { type Clock, processClock } from '../../src/log/clock.js';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import type { Outbox } from '../../src/store/store.js';

/** How many of its milliseconds go by in one. */
const SPEED = 20;
/** It asks again twenty times as often as others, and need not be in time on a busy machine. */
const HELD_LONGER = 4;
/** By its own clock. */
const ARCHIVE_INTERVAL_MS = 4_000;

const [url = '', endpoint = '', bucket = ''] = process.argv.slice(2);
const config = readConfig({});
const limits = { ...config, bytesMax: config.embeddedBytesMax };
const store = await RedisStore.open({
  url,
  prefix: config.redisPrefix,
  partitions: 1,
  policy: config,
  limits,
  restarted: 'recover',
});
const blobs = new S3BlobStore({
  bucket,
  endpoint,
  prefix: '',
  forcePathStyle: true,
  requestTimeoutMs: 60_000,
});
const clock: Clock = {
  nowMs: () => SPEED * processClock.nowMs(),
  wait: (ms, cut) => processClock.wait(ms / SPEED, cut),
};
const outbox: Outbox = {
  readOutbox: (...args) => store.readOutbox(...args),
  markArchived: (...args) => store.markArchived(...args),
  archivedTo: (partition) => store.archivedTo(partition),
  holdArchiving: (partition, holder, ms) =>
    store.holdArchiving(partition, holder, Math.ceil((HELD_LONGER * ms) / SPEED)),
};

const archiver = new Archiver({
  blobs,
  outbox,
  recoverable: store,
  logId: store.logId,
  partition: 0,
  partitions: 1,
  writer: 'zombie',
  archiveIntervalMs: ARCHIVE_INTERVAL_MS,
  clock,
  report: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
});
archiver.start();
