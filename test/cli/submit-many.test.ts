/** `clockwork submit-many` on a running service. */
import t from 'tap';
import { EXIT } from '../../src/cli/context.js';
import { run } from '../support/run-cli.js';
import { Service } from '../support/service.js';

t.test('many events go in, a line each', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  const env = { CLOCKWORK_URL: service.url };
  const many = (text: string, ...args: string[]) =>
    run(['submit-many', ...args], { env, stdin: async () => Buffer.from(text) });
  const requestOf = async (id: string) => (await run(['request', id], { env })).out;

  await t.test('one that is refused does not sink the others, and bodies go to the byte', async (t) => {
    const text = '{"type":"lined","body":1e2}\n\n{"type":"."}\n{"type":"lined","body":2}';
    const first = await many(text, '--idempotency-key', 'lines');
    t.match(first, { code: EXIT.refused, err: /invalid-type.*1 of 3 lines/s });
    const [a, b, c] = first.out.split('\n');
    t.equal(b, '-');
    t.same([await requestOf(a!), await requestOf(c!)], ['1e2', '2']);
    const again = await many(text, '--json', '--idempotency-key', 'lines');
    const [line] = again.out.split('\n');
    t.equal(
      (JSON.parse(line!) as { event: { id: string } }).event.id,
      a,
      'the same lines are the same events',
    );
  });

  await t.test('more than one call takes, in order', async (t) => {
    const lines = Array.from({ length: 2_001 }, (_, n) => `{"type":"counted","body":${n}}`);
    const { code, out } = await many(lines.join('\n'));
    t.equal(code, 0);
    const ids = out.trimEnd().split('\n');
    t.equal(new Set(ids).size, 2_001);
    for (const n of [0, 1_000, 2_000]) t.equal(await requestOf(ids[n]!), String(n));
  });

  t.match(await many('', '--file', 'nowhere'), { code: EXIT.usage, err: /ENOENT/ });
  t.match(await run(['submit-many'], { env, stdin: async () => Buffer.from([0xff]) }), {
    code: EXIT.usage,
    err: /not UTF-8/,
  });
});
