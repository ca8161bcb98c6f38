/**
 * How soon somebody who waits hears: from the moment that a submit is sent to the reply of a lease call that waits for it,
 * and from the moment that a completion is sent to the reply of a poll that waits for that; posts at a steady rate. Beside
 * two round trips to the empty handler, one after the other, at the same rate: what a submit and a lease cannot go below.
 *
 * Sender and waiters are one process with one clock. Its own processor time is in every figure, the floor's too.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from '../test/support/api.js';
import {
  bodyOf,
  type Contestant,
  onceStopped,
  POST_PATH,
  startEmbedded,
  startFloor,
  startOnRedis,
  TYPE,
} from './contestants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { markdownTable, percentile, ratiosOf, spreadOf, spreadText } from './measure/stats.js';

const BODY_BYTES = 1_024;
const REPLY_BYTES = 420;
const WAITERS = 32;
const WAIT_MS = 5_000;

export interface WakeOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Posts a second. */
  readonly rates: readonly number[];
}

/** In ms, ascending. */
export type Times = readonly number[];

interface Run {
  readonly medianMs: number;
  readonly p99Ms: number;
}

const FLOOR = 'two round trips to the empty handler';

const STARTS: Readonly<Record<string, () => Promise<Contestant>>> = {
  embedded: () => startEmbedded(),
  Redis: () => startOnRedis(),
};

export async function benchWake({ rounds, seconds, rates }: WakeOptions): Promise<void> {
  const runs = new Map<string, Run[]>();
  const note = (rate: number, name: string, times: Times) => {
    const run = { medianMs: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
    const key = `${rate} ${name}`;
    runs.set(key, [...(runs.get(key) ?? []), run]);
    console.error(`${key}: median ${run.medianMs.toFixed(2)} ms, p99 ${run.p99Ms.toFixed(2)} ms`);
  };
  for (let round = 1; round <= rounds; round += 1) {
    for (const rate of rates) {
      note(rate, FLOOR, await floorWake(rate, seconds));
      for (const name of Object.keys(STARTS)) {
        const { leases, polls } = await serviceWake(name, rate, seconds);
        note(rate, `${name}, lease`, leases);
        note(rate, `${name}, poll`, polls);
      }
    }
  }
  const command = `npm run bench -- wake --rounds ${rounds} --seconds ${seconds} --rates ${rates.join(',')}`;
  const bars = (rate: number, value: (run: Run) => number) =>
    [...runs]
      .filter(([key]) => key.startsWith(`${rate} `))
      .map(([key, each]) => ({ name: key.slice(`${rate} `.length), value: spreadOf(each.map(value)) }));
  const plots = rates.flatMap((rate) => [
    [
      `wake-${rate}-median`,
      barPlot(
        `Wake-ups at ${rate} posts a second, median`,
        'ms',
        bars(rate, ({ medianMs }) => medianMs),
      ),
    ],
    [
      `wake-${rate}-p99`,
      barPlot(
        `Wake-ups at ${rate} posts a second, 99th percentile`,
        'ms',
        bars(rate, ({ p99Ms }) => p99Ms),
      ),
    ],
  ]);
  const json = { command, runs: Object.fromEntries(runs) };
  report('wake', `${command}\n\n${tableOf(rates, runs)}`, json, Object.fromEntries(plots));
}

/** Two round trips to an empty handler, at such a rate. */
export async function floorWake(rate: number, seconds: number): Promise<Times> {
  return onceStopped(await startFloor('parsed', REPLY_BYTES), ({ url }) => roundTrips(url, rate, seconds));
}

export async function serviceWake(
  name: string,
  rate: number,
  seconds: number,
): Promise<{ leases: Times; polls: Times }> {
  return onceStopped(await STARTS[name]!(), ({ url }) => wakes(url, rate, seconds));
}

/** Calls `send` so often, whatever becomes of the calls before, for so long; resolves when all have ended. */
async function steadily(rate: number, seconds: number, send: () => Promise<void>): Promise<void> {
  const count = Math.round(rate * seconds);
  const sent: Promise<void>[] = [];
  const began = performance.now();
  while (sent.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - began) / 1_000) * rate) + 1);
    while (sent.length < due) sent.push(send());
    await delay(1);
  }
  await Promise.all(sent);
}

/** The first second is for the compiler. */
async function measured(
  rate: number,
  seconds: number,
  send: (keep: (ms: number) => void) => Promise<void>,
): Promise<Times> {
  const times: number[] = [];
  await steadily(rate, 1, () => send(() => {}));
  await steadily(rate, seconds, () => send((ms) => times.push(ms)));
  return times.sort((a, b) => a - b);
}

async function roundTrips(url: string, rate: number, seconds: number): Promise<Times> {
  const api = new Api(url, 2 * WAITERS);
  const call = { body: bodyOf(BODY_BYTES), headers: { 'content-type': 'application/json' } };
  try {
    return await measured(rate, seconds, async (keep) => {
      const began = performance.now();
      await api.call('POST', POST_PATH, call);
      await api.call('POST', POST_PATH, call);
      keep(performance.now() - began);
    });
  } finally {
    await api.close();
  }
}

interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string; readonly headers: readonly (readonly [string, string])[] };
}

async function wakes(url: string, rate: number, seconds: number): Promise<{ leases: Times; polls: Times }> {
  const posts = new Api(url, 2 * WAITERS);
  const polls = new Api(url, 256);
  const listeners = new Api(url, 2 * WAITERS);
  const completedAt = new Map<string, number>();
  const polled: number[] = [];
  const sentAt: number[] = [];
  const leased: number[] = [];
  let going = true;
  let counting = false;

  /** The request says in a header which one it is: the clock is this process's own. */
  const post = async () => {
    const counts = counting;
    const n = sentAt.push(performance.now()) - 1;
    const headers = { 'content-type': 'application/json', 'x-sent': String(n) };
    const reply = await posts.call('POST', POST_PATH, { body: bodyOf(BODY_BYTES), headers });
    const { id } = reply.json<{ id: string }>();
    await polls.call('GET', `/v1/events/${id}`, { headers: { prefer: 'wait=20' } });
    const at = completedAt.get(id);
    if (counts && at !== undefined) polled.push(performance.now() - at);
  };
  const listen = async () => {
    while (going) {
      const ask = { body: { types: [TYPE], waitMs: WAIT_MS } };
      const reply = await listeners.call('POST', '/v1/leases', ask);
      const now = performance.now();
      const [lease] = reply.json<{ leases: LeaseBody[] }>().leases;
      if (!lease) continue;
      const n = Number(lease.event.headers.find(([name]) => name === 'x-sent')![1]);
      if (counting) leased.push(now - sentAt[n]!);
      completedAt.set(lease.event.id, performance.now());
      await listeners.call('PUT', `/v1/attempts/${lease.attemptId}/completion`, {
        body: { outcome: 'success' },
        headers: { 'lease-token': lease.token },
      });
    }
  };
  const waiting = Array.from({ length: WAITERS }, listen);
  try {
    await steadily(rate, 1, post);
    counting = true;
    await steadily(rate, seconds, post);
  } finally {
    going = false;
    await Promise.all(waiting);
    await Promise.all([posts.close(), polls.close(), listeners.close()]);
  }
  const ascending = (times: number[]) => times.sort((a, b) => a - b);
  return { leases: ascending(leased), polls: ascending(polled) };
}

function tableOf(rates: readonly number[], runs: ReadonlyMap<string, readonly Run[]>): string {
  const rows = rates.flatMap((rate) => {
    const of = (name: string) => {
      const each = runs.get(`${rate} ${name}`)!;
      return { median: each.map(({ medianMs }) => medianMs), p99: each.map(({ p99Ms }) => p99Ms) };
    };
    const floor = of(FLOOR);
    const names = [FLOOR, ...Object.keys(STARTS).flatMap((name) => [`${name}, lease`, `${name}, poll`])];
    return names.map((name) => {
      const { median, p99 } = of(name);
      const ratio = (its: Times, floors: Times) => spreadText(spreadOf(ratiosOf(its, floors)), 2);
      const ratios = [ratio(median, floor.median), ratio(p99, floor.p99)];
      return [String(rate), name, spreadText(spreadOf(median), 2), spreadText(spreadOf(p99), 2), ...ratios];
    });
  });
  return markdownTable(['posts/s', '', 'median ms', 'p99 ms', 'of the floor’s median', 'of its p99'], rows);
}
