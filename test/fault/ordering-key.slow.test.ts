/**
 * Ordering keys under many listeners that fail, each a process: by their own account no two of them ever worked on the same key at
 * once, and each key was worked on in order. One key has an event that always fails; it holds up the others no longer than stated.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Api } from '../support/api.js';
import { endWithMe } from '../support/end-with-me.js';
import { startRedisServer } from '../support/redis-server.js';
import { Service } from '../support/service.js';

const KEYS = 200;
const EVENTS_A_KEY = 10;
const LISTENERS = 20;
const TYPE = 'booking';
const LEASE_MS = 2_000;
const POLICY = { attemptsMax: 3, backoff: { firstMs: 20, factor: 2, capMs: 200, jitter: 0.5 } };
/** As docs/listeners.md says it: the second is for each lease that nobody completes. */
const HOLDS_MS_MAX = POLICY.attemptsMax * (LEASE_MS + POLICY.backoff.capMs + 1_000);
const ENDS_WITHIN_MS = 120_000;
const POISONED = 'key 0';
const PROGRAM = fileURLToPath(new URL('../support/ordering-key-listener.js', import.meta.url));

t.setTimeout(400_000);

/** One lease, by its holder's account. Times are of the one clock that all of them have. */
interface Turn {
  readonly key: string;
  readonly number: number;
  readonly began: number;
  /** When its holder stopped, or its lease ended while it was still at work. */
  readonly stopped: number;
}

function startListener(url: string, turns: Turn[]): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, url, TYPE, String(LEASE_MS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endWithMe(child);
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const [key, number, began, stopped, expiresAt] = JSON.parse(line) as [string, ...number[]];
    turns.push({ key, number: number!, began: began!, stopped: Math.min(stopped!, expiresAt!) });
  });
  return child;
}

/** One of each key after the other; the first of all is the poisoned one, whose id it gives. */
async function submitAll(api: Api): Promise<string> {
  const ids: string[] = [];
  for (let number = 0; number < EVENTS_A_KEY; number += 1) {
    const items = Array.from({ length: KEYS }, (_, k) => ({
      type: TYPE,
      key: `key ${k}`,
      body: { number, poison: k === 0 && number === 0 },
    }));
    const reply = await api.call('POST', '/v1/events', { body: items });
    const { accepted, results } = reply.json<{ accepted: number; results: { event: { id: string } }[] }>();
    if (accepted !== KEYS) throw new Error(`${accepted} of ${KEYS} were accepted`);
    ids.push(results[0]!.event.id);
  }
  return ids[0]!;
}

/** Resolves to how long the slowest of its calls took: a machine that has no time for those has none to notice in time what is over. */
async function untilAllEnded(api: Api): Promise<number> {
  const until = performance.now() + ENDS_WITHIN_MS;
  let slowestMs = 0;
  for (;;) {
    const asked = performance.now();
    const { open } = (await api.call('GET', `/v1/types/${TYPE}`)).json<{ open: number }>();
    slowestMs = Math.max(slowestMs, performance.now() - asked);
    if (open === 0) return Math.round(slowestMs);
    if (performance.now() > until) throw new Error(`${open} events have not ended`);
    await delay(100);
  }
}

/**
 * How long it held its key, by the service's clock: its leases until they were ended, and the backoffs between them. What is longer
 * than any backoff is the time until a listener was free, which is nothing that it does to others.
 */
async function heldFor(api: Api, id: string): Promise<number> {
  const { attempts } = (await api.call('GET', `/v1/events/${id}/attempts`)).json<{
    attempts: { grantedAt: string; endedAt: string }[];
  }>();
  let heldMs = 0;
  let endedAt: number | null = null;
  for (const attempt of attempts) {
    const [from, to] = [Date.parse(attempt.grantedAt), Date.parse(attempt.endedAt)];
    heldMs += to - from + Math.min(endedAt === null ? 0 : from - endedAt, POLICY.backoff.capMs);
    endedAt = to;
  }
  return heldMs;
}

interface Account {
  readonly atOnce: number;
  readonly outOfOrder: number;
  readonly numbers: number;
}

function accountOf(turns: readonly Turn[]): Account {
  const sorted = [...turns].sort((a, b) => a.began - b.began || a.number - b.number);
  let atOnce = 0;
  let outOfOrder = 0;
  const numbers = new Set<number>();
  for (const [index, turn] of sorted.entries()) {
    const before = sorted[index - 1];
    numbers.add(turn.number);
    if (!before) continue;
    if (turn.began < before.stopped) atOnce += 1;
    // Once the next has begun, those before it have ended, and never come again.
    if (turn.number !== before.number && turn.number !== before.number + 1) outOfOrder += 1;
  }
  return { atOnce, outOfOrder, numbers: numbers.size };
}

async function inOrder(t: Test, store: string, service: Service): Promise<void> {
  const api = new Api(service.url);
  t.teardown(() => api.close());
  t.equal((await api.call('PUT', `/v1/types/${TYPE}`, { body: POLICY })).status, 200);
  const head = await submitAll(api);
  const turns: Turn[] = [];
  const began = performance.now();
  const children = Array.from({ length: LISTENERS }, () => startListener(service.url, turns));
  t.teardown(async () => {
    for (const child of children) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  });
  const slowestMs = await untilAllEnded(api);
  // What the last of them wrote may still be on its way.
  await delay(200);
  const seconds = (performance.now() - began) / 1_000;

  const byKey = new Map<string, Turn[]>();
  for (const turn of turns) byKey.set(turn.key, [...(byKey.get(turn.key) ?? []), turn]);
  const accounts = [...byKey.values()].map(accountOf);
  const sum = (field: keyof Account) => accounts.reduce((total, account) => total + account[field], 0);
  const poisoned = byKey.get(POISONED)!;
  const heldMs = await heldFor(api, head);
  t.comment(
    `${store}: ${KEYS * EVENTS_A_KEY} events of ${KEYS} keys, ${LISTENERS} listener processes, ${turns.length} leases in ${seconds.toFixed(1)} s: ` +
      `${sum('atOnce')} at once, ${sum('outOfOrder')} out of order; the poisoned head held its key for ${heldMs} ms of at most ${HOLDS_MS_MAX}, calls taking up to ${slowestMs} ms`,
  );
  t.same([byKey.size, sum('numbers')], [KEYS, KEYS * EVENTS_A_KEY], 'each event was worked on');
  t.ok(turns.length > KEYS * EVENTS_A_KEY, 'some more than once: there were failures');
  t.equal(sum('atOnce'), 0, 'S6: never two of a key at once');
  t.equal(sum('outOfOrder'), 0, 'S6: never out of order');
  t.equal(poisoned.filter(({ number }) => number === 0).length, POLICY.attemptsMax);
  t.ok(heldMs >= POLICY.attemptsMax * LEASE_MS, 'it held its key as long as it could');
  // What a busy machine adds to each call it adds to each of the steps in which a lease is noticed to be over.
  t.ok(heldMs <= HOLDS_MS_MAX + POLICY.attemptsMax * 4 * slowestMs, 'and no longer than stated');
}

t.test('twenty listeners work in the order of two hundred keys on the embedded store', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.stop());
  await inOrder(t, 'embedded', service);
});

t.test('twenty listeners work in the order of two hundred keys on Redis', async (t) => {
  const redis = await startRedisServer();
  t.teardown(() => redis.stop());
  const service = await Service.start({ env: { REDIS_URL: redis.url } });
  t.teardown(() => service.stop());
  await inOrder(t, 'Redis', service);
});
