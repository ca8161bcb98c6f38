/** Load by wrk: one POST, again and again, from many connections; or a script that says what to ask for next. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface Shot extends Load {
  readonly body: string;
}

export interface Hits {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
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
    const { stdout } = await run('wrk', args);
    return hitsOf(stdout);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const REPORT = `
function report(summary, latency, count)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("hits %d %d %d %d %d\\n", count, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
`;

export function longString(text: string): string {
  if (text.includes(']==]') || text.startsWith('\n')) throw new Error('not a body for a Lua long string');
  return `[==[${text}]==]`;
}

function hitsOf(output: string): Hits {
  const [, requests, durationUs, p50Us, p99Us, bad] =
    /^hits (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(output)?.map(Number) ?? [];
  if (requests === undefined || bad !== 0) throw new Error(`wrk: ${bad} requests failed\n${output}`);
  return {
    requests,
    perSecond: requests / (durationUs! / 1e6),
    p50Ms: p50Us! / 1_000,
    p99Ms: p99Us! / 1_000,
  };
}
