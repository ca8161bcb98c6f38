/**
 * Ordering keys: of the deliveries that one listener of a type has of events with the same key, the oldest that has not
 * ended is the head, and the head alone may be leased, be out or back off. Those behind it wait, in the order of
 * acceptance, until it has ended; that it was retried or handed back changes nothing.
 *
 * A key's deliveries are linked to each other, so that one that ends in the middle drops out as quickly as the head does,
 * however many wait. What has no key has no links.
 */
import type { StoreRecord } from './record.js';
import { type Delivery, findDelivery, type PartitionState } from './state.js';

/** Puts it behind those that are there; true when there are none, and it is the head. */
export function joinKey(delivery: Delivery, key: string): boolean {
  const { type } = delivery.event;
  type.keyed[delivery.listener] ??= new Map();
  const queues = type.keyed[delivery.listener]!;
  const queue = queues.get(key);
  delivery.links = { before: queue?.tail ?? null, after: null };
  if (!queue) {
    queues.set(key, { head: delivery, tail: delivery });
    return true;
  }
  queue.tail.links!.after = delivery;
  queue.tail = delivery;
  return false;
}

/** It has ended. Gives the one whose turn it is now; null when it is nobody's, or was another's all along. */
export function leaveKey(delivery: Delivery, key: string): Delivery | null {
  const queues = delivery.event.type.keyed[delivery.listener]!;
  const queue = queues.get(key)!;
  const { before, after } = delivery.links!;
  delivery.links = null;
  if (after) after.links!.before = before;
  else if (before) queue.tail = before;
  if (before) {
    before.links!.after = after;
    return null;
  }
  if (after) queue.head = after;
  else queues.delete(key);
  return after;
}

/** Those whose turn has come by `record`, which has been applied; a look for what is due will find them. */
export function turnsAfter({ events }: Pick<PartitionState, 'events'>, record: StoreRecord): Delivery[] {
  const event = 'id' in record ? events.get(record.id) : undefined;
  if (!event || event.key === null || record.op === 'accepted') return [];
  const { key, type } = event;
  return event.deliveries.flatMap(({ listener }) => {
    const head = type.keyed[listener]?.get(key)?.head;
    const hasTurn = head !== undefined && head.place === 'delayed' && head.grants === 0;
    return hasTurn && findDelivery(event, listener) !== head ? [head] : [];
  });
}
