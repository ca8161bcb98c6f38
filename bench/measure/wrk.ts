/** Load by wrk: one POST, again and again, from many connections; or a script that says what to ask for next. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endedChildrenCpuUs } from './process-cost.js';

const run = promisify(execFile);

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface Shot extends Load {
  readonly body: string;
}

/** Of a hundred, as latencies are reported. */
export const PERCENTILES = [50, 90, 99, 99.9] as const;

export interface Hits {
  readonly requests: number;
  readonly perSecond: number;
  /** Latencies of single calls, in the order of `PERCENTILES`. */
  readonly percentilesMs: readonly number[];
  /** Processor time of wrk itself for each. */
  readonly generatorCpuUs: number;
}

/** Rejects when a request failed: figures of failures say nothing. */
export function shoot(shot: Shot): Promise<Hits> {
  return runScript(
    shot,
    `
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = ${longString(shot.body)}
function done(summary, latency) report(summary, latency, summary.requests) end
`,
  );
}

/**
 * wrk with a script whose `done` calls `report(summary, latency, count)`: `count` is what `requests` and `perSecond` are of.
 * The figures come as one line of their own: wrk's report is for people and rounds them.
 */
export async function runScript({ url, connections, seconds }: Load, script: string): Promise<Hits> {
  const dir = await mkdtemp(join(tmpdir(), 'clockwork-wrk-'));
  try {
    const path = join(dir, 'load.lua');
    await writeFile(path, REPORT + script);
    const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', path, url];
    const before = endedChildrenCpuUs();
    const { stdout } = await run('wrk', args);
    return hitsOf(stdout, endedChildrenCpuUs() - before);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const REPORT = `
function report(summary, latency, count)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("hits %d %d %d ${PERCENTILES.map(() => '%d').join(' ')}\\n", count, summary.duration, bad,
    ${PERCENTILES.map((each) => `latency:percentile(${each})`).join(', ')}))
end
`;

export function longString(text: string): string {
  if (text.includes(']==]') || text.startsWith('\n')) throw new Error('not a body for a Lua long string');
  return `[==[${text}]==]`;
}

/** From what wrk has written with `report`. */
export function hitsOf(output: string, cpuUs: number): Hits {
  const line = /^hits ([\d ]+)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk has reported nothing:\n${output}`);
  const [requests, durationUs, bad, ...percentilesUs] = line.split(' ').map(Number);
  if (bad !== 0) throw new Error(`wrk: ${bad} requests failed\n${output}`);
  return {
    requests: requests!,
    perSecond: requests! / (durationUs! / 1e6),
    percentilesMs: percentilesUs.map((us) => us / 1_000),
    generatorCpuUs: cpuUs / requests!,
  };
}
