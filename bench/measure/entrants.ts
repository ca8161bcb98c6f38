/**
 * Several who do the same job, measured in turns: in each round every one of them once, each in fresh processes, so that the
 * machine's drift hits all alike and a ratio is of the same round. What an entrant does less than the service stands
 * beside its figures.
 */
import { type Bar, linePlot } from './plot.js';
import { markdownTable, ratiosOf, spreadOf, spreadText } from './stats.js';
import { type Hits, PERCENTILES } from './wrk.js';

export interface Run {
  readonly perSecond: number;
  /** Processor time for each event, by process. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** Latencies of single calls as in `PERCENTILES`, where they are known. */
  readonly percentilesMs: readonly number[] | null;
}

export interface Entrant {
  readonly name: string;
  /** Empty for the service itself. */
  readonly doesLess: string;
  run(): Promise<Run>;
}

export type Runs = ReadonlyMap<string, readonly Run[]>;

/** `onRound` hears when every entrant has run once more. */
export async function inTurns(
  entrants: readonly Entrant[],
  rounds: number,
  onRound: (runs: Runs) => void = () => {},
): Promise<Runs> {
  const runs = new Map<string, Run[]>(entrants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { name, run } of entrants) {
      const result = await run();
      runs.get(name)!.push(result);
      console.error(`${round}/${rounds} ${name}: ${result.perSecond.toFixed(0)}/s; ${costText([result])}`);
    }
    onRound(runs);
  }
  return runs;
}

/** wrk's figures beside what the called processes cost meanwhile. */
export function runOf(hits: Hits, costs: Readonly<Record<string, number>>): Run {
  const { perSecond, percentilesMs, generatorCpuUs } = hits;
  return { perSecond, percentilesMs, cpuUs: { ...costs, generator: generatorCpuUs } };
}

export function rates(runs: Runs, name: string): number[] {
  return runs.get(name)!.map(({ perSecond }) => perSecond);
}

/** `floors` are the names of those that all others are compared with, by the head of their column. */
export function entrantsTable(
  entrants: readonly Entrant[],
  runs: Runs,
  floors: Readonly<Record<string, string>>,
): string {
  const latencies = [...runs.values()].some(([first]) => first?.percentilesMs);
  const rows = entrants.map(({ name, doesLess }) => {
    const each = runs.get(name)!;
    const ratios = Object.values(floors).map((floor) =>
      spreadText(spreadOf(ratiosOf(rates(runs, name), rates(runs, floor))), 2),
    );
    const times = latencies ? [latencyText(each, 50), latencyText(each, 99)] : [];
    return [name, spreadText(spreadOf(rates(runs, name))), ...ratios, costText(each), ...times, doesLess];
  });
  const head = ['', 'a second', ...Object.keys(floors), 'CPU µs each'];
  const times = latencies ? ['p50 ms', 'p99 ms'] : [];
  return markdownTable([...head, ...times, 'does less'], rows);
}

/** Of a core, what the generator took: much less than 1 says that it could have done more. */
export function generatorText(entrants: readonly Entrant[], runs: Runs): string {
  const shares = entrants.flatMap(({ name }) => {
    const each = runs.get(name)!.filter(({ cpuUs }) => cpuUs['generator'] !== undefined);
    if (each.length === 0) return [];
    const share = spreadOf(each.map(({ cpuUs, perSecond }) => (cpuUs['generator']! * perSecond) / 1e6));
    return [`${name}: ${(100 * share.median).toFixed(0)} %`];
  });
  return `The generator's share of a core: ${shares.join('; ')}.`;
}

function costText(runs: readonly Run[]): string {
  const names = Object.keys(runs[0]?.cpuUs ?? {});
  return names
    .map((name) => `${name} ${spreadText(spreadOf(runs.map((run) => run.cpuUs[name]!)))}`)
    .join(', ');
}

function latencyText(runs: readonly Run[], percentile: (typeof PERCENTILES)[number]): string {
  const at = PERCENTILES.indexOf(percentile);
  const known = runs.flatMap(({ percentilesMs }) => (percentilesMs ? [percentilesMs[at]!] : []));
  return known.length === 0 ? '–' : spreadText(spreadOf(known), 1);
}

export function rateBars(entrants: readonly Entrant[], runs: Runs): Bar[] {
  return entrants.map(({ name }) => ({ name, value: spreadOf(rates(runs, name)) }));
}

/** Latency over how rare it is: one call of two, of ten, of a hundred, of a thousand. */
export function latencyPlot(title: string, entrants: readonly Entrant[], runs: Runs): string {
  const series = entrants.flatMap(({ name }) => {
    const each = runs.get(name)!.flatMap(({ percentilesMs }) => (percentilesMs ? [percentilesMs] : []));
    if (each.length === 0) return [];
    const points = PERCENTILES.map((percentile, at) => {
      const oneOf = 100 / (100 - percentile);
      return [oneOf, spreadOf(each.map((times) => times[at]!)).median] as const;
    });
    return [{ name, points }];
  });
  return linePlot(
    title,
    'the slowest of so many calls (2 is the median, 100 the 99th percentile)',
    'ms',
    series,
  );
}
