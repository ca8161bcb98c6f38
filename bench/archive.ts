/**
 * What `archive` durability costs with an S3 that takes 50 ms a call: how long a single post takes, and how much is
 * submitted in bulk beside `store` durability on the same service.
 */
import { Api } from '../test/support/api.js';
import { bodyOf, onceStopped, POST_PATH, type S3Contestant, startOnRedisAndS3, TYPE } from './contestants.js';
import { report } from './measure/machine.js';
import { markdownTable, percentile, spreadOf, spreadText } from './measure/stats.js';

const BODY_BYTES = 1_024;
const BATCH = 100;
const CLIENTS = 64;
const POSTS = 1_280;

export interface ArchiveOptions {
  readonly rounds: number;
  readonly events: number;
  readonly s3Ms: number;
}

type Durability = 'store' | 'archive';

export interface ArchiveRun {
  readonly bulkPerSecond: Readonly<Record<Durability, number>>;
  readonly postMedianMs: number;
  readonly postP99Ms: number;
}

export async function benchArchive({ rounds, events, s3Ms }: ArchiveOptions): Promise<void> {
  const runs: ArchiveRun[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    runs.push(await archiveRun(s3Ms, events, round));
    console.error(`${round}/${rounds} ${JSON.stringify(runs.at(-1))}`);
  }
  const command = `npm run bench -- archive --rounds ${rounds} --events ${events} --s3-ms ${s3Ms}`;
  report('archive', `${command}\n\n${tableOf(runs)}`, { command, runs });
}

/** On a service, a Redis and an S3 of its own; which durability comes first changes from round to round. */
export async function archiveRun(s3Ms: number, events: number, round: number): Promise<ArchiveRun> {
  return onceStopped(await startOnRedisAndS3(s3Ms), (contestant) => measure(contestant, events, round));
}

async function measure({ url }: S3Contestant, events: number, round: number): Promise<ArchiveRun> {
  const api = new Api(url, CLIENTS);
  const both: readonly Durability[] = round % 2 === 0 ? ['archive', 'store'] : ['store', 'archive'];
  const bulkPerSecond = { store: 0, archive: 0 };
  try {
    for (const durability of both) await bulk(api, durability, BATCH * Math.ceil(events / 4 / BATCH));
    for (const durability of both) bulkPerSecond[durability] = await bulk(api, durability, events);
    await posts(api, POSTS / 4);
    const times = await posts(api, POSTS);
    return { bulkPerSecond, postMedianMs: percentile(times, 0.5), postP99Ms: percentile(times, 0.99) };
  } finally {
    await api.close();
  }
}

/** As many requests under way as a client has connections: one that waits for S3 keeps none of the others waiting. */
async function bulk(api: Api, durability: Durability, events: number): Promise<number> {
  const item = `{"type":"${TYPE}","durability":"${durability}","body":${bodyOf(BODY_BYTES)}}`;
  const body = `[${Array.from({ length: BATCH }, () => item)}]`;
  const headers = { 'content-type': 'application/json' };
  const began = performance.now();
  let left = events / BATCH;
  await together(async () => {
    while (left-- > 0) await expect(api, '/v1/events', 200, { body, headers });
  });
  return (1_000 * events) / (performance.now() - began);
}

/** Ascending, in ms; so many at a time as there are connections. */
async function posts(api: Api, count: number): Promise<number[]> {
  const headers = { 'content-type': 'application/json', 'event-durability': 'archive' };
  const times: number[] = [];
  let left = count;
  const one = async () => {
    while (left-- > 0) {
      const began = performance.now();
      await expect(api, POST_PATH, 202, { body: bodyOf(BODY_BYTES), headers });
      times.push(performance.now() - began);
    }
  };
  await together(one);
  return times.sort((a, b) => a - b);
}

async function together(work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: CLIENTS }, work));
}

async function expect(
  api: Api,
  path: string,
  status: number,
  call: { body: string; headers: Record<string, string> },
): Promise<void> {
  const reply = await api.call('POST', path, call);
  if (reply.status !== status) throw new Error(`${path}: ${reply.status} ${reply.text.slice(0, 300)}`);
}

function tableOf(runs: readonly ArchiveRun[]): string {
  const of = (value: (run: ArchiveRun) => number) => spreadOf(runs.map(value));
  return markdownTable(
    ['', ''],
    [
      ['bulk, `store`, events/s', spreadText(of(({ bulkPerSecond }) => bulkPerSecond.store))],
      ['bulk, `archive`, events/s', spreadText(of(({ bulkPerSecond }) => bulkPerSecond.archive))],
      [
        '`archive` of `store`',
        spreadText(
          of(({ bulkPerSecond: { store, archive } }) => archive / store),
          2,
        ),
      ],
      ['single post, `archive`, median ms', spreadText(of(({ postMedianMs }) => postMedianMs))],
      ['single post, `archive`, p99 ms', spreadText(of(({ postP99Ms }) => postP99Ms))],
    ],
  );
}
