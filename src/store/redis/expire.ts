/**
 * Expire and promote: what time alone brings about, deadlines too, and that records were archived. Which deliveries it concerns is looked at first, so that the queues
 * they go to can be named to the script that moves them; that script looks again.
 */
import type { ExpireResult } from '../../event/command.js';
import type { Argument } from './connection.js';
import { type Partition, QueueKeys } from './partition.js';

/** Deliveries that one script moves at most, so that none keeps the others waiting for long. */
const BATCH_MAX = 500;

export async function expire(partition: Partition, limit: number, leaseMsMax: number): Promise<ExpireResult> {
  const wanted = Math.min(limit, BATCH_MAX);
  const { overdue, members } = await peek(partition, wanted, leaseMsMax);
  if (overdue.length > 0)
    return { expired: 0, deadlines: await endByDeadline(partition, overdue), more: true };
  if (members.length === 0) return { expired: 0, deadlines: 0, more: false };
  const queues = new QueueKeys();
  const args: Argument[] = [];
  for (const { id, typeOrdinal, listener } of members.map(deliveryOf)) {
    args.push(id, listener, queues.placeOf(partition.keys.again(typeOrdinal, listener)));
  }
  const [expired] = await partition.change('expire', args, queues.list);
  return { expired: expired as number, deadlines: 0, more: members.length === wanted };
}

/** Ends all events whose deadline has passed. */
export async function endOverdue(partition: Partition): Promise<void> {
  for (let found = BATCH_MAX; found === BATCH_MAX; ) {
    const { overdue } = await peek(partition, BATCH_MAX, Number.MAX_SAFE_INTEGER);
    found = overdue.length;
    if (found > 0) await endByDeadline(partition, overdue);
  }
}

async function peek(partition: Partition, limit: number, leaseMsMax: number) {
  const [count, ...found] = (await partition.run('expire-peek', [leaseMsMax, limit])) as [
    number,
    ...Buffer[],
  ];
  return count > 0 ? { overdue: found, members: [] } : { overdue: [], members: found };
}

async function endByDeadline(partition: Partition, ids: readonly Buffer[]): Promise<number> {
  const [ended] = await partition.change('deadline', [...ids]);
  return ended as number;
}

export async function promote(partition: Partition, limit: number): Promise<number> {
  let promoted = 0;
  for (let looked = 0; looked < limit; ) {
    const wanted = Math.min(limit - looked, BATCH_MAX);
    const { found, moved } = await promoteSome(partition, wanted);
    looked += found;
    promoted += moved;
    if (found < wanted) break;
  }
  return promoted;
}

/** Deliveries whose events have been archived go to their queues, or wait on for their time. */
export async function releaseArchived(partition: Partition): Promise<void> {
  for (let found = BATCH_MAX; found === BATCH_MAX; )
    ({ found } = await promoteSome(partition, BATCH_MAX, 'archived'));
}

/** Promotes all that is due; resolves to the time up to which nothing is due any more. */
export async function promoteAll(partition: Partition): Promise<number> {
  for (;;) {
    const { found, now } = await promoteSome(partition, BATCH_MAX);
    if (found < BATCH_MAX) return now;
  }
}

async function promoteSome(partition: Partition, limit: number, which: 'all' | 'archived' = 'all') {
  const args = [limit, which === 'archived' ? 1 : 0];
  const [now, ...members] = (await partition.run('promote-peek', args)) as [number, ...Buffer[]];
  if (members.length === 0) return { now, found: 0, moved: 0 };
  const queues = new QueueKeys();
  const items: Argument[] = [];
  for (const { id, typeOrdinal, listener } of members.map(deliveryOf)) {
    items.push(id, typeOrdinal, listener, queues.placeOf(partition.keys.again(typeOrdinal, listener)));
  }
  const [moved] = await partition.change('promote', items, queues.list);
  return { now, found: members.length, moved: moved as number };
}

/** A member of the sets `leasedUntil`, `delayed` and `held`. */
function deliveryOf(member: Buffer) {
  const [id = '', typeOrdinal, listener] = member.toString().split('.');
  return { id, typeOrdinal: Number(typeOrdinal), listener: Number(listener) };
}
