/** The measurements' own arithmetic: medians, ratios of one round, wrk's figures, who runs when, and what a target is judged by. */
import t from 'tap';
import {
  type Entrant,
  entrantsTable,
  generatorText,
  inTurns,
  latencyPlot,
} from '../../bench/measure/entrants.js';
import { cpuUs, endedChildrenCpuUs } from '../../bench/measure/process-cost.js';
import { percentile, ratiosOf, spreadOf, spreadText } from '../../bench/measure/stats.js';
import { type Target, targetsTable, verdictOf } from '../../bench/measure/targets-table.js';
import { hitsOf } from '../../bench/measure/wrk.js';
import { tooOld } from '../../bench/peers.js';

t.test('a median is the middle one, and the mean of the two in the middle', async (t) => {
  t.same(spreadOf([5, 1, 3]), { median: 3, min: 1, max: 5 });
  t.same(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
  t.equal(spreadText({ median: 2.5, min: 1, max: 4 }, 1), '2.5 (1.0–4.0)');
  t.equal(percentile([0, 10, 20, 30, 40], 0.99), 39.6);
});

t.test('a ratio is of the same round: a machine that slows down changes nothing', async (t) => {
  t.same(ratiosOf([50, 25, 10], [100, 50, 20]), [0.5, 0.5, 0.5]);
  t.same(ratiosOf([50, 25], [100]), [0.5], 'a round that the other has not run yet does not count');
});

t.test('what wrk has written is read, beside what it writes for people', async (t) => {
  const output = 'Running 2s test\nhits 20000 2000000 0 1500 4000 9000 12500\nRequests/sec: 9999.1\n';
  t.same(hitsOf(output, 500_000), {
    requests: 20_000,
    perSecond: 10_000,
    percentilesMs: [1.5, 4, 9, 12.5],
    generatorCpuUs: 25,
  });
  t.throws(() => hitsOf('hits 20000 2000000 3 1 1 1 1\n', 1), /3 requests failed/);
  t.throws(() => hitsOf('unable to connect\n', 1), /reported nothing/);
});

t.test('processor time is counted, of this process and of ended children', async (t) => {
  t.ok(cpuUs(process.pid) > 0);
  t.ok(endedChildrenCpuUs() >= 0);
});

t.test('entrants run in turns, and are compared round by round', async (t) => {
  const order: string[] = [];
  const entrant = (name: string, perSecond: readonly number[], doesLess = ''): Entrant => {
    let round = 0;
    const run = async () => {
      order.push(name);
      const percentilesMs = name === 'ours' ? [1, 2, 3, 4] : null;
      return { perSecond: perSecond[round++]!, cpuUs: { service: 30, generator: 10 }, percentilesMs };
    };
    return { name, doesLess, run };
  };
  const entrants = [entrant('floor', [1_000, 500, 100], 'keeps nothing'), entrant('ours', [500, 300, 50])];
  const runs = await inTurns(entrants, 3);
  t.same(order, ['floor', 'ours', 'floor', 'ours', 'floor', 'ours']);
  const [, , floor, ours] = entrantsTable(entrants, runs, { 'of the floor': 'floor' }).split('\n');
  const costs = 'service 30 (30–30), generator 10 (10–10)';
  t.equal(floor, `| floor | 500 (100–1000) | 1.00 (1.00–1.00) | ${costs} | – | – | keeps nothing |`);
  t.equal(ours, `| ours | 300 (50–500) | 0.50 (0.50–0.60) | ${costs} | 1.0 (1.0–1.0) | 3.0 (3.0–3.0) |  |`);
  t.match(generatorText(entrants, runs), /floor: 1 %; ours: 0 %/);
  t.match(latencyPlot('Posts', entrants, runs), />ours</);
});

t.test('a target is judged by its median', async (t) => {
  const more: Target = { what: 'posts', values: [0.9, 0.7, 0.1], more: true, atLeast: 0.65, goal: 0.8 };
  t.equal(verdictOf(more), 'at least');
  t.equal(verdictOf({ ...more, values: [0.8] }), 'goal', 'its bound is enough');
  t.equal(verdictOf({ ...more, values: [0.64, 0.9, 0.1] }), 'no');
  const less: Target = { what: 'bytes', values: [249, 252, 251], more: false, atLeast: 350, goal: 250 };
  t.equal(verdictOf(less), 'at least');
  t.equal(verdictOf({ ...less, values: [250] }), 'goal');
  t.equal(verdictOf({ ...less, values: [351] }), 'no');
  t.equal(verdictOf({ ...less, values: [Number.NaN] }), 'no', 'what was not measured is not reached');
  t.same(
    targetsTable([more, { ...less, unit: ' bytes' }])
      .split('\n')
      .slice(2),
    [
      '| posts | 0.70 (0.10–0.90) | 3 | ≥ 0.65 | ≥ 0.8 | at least |',
      '| bytes | 251 (249–252) bytes | 3 | ≤ 350 bytes | ≤ 250 bytes | at least |',
    ],
  );
});

t.test('a peer that wants a newer Node is left out with a word', async (t) => {
  t.match(tooOld('20.20.2', [22, 19]), /wants Node 22\.19 .* 20\.20\.2: .*BENCH_NODE/);
  t.match(tooOld('22.9.0', [22, 19]), /22\.19/);
  t.equal(tooOld('22.19.0', [22, 19]), null);
  t.equal(tooOld('24.1.0', [22, 19]), null);
});
