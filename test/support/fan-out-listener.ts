/**
 * A listener in a process of its own, which a test can kill: leases in bulk, fails a share of what it gets and asks for it again,
 * completes the rest. Every call may be repeated, and is while the service is away.
 *
 * Told in argv: the service's URL, the type, the listener's name, and the share that fails.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from './api.js';

const LEASES = 50;
/** Short, so that what a killed process held is soon another's. */
const LEASE_MS = 1_000;
/** What the work on them takes, so that whoever kills it mostly finds it at work. */
const WORK_MS = 50;

const [url = '', type = '', listener = '', failing = '0'] = process.argv.slice(2);
const api = new Api(url, 2);

interface Lease {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly body: { readonly number: number } };
}

function completionOf({ attemptId, token, event }: Lease): object {
  if (Math.random() < Number(failing)) return { attemptId, token, outcome: 'fail', retry: 'policy' };
  const response = { body: `${listener} ${event.body.number}` };
  return { attemptId, token, outcome: 'success', response };
}

for (;;) {
  const leased = await api.persist('POST', '/v1/leases', {
    headers: { 'idempotency-key': randomUUID() },
    body: {
      types: [type],
      listener,
      max: LEASES,
      leaseMs: LEASE_MS,
      waitMs: 5_000,
      worker: String(process.pid),
    },
  });
  const { leases = [] } = leased.json<{ leases?: Lease[] }>();
  await delay(WORK_MS);
  if (leases.length > 0) await api.persist('POST', '/v1/completions', { body: leases.map(completionOf) });
}
