/**
 * Single posts beside the floor: wrk with 64 connections posts 1 KB of JSON to Fastify with an empty handler, to
 * the service on the embedded store and to the service on Redis, in turns, each time to a fresh process. What
 * counts is the ratio within one run; figures of different days or machines do not compare.
 */
import {
  bodyOf,
  type Contestant,
  costsOf,
  POST_PATH,
  startEmbedded,
  startFloor,
  startOnRedis,
} from './contestants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { markdownTable, type Spread, spreadOf, spreadText } from './measure/stats.js';
import { type Hits, shoot } from './measure/wrk.js';

const CONNECTIONS = 64;
const BODY_BYTES = 1_024;

interface Run extends Hits {
  /** Processor time of each process for one post. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

type Start = (replyBytes: number) => Promise<Contestant>;

const TARGETS: Readonly<Record<string, Start>> = {
  'empty Fastify handler, JSON parsed': (replyBytes) => startFloor('parsed', replyBytes),
  'empty Fastify handler, raw bytes': (replyBytes) => startFloor('raw', replyBytes),
  'embedded store, file log': () => startEmbedded(),
  'Redis (AOF everysec), file log': () => startOnRedis(),
};

export interface PostOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Before each measurement, for the compiler to have seen the code at work. */
  readonly warmSeconds: number;
}

export async function benchPost({ rounds, seconds, warmSeconds }: PostOptions): Promise<void> {
  const body = bodyOf(BODY_BYTES);
  const replyBytes = await sizeOfReceipt(body);
  const runs: Record<string, Run[]> = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, start] of Object.entries(TARGETS)) {
      const run = await runOnce(await start(replyBytes), body, seconds, warmSeconds);
      runs[name] = [...(runs[name] ?? []), run];
      console.error(`${round + 1}/${rounds} ${name}: ${run.perSecond.toFixed(0)}/s`);
    }
  }
  const command = `npm run bench -- post --rounds ${rounds} --seconds ${seconds} --warm ${warmSeconds}`;
  const markdown = `${command}; reply ${replyBytes} bytes\n\n${tableOf(runs)}`;
  report('post', markdown, { command, replyBytes, runs }, plotsOf(runs));
}

async function runOnce(target: Contestant, body: string, seconds: number, warmSeconds: number): Promise<Run> {
  const shot = { url: target.url + POST_PATH, body, connections: CONNECTIONS };
  try {
    await shoot({ ...shot, seconds: warmSeconds });
    const before = costsOf(target);
    const hits = await shoot({ ...shot, seconds });
    const after = costsOf(target);
    const each = Object.keys(after).map((name) => [name, (after[name]! - before[name]!) / hits.requests]);
    return { ...hits, cpuUs: Object.fromEntries(each) };
  } finally {
    await target.stop();
  }
}

function tableOf(runs: Readonly<Record<string, readonly Run[]>>): string {
  const [parsed, raw] = Object.values(runs).map((each) => spreadOf(each.map(({ perSecond }) => perSecond)));
  const rows = Object.entries(runs).map(([name, each]) => {
    const perSecond = spreadOf(each.map((run) => run.perSecond));
    return [
      name,
      spreadText(perSecond),
      ratio(perSecond, parsed!),
      ratio(perSecond, raw!),
      cpuText(each),
      spreadText(spreadOf(each.map((run) => run.p50Ms)), 1),
      spreadText(spreadOf(each.map((run) => run.p99Ms)), 1),
    ];
  });
  const head = ['', 'posts/s', 'of parsed', 'of raw', 'CPU µs a post', 'p50 ms', 'p99 ms'];
  return markdownTable(head, rows);
}

function plotsOf(runs: Readonly<Record<string, readonly Run[]>>): Record<string, string> {
  const bars = (value: (run: Run) => number) =>
    Object.entries(runs).map(([name, each]) => ({ name, value: spreadOf(each.map(value)) }));
  return {
    'post-rate': barPlot(
      'Single posts of 1 KB, 64 connections',
      'a second',
      bars(({ perSecond }) => perSecond),
    ),
    'post-p50': barPlot(
      'Single posts, median',
      'ms',
      bars(({ p50Ms }) => p50Ms),
    ),
    'post-p99': barPlot(
      'Single posts, 99th percentile',
      'ms',
      bars(({ p99Ms }) => p99Ms),
    ),
  };
}

function ratio(a: Spread, b: Spread): string {
  return (a.median / b.median).toFixed(2);
}

function cpuText(runs: readonly Run[]): string {
  const names = Object.keys(runs[0]?.cpuUs ?? {});
  const texts = names.map((name) => `${name} ${spreadText(spreadOf(runs.map((run) => run.cpuUs[name]!)))}`);
  return texts.join(', ');
}

async function sizeOfReceipt(body: string): Promise<number> {
  const target = await startEmbedded();
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(target.url + POST_PATH, { method: 'POST', headers, body });
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
    return (await response.arrayBuffer()).byteLength;
  } finally {
    await target.stop();
  }
}
