/**
 * Answers `/ping/{value}` with `{value}`: a listener in plain Node, with nothing but fetch.
 *
 *   node examples/helloworld/listener.mjs
 *   curl http://127.0.0.1:7420/http/ping/hello -H 'Prefer: wait=20'
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const CLOCKWORK = process.env.CLOCKWORK_URL ?? 'http://127.0.0.1:7420';
const TRY_AGAIN_MS = 1_000;

// Who hangs up while it waits for work leaves no event behind: what was leased for it goes back at once.
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopping.abort());

while (!stopping.signal.aborted) {
  const { leases } = await lease();
  for (const { attemptId, token, event } of leases) await complete(attemptId, token, answer(event));
}

/** What the event gets for an answer. An answer of "no" is an answer too: only `fail` says that nobody could help. */
function answer({ method, path }) {
  const [, value] = /^\/ping\/(.+)$/.exec(path) ?? [];
  if (value === undefined) return completion('fail', 404, `There is no ${method} ${path} here.\n`);
  try {
    return completion('success', 200, decodeURIComponent(value));
  } catch {
    return completion('fail', 400, 'The value is not well percent-encoded.\n');
  }
}

function completion(outcome, status, body) {
  return { outcome, response: { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body } };
}

/** The key makes it safe to ask again when the reply was lost: the same leases come, instead of more. */
function lease() {
  const body = { types: ['HTTP'], max: 10, leaseMs: 30_000, waitMs: 20_000, worker: `node ${process.pid}` };
  return call('POST', '/v1/leases', { 'idempotency-key': randomUUID() }, body, stopping.signal);
}

/** Sent again it is one completion. Refused it was too late: somebody else has the event now. */
function complete(attemptId, token, result) {
  return call('PUT', `/v1/attempts/${attemptId}/completion`, { 'lease-token': token }, result);
}

/** Tries until the service has answered; what it refuses is said and not tried again. */
async function call(method, path, headers, body, signal) {
  for (;;) {
    try {
      const response = await fetch(CLOCKWORK + path, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        signal,
      });
      const reply = await response.json();
      if (response.ok) return reply;
      console.error(`${method} ${path}: ${response.status} ${reply.code}: ${reply.detail}`);
      await delay(TRY_AGAIN_MS);
      if (response.status < 500) return { leases: [] };
    } catch (error) {
      if (signal?.aborted) return { leases: [] };
      console.error(`${method} ${path}: ${error.cause ?? error}`);
      await delay(TRY_AGAIN_MS);
    }
  }
}
