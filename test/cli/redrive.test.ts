/** `clockwork redrive` on a running service. */
import t from 'tap';
import { EXIT } from '../../src/cli/context.js';
import { run } from '../support/run-cli.js';
import { Service } from '../support/service.js';

t.test('past events are sent again', async (t) => {
  const service = await Service.start({ env: { ARCHIVE_INTERVAL_MS: '100' } });
  t.teardown(() => service.stop());
  const env = { CLOCKWORK_URL: service.url };
  const here = (...args: string[]) => run(args, { env });
  t.match(await here('redrive', 'start', 'past'), { code: EXIT.refused, err: /\(type-not-found\)/ });
  await here('submit', 'past', '1');
  const { out } = await here('redrive', 'start', 'past', '--rate', '5');
  const id = out.trim();
  t.match(await here('redrive', 'show', id), { code: 0, out: /type +past\nfilter +dead\nstatus +\w+\n/ });
  t.match((await here('redrive', 'list', '--type', 'past')).out, `${id}  `);
  t.match(JSON.parse((await here('redrive', 'list', '--json')).out), { redrives: [{ id }] });
  const dry = ['redrive', 'start', 'past', '--filter', 'any', '--dry-run', '--wait'];
  t.match(await here(...dry, '--timeout-ms', '0'), {
    code: EXIT.timedOut,
    out: /\(dry run\)/,
    err: /timed-out|not ended/,
  });
  t.match(await here(...dry), { code: 0, out: /status +done \(dry run\)\n/, err: '' });
  t.match(JSON.parse((await here(...dry, '--json')).out), { status: 'done', dryRun: true, matched: 0 });
  const cancelled = await here('redrive', 'cancel', id, '--json');
  // It may have ended by itself.
  t.ok(cancelled.code === 0 || /redrive-ended/.test(cancelled.err));
  t.match(await here('redrive', 'show', 'nonsense'), { code: EXIT.refused, err: /\(redrive-not-found\)/ });
  t.match(await here('redrive', 'start', 'past', '--filter', 'wrong'), { code: EXIT.usage });
  t.match(await here('redrive', 'start', 'past', '--from', 'x'), { code: EXIT.refused, err: /RFC 3339/ });
});
