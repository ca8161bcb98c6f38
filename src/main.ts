/**
 * The service: reads the environment, opens the store and the log, listens, and ends in order on a signal. The only
 * place that names concrete adapters.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { buildApp } from './app.js';
import type { BlobStore } from './blob/blob.js';
import { FileBlobStore } from './blob/file.js';
import { type Config, ConfigError, describeConfig, readConfig } from './config.js';
import { type Policy, RETENTION_MS_MIN } from './event/policy.js';
import type { Limits } from './event/state.js';
import { makeLogger } from './http/logger.js';
import { recordText } from './http/record-json.js';
import { Encoder } from './log/encoder.js';
import { Feed } from './log/feed.js';
import { PastEvents } from './log/past.js';
import { Witness } from './log/witness.js';
import { Archiving } from './maintenance/archiving.js';
import { Beginner } from './maintenance/beginner.js';
import { Checkpointer } from './maintenance/checkpointer.js';
import { LogRetention } from './maintenance/log-retention.js';
import { Pruner } from './maintenance/pruner.js';
import { Reaper } from './maintenance/reaper.js';
import { Redriver } from './maintenance/redriver.js';
import { RelayDuty } from './maintenance/relay.js';
import { Metrics } from './metrics/metrics.js';
import { Queue } from './queue/queue.js';
import { EmbeddedStore } from './store/embedded/embedded.js';
import type { Store } from './store/store.js';

/** What was emitted for other partitions is asked for so often, and so much of it at a time. */
const RELAY = { intervalMs: 250, batch: 200 };
/** Redrives are looked for so often; while one is under way it goes on so often. */
const REDRIVER = { intervalMs: 1_000, stepMs: 100 };
const BEGINNER = { intervalMs: 1_000 };
const REAPER = { intervalMs: 250, batch: 500 };
/** How often calls that wait look without a hint: hints get lost only with a connection. */
const SLOW_LOOK_MS = 5_000;
const S3_REQUEST_TIMEOUT_MS = 10_000;
/** How often it is looked whether events are to leave the store: with the shortest retention that there may be, often enough. */
const PRUNE_LOOK_MS = 10_000;
const CHECKPOINT_LOOK_MS = 10_000;
/** Segments go once the checkpoint before the newest has what is alive of them: hence several a retention. */
const CHECKPOINTS_A_RETENTION = 4;
const CUT_MS = 3_600_000;
const PROBE_AGAIN_MS = 5_000;
const ARCHIVE_FLUSH_MS = 5_000;
/** All of stopping; then the process ends whatever is still under way. */
const STOP_MS_MAX = 20_000;

await main();

async function main(): Promise<void> {
  const config = readConfigOrExit();
  const logger = makeLogger(config);
  logger.info({ config: describeConfig(config) }, 'starting');
  const stopping = new AbortController();
  const stops: (() => Promise<unknown>)[] = [];
  closeWithGrace({ delay: STOP_MS_MAX, logger }, async ({ err, signal }) => {
    if (err) logger.fatal({ err }, 'a fault ends the service');
    else logger.info({ signal }, 'stopping');
    stopping.abort();
    // The last to be opened is the first to be closed.
    for (const stop of stops.reverse()) await stop();
    logger.info('stopped');
  });
  try {
    await start(config, logger, stopping.signal, stops);
  } catch (error) {
    if (stopping.signal.aborted) return;
    logger.fatal({ err: error }, error instanceof Error ? error.message : 'could not start');
    for (const stop of stops.reverse()) await stop();
    process.exit(1);
  }
}

async function start(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  stops: (() => Promise<unknown>)[],
): Promise<void> {
  const metrics = new Metrics();
  metrics.watchProcess();
  const blobs = metrics.logRequests.around(await openBlobs(config));
  stops.push(() => blobs.close());
  const store = await openStore(config, new Witness(blobs), logger, signal);
  stops.push(() => store.close());
  metrics.store.watch(store);

  const encoder = new Encoder();
  stops.push(() => encoder.close());
  const writer = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const archiving = new Archiving(
    store,
    blobs,
    {
      writer,
      archiveIntervalMs: config.archiveIntervalMs,
      probeAgainMs: PROBE_AGAIN_MS,
      flushMs: ARCHIVE_FLUSH_MS,
      encode: encoder.encode,
    },
    logger,
    metrics.archive.count,
    (error) => void endRefused(error, logger, stops),
  );
  metrics.archive.watch(() => archiving.status());
  archiving.start();
  stops.push(() => archiving.stop());

  const reaper = new Reaper(store, REAPER, logger, metrics.queue.countExpired);
  reaper.start();
  stops.push(() => reaper.stop());

  const archives = (partition: number) => archiving.status()[partition]?.state === 'running';
  const pruner = new Pruner(
    store,
    blobs,
    {
      retentionMs: config.retentionMs,
      intervalMs: PRUNE_LOOK_MS,
      archives,
    },
    logger,
  );
  pruner.start();
  stops.push(() => pruner.stop());

  const checkpointer = new Checkpointer(
    store,
    blobs,
    {
      records: config.checkpointRecords,
      ageMsMax: config.logRetentionMs === null ? null : config.logRetentionMs / CHECKPOINTS_A_RETENTION,
      intervalMs: CHECKPOINT_LOOK_MS,
      archives,
    },
    logger,
  );
  checkpointer.start();
  stops.push(() => checkpointer.stop());
  if (config.logRetentionMs !== null) {
    const { logRetentionMs: retentionMs } = config;
    const retention = new LogRetention(store, blobs, { retentionMs, intervalMs: CUT_MS, archives }, logger);
    retention.start();
    stops.push(() => retention.stop());
  }

  const past = new PastEvents({ blobs, store, cacheBytesMax: config.pastCacheBytesMax });
  const queue = new Queue(store, {
    past,
    archive: {
      timeoutMs: config.archiveTimeoutMs,
      available: (partition) => archiving.isAvailable(partition),
    },
    leaseReplyBytesMax: config.leaseBytesMax,
    waitersMax: config.waitersMax,
    slowLookMs: SLOW_LOOK_MS,
    count: metrics.queue.count,
  });
  metrics.queue.watchWaiting(() => queue.waiting);
  const isPast = async (id: string) => (await past.read(id)) !== null;
  const beginner = new Beginner(store, blobs, { ...BEGINNER, archives, isPast }, logger);
  beginner.start();
  stops.push(() => beginner.stop());
  const relay = new RelayDuty(
    store,
    {
      ...RELAY,
      retentionMs: RETENTION_MS_MIN,
      isPast,
      now: Date.now,
    },
    logger,
  );
  relay.start();
  stops.push(() => relay.stop());
  const redriver = new Redriver(
    store,
    blobs,
    { ...REDRIVER, archives, past, count: metrics.queue.countRedriven },
    logger,
  );
  redriver.start();
  stops.push(() => redriver.stop());
  const feed = new Feed({
    blobs,
    store: archiving.named(store),
    render: recordText,
    cacheBytesMax: config.feedCacheBytesMax,
    pageBytesMax: config.feedPageBytesMax,
    pageSegmentsMax: config.feedSegmentsMax,
    waitersMax: config.waitersMax,
    slowLookMs: SLOW_LOOK_MS,
  });
  const app = await buildApp({
    queue,
    feed,
    config,
    logger,
    metrics,
    health: async () => ({ store: await queue.health(), log: logHealth(config, blobs, archiving) }),
  });
  stops.push(() => closeApp(app, queue, feed));
  await queue.health();
  await app.listen({ host: config.host, port: config.port });
}

/** Found out when the place of the log has answered, which may be long after the start. */
async function endRefused(
  error: Error,
  logger: Logger,
  stops: readonly (() => Promise<unknown>)[],
): Promise<void> {
  logger.fatal({ err: error }, error.message);
  process.exitCode = 1;
  setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
  for (const stop of [...stops].reverse()) await stop();
  process.exit(1);
}

/** Calls that wait are answered first, else the server would wait for them. */
async function closeApp(app: FastifyInstance, queue: Queue, feed: Feed): Promise<void> {
  queue.stop();
  feed.stop();
  await app.close();
}

function readConfigOrExit(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** What is not in use is not loaded: the clients of Redis and S3 take longer to load than everything else together. */
async function openStore(
  config: Config,
  { isCurrent }: Witness,
  logger: Logger,
  signal: AbortSignal,
): Promise<Store> {
  const policy: Policy = config;
  const limits: Limits = {
    leaseMsMax: config.leaseMsMax,
    typesMax: config.typesMax,
    bytesMax: config.embeddedBytesMax,
  };
  if (config.redisUrl === null) {
    return EmbeddedStore.open({ dir: join(config.dataDir, 'store'), policy, limits });
  }
  const { RedisStore } = await import('./store/redis/redis-store.js');
  const { redisUrl: url, redisPrefix: prefix, partitions } = config;
  const more = { policy, limits, logger, signal, restarted: 'recover', isCurrent } as const;
  return RedisStore.open({ url, prefix, partitions, outboxBytesMax: config.outboxBytesMax, ...more });
}

async function openBlobs(config: Config): Promise<BlobStore> {
  if (config.s3Bucket === null) return new FileBlobStore(join(config.dataDir, 'log'));
  const { S3BlobStore } = await import('./blob/s3.js');
  return new S3BlobStore({
    bucket: config.s3Bucket,
    prefix: config.s3Prefix,
    forcePathStyle: config.s3ForcePathStyle,
    requestTimeoutMs: S3_REQUEST_TIMEOUT_MS,
    ...(config.s3Endpoint === null ? {} : { endpoint: config.s3Endpoint }),
  });
}

function logHealth(config: Config, blobs: BlobStore, archiving: Archiving) {
  const notes = archiving.notes();
  const ready = notes.length === 0;
  if (config.redisUrl !== null && config.s3Bucket === null) {
    notes.push('the log is in files of this host: run one instance only, or set S3_BUCKET');
  }
  return { description: blobs.description, ready, notes };
}
