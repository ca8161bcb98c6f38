/** The examples are what they say: each listener answers pings, alone, many at once, and after its service was away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { Service } from '../support/service.js';

const LISTENERS = {
  Node: [process.execPath, 'examples/helloworld/listener.mjs'],
  bash: ['bash', 'examples/helloworld/listener.sh'],
  'Node on the SDK': [process.execPath, 'examples/helloworld/listener-sdk.mjs'],
} as const;
const VALUES = ['hello', 'two words', 'Grüße', '100%', 'a/b?c=d&e', '"quoted" \\ backslash', '☃ '.repeat(20)];
const AT_ONCE = 20;

function startListener(t: Test, [program, script]: readonly [string, string], url: string): ChildProcess {
  // A group of its own, as in a terminal: bash and the curl that it waits for get the signal together.
  const listener = spawn(program, [script], {
    env: { ...process.env, CLOCKWORK_URL: url },
    stdio: ['ignore', 'inherit', 'ignore'],
    detached: true,
  });
  t.teardown(() => stopListener(listener));
  return listener;
}

async function stopListener(listener: ChildProcess): Promise<void> {
  if (listener.exitCode !== null || listener.signalCode !== null) return;
  const exited = once(listener, 'exit');
  process.kill(-listener.pid!, 'SIGTERM');
  await exited;
}

function ask(url: string, path: string): Promise<Response> {
  return fetch(`${url}/http${path}`, { headers: { prefer: 'wait=20' } });
}

for (const [name, command] of Object.entries(LISTENERS)) {
  t.test(`the listener in ${name}`, async (t) => {
    const service = await Service.start();
    t.teardown(() => service.stop());
    const early = ask(service.url, '/ping/early');
    const listener = startListener(t, command, service.url);
    t.equal(await (await early).text(), 'early', 'what came before the listener waits for it');

    for (const value of VALUES) {
      const response = await ask(service.url, `/ping/${encodeURIComponent(value)}`);
      t.equal(response.status, 200);
      t.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
      t.equal(await response.text(), value);
    }
    const other = await ask(service.url, '/pong');
    t.equal(other.status, 404);
    t.match(await other.text(), '/pong here');

    const many = Array.from({ length: AT_ONCE }, (_, i) => String(i));
    const answers = many.map(async (value) => (await ask(service.url, `/ping/${value}`)).text());
    t.same(await Promise.all(answers), many, `${AT_ONCE} at once`);

    await service.kill();
    await service.restart();
    t.equal(await (await ask(service.url, '/ping/again')).text(), 'again', 'after the service was away');

    if (name === 'Node on the SDK') {
      const pings = (await ask(service.url, '/ping/counted')).headers.get('x-pings');
      t.equal(
        pings,
        String(VALUES.length + AT_ONCE + 3),
        'it counts all pings, also those of before the restart',
      );
    }
    const { events } = (await (await fetch(`${service.url}/v1/events?limit=100`)).json()) as {
      events: { status: string; attempts: number }[];
    };
    t.same([...new Set(events.map((event) => `${event.status} ${event.attempts}`))], ['complete 1']);
    await stopListener(listener);
    t.ok(listener.exitCode === 0 || listener.signalCode === 'SIGTERM', 'it ends when it is told to');
  });
}
