/** What listeners cost that wait and have nothing to do: processor time of the service and of Redis, in percent of a core. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from '../test/support/api.js';
import { type Contestant, costsEach, costsOf, startEmbedded, startOnRedis } from './contestants.js';
import { report } from './measure/machine.js';
import { markdownTable } from './measure/stats.js';

/** Until all listeners wait, and what comes with a start is over. */
const CALM_MS = 5_000;
const WAIT_MS = 25_000;
const TYPES = 10;

export interface IdleOptions {
  readonly listeners: number;
  readonly seconds: number;
}

export async function benchIdle({ listeners, seconds }: IdleOptions): Promise<void> {
  const rows: string[][] = [];
  for (const [name, start] of [
    ['embedded', startEmbedded],
    ['Redis', startOnRedis],
  ] as const) {
    const contestant = await start();
    try {
      for (const count of [0, listeners]) {
        const [cores = {}] = await idleCosts(contestant, count, seconds, 1);
        const parts = Object.entries(cores).map(([process, share]) => `${process} ${percent(share)}`);
        rows.push([name, String(count), percent(sumOf(cores)), parts.join(', ')]);
        console.error(rows.at(-1)!.join('  '));
      }
    } finally {
      await contestant.stop();
    }
  }
  const command = `npm run bench -- idle --listeners ${listeners} --seconds ${seconds}`;
  const table = markdownTable(['store', 'waiting listeners', 'of a core', ''], rows);
  report('idle', `${command}\n\n${table}`, { command, rows });
}

/** Of one core, by process, so many times one after the other. */
export async function idleCosts(
  contestant: Contestant,
  listeners: number,
  seconds: number,
  times: number,
): Promise<Record<string, number>[]> {
  const api = new Api(contestant.url, Math.max(1, listeners));
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const wait = async (n: number) => {
    while (!ended.signal.aborted) {
      const body = { types: [`idle.${n % TYPES}`], waitMs: WAIT_MS };
      await api.call('POST', '/v1/leases', { body, signal: ended.signal });
    }
  };
  const waiting = Array.from({ length: listeners }, (_, n) => wait(n).catch(() => {}));
  try {
    await delay(CALM_MS);
    const all: Record<string, number>[] = [];
    while (all.length < times) {
      const before = costsOf(contestant);
      const began = performance.now();
      await delay(1_000 * seconds);
      all.push(costsEach(contestant, before, 1_000 * (performance.now() - began)));
    }
    return all;
  } finally {
    ended.abort();
    await Promise.all(waiting);
    await api.close();
  }
}

/** Of all processes together. */
export function sumOf(costs: Readonly<Record<string, number>>): number {
  return Object.values(costs).reduce((a, b) => a + b, 0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
