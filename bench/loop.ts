/**
 * The whole loop one by one: post, lease, complete, poll, four calls for every event, from 64 connections; beside a
 * quarter of what the empty handler takes, which is what four calls cannot go below.
 */
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
  TYPE,
} from './contestants.js';
import {
  type Entrant,
  entrantsTable,
  generatorText,
  inTurns,
  type Run,
  rateBars,
  runOf,
} from './measure/entrants.js';
import { report } from './measure/machine.js';
import { barPlot } from './measure/plot.js';
import { type Hits, type Load, longString, runScript, shoot } from './measure/wrk.js';
import {
  BODY_BYTES,
  CONNECTIONS,
  chosen,
  EMBEDDED,
  ON_REDIS,
  type PostOptions,
  REPLY_BYTES,
} from './post.js';

type Duration = Pick<PostOptions, 'seconds' | 'warmSeconds'>;

const FLOOR = 'a quarter of the empty Fastify handler';

export function loopEntrants(duration: Duration): Entrant[] {
  const by = (
    name: string,
    doesLess: string,
    start: () => Promise<Contestant>,
    work: (load: Load) => Promise<Hits>,
  ): Entrant => ({
    name,
    doesLess,
    run: async () => onceStopped(await start(), (target) => measure(target, work, duration)),
  });
  return [
    by(FLOOR, 'keeps nothing', () => startFloor('parsed', REPLY_BYTES), quarterOf),
    by(EMBEDDED, '', () => startEmbedded(), loops),
    by(ON_REDIS, '', () => startOnRedis(), loops),
  ];
}

export async function benchLoop({ rounds, only, ...duration }: PostOptions): Promise<void> {
  const entrants = chosen(loopEntrants(duration), only, [FLOOR]);
  const runs = await inTurns(entrants, rounds);
  const { seconds, warmSeconds } = duration;
  const command = `npm run bench -- loop --rounds ${rounds} --seconds ${seconds} --warm ${warmSeconds}`;
  report(
    'loop',
    `${command}\n\n${entrantsTable(entrants, runs, { 'of the quarter': FLOOR })}\n\n${generatorText(entrants, runs)}`,
    { command, runs: Object.fromEntries(runs) },
    { loop: barPlot('Post, lease, complete, poll, one by one', 'a second', rateBars(entrants, runs)) },
  );
}

async function measure(
  target: Contestant,
  work: (load: Load) => Promise<Hits>,
  { seconds, warmSeconds }: Duration,
): Promise<Run> {
  const load = { url: target.url, connections: CONNECTIONS };
  await work({ ...load, seconds: warmSeconds });
  const before = costsOf(target);
  const hits = await work({ ...load, seconds });
  // The latencies are those of one of four calls, whichever it was.
  return { ...runOf(hits, costsEach(target, before, hits.requests)), percentilesMs: null };
}

async function quarterOf(load: Load): Promise<Hits> {
  const hits = await shoot({ ...load, url: load.url + POST_PATH, body: bodyOf(BODY_BYTES) });
  const { requests, perSecond, generatorCpuUs } = hits;
  return { ...hits, requests: requests / 4, perSecond: perSecond / 4, generatorCpuUs: 4 * generatorCpuUs };
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
