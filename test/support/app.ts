/** The application over the core alone, for tests of the HTTP side: called directly, or listening on a free port. */
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import type { Test } from 'tap';
import { buildApp } from '../../src/app.js';
import type { BlobStore } from '../../src/blob/blob.js';
import { type Config, readConfig } from '../../src/config.js';
import { makeLogger } from '../../src/http/logger.js';
import { recordText } from '../../src/http/record-json.js';
import { Feed } from '../../src/log/feed.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { Queue } from '../../src/queue/queue.js';
import { type Contract, ContractCheck } from './contract.js';
import { CoreStore } from './core-store.js';
import { MemoryBlobs } from './memory-blobs.js';

export interface AppSettings {
  readonly env?: Readonly<Record<string, string>>;
  /** Limits that no variable sets. */
  readonly config?: Partial<Config>;
  readonly store?: CoreStore;
  /** Where the log is. */
  readonly blobs?: BlobStore;
  /** Whether events can be archived; unless said, they can: by `store.markArchived()`. */
  readonly canArchive?: () => boolean;
  /** Takes the lines of the log. */
  readonly onLog?: (line: string) => void;
}

export interface TestApp {
  readonly app: FastifyInstance;
  readonly store: CoreStore;
  readonly queue: Queue;
  readonly config: Config;
  /** Sends a request without a socket; throws when the reply is not what the contract says. */
  readonly send: (options: InjectOptions) => Promise<LightMyRequestResponse>;
  /** The URL of the service, which from now on listens. */
  readonly listen: () => Promise<string>;
}

/** Open until the test ends. */
export async function openApp(t: Test, settings: AppSettings = {}): Promise<TestApp> {
  const config = { ...readConfig(settings.env ?? {}), ...settings.config };
  const store = settings.store ?? new CoreStore();
  const { leaseBytesMax: leaseReplyBytesMax, waitersMax } = config;
  const metrics = new Metrics();
  metrics.store.watch(store);
  const { count } = metrics.queue;
  const queue = new Queue(store, {
    archive: { timeoutMs: config.archiveTimeoutMs, available: () => settings.canArchive?.() ?? true },
    leaseReplyBytesMax,
    waitersMax,
    slowLookMs: 60_000,
    count,
  });
  metrics.queue.watchWaiting(() => queue.waiting);
  const feed = new Feed({
    blobs: settings.blobs ?? new MemoryBlobs(),
    store,
    render: recordText,
    cacheBytesMax: config.feedCacheBytesMax,
    pageBytesMax: config.feedPageBytesMax,
    pageSegmentsMax: config.feedSegmentsMax,
    waitersMax,
    slowLookMs: 60_000,
  });
  const { onLog } = settings;
  const app = await buildApp({
    queue,
    feed,
    config,
    logger: onLog ? makeLogger(config, { write: onLog }) : pino({ level: 'silent' }),
    metrics,
    health: async () => ({
      store: await store.health(),
      log: { description: 'none', ready: true, notes: [] },
    }),
  });
  await app.ready();
  const contract = new ContractCheck(app.swagger() as unknown as Contract);
  t.teardown(async () => {
    queue.stop();
    feed.stop();
    await app.close();
  });
  return {
    app,
    store,
    queue,
    config,
    send: async (options) => {
      const reply = await app.inject(options);
      const fault = contract.faultOf({
        method: options.method ?? 'GET',
        path: String(options.url).split('?', 1)[0]!,
        status: reply.statusCode,
        contentType: reply.headers['content-type']?.toString(),
        text: reply.body,
      });
      if (fault !== null) throw new Error(fault);
      return reply;
    },
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
  };
}
