/** Leasing: what can be taken back of an answer that was not delivered. */
import t, { type Test } from 'tap';
import type { LeaseAnswer, LeaseRequest } from '../../src/queue/leasing.js';
import { Queue } from '../../src/queue/queue.js';
import { CoreStore } from '../support/core-store.js';

const OPTIONS = { leaseReplyBytesMax: 1 << 20, waitersMax: 10, slowLookMs: 5_000 };

function openQueue(t: Test): Queue {
  const queue = new Queue(new CoreStore(), OPTIONS);
  t.teardown(() => queue.stop());
  return queue;
}

async function submit(queue: Queue): Promise<void> {
  const head = {
    method: 'POST',
    path: '/',
    query: '',
    headers: [],
    clientAddress: null,
    contentType: null,
    bytes: 0,
    sha256: '',
    bodyEncoding: 'text',
    version: null,
    correlationId: null,
    traceparent: null,
    cloudEvent: null,
  } as const;
  const body = new Uint8Array();
  await queue.submit(
    [
      {
        type: 'mail',
        head,
        body,
        key: null,
        delayMs: 0,
        deadlineMs: null,
        durability: 'store',
        idempotencyKey: null,
        eventHeaders: [],
      },
    ],
    'ada',
  );
}

const REQUEST: LeaseRequest = {
  types: ['mail'],
  listener: 'default',
  max: 1,
  leaseMs: null,
  waitMs: 0,
  worker: null,
  key: null,
  caller: 'ada',
  signal: null,
};

type Leased = Extract<LeaseAnswer, { kind: 'leased' }>;

async function lease(queue: Queue, key: string | null): Promise<Leased> {
  const answer = await queue.lease({ ...REQUEST, key });
  if (answer.kind !== 'leased') throw new Error(answer.kind);
  return answer;
}

t.test('leases of an answer that was not delivered go back', async (t) => {
  const queue = openQueue(t);
  await submit(queue);
  const { leases, undo } = await lease(queue, null);
  t.equal(leases.length, 1);
  await queue.abandon(undo);
  const again = await lease(queue, null);
  t.match(again.leases, [{ attempt: 1 }], 'at once, and not counted');
});

t.test('a call that comes late never takes leases from the repeat that overtook it', async (t) => {
  const queue = openQueue(t);
  await submit(queue);
  const repeat = await lease(queue, 'k');
  const late = await lease(queue, 'k');
  t.same(late.leases, repeat.leases, 'both are given the same');
  await queue.abandon(late.undo);
  const { attemptId, token } = repeat.leases[0]!;
  t.match(await queue.extend({ attemptId, token, leaseMs: 1_000 }), { kind: 'extended' });
});
