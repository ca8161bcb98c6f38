#!/usr/bin/env node
/** The program `clockwork`: gives the commands the environment, the streams and the places of logs. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { BlobStore } from '../blob/blob.js';
import type { Recoverable, Store } from '../store/store.js';
import type { LogPlace, OpenedReading, StoreSettings } from './context.js';
import { runCli } from './program.js';

const S3_REQUEST_TIMEOUT_MS = 30_000;

/** So long a Redis is waited for that does not answer. */
const STORE_UP_MS = 5_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The first asks, for commands that go on until they are stopped; the second, or any other command, ends at once.
  process.once(signal, () => {
    stopping.abort();
    if (process.argv[2] !== 'log' || process.argv[3] !== 'tail')
      process.exit(128 + (signal === 'SIGINT' ? 2 : 15));
  });
}
// Whoever reads has read enough (`| head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  version: versionOfPackage(),
  out: async (result) => {
    if (!process.stdout.write(result)) await once(process.stdout, 'drain');
  },
  stdin: () => buffer(process.stdin),
  err: (text) => void process.stderr.write(text),
  terminal: process.stderr.isTTY,
  openLog: openBlobs,
  openStore,
  readStore,
  signal: stopping.signal,
});

async function openBlobs(place: LogPlace): Promise<BlobStore> {
  if (place.kind === 'file') {
    const { FileBlobStore } = await import('../blob/file.js');
    return new FileBlobStore(place.folder);
  }
  // The SDK takes longer to load than most commands to run.
  const { S3BlobStore } = await import('../blob/s3.js');
  const { bucket, prefix, endpoint, forcePathStyle } = place;
  return new S3BlobStore({
    bucket,
    prefix,
    forcePathStyle,
    requestTimeoutMs: S3_REQUEST_TIMEOUT_MS,
    ...(endpoint === null ? {} : { endpoint }),
  });
}

/** A client's library, or the journal's: loaded by the commands that need one. */
async function openStore({ place, policy, limits }: StoreSettings): Promise<Store & Recoverable> {
  if (place.kind === 'embedded') {
    const { EmbeddedStore } = await import('../store/embedded/embedded.js');
    return EmbeddedStore.open({ dir: place.folder, policy, limits });
  }
  const { RedisStore } = await import('../store/redis/redis-store.js');
  const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(STORE_UP_MS)]);
  return RedisStore.open({ ...place, policy, limits, signal, restarted: 'recover' });
}

async function readStore(settings: StoreSettings): Promise<OpenedReading | null> {
  const { place } = settings;
  if (place.kind === 'redis') {
    const store = await openStore(settings);
    return { store, close: () => store.close() };
  }
  const { readFolder } = await import('../store/embedded/offline.js');
  const store = await readFolder(place.folder, settings);
  return store && { store, close: async () => undefined };
}

function versionOfPackage(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
