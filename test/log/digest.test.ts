/** The digest: what a store holds and the fold of its log come to the same, whatever has happened. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { AttemptView, EventView, Lease, LeaseCommand } from '../../src/event/command.js';
import { Digest, digestOfStore } from '../../src/log/digest.js';
import { LogFold } from '../../src/log/fold.js';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { declare } from '../contract/store/policies.js';
import { completionOf, keyOf, type Scene, SECOND, scene } from '../contract/store/scene.js';
import type { StoreHarness } from '../contract/store.js';
import { openGate } from '../support/open-gate.js';
import { RedisHarness } from '../support/redis-harness.js';
import { startRedisServer } from '../support/redis-server.js';

const STEPS = 200;
const TYPES = ['mail', 'order', 'Grüße'];
const LISTENERS = ['default', 'audit', 'copy'];

const embedded: StoreHarness = {
  name: 'embedded',
  async open({ policy, limits, startsAt }) {
    const dir = await mkdtemp(join(tmpdir(), 'clockwork-digest-'));
    let now = startsAt;
    const open = async () => openGate(await EmbeddedStore.open({ dir, policy, limits, now: () => now }));
    let store = await open();
    const set = (ms: number) => {
      now = ms;
    };
    const reopen = async () => {
      await store.close();
      store = await open();
      return store;
    };
    const close = async () => {
      await store.close();
      await rm(dir, { recursive: true });
    };
    return { store, clock: { set }, reopen, close };
  },
};

/** The same sequence for the same seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

function setListener(s: Scene, type: string, name: string, responder: boolean): Promise<unknown> {
  const filter = responder ? null : { method: ['POST'] };
  return s.store.setListener({ type, listener: { name, responder, filter } });
}

/** Everything that can happen to events, in any order; leases are used long after they were lost, too. */
async function workAtRandom(s: Scene, seed: number): Promise<void> {
  const random = randomFrom(seed);
  const ids: string[] = [];
  const leases: Lease[] = [];
  const anyLease = () => leases[random(leases.length)];
  const leaseSome = async (more: Partial<LeaseCommand>) => {
    const result = await s.tryLease(TYPES[random(3)]!, more);
    if (result.kind === 'leased') leases.push(...result.leases);
  };
  const steps: (() => Promise<unknown>)[] = [
    async () => void ids.push(await s.accept(TYPES[random(3)]!)),
    async () => void ids.push(await s.accept(TYPES[random(3)]!, { delayMs: random(5) * SECOND })),
    () => s.tryAccept(TYPES[random(3)]!, { idempotency: keyOf(`key ${random(5)}`, `request ${random(2)}`) }),
    () => leaseSome({ max: 1 + random(3), worker: 'w' }),
    () => leaseSome({ max: 1 + random(3) }),
    () => leaseSome({ max: 1 + random(3), listener: LISTENERS[random(3)]! }),
    async () => leases.length > 0 && s.complete(anyLease()!),
    async () => leases.length > 0 && s.complete(anyLease()!),
    async () => leases.length > 0 && s.fail(anyLease()!),
    async () =>
      leases.length > 0 && s.fail(anyLease()!, { retry: { kind: 'after', afterMs: random(3) * SECOND } }),
    async () => leases.length > 0 && s.store.handBack(anyLease()!),
    async () => leases.length > 0 && s.store.extend({ ...anyLease()!, leaseMs: 60_000 }),
    async () => ids.length > 0 && s.store.cancel(ids[random(ids.length)]!),
    () => declare(s, TYPES[random(3)]!, { attemptsMax: 1 + random(3) }, 'any'),
    () => s.store.setType({ kind: random(2) === 0 ? 'pause' : 'resume', type: TYPES[random(3)]! }),
    () => setListener(s, TYPES[random(3)]!, LISTENERS[random(3)]!, random(2) === 0),
    () => s.store.deleteListener(TYPES[random(3)]!, LISTENERS[random(3)]!),
    () => s.store.sweep(0, 1 + random(5)),
    () => s.pass(random(20) * SECOND),
    () => s.expire(),
  ];
  for (let step = 0; step < STEPS; step += 1) await steps[random(steps.length)]!();
}

async function digestOfLog(s: Scene): Promise<{ digest: string; late: number }> {
  const fold = new LogFold();
  let late = 0;
  for (const record of await s.outbox('mail')) {
    fold.add(record);
    if (record.op === 'late') late += 1;
  }
  return { digest: fold.finish().digest, late };
}

async function storeEqualsLog(t: Test, harness: StoreHarness, seeds: number): Promise<void> {
  let late = 0;
  for (let k = 0; k < seeds; k += 1) {
    const seed = Number(process.env['SEED'] ?? 1) + k;
    const s = await scene(t, harness);
    await workAtRandom(s, seed);
    const ofLog = await digestOfLog(s);
    t.equal(await digestOfStore(s.store), ofLog.digest, `seed ${seed}`);
    late += ofLog.late;
  }
  t.ok(late > 0, `${late} completions came late`);
}

t.test('the embedded store and the fold of its log have one digest', (t) => storeEqualsLog(t, embedded, 4));

t.test('so have a Redis store and the fold of its log', async (t) => {
  const server = await startRedisServer();
  const harness = new RedisHarness(server.url, { partitions: 1 });
  t.teardown(async () => {
    await harness.close();
    await server.stop();
  });
  await storeEqualsLog(t, harness, 4);
});

t.test(
  'attempts beyond those that are kept are forgotten on both sides, late completions of them too',
  async (t) => {
    const s = await scene(t, embedded);
    const id = await s.accept('mail');
    const leases: Lease[] = [];
    for (let k = 0; k < 130; k += 1) {
      const lease = await s.lease('mail');
      leases.push(lease);
      await s.store.handBack(lease);
    }
    await s.complete(await s.lease('mail'));
    for (const lease of [leases[0]!, leases[20]!, leases[60]!, leases[129]!]) await s.complete(lease);
    t.equal((await s.store.readAttempts(id))!.length, 100);
    t.equal((await digestOfLog(s)).digest, await digestOfStore(s.store));
  },
);

t.test('a completion that comes after its event was let go of is in the digest', async (t) => {
  const s = await scene(t, embedded);
  const id = await s.accept('mail');
  const first = await s.lease('mail');
  await s.pass(31 * SECOND);
  await s.expire();
  await s.pass(5 * SECOND);
  await s.complete(await s.lease('mail'));
  const before = await digestOfLog(s);
  await s.complete(first);
  t.same((await s.opsOf(id, 'mail')).slice(-2), ['completed', 'late']);
  const after = await digestOfLog(s);
  t.not(after.digest, before.digest);
  t.equal(after.digest, await digestOfStore(s.store));
});

t.test('the order in which events are added means nothing, everything else does', async (t) => {
  const s = await scene(t, embedded);
  await s.acceptMany('mail', 3);
  const lease = await s.lease('mail');
  await s.lease('mail');
  await s.complete(lease, completionOf(lease));
  const page = await s.store.list({
    type: null,
    status: null,
    outcome: null,
    cursor: null,
    limit: 9,
    scanMax: 9,
  });
  if (page.kind !== 'page') throw new Error(page.kind);
  type Known = [EventView, Uint8Array, AttemptView[]];
  const known = await Promise.all(
    page.events.map(async ({ id }) => {
      const { store } = s;
      return [await store.read(id), await store.readRequest(id), await store.readAttempts(id)] as Known;
    }),
  );
  const digestOf = (events: readonly Known[]) => {
    const digest = new Digest();
    for (const event of events) digest.addEvent(...event);
    return digest.toString();
  };
  const digest = digestOf(known);
  t.match(digest, /^[0-9a-f]{64}$/);
  t.equal(digestOf([...known].reverse()), digest);
  t.not(
    digestOf([...known, ...known.slice(0, 1), ...known.slice(0, 1)]),
    digest,
    'what is there three times',
  );
  t.not(digestOf(known.slice(1)), digest, 'an event less');

  const [event, request, attempts] = known.find(([{ status }]) => status === 'complete')!;
  const others = known.filter(([{ id }]) => id !== event.id);
  const attempt = attempts[0]!;
  const changed: Record<string, Known> = {
    type: [{ ...event, type: 'other' }, request, attempts],
    outcome: [{ ...event, outcome: 'fail' }, request, attempts],
    'when it was completed': [{ ...event, completedAt: event.completedAt! + 1 }, request, attempts],
    position: [{ ...event, position: { view: 1, n: 99 } }, request, attempts],
    request: [event, Buffer.concat([request, Buffer.from('x')]), attempts],
    result: [{ ...event, result: Buffer.from('{}\nother') }, request, attempts],
    'asked to cancel': [{ ...event, cancelRequested: true }, request, attempts],
    'no attempt': [event, request, []],
    worker: [event, request, [{ ...attempt, worker: 'other' }]],
    'how the attempt ended': [event, request, [{ ...attempt, end: 'expired' }]],
    'a late completion': [event, request, [{ ...attempt, late: { at: 1, result: Buffer.from('{}\n') } }]],
  };
  for (const [what, each] of Object.entries(changed)) t.not(digestOf([...others, each]), digest, what);
  const extended: Known = [event, request, [{ ...attempt, expiresAt: 1 }]];
  t.equal(digestOf([...others, extended]), digest, 'when a lease ends is not in the log');
});
