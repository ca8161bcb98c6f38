/**
 * When a delivery is leased next and when its lease ends: the upkeep of the heaps that answer both.
 */
import type { Heap } from './heap.js';
import { moveTo } from './place.js';
import { byTime } from './settled.js';
import {
  type Delivery,
  deadlineHasPassed,
  type EventState,
  type PartitionState,
  readyHeap,
  type TypeState,
} from './state.js';
import { isBeyond } from './unarchived.js';

/** Puts a waiting delivery where a lease, or the end of its wait, will find it. */
export function enqueue(state: PartitionState, delivery: Delivery, now: number): void {
  if (delivery.dueAt <= now) return makeReady(delivery);
  moveTo(delivery, 'delayed');
  state.delayed.push({ at: delivery.dueAt, delivery });
}

/** Puts a delivery of an event that is not archived where `releaseArchived` will find it. */
export function hold(state: PartitionState, delivery: Delivery): void {
  moveTo(delivery, 'held');
  state.held.push(delivery);
}

/**
 * Its turn has come, those of its key before it having ended: it waits until whoever looks for what is due finds it, as they
 * do before every lease, or until its event is archived.
 */
export function takeTurn(state: PartitionState, delivery: Delivery): void {
  const { unarchived, position } = delivery.event;
  if (unarchived && isBeyond(position, state.archived?.pos ?? null)) return hold(state, delivery);
  moveTo(delivery, 'delayed');
  state.delayed.push({ at: delivery.dueAt, delivery });
}

/**
 * Lets go of deliveries whose events have been archived, the oldest first, at most `limit`: to their ready queues, or
 * to wait until they are due. Returns how many those were, and those that are ready.
 */
export function releaseArchived(
  state: PartitionState,
  now: number,
  limit: number,
): { readonly released: number; readonly ready: readonly Delivery[] } {
  const ready: Delivery[] = [];
  let released = 0;
  while (released < limit) {
    const delivery = state.held.peek();
    if (!delivery || isBeyond(delivery.event.position, state.archived?.pos ?? null)) break;
    state.held.pop();
    if (!isWaiting(delivery, 'held')) continue;
    released += 1;
    enqueue(state, delivery, now);
    if (isReady(delivery)) ready.push(delivery);
  }
  return { released, ready };
}

function isReady({ place }: Delivery): boolean {
  return place === 'ready';
}

export function makeReady(delivery: Delivery): void {
  moveTo(delivery, 'ready');
  readyQueue(delivery.event.type, delivery.listener).push(delivery);
}

/** The queue of a listener, made when it is first used. */
export function readyQueue(type: TypeState, listener: number): Heap<Delivery> {
  type.ready[listener] ??= readyHeap();
  return type.ready[listener];
}

/**
 * Moves deliveries whose wait is over (for their events to be archived, to be due) to their ready queues; returns those.
 * At most `limit` are looked at. A store does it before every lease, so that the oldest eligible delivery is found in
 * its place, and wakes who waits for them.
 */
export function promoteDue(state: PartitionState, now: number, limit: number): Delivery[] {
  const { released, ready } = releaseArchived(state, now, limit);
  const moved = [...ready];
  for (let left = limit - released; left > 0; left -= 1) {
    const entry = state.delayed.peek();
    if (!entry || entry.at > now) break;
    state.delayed.pop();
    const { delivery } = entry;
    if (!isWaiting(delivery, 'delayed') || delivery.dueAt !== entry.at) {
      left += 1;
      continue;
    }
    makeReady(delivery);
    moved.push(delivery);
  }
  return moved;
}

/** The event whose deadline has passed longest and that is not complete, left in its place; null: there is none. */
export function peekDeadline({ deadlines, events }: PartitionState, now: number): EventState | null {
  for (let entry = deadlines.peek(); entry && entry.at <= now; entry = deadlines.peek()) {
    const { event } = entry;
    if (deadlineHasPassed(event, now) && events.get(event.id) === event) return event;
    deadlines.pop();
  }
  return null;
}

/**
 * The oldest delivery of the queue that may be leased, left in its place. What stands in a ready queue was due once and
 * stays so: to ask the clock again would strand it when the clock steps back.
 */
export function peekReady(type: TypeState, listener: number): Delivery | null {
  const heap = type.ready[listener];
  if (!heap) return null;
  for (let delivery = heap.peek(); delivery; delivery = heap.peek()) {
    if (isWaiting(delivery, 'ready')) return delivery;
    heap.pop();
  }
  return null;
}

/** Takes what `peekReady` has shown. */
export function takeReady(delivery: Delivery): void {
  delivery.event.type.ready[delivery.listener]!.pop();
  moveTo(delivery, 'none');
}

function isWaiting(delivery: Delivery, place: 'ready' | 'delayed' | 'held'): boolean {
  return delivery.state === 'waiting' && delivery.place === place;
}

/** The lease of `delivery` ends at `expiresAt`, whatever was said before. */
export function setLease(state: PartitionState, delivery: Delivery, expiresAt: number): void {
  delivery.expiresAt = expiresAt;
  state.leasedUntil = Math.max(state.leasedUntil, expiresAt);
  state.leased.push({ at: expiresAt, delivery });
  // Extensions leave stale entries behind; they may not outgrow the live ones for long.
  if (state.leased.size > 2 * state.leasedCount + 1_024) state.leased.retain(leaseEntryHolds);
}

/**
 * Drops what is stale in every index. A fold of many records takes nothing out of the ready queues, and the first
 * lease after it would have to walk past all that.
 */
export function tidy(state: PartitionState): void {
  state.held.retain((delivery) => isWaiting(delivery, 'held'));
  state.delayed.retain(({ at, delivery }) => isWaiting(delivery, 'delayed') && delivery.dueAt === at);
  state.leased.retain(leaseEntryHolds);
  state.deadlines.retain(({ event }) => event.status !== 'complete');
  state.settled.sort((event) => state.events.get(event.id) === event);
  for (const type of state.types.values()) {
    type.settled?.sort((event) => state.events.get(event.id) === event, byTime);
    for (const heap of type.ready) {
      if (!heap) continue;
      const seen = new Set<Delivery>();
      heap.retain((delivery) => isWaiting(delivery, 'ready') && seen.size < seen.add(delivery).size);
    }
  }
}

export function leaseEntryHolds(entry: { at: number; delivery: Delivery }): boolean {
  return entry.delivery.state === 'leased' && entry.delivery.expiresAt === entry.at;
}
