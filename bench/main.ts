/** `npm run bench -- [--quick] [NAME …]`: which measurements, all unless said, and how long. */
import { parseArgs } from 'node:util';
import { benchArchive } from './archive.js';
import { benchBody } from './body.js';
import { benchBulk } from './bulk.js';
import { benchBytes } from './bytes.js';
import { benchDepth } from './depth.js';
import { benchIdle } from './idle.js';
import { benchLoop } from './loop.js';
import { benchPost } from './post.js';
import { benchRestore } from './restore.js';
import { benchTargets } from './targets.js';
import { benchWake } from './wake.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    warm: { type: 'string' },
    depths: { type: 'string' },
    calls: { type: 'string' },
    events: { type: 'string' },
    rates: { type: 'string' },
    listeners: { type: 'string' },
    's3-ms': { type: 'string' },
    only: { type: 'string' },
    checkpoint: { type: 'boolean', default: false },
  },
});

/** What was asked for, else what a short or a whole run takes. */
const number = (given: string | undefined, quick: number, whole: number) =>
  given === undefined ? (values.quick ? quick : whole) : Number(given);
const numbers = (given: string | undefined, quick: readonly number[], whole: readonly number[]) =>
  given === undefined ? (values.quick ? quick : whole) : given.split(',').map(Number);

const rounds = number(values.rounds, 1, 5);
const seconds = number(values.seconds, 2, 4);
const warmSeconds = number(values.warm, 2, 3);
const only = values.only?.split(',') ?? [];
const events = (quick: number, whole: number) => number(values.events, quick, whole);

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  targets: () =>
    benchTargets({
      rounds,
      seconds,
      warmSeconds,
      events: events(5_000, 40_000),
      depths: numbers(values.depths, [1_000, 20_000], [1_000, 1_000_000]),
      only,
    }),
  post: () => benchPost({ rounds, seconds, warmSeconds, only }),
  bulk: () => benchBulk({ rounds, events: events(5_000, 40_000), only }),
  loop: () => benchLoop({ rounds, seconds, warmSeconds, only }),
  wake: () => benchWake({ rounds, seconds, rates: numbers(values.rates, [200], [200, 1_000]) }),
  depth: () =>
    benchDepth({
      depths: numbers(values.depths, [1_000, 20_000], [1_000, 10_000, 100_000, 1_000_000]),
      calls: number(values.calls, 500, 2_000),
    }),
  body: () => benchBody({ seconds }),
  bytes: () => benchBytes({ events: events(20_000, 100_000) }),
  archive: () =>
    benchArchive({ rounds, events: events(20_000, 60_000), s3Ms: number(values['s3-ms'], 50, 50) }),
  idle: () =>
    benchIdle({ listeners: number(values.listeners, 1_000, 1_000), seconds: number(values.seconds, 5, 20) }),
  restore: () => benchRestore({ events: events(50_000, 1_000_000), checkpoint: values.checkpoint }),
};

// What `targets` measures is in the others too.
const wanted =
  positionals.length > 0 ? positionals : Object.keys(BENCHES).filter((name) => name !== 'targets');
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: not one of ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 1;
} else {
  for (const name of wanted) await BENCHES[name]!();
}
