/**
 * The whole loop one by one: post, lease, complete, poll, four calls for every event, from 64 connections; beside a
 * quarter of what the empty handler takes, which is what four calls cannot go below.
 */
import {
  bodyOf,
  type Contestant,
  costsOf,
  POST_PATH,
  startEmbedded,
  startFloor,
  startOnRedis,
  TYPE,
} from './contestants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { markdownTable, spreadOf, spreadText } from './measure/stats.js';
import { type Hits, type Load, longString, runScript, shoot } from './measure/wrk.js';

const CONNECTIONS = 64;
const BODY_BYTES = 1_024;
const REPLY_BYTES = 420;

export interface LoopOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
}

interface Run extends Hits {
  /** Processor time of each process for one event. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

const FLOOR = 'a quarter of the empty Fastify handler';

interface Way {
  readonly start: () => Promise<Contestant>;
  readonly work: (load: Load) => Promise<Hits>;
}

const WAYS: Readonly<Record<string, Way>> = {
  [FLOOR]: { start: () => startFloor('parsed', REPLY_BYTES), work: quarterOf },
  'embedded store, file log': { start: () => startEmbedded(), work: loops },
  'Redis (AOF everysec), file log': { start: () => startOnRedis(), work: loops },
};

export async function benchLoop({ rounds, seconds, warmSeconds }: LoopOptions): Promise<void> {
  const runs: Record<string, Run[]> = {};
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, way] of Object.entries(WAYS)) {
      const run = await runOnce(way, seconds, warmSeconds);
      runs[name] = [...(runs[name] ?? []), run];
      console.error(`${round}/${rounds} ${name}: ${run.perSecond.toFixed(0)}/s`);
    }
  }
  const command = `npm run bench -- loop --rounds ${rounds} --seconds ${seconds} --warm ${warmSeconds}`;
  const bars = Object.entries(runs).map(([name, each]) => ({
    name,
    value: spreadOf(each.map(({ perSecond }) => perSecond)),
  }));
  report(
    'loop',
    `${command}\n\n${tableOf(runs)}`,
    { command, runs },
    { loop: barPlot('Post, lease, complete, poll, one by one', 'events a second', bars) },
  );
}

async function runOnce({ start, work }: Way, seconds: number, warmSeconds: number): Promise<Run> {
  const contestant = await start();
  const load = { url: contestant.url, connections: CONNECTIONS };
  try {
    await work({ ...load, seconds: warmSeconds });
    const before = costsOf(contestant);
    const hits = await work({ ...load, seconds });
    const after = costsOf(contestant);
    const each = Object.keys(after).map((name) => [name, (after[name]! - before[name]!) / hits.requests]);
    return { ...hits, cpuUs: Object.fromEntries(each) };
  } finally {
    await contestant.stop();
  }
}

async function quarterOf(load: Load): Promise<Hits> {
  const hits = await shoot({ ...load, url: load.url + POST_PATH, body: bodyOf(BODY_BYTES) });
  return { ...hits, requests: hits.requests / 4, perSecond: hits.perSecond / 4 };
}

function loops(load: Load): Promise<Hits> {
  return runScript(load, LOOP);
}

/**
 * What comes next is what is nearest to an end, so that loops are finished before others begin: a poll for what is
 * complete, a completion of what is leased, a lease of what is posted, else a post. Replies are told apart by a member
 * that only they have. A lease may come back empty when others were quicker.
 */
const LOOP = `
local json = {["content-type"] = "application/json"}
local order = ${longString(bodyOf(BODY_BYTES))}
local ask = '{"types":["${TYPE}"]}'
local posted, leased, completed = 0, {}, {}
loops = 0

function setup(thread) only = thread end

function request()
  local id = table.remove(completed)
  if id then return wrk.format("GET", "/v1/events/" .. id) end
  local lease = table.remove(leased)
  if lease then
    local headers = {["content-type"] = "application/json", ["lease-token"] = lease.token}
    return wrk.format("PUT", "/v1/attempts/" .. lease.attempt .. "/completion", headers, '{"outcome":"success"}')
  end
  if posted > 0 then
    posted = posted - 1
    return wrk.format("POST", "/v1/leases", json, ask)
  end
  return wrk.format("POST", "${POST_PATH}", json, order)
end

function response(status, headers, body)
  if body:find('"leases":', 1, true) then
    local attempt = body:match('"attemptId":"([^"]+)"')
    if attempt then leased[#leased + 1] = {attempt = attempt, token = body:match('"token":"([^"]+)"')} end
  elseif body:find('"durable":', 1, true) then posted = posted + 1
  elseif body:find('"retryAt":', 1, true) then completed[#completed + 1] = body:match('"id":"([^"]+)"')
  else loops = loops + 1 end
end

function done(summary, latency) report(summary, latency, only:get("loops")) end
`;

function tableOf(runs: Readonly<Record<string, readonly Run[]>>): string {
  const floor = spreadOf(runs[FLOOR]!.map(({ perSecond }) => perSecond)).median;
  const rows = Object.entries(runs).map(([name, each]) => {
    const perSecond = spreadOf(each.map((run) => run.perSecond));
    const costs = Object.keys(each[0]!.cpuUs).map(
      (process) => `${process} ${spreadOf(each.map((run) => run.cpuUs[process]!)).median.toFixed(0)}`,
    );
    return [name, spreadText(perSecond), (perSecond.median / floor).toFixed(2), costs.join(', ')];
  });
  return markdownTable(['', 'events/s, whole loop', 'of the quarter', 'CPU µs an event'], rows);
}
