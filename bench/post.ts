/**
 * Single posts beside the floors: wrk with 64 connections posts 1 KB of JSON to Fastify with an empty handler and to the
 * service on each of its stores; beside them the bare commands of Redis and what others would pick, in their callers' own
 * processes. What counts is the ratio within one round; figures of different days or machines do not compare.
 */
import { runBareRedis } from './bare-redis.js';
import {
  bodyOf,
  type Contestant,
  costsEach,
  costsOf,
  onceStopped,
  POST_PATH,
  startEmbedded,
  startFloor,
  startOnRedis,
  startOnRedisAndS3,
} from './contestants.js';
import {
  type Entrant,
  entrantsTable,
  generatorText,
  inTurns,
  latencyPlot,
  type Run,
  rateBars,
  runOf,
} from './measure/entrants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { longString, runScript, shoot } from './measure/wrk.js';
import { peersFor } from './peers.js';

export const CONNECTIONS = 64;
export const BODY_BYTES = 1_024;
/** Of a single post, as large as a receipt of the service. */
export const REPLY_BYTES = 420;

export interface PostOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Before each measurement, for the compiler to have seen the code at work. */
  readonly warmSeconds: number;
  /** Who takes part, by parts of names; all when empty. */
  readonly only: readonly string[];
}

type Duration = Pick<PostOptions, 'seconds' | 'warmSeconds'>;

export const PARSED = 'empty Fastify handler, JSON parsed';
export const RAW = 'empty Fastify handler, raw bytes';
const SOCKET = 'a socket that answers';
export const EMBEDDED = 'embedded store, file log';
export const ON_REDIS = 'Redis (AOF everysec), file log';
const BARE = 'bare Redis, HSET and RPUSH, pipelined';
const S3_MS = 50;

const HANDLER_LACKS = 'keeps nothing';
const BARE_LACKS = 'no HTTP, no ids, no checks, no log, no answer';

/** The floors and the service, each called by wrk. */
export function postEntrants(duration: Duration): Entrant[] {
  const by = (
    name: string,
    doesLess: string,
    start: () => Promise<Contestant>,
    archive = false,
  ): Entrant => ({
    name,
    doesLess,
    run: async () => onceStopped(await start(), (target) => posts(target, duration, archive)),
  });
  const onS3 = () => startOnRedisAndS3(S3_MS);
  return [
    by(PARSED, HANDLER_LACKS, () => startFloor('parsed', REPLY_BYTES)),
    by(RAW, HANDLER_LACKS, () => startFloor('raw', REPLY_BYTES)),
    by(SOCKET, 'not even HTTP: what wrk can do', () => startFloor('socket', REPLY_BYTES)),
    by(EMBEDDED, '', () => startEmbedded()),
    by(ON_REDIS, '', () => startOnRedis()),
    by(`Redis, S3 of ${S3_MS} ms, \`store\``, '', onS3),
    by(`Redis, S3 of ${S3_MS} ms, \`archive\``, '', onS3, true),
  ];
}

export async function benchPost({ rounds, only, ...duration }: PostOptions): Promise<void> {
  const { seconds, warmSeconds } = duration;
  const all = [
    ...postEntrants(duration),
    {
      name: BARE,
      doesLess: BARE_LACKS,
      run: () => runBareRedis('add', 100_000 * Math.ceil(seconds), BODY_BYTES),
    },
    ...(await peersFor('add', 6_000 * seconds, BODY_BYTES)),
  ];
  const entrants = chosen(all, only, [PARSED]);
  const runs = await inTurns(entrants, rounds);
  const floors = Object.fromEntries(
    [
      ['of parsed', PARSED],
      ['of raw', RAW],
    ].filter(([, name]) => runs.has(name!)),
  );
  const command = `npm run bench -- post --rounds ${rounds} --seconds ${seconds} --warm ${warmSeconds}`;
  const table = entrantsTable(entrants, runs, floors);
  report(
    'post',
    `${command}\n\n${table}\n\n${generatorText(entrants, runs)}`,
    { command, runs: Object.fromEntries(runs) },
    {
      'post-rate': barPlot('Single posts of 1 KB', 'a second', rateBars(entrants, runs)),
      'post-latency': latencyPlot('Single posts of 1 KB, 64 connections', entrants, runs),
    },
  );
}

/** Those whose names hold one of the parts, and those whom the others are compared with. */
export function chosen(
  all: readonly Entrant[],
  only: readonly string[],
  floors: readonly string[],
): Entrant[] {
  if (only.length === 0) return [...all];
  return all.filter(({ name }) => floors.includes(name) || only.some((part) => name.includes(part)));
}

async function posts(target: Contestant, { seconds, warmSeconds }: Duration, archive: boolean): Promise<Run> {
  const load = { url: target.url + POST_PATH, connections: CONNECTIONS };
  const shot = (forSeconds: number) => {
    const what = { ...load, seconds: forSeconds };
    return archive ? runScript(what, ARCHIVE) : shoot({ ...what, body: bodyOf(BODY_BYTES) });
  };
  await shot(warmSeconds);
  const before = costsOf(target);
  const hits = await shot(seconds);
  return runOf(hits, costsEach(target, before, hits.requests));
}

const ARCHIVE = `
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["event-durability"] = "archive"
wrk.body = ${longString(bodyOf(BODY_BYTES))}
function done(summary, latency) report(summary, latency, summary.requests) end
`;
