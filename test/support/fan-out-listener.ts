/**
 * A listener in a process of its own, which a test can kill: leases in bulk, fails a share of what it gets and asks for it again,
 * completes the rest. Every call may be repeated, and is while the service is away.
 *
 * Told in argv: the service's URL, the type, the listener's name, the share that fails, how many it leases, and what the work on
 * those takes, in milliseconds.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Api } from './api.js';

/** Short, so that what a killed process held is soon another's. */
const LEASE_MS = 1_000;

const [url = '', type = '', listener = '', failing = '0', max = '1', workMs = '0'] = process.argv.slice(2);
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
      max: Number(max),
      leaseMs: LEASE_MS,
      waitMs: 5_000,
      worker: String(process.pid),
    },
  });
  const { leases = [] } = leased.json<{ leases?: Lease[] }>();
  // Who wants to kill it at work waits for this.
  if (leases.length > 0) process.stdout.write('at work\n');
  await delay(Number(workMs));
  if (leases.length > 0) await api.persist('POST', '/v1/completions', { body: leases.map(completionOf) });
}
