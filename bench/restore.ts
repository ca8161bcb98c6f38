/**
 * Restoring a store from a log: `clockwork restore` of so many completed events into each store, in a process of its own,
 * with its peak memory. The log is made here, as an archiver would have written it, with bodies of some 200 bytes.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileBlobStore } from '../src/blob/file.js';
import { packEnvelope, sha256Hex } from '../src/event/envelope.js';
import { makeEventId } from '../src/event/id.js';
import { pack } from '../src/event/packed.js';
import type { LogRecord } from '../src/event/record.js';
import { encodeFence, encodeSegment, SEGMENT_RECORDS_MAX } from '../src/log/segment.js';
import type { SegmentPlace } from '../src/log/segment-header.js';
import { slotKey } from '../src/log/slot.js';
import { startRedisServer } from '../test/support/redis-server.js';
import { report } from './measure/machine.js';
import { cpuUs } from './measure/process-cost.js';
import { markdownTable } from './measure/stats.js';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const LOG_ID = '0193f1d2-7c3a-7000-8000-00000000be4c';
const TYPE = 'restored';
/** Of events that are under way at one time, so that the records of different ones are mixed. */
const LAG_EVENTS = 100;
const SAMPLE_MS = 100;

export interface RestoreBenchOptions {
  readonly events: number;
  /** Also from a checkpoint of it all. */
  readonly checkpoint: boolean;
}

interface Result {
  readonly store: string;
  readonly from: string;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly cpuSeconds: number;
  readonly redisCpuSeconds: number | null;
  readonly peakMib: number;
}

export async function benchRestore({ events, checkpoint }: RestoreBenchOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-restore-'));
  const results: Result[] = [];
  try {
    const log = join(dir, 'log');
    await writeLog(log, events);
    for (const from of checkpoint ? ['log', 'checkpoint'] : ['log']) {
      if (from === 'checkpoint') await clockwork(['checkpoint', '--log', `file:${log}`], {});
      results.push(await restoreEmbedded(dir, log, events, from), await restoreRedis(log, events, from));
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const command = `npm run bench -- restore --events ${events}`;
  report('restore', `${command}\n\n${tableOf(results)}`, { command, results });
}

export async function writeLog(folder: string, events: number): Promise<void> {
  const blobs = new FileBlobStore(folder);
  const writer = new LogWriter(blobs);
  await writer.fence();
  for (const record of recordsOf(events)) await writer.add(record);
  await writer.finish();
  await blobs.close();
}

function* recordsOf(events: number): IterableIterator<LogRecord> {
  let n = 0;
  const start = Date.now() - 60_000;
  const place = () => {
    n += 1;
    return { pos: { view: 1, n }, at: start + Math.floor(n / 100), type: TYPE };
  };
  yield { op: 'typeSet', ...place(), ordinal: 0, version: 0 };
  const ids: string[] = [];
  for (let k = 0; k < events + LAG_EVENTS; k += 1) {
    if (k < events) {
      const id = makeEventId(start, 0);
      ids.push(id);
      yield { op: 'accepted', ...place(), id, dueAt: start, idempotency: null, payload: envelopeOf(k) };
    }
    const id = ids[k - LAG_EVENTS];
    if (id === undefined) continue;
    const lease = { id, listener: 0, grant: 1 };
    const token = createHash('md5').update(id).digest('hex');
    const granted = {
      attempt: 1,
      token,
      worker: 'worker-1',
      expiresAt: start + 1,
      call: `call ${k}`,
      claim: 1,
    };
    yield { op: 'granted', ...place(), ...lease, ...granted };
    const end = { outcome: 'success', reason: null, fingerprint: sha256Hex(id) } as const;
    yield { op: 'completed', ...place(), ...lease, ...end, payload: RESULT };
  }
}

const RESULT = pack(
  {
    outcome: 'success',
    response: { status: 200, headers: [], contentType: 'application/json', bytes: 14, bodyEncoding: 'json' },
    errors: [],
  },
  Buffer.from('{"sent": true}'),
);

function envelopeOf(k: number): Uint8Array {
  const body = Buffer.from(JSON.stringify({ orderId: k, note: 'n'.repeat(170) }));
  return packEnvelope(
    {
      method: 'POST',
      path: `/v1/types/${TYPE}/events`,
      query: '',
      headers: [['content-type', 'application/json']],
      clientAddress: '127.0.0.1',
      contentType: 'application/json',
      bytes: body.byteLength,
      sha256: sha256Hex(body),
      bodyEncoding: 'json',
      version: null,
      correlationId: null,
      traceparent: null,
      cloudEvent: null,
    },
    body,
  );
}

/** Segments one after the other, each as full as may be. */
class LogWriter {
  #waiting: LogRecord[] = [];
  #slot = 0;
  #previous: string | null = null;

  constructor(private readonly blobs: FileBlobStore) {}

  async fence(): Promise<void> {
    const { bytes, sha256 } = await encodeFence(this.#place('fence'), null);
    await this.#put(bytes, sha256);
  }

  async add(record: LogRecord): Promise<void> {
    this.#waiting.push(record);
    if (this.#waiting.length >= SEGMENT_RECORDS_MAX) await this.#segment();
  }

  async finish(): Promise<void> {
    while (this.#waiting.length > 0) await this.#segment();
  }

  async #segment(): Promise<void> {
    const { header, bytes, sha256 } = await encodeSegment(this.#place('data'), this.#waiting);
    await this.#put(bytes, sha256);
    this.#waiting = this.#waiting.slice(header.count);
  }

  async #put(bytes: Buffer, sha256: string): Promise<void> {
    this.#slot += 1;
    await this.blobs.putIfAbsent(slotKey(0, this.#slot), bytes);
    this.#previous = sha256;
  }

  #place(kind: SegmentPlace['kind']): SegmentPlace {
    const slot = this.#slot + 1;
    const [previous, putId] = [this.#previous, `put ${slot}`];
    return {
      kind,
      logId: LOG_ID,
      partition: 0,
      partitions: 1,
      slot,
      epoch: 1,
      view: 1,
      writer: 'bench',
      putId,
      previous,
    };
  }
}

async function restoreEmbedded(dir: string, log: string, events: number, from: string): Promise<Result> {
  const data = join(dir, `data-${from}`);
  const ran = await clockwork(['restore', '--yes', '--json', '--log', `file:${log}`], { DATA_DIR: data });
  await rm(data, { recursive: true, force: true });
  return resultOf('embedded', from, events, ran, null);
}

async function restoreRedis(log: string, events: number, from: string): Promise<Result> {
  const redis = await startRedisServer();
  try {
    const ran = await clockwork(['restore', '--yes', '--json', '--log', `file:${log}`], {
      REDIS_URL: redis.url,
    });
    return resultOf('redis', from, events, ran, cpuUs(redis.pid) / 1e6);
  } finally {
    await redis.stop();
  }
}

interface Ran {
  readonly out: string;
  readonly peakMib: number;
  readonly cpuSeconds: number;
}

async function clockwork(args: readonly string[], env: Record<string, string>): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  const exit = once(child, 'exit');
  let [peakMib, cpuSeconds] = [0, 0];
  const ended = new AbortController();
  const sampling = (async () => {
    while (!ended.signal.aborted) {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        peakMib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? peakMib * 1024) / 1024;
        cpuSeconds = cpuUs(child.pid!) / 1e6;
      } catch {
        // It has ended between two looks.
      }
      await delay(SAMPLE_MS);
    }
  })();
  const [code] = (await exit) as [number | null];
  ended.abort();
  await sampling;
  if (code !== 0) throw new Error(`clockwork ${args.join(' ')} ended with ${code}`);
  return { out, peakMib, cpuSeconds };
}

function resultOf(
  store: string,
  from: string,
  events: number,
  ran: Ran,
  redisCpuSeconds: number | null,
): Result {
  const { seconds } = JSON.parse(ran.out) as { seconds: number };
  const { peakMib, cpuSeconds } = ran;
  return { store, from, seconds, eventsPerSecond: events / seconds, cpuSeconds, redisCpuSeconds, peakMib };
}

function tableOf(results: readonly Result[]): string {
  const head = ['store', 'from', 'events/s', 'seconds', 'CPU s', 'Redis CPU s', 'peak RSS MiB'];
  const rows = results.map((each) => [
    each.store,
    each.from,
    each.eventsPerSecond.toFixed(0),
    each.seconds.toFixed(1),
    each.cpuSeconds.toFixed(1),
    each.redisCpuSeconds?.toFixed(1) ?? '–',
    each.peakMib.toFixed(0),
  ]);
  return markdownTable(head, rows);
}
