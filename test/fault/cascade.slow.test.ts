/**
 * `kill -9` of the service in the middle of a cascade, on the embedded store and on two partitions of Redis: the tree settles, and
 * its events are exactly those that were emitted (invariant S5).
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { partitionOfType } from '../../src/store/store.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

const DEPTH = 5;
const WIDTH = Number(process.env['CASCADE_WIDTH'] ?? 4);
/** Each on both stores; `CASCADE_WIDTH=10 CASCADE_RUNS=5` is the whole. */
const RUNS = Number(process.env['CASCADE_RUNS'] ?? 1);
const WORKERS = 8;
const KILLS = 4;
const PATIENT = { ATTEMPTS_MAX: '1000', BACKOFF_FIRST_MS: '20', BACKOFF_MS_MAX: '200' };
/** One a level; they change partitions on the way down. */
const TYPES = ['level-a', 'level-b', 'level-c', 'level-d', 'level-e', 'level-f'].slice(0, DEPTH);
const EVENTS = Array.from({ length: DEPTH }, (_, level) => WIDTH ** level).reduce((a, b) => a + b, 0);

t.setTimeout(900_000 * RUNS);

interface Held {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string; readonly body: { readonly path: string } };
}

class Cascade {
  /** By path in the tree: the ids that events with it were seen under. */
  readonly seen = new Map<string, Set<string>>();
  repeats = 0;
  #over = false;

  constructor(private readonly url: string) {}

  /** Until it is answered by a service that is up: every call may be repeated. */
  async call(method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
    for (;;) {
      try {
        const reply = await fetch(`${this.url}${path}`, {
          method,
          headers: { 'content-type': 'application/json', connection: 'close', ...headers },
          body: body === null ? null : JSON.stringify(body),
          signal: AbortSignal.timeout(30_000),
        });
        if (reply.status < 500) return { status: reply.status, json: JSON.parse(await reply.text()) };
      } catch {
        // It was killed, and comes back.
      }
      this.repeats += 1;
      await delay(50);
    }
  }

  async work(): Promise<void> {
    while (!this.#over) {
      const { json } = await this.call('POST', '/v1/leases', {
        types: TYPES,
        max: 4,
        leaseMs: 3_000,
        waitMs: 500,
      });
      for (const held of (json.leases ?? []) as Held[]) await this.#complete(held);
    }
  }

  stop(): void {
    this.#over = true;
  }

  async #complete({ attemptId, token, event }: Held): Promise<void> {
    const { path } = event.body;
    const ids = this.seen.get(path) ?? new Set();
    this.seen.set(path, ids.add(event.id));
    const level = path.split('/').length;
    const emit =
      level === DEPTH
        ? []
        : Array.from({ length: WIDTH }, (_, k) => ({ type: TYPES[level], body: { path: `${path}/${k}` } }));
    const headers = { 'lease-token': token };
    await this.call('PUT', `/v1/attempts/${attemptId}/completion`, { outcome: 'success', emit }, headers);
  }
}

async function bear(t: Test, name: string, service: Service): Promise<void> {
  const startedAt = performance.now();
  const cascade = new Cascade(service.url);
  const { json: root } = await cascade.call(
    'POST',
    `/v1/types/${TYPES[0]}/events`,
    { path: 'root' },
    { 'idempotency-key': 'root' },
  );
  const workers = Array.from({ length: WORKERS }, () => cascade.work());
  for (let kill = 1; kill <= KILLS; kill += 1) {
    while (cascade.seen.size < (EVENTS * kill) / (KILLS + 2)) await delay(5);
    await service.kill();
    await service.restart();
  }
  let tree = null;
  for (let settled = false; !settled; settled = tree.settled) {
    const reply = await cascade.call('GET', `/v1/events/${root.id}/tree`, null, { prefer: 'wait=5' });
    tree = reply.json;
  }
  cascade.stop();
  await Promise.all(workers);
  const doubles = [...cascade.seen.values()].filter((ids) => ids.size > 1).length;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const { counts } = tree;
  t.comment(
    `${name}: depth ${DEPTH}, width ${WIDTH}: ${EVENTS} events, counted ${JSON.stringify(counts)}, seen ` +
      `${cascade.seen.size}, doubles ${doubles}; ${KILLS} kills, ${cascade.repeats} calls repeated, ${seconds} s`,
  );
  t.same(counts, { pending: 0, inProcess: 0, success: EVENTS, fail: 0, relaying: 0 });
  t.equal(cascade.seen.size, EVENTS, 'none is lost');
  t.equal(doubles, 0, 'none is there twice');
}

for (let run = 1; run <= RUNS; run += 1) {
  t.test(`a cascade on the embedded store, run ${run}`, async (t) => {
    const service = await Service.start({ env: PATIENT });
    t.teardown(() => service.stop());
    await bear(t, 'embedded', service);
  });

  t.test(`a cascade over two partitions on Redis, run ${run}`, async (t) => {
    t.ok(new Set(TYPES.map((type) => partitionOfType(type, 2))).size === 2, 'levels live in both partitions');
    const redis = await startRedisServer();
    t.teardown(() => redis.stop());
    const service = await Service.start({ env: { ...PATIENT, REDIS_URL: redis.url, PARTITIONS: '2' } });
    t.teardown(() => service.stop());
    await bear(t, 'redis, two partitions', service);
  });
}
