/**
 * Every target in one run: what it is made of is measured, in turns and in fresh processes, and judged in one table. What
 * is compared is of the same round.
 */
import { type ArchiveRun, archiveRun } from './archive.js';
import { bulkPair, ON_REDIS as IN_BULK, PEER } from './bulk.js';
import { pendingBytes } from './bytes.js';
import { onceStopped, startEmbedded, startOnRedis } from './contestants.js';
import { FilledRedis } from './depth.js';
import { idleCosts, sumOf } from './idle.js';
import { loopEntrants } from './loop.js';
import { entrantsTable, generatorText, inTurns, type Runs, rates } from './measure/entrants.js';
import { report } from './measure/machine.js';
import { percentile, ratiosOf, spreadOf } from './measure/stats.js';
import { type Target, targetsTable } from './measure/targets-table.js';
import { EMBEDDED, ON_REDIS, PARSED, postEntrants } from './post.js';
import { floorWake, serviceWake, type Times } from './wake.js';

export interface TargetsOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  /** In bulk. */
  readonly events: number;
  readonly depths: readonly number[];
  /** Parts of names; all when empty. */
  readonly only: readonly string[];
}

interface Outcome {
  readonly targets: readonly Target[];
  /** What the targets were made of, for people and for programs. */
  readonly tables: readonly string[];
  readonly json: unknown;
}

type Measure = (options: TargetsOptions) => Promise<Outcome>;

const WAKE_RATE = 200;
const LISTENERS = 1_000;
const S3_MS = 50;
const DEPTH_CALLS = 80;
const DEPTH_BLOCKS = 9;

const PARTS: Readonly<Record<string, Measure>> = {
  post: posts,
  bulk,
  loop,
  wake,
  depth,
  bytes,
  archive,
  idle,
};

export async function benchTargets(options: TargetsOptions): Promise<void> {
  const { only, rounds } = options;
  const wanted = Object.keys(PARTS).filter((name) => only.length === 0 || only.includes(name));
  if (wanted.length === 0) throw new Error(`--only takes ${Object.keys(PARTS).join(', ')}`);
  const outcomes: Outcome[] = [];
  for (const name of wanted) {
    const began = performance.now();
    const outcome = await PARTS[name]!(options);
    outcomes.push(outcome);
    const seconds = (performance.now() - began) / 1_000;
    console.error(`\n${name}, ${seconds.toFixed(0)} s:\n${targetsTable(outcome.targets)}\n`);
  }
  const more = only.length > 0 ? ` --only ${only.join(',')}` : '';
  const command = `npm run bench -- targets --rounds ${rounds}${more}`;
  const targets = outcomes.flatMap((outcome) => outcome.targets);
  const texts = [...outcomes.flatMap(({ tables }) => tables), targetsTable(targets)];
  const json = Object.fromEntries(wanted.map((name, at) => [name, outcomes[at]!.json]));
  report('targets', [command, ...texts].join('\n\n'), { command, options, targets, ...json });
}

async function posts(options: TargetsOptions): Promise<Outcome> {
  const entrants = postEntrants(options).filter(({ name }) => [PARSED, EMBEDDED, ON_REDIS].includes(name));
  const runs = await inTurns(entrants, options.rounds);
  const of = (name: string) => ratiosOf(rates(runs, name), rates(runs, PARSED));
  return {
    targets: [
      {
        what: 'single POST on Redis, of the empty handler',
        values: of(ON_REDIS),
        more: true,
        atLeast: 0.65,
        goal: 0.8,
      },
      {
        what: 'single POST embedded, of the same',
        values: of(EMBEDDED),
        more: true,
        atLeast: 0.65,
        goal: 0.85,
      },
    ],
    tables: [entrantsTable(entrants, runs, { 'of the handler': PARSED }), generatorText(entrants, runs)],
    json: Object.fromEntries(runs),
  };
}

async function loop(options: TargetsOptions): Promise<Outcome> {
  const entrants = loopEntrants(options);
  const runs = await inTurns(entrants, options.rounds);
  const [quarter, ...stores] = entrants.map(({ name }) => name);
  return {
    targets: stores.map((name) => ({
      what: `whole loop one by one, ${name}, of a quarter of the empty handler`,
      values: ratiosOf(rates(runs, name), rates(runs, quarter!)),
      more: true,
      atLeast: 0.6,
      goal: 0.75,
    })),
    tables: [entrantsTable(entrants, runs, { 'of the quarter': quarter! }), generatorText(entrants, runs)],
    json: Object.fromEntries(runs),
  };
}

async function bulk({ rounds, events }: TargetsOptions): Promise<Outcome> {
  const pairs = { submit: bulkPair('submit', events), complete: bulkPair('complete', events) };
  const runs: Runs = await inTurns([...pairs.submit, ...pairs.complete].map(named(pairs)), rounds);
  const of = (does: keyof typeof pairs) =>
    ratiosOf(rates(runs, `${does}: ${IN_BULK}`), rates(runs, `${does}: ${PEER[does]}`));
  const tables = (['submit', 'complete'] as const).flatMap((does) => {
    const entrants = pairs[does].map(named(pairs));
    return [
      entrantsTable(entrants, runs, { 'of BullMQ': `${does}: ${PEER[does]}` }),
      generatorText(entrants, runs),
    ];
  });
  return {
    targets: [
      {
        what: 'bulk submit on Redis, of BullMQ `addBulk`',
        values: of('submit'),
        more: true,
        atLeast: 2,
        goal: 3,
        unit: '×',
      },
      {
        what: 'lease and complete in bulk on Redis, of BullMQ’s worker',
        values: of('complete'),
        more: true,
        atLeast: 1.5,
        goal: 2.5,
        unit: '×',
      },
    ],
    tables,
    json: Object.fromEntries(runs),
  };
}

/** Both pairs have one of the same name. */
function named(pairs: Readonly<Record<string, ReturnType<typeof bulkPair>>>) {
  return (entrant: ReturnType<typeof bulkPair>[number]) => {
    const does = Object.keys(pairs).find((each) => pairs[each]!.includes(entrant));
    return { ...entrant, name: `${does}: ${entrant.name}` };
  };
}

async function wake({ rounds, seconds }: TargetsOptions): Promise<Outcome> {
  const times: Record<string, Times[]> = { floor: [], Redis: [], embedded: [] };
  const forSeconds = Math.max(seconds, 4);
  for (let round = 1; round <= rounds; round += 1) {
    times['floor']!.push(await floorWake(WAKE_RATE, forSeconds));
    for (const name of ['Redis', 'embedded'])
      times[name]!.push((await serviceWake(name, WAKE_RATE, forSeconds)).leases);
    console.error(`${round}/${rounds} wake`);
  }
  const at = (name: string, share: number) => times[name]!.map((each) => percentile(each, share));
  const target = (name: string, share: number, said: string, atLeast: number, goal: number): Target => ({
    what: `wake-up of a waiting lease at ${WAKE_RATE}/s, ${name}, ${said}, of two empty round trips`,
    values: ratiosOf(at(name, share), at('floor', share)),
    more: false,
    atLeast,
    goal,
    unit: '×',
  });
  const targets = ['Redis', 'embedded'].flatMap((name) => [
    target(name, 0.5, 'median', 2, 1.3),
    target(name, 0.99, 'p99', 5, 3),
  ]);
  const json = Object.keys(times).map((name) => ({ name, p50Ms: at(name, 0.5), p99Ms: at(name, 0.99) }));
  const lines = json.map(({ name, p50Ms, p99Ms }) => `${name}: ${textOf(p50Ms)} ms, p99 ${textOf(p99Ms)} ms`);
  return { targets, tables: [`Wake-ups by round, medians: ${lines.join('; ')}`], json };
}

function textOf(values: readonly number[]): string {
  return values.map((value) => value.toFixed(2)).join(' ');
}

/** Both are filled once, and measured in turns: each time as many events are put in as are taken out. */
async function depth({ rounds, depths }: TargetsOptions): Promise<Outcome> {
  const [few, many] = [Math.min(...depths), Math.max(...depths)];
  const shallow = await FilledRedis.start(few);
  const us: [few: number, many: number][] = [];
  try {
    const deep = await FilledRedis.start(many);
    try {
      for (let round = 1; round <= rounds; round += 1) {
        us.push(await inBlocks(shallow, deep));
        const said = us
          .at(-1)!
          .map((each) => each.toFixed(0))
          .join(' and ');
        console.error(`${round}/${rounds} depth: ${said} µs`);
      }
    } finally {
      await deep.stop();
    }
  } finally {
    await shallow.stop();
  }
  const values = us.map(([atFew, atMany]) => atMany / atFew);
  const what = `Redis CPU of a lease and complete with ${many} pending, of that with ${few}`;
  return {
    targets: [{ what, values, more: false, atLeast: 1.15, goal: 1.05, unit: '×' }],
    tables: [
      `Scripts of a lease and complete, µs with ${few} and ${many}: ${us.map((each) => textOf(each)).join('; ')}`,
    ],
    json: { few, many, us },
  };
}

/** A few calls here, a few there, and the medians of that: something else on the machine hits both, or a few blocks. */
async function inBlocks(shallow: FilledRedis, deep: FilledRedis): Promise<[few: number, many: number]> {
  const count = 1.25 * DEPTH_CALLS * DEPTH_BLOCKS;
  for (const each of [shallow, deep]) await each.refill(count);
  const [few, many]: [number[], number[]] = [[], []];
  while (many.length < DEPTH_BLOCKS) {
    few.push(await shallow.leaseAndCompleteUs(DEPTH_CALLS));
    many.push(await deep.leaseAndCompleteUs(DEPTH_CALLS));
  }
  return [spreadOf(few).median, spreadOf(many).median];
}

async function bytes({ rounds, events }: TargetsOptions): Promise<Outcome> {
  const values: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const { used, envelope } = await pendingBytes(1_000 * Math.ceil(events / 1_000));
    values.push(used - envelope);
    console.error(`${round}/${rounds} bytes: ${values.at(-1)!.toFixed(1)}`);
  }
  const what = 'Redis bytes of a pending 1 KB event beyond its envelope';
  return {
    targets: [{ what, values, more: false, atLeast: 350, goal: 250, unit: ' bytes' }],
    tables: [],
    json: values,
  };
}

async function archive({ rounds, events }: TargetsOptions): Promise<Outcome> {
  const runs: ArchiveRun[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    runs.push(await archiveRun(S3_MS, 100 * Math.ceil(events / 65), round));
    console.error(`${round}/${rounds} archive: ${JSON.stringify(runs.at(-1))}`);
  }
  const said = `\`archive\` with an S3 of ${S3_MS} ms`;
  return {
    targets: [
      {
        what: `${said}, single POST from 64 connections, p99`,
        values: runs.map(({ postP99Ms }) => postP99Ms),
        more: false,
        atLeast: 600,
        goal: 400,
        unit: ' ms',
      },
      {
        what: `${said}, bulk, of \`store\``,
        values: runs.map(({ bulkPerSecond }) => bulkPerSecond.archive / bulkPerSecond.store),
        more: true,
        atLeast: 0.8,
        goal: 0.95,
      },
    ],
    tables: [],
    json: runs,
  };
}

/** The rounds are one after the other of the same listeners, who wait all the time. */
async function idle({ rounds, seconds }: TargetsOptions): Promise<Outcome> {
  const targets: Target[] = [];
  const json: Record<string, unknown> = {};
  for (const [name, start] of Object.entries({ Redis: startOnRedis, embedded: startEmbedded })) {
    const costs = await onceStopped(await start(), (contestant) =>
      idleCosts(contestant, LISTENERS, 2 * seconds, rounds),
    );
    const what = `${LISTENERS} waiting listeners, idle, ${name}: service and Redis, of a core`;
    const values = costs.map((each) => 100 * sumOf(each));
    targets.push({ what, values, more: false, atLeast: 5, goal: 2, unit: ' %' });
    json[name] = costs;
  }
  return { targets, tables: [], json };
}
