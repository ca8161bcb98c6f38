/**
 * A listener in a process of its own that tells what it works on: leases some, fails or hands back a share of them, forgets a few,
 * completes the rest. What is poisoned it always forgets, so that only the end of its lease ends each attempt: nothing holds a
 * key longer. For each lease it writes a line: key, number, when it began and stopped, and when the lease ends.
 *
 * Told in argv: the service's URL, the type, and how long it leases, in milliseconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from './api.js';

const [url = '', type = '', leaseMs = '0'] = process.argv.slice(2);
const MAX = 5;
const WORK_MS_MAX = 10;
const FAILING = 0.1;
const HANDING_BACK = 0.03;
const FORGETTING = 0.002;

interface Lease {
  readonly attemptId: string;
  readonly token: string;
  readonly expiresAt: string;
  readonly event: {
    readonly key: string;
    readonly body: { readonly number: number; readonly poison: boolean };
  };
}

const api = new Api(url, 2);

type What = 'complete' | 'fail' | 'hand back' | 'forget';

async function work({ event }: Lease): Promise<What> {
  await delay(Math.random() * WORK_MS_MAX);
  const chance = Math.random();
  if (event.body.poison || chance < FORGETTING) return 'forget';
  if (chance < FORGETTING + HANDING_BACK) return 'hand back';
  return chance < FORGETTING + HANDING_BACK + FAILING ? 'fail' : 'complete';
}

const OUTCOMES = { complete: { outcome: 'success' }, fail: { outcome: 'fail', retry: 'policy' } } as const;

for (;;) {
  const body = { types: [type], max: MAX, leaseMs: Number(leaseMs), waitMs: 2_000 };
  const leased = await api.persist('POST', '/v1/leases', { body });
  const { leases = [] } = leased.json<{ leases?: Lease[] }>();
  const lines: string[] = [];
  const completions: object[] = [];
  const handedBack: Lease[] = [];
  await Promise.all(
    leases.map(async (lease) => {
      const began = Date.now();
      const what = await work(lease);
      const { key, body } = lease.event;
      lines.push(JSON.stringify([key, body.number, began, Date.now(), Date.parse(lease.expiresAt)]));
      const { attemptId, token } = lease;
      if (what === 'hand back') handedBack.push(lease);
      else if (what !== 'forget') completions.push({ attemptId, token, ...OUTCOMES[what] });
    }),
  );
  // Before anybody hears of it, so that nobody else can have begun by then.
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  if (completions.length > 0) await api.persist('POST', '/v1/completions', { body: completions });
  for (const { attemptId, token } of handedBack)
    await api.persist('DELETE', `/v1/attempts/${attemptId}`, { headers: { 'lease-token': token } });
}
