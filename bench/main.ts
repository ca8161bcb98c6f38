/** `npm run bench -- post | bulk | depth | loop | restore`: which measurement, and how long. */
import { parseArgs } from 'node:util';
import { benchBulk } from './bulk.js';
import { benchDepth } from './depth.js';
import { benchLoop } from './loop.js';
import { benchPost } from './post.js';
import { benchRestore } from './restore.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    warm: { type: 'string', default: '5' },
    depths: { type: 'string', default: '1000,1000000' },
    calls: { type: 'string', default: '2000' },
    events: { type: 'string' },
    checkpoint: { type: 'boolean', default: false },
  },
});

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  post: () =>
    benchPost({
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      warmSeconds: Number(values.warm),
    }),
  bulk: () => benchBulk({ rounds: Number(values.rounds), events: Number(values.events ?? 20_000) }),
  depth: () => benchDepth({ depths: values.depths.split(',').map(Number), calls: Number(values.calls) }),
  loop: () => benchLoop({ events: Number(values.events ?? 20_000) }),
  restore: () => benchRestore({ events: Number(values.events ?? 1_000_000), checkpoint: values.checkpoint }),
};

const wanted = positionals.length > 0 ? positionals : Object.keys(BENCHES);
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: not one of ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 1;
} else {
  for (const name of wanted) await BENCHES[name]!();
}
