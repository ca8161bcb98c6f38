/**
 * A state is built again from a log of 100,000 events: it is the one that was built as they came, and no event's status,
 * response or delivery has changed by it.
 */
import { createHash } from 'node:crypto';
import t from 'tap';
import { Client } from '../../src/sdk/client.js';
import { type LeasedEvent, Listener, type StateStore } from '../../src/sdk/listener.js';
import { Api } from '../support/api.js';
import { Service } from '../support/service.js';

const EVENTS = 100_000;
const BATCH = 1_000;
const TYPE = 'booked';
const ACCOUNTS = 97;
/** Of each batch: so many are completed, so many of them as failures, and so many stay leased. */
const [COMPLETED, FAILED, HELD] = [300, 30, 20];

t.setTimeout(1_200_000);

interface Booking {
  readonly account: number;
  readonly amount: number;
}

/** What it holds depends on every event, and on their order. */
class Ledger implements StateStore {
  readonly balances = new Map<number, number>();
  events = 0;
  chain = '';
  cursor: string | null = null;

  book({ id, body }: LeasedEvent): void {
    const { account, amount } = body as Booking;
    this.balances.set(account, (this.balances.get(account) ?? 0) + amount);
    this.events += 1;
    this.chain = createHash('sha256').update(`${this.chain} ${id} ${account} ${amount}`).digest('hex');
  }

  loadCursor(): string | null {
    return this.cursor;
  }

  saveCursor(cursor: string): void {
    this.cursor = cursor;
  }

  clear(): void {
    this.balances.clear();
    this.events = 0;
    this.chain = '';
    this.cursor = null;
  }

  get all() {
    return { events: this.events, chain: this.chain, balances: [...this.balances].sort(([a], [b]) => a - b) };
  }
}

interface Leased {
  readonly attemptId: string;
  readonly token: string;
}

/** A completion for most of what is leased, some with failures; what is left is held. */
async function workOff(api: Api): Promise<void> {
  const lease = { types: [TYPE], max: COMPLETED + HELD, leaseMs: 43_200_000 };
  const leased = await api.persist('POST', '/v1/leases', { body: lease });
  const { leases } = leased.json<{ leases: Leased[] }>();
  const completions = leases.slice(0, COMPLETED).map(({ attemptId, token }, index) => ({
    attemptId,
    token,
    outcome: index < FAILED ? 'fail' : 'success',
    response: { body: { index } },
  }));
  await api.persist('POST', '/v1/completions', { body: completions });
}

interface Listed {
  readonly events: readonly { readonly id: string; readonly status: string }[];
  readonly cursor: string | null;
}

/** Of all events: a digest of how each stands, with its version, and of every hundredth its response and attempts, byte for byte. */
async function standing(api: Api) {
  const hash = createHash('sha256');
  const statuses: Record<string, number> = {};
  let count = 0;
  for (let cursor: string | null = ''; cursor !== null; ) {
    const reply = await api.persist(
      'GET',
      `/v1/events?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    const page = reply.json<Listed>();
    hash.update(JSON.stringify(page.events));
    for (const { id, status } of page.events) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      count += 1;
      if (count % 100 !== 0) continue;
      for (const part of ['', '/attempts', '/response']) {
        const reply = await api.persist('GET', `/v1/events/${id}${part}`);
        // What is refused names the request.
        hash.update(reply.status === 200 ? reply.text : String(reply.status));
      }
    }
    cursor = page.cursor;
  }
  return { count, statuses, digest: hash.digest('hex') };
}

t.test('a state is built again from 100,000 events, and nothing else happens', async (t) => {
  const service = await Service.start({
    env: { ARCHIVE_INTERVAL_MS: '50', EMBEDDED_BYTES_MAX: '2147483648' },
  });
  t.teardown(() => service.stop());
  const api = new Api(service.url, 8);
  t.teardown(() => api.close());
  const [live, again] = [new Ledger(), new Ledger()];
  const told: unknown[] = [];
  const listenerOf = (ledger: Ledger) =>
    new Listener({
      url: service.url,
      types: [TYPE],
      state: ledger,
      handleStateUpdate: (event) => ledger.book(event),
      handleSideEffects: () => {},
      onError: (error) => told.push(error),
    });

  const began = performance.now();
  for (let first = 0; first < EVENTS; first += BATCH) {
    const items = Array.from({ length: BATCH }, (_, k) => ({
      type: TYPE,
      body: { account: (first + k) % ACCOUNTS, amount: ((first + k) % 1_001) - 500 },
    }));
    await api.persist('POST', '/v1/events', { body: items, headers: { 'idempotency-key': `from ${first}` } });
    await workOff(api);
    await listenerOf(live).sync();
  }
  const client = new Client({ url: service.url });
  // The end of the log: so that what is recorded is archived, and read.
  const last = await client.submit(TYPE, { account: 0, amount: 0 }, { durability: 'archive' });
  await listenerOf(live).sync();
  const taken = performance.now();
  t.equal(live.events, EVENTS + 1);

  const before = await standing(api);
  const looked = performance.now();
  await listenerOf(again).rebuild();
  const rebuilt = performance.now();
  t.ok(JSON.stringify(again.all) === JSON.stringify(live.all), 'it is what was built live');
  const cursor = again.cursor!;
  t.same(await standing(api), before, 'no status, response or delivery has been touched');
  const behind = await api.persist('GET', `/v1/log?after=${encodeURIComponent(cursor)}&waitMs=500`);
  t.same(behind.json<{ records: unknown[] }>().records, [], 'nothing has been recorded since');
  t.equal((await client.poll(last.id)).status, 'pending');

  again.book({ id: 'no event', body: { account: 1, amount: 1 } } as unknown as LeasedEvent);
  await listenerOf(again).rebuild();
  t.ok(JSON.stringify(again.all) === JSON.stringify(live.all), 'what a state had besides is gone');
  t.same(told, []);
  const seconds = (from: number, to: number) => ((to - from) / 1_000).toFixed(1);
  t.comment(
    `${before.count} events, ${JSON.stringify(before.statuses)}: taken, worked off and synced in ${seconds(began, taken)} s; ` +
      `looked at in ${seconds(taken, looked)} s; state rebuilt in ${seconds(looked, rebuilt)} s; digest ${before.digest.slice(0, 16)}`,
  );
});
