/**
 * One type with three listeners, each a process: the responder, one that fails at random and one that is killed at random. Each
 * delivery ends once, and an event's answer is final when its responder has ended, whatever the others still do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Api } from '../support/api.js';
import { endWithMe } from '../support/end-with-me.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

const EVENTS = Number(process.env['FAN_OUT_EVENTS'] ?? 10_000);
const BATCH = 500;
const TYPE = 'order.placed';
/** By ordinal, in the order in which they are declared. */
const LISTENERS = [
  { name: 'charge', responder: true, failing: 0.05, leases: 50, workMs: 50 },
  { name: 'audit', responder: false, failing: 0.4, leases: 50, workMs: 50 },
  { name: 'notify', responder: false, failing: 0, leases: 250, workMs: 400 },
];
const KILLED = 'notify';
const WATCHED = 200;
const PROGRAM = fileURLToPath(new URL('../support/fan-out-listener.js', import.meta.url));

t.setTimeout(600_000);

interface EventBody {
  readonly id: string;
  readonly status: string;
  readonly outcome: string | null;
  readonly settled: boolean;
  readonly completedAt: string;
  readonly response: { readonly body: string } | null;
}

interface LogPage {
  readonly records: readonly {
    op: string;
    id: string;
    listener: number;
    listeners?: number[];
    why?: string;
  }[];
  readonly cursor: string;
  readonly atEnd: boolean;
}

function startListener(url: string, { name, ...how }: (typeof LISTENERS)[number]): ChildProcess {
  const numbers = [how.failing, how.leases, how.workMs].map(String);
  const child = spawn(process.execPath, [PROGRAM, url, TYPE, name, ...numbers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout!.resume();
  endWithMe(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function submitAll(api: Api): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < EVENTS; from += BATCH) {
    const count = Math.min(BATCH, EVENTS - from);
    const items = Array.from({ length: count }, (_, k) => ({ type: TYPE, body: { number: from + k } }));
    const reply = await api.call('POST', '/v1/events', { body: items });
    ids.push(...reply.json<{ results: { event: { id: string } }[] }>().results.map(({ event }) => event.id));
  }
  return ids;
}

/** How often each delivery has ended, and what else befell those of each listener, as the log has it up to its end. */
class Story {
  readonly ends = new Map<string, number>();
  readonly retried = new Map<string, number>();
  #cursor: string | null = null;

  constructor(private readonly api: Api) {}

  async readOn(): Promise<void> {
    for (let atEnd = false; !atEnd; ) {
      const after = this.#cursor === null ? '' : `&after=${this.#cursor}`;
      const page = (await this.api.call('GET', `/v1/log?limit=1000${after}`)).json<LogPage>();
      for (const record of page.records) this.#note(record);
      this.#cursor = page.cursor;
      atEnd = page.atEnd;
    }
  }

  count(listener: number): { ended: number; twice: number } {
    const own = [...this.ends].filter(([key]) => key.endsWith(` ${listener}`));
    return { ended: own.length, twice: own.filter(([, times]) => times > 1).length };
  }

  #note({ op, id, listener, why }: LogPage['records'][number]): void {
    if (op === 'completed' || op === 'dead') {
      const key = `${id} ${listener}`;
      this.ends.set(key, (this.ends.get(key) ?? 0) + 1);
    }
    if (op === 'retried') {
      const key = `${listener} ${why}`;
      this.retried.set(key, (this.retried.get(key) ?? 0) + 1);
    }
  }
}

async function fanOut(t: Test, store: string, service: Service): Promise<void> {
  const api = new Api(service.url);
  t.teardown(() => api.close());
  const policy = { attemptsMax: 1_000, backoff: { firstMs: 10, capMs: 50 } };
  t.equal((await api.call('PUT', `/v1/types/${TYPE}`, { body: policy })).status, 200);
  for (const { name, responder } of LISTENERS) {
    const { status } = await api.call('PUT', `/v1/types/${TYPE}/listeners/${name}`, { body: { responder } });
    t.equal(status, 201);
  }
  const began = performance.now();
  const ids = await submitAll(api);
  if (new Set(ids).size !== EVENTS) throw new Error('not all were accepted');
  const processes = new Map(LISTENERS.map((each) => [each.name, startListener(service.url, each)]));
  t.teardown(() => Promise.all([...processes.values()].map(kill)));

  // Spread over all; how each stood when it was complete, which is often before it has settled.
  const watched = ids.filter((_, k) => k % Math.ceil(EVENTS / WATCHED) === 0);
  const first = new Map<string, EventBody>();
  const watching = Promise.all(
    watched.map(async (id) => {
      for (;;) {
        const reply = await api.call('GET', `/v1/events/${id}`, { headers: { prefer: 'wait=20' } });
        const event = reply.json<EventBody>();
        if (event.status === 'complete') return first.set(id, event);
      }
    }),
  );

  const story = new Story(api);
  const killed = LISTENERS.find(({ name }) => name === KILLED)!;
  let kills = 0;
  while (story.ends.size < EVENTS * LISTENERS.length) {
    // Time for it to have done something, or nothing ever would be.
    await delay(1_500);
    const victim = processes.get(KILLED)!;
    const atWork = await Promise.race([once(victim.stdout!, 'data'), delay(2_000, null)]);
    if (atWork !== null) {
      await delay(Math.random() * killed.workMs * 0.8);
      await kill(victim);
      kills += 1;
      processes.set(KILLED, startListener(service.url, killed));
    }
    await story.readOn();
  }
  await watching;
  const seconds = (performance.now() - began) / 1_000;

  for (const [ordinal, { name }] of LISTENERS.entries()) {
    const { ended, twice } = story.count(ordinal);
    const failed = story.retried.get(`${ordinal} failed`) ?? 0;
    const expired = story.retried.get(`${ordinal} expired`) ?? 0;
    t.comment(
      `${store}, ${name}: ${ended} of ${EVENTS} deliveries ended, ${twice} twice; ${failed} failures and ${expired} expired leases tried again`,
    );
    t.same({ ended, twice }, { ended: EVENTS, twice: 0 });
  }
  t.ok((story.retried.get('1 failed') ?? 0) > 0, 'there were failures');
  t.ok((story.retried.get('2 expired') ?? 0) > 0, 'and leases of processes that were killed');

  const early = [...first.values()].filter(({ settled }) => !settled).length;
  t.comment(
    `${store}: ${kills} kills, ${seconds.toFixed(1)} s; ${early} of ${first.size} events watched were complete before they had settled`,
  );
  const number = new Map(ids.map((id, k) => [id, k]));
  for (const id of watched) {
    const last = (await api.call('GET', `/v1/events/${id}`)).json<EventBody>();
    const { settled: _, ...answer } = first.get(id)!;
    const { settled, ...now } = last;
    t.same(now, answer, 'what was answered stays');
    t.ok(settled);
    t.equal(last.response?.body, `charge ${number.get(id)}`);
  }
  const open = (await api.call('GET', `/v1/types/${TYPE}`)).json<{ open: number }>();
  t.equal(open.open, 0);
}

t.test('three listeners on the embedded store', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  await fanOut(t, 'embedded', service);
});

t.test('three listeners on Redis', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const service = await Service.start({ env: { REDIS_URL: redis.url } });
  t.teardown(() => service.stop());
  await fanOut(t, 'Redis', service);
});
