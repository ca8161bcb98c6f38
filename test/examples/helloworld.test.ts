/** The examples are what they say: each listener answers pings, alone, many at once, and after its service was away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Client } from '../../src/sdk/client.js';
import { Service } from '../support/service.js';

const LISTENERS = {
  Node: [process.execPath, 'examples/helloworld/listener.mjs'],
  bash: ['bash', 'examples/helloworld/listener.sh'],
  Python: ['python3', 'examples/helloworld/listener.py'],
  'Node on the SDK': [process.execPath, 'examples/helloworld/listener-sdk.mjs'],
} as const;
const VALUES = ['hello', 'two words', 'Grüße', '100%', 'a/b?c=d&e', '"quoted" \\ backslash', '☃ '.repeat(20)];
const AT_ONCE = 20;

function startListener(
  t: Test,
  [program, script]: readonly [string, string],
  url: string,
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  // A group of its own, as in a terminal: bash and the curl that it waits for get the signal together.
  const listener = spawn(program, [script], {
    env: { ...process.env, ...env, CLOCKWORK_URL: url },
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

t.test(
  'the listener in Python extends what takes long, ends what it has begun, and gives back what it has not',
  async (t) => {
    const service = await Service.start();
    t.teardown(() => service.stop());
    const client = new Client({ url: service.url });
    const start = () => startListener(t, LISTENERS.Python, service.url, { LEASE_MS: '4000' });
    const listener = start();
    const slow = ask(service.url, '/ping/slow?seconds=5');
    const begun = await firstOf(client, 'in_process');
    const granted = await untilOf(client, begun);
    while ((await untilOf(client, begun)) === granted) await delay(50);
    const stopped = stopListener(listener);
    const late = await client.submit('HTTP', 'not a ping');
    t.equal(await (await slow).text(), 'slow', 'it is told to stop, and ends its work first');
    t.match(
      await client.poll(begun),
      { outcome: 'success', attempts: 1 },
      'in one lease, which was extended',
    );
    await stopped;
    t.equal(listener.exitCode, 0);
    t.match(await client.poll(late), { status: 'pending', attempts: 0 }, 'it begins with nothing more');

    const next = start();
    t.match(await client.wait(late, { timeoutMs: 20_000 }), { outcome: 'fail', response: { status: 404 } });
    const unwanted = ask(service.url, '/ping/unwanted?seconds=600');
    const held = await firstOf(client, 'in_process');
    t.equal((await client.cancel(held)).kind, 'requested');
    t.match(
      await client.wait(held, { timeoutMs: 20_000 }),
      { outcome: 'fail', response: { status: 410 } },
      'it hears of that as it extends',
    );
    await unwanted;
    await stopListener(next);
    t.equal(next.exitCode, 0, 'it ends while it waits for work');
  },
);

/** The id of an event of that status, as soon as there is one. */
async function firstOf(client: Client, status: 'in_process'): Promise<string> {
  for (;;) {
    for await (const { id } of client.list({ status })) return id;
    await delay(20);
  }
}

/** Until when the event is leased. */
async function untilOf(client: Client, id: string): Promise<string | null | undefined> {
  return (await client.attempts(id))[0]?.expiresAt;
}
