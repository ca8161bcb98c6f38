/** Where deliveries are, and how many of each listener are there: the counts follow every move. */
import type { Delivery, DeliveryCounts, TypeState } from './state.js';

/** Of one listener, by its ordinal. */
export function countsOf(type: TypeState, listener: number): DeliveryCounts {
  type.counts[listener] ??= { ready: 0, delayed: 0, leased: 0 };
  return type.counts[listener];
}

/** It is to be found there from now on, and nowhere else. */
export function moveTo(delivery: Delivery, place: Delivery['place']): void {
  const counts = countsOf(delivery.event.type, delivery.listener);
  countAt(counts, delivery.place, -1);
  delivery.place = place;
  countAt(counts, place, 1);
}

function countAt(counts: DeliveryCounts, place: Delivery['place'], by: 1 | -1): void {
  if (place === 'none') return;
  if (place === 'ready') counts.ready += by;
  else counts.delayed += by;
}

export function countLease(delivery: Delivery, by: 1 | -1): void {
  countsOf(delivery.event.type, delivery.listener).leased += by;
}
