/** What a record names: it is there, or the records are not what a store has written. */
import type { DeliveryRef } from '../record.js';
import {
  type Delivery,
  type EventState,
  findDelivery,
  type PartitionState,
  type TypeState,
} from '../state.js';

export function typeOf(state: PartitionState, name: string): TypeState {
  const type = state.types.get(name);
  if (!type) throw new Error(`record of a type that is not there: ${name}`);
  return type;
}

export function eventOf(state: PartitionState, id: string): EventState {
  const event = state.events.get(id);
  if (!event) throw new Error(`record of an event that is not there: ${id}`);
  return event;
}

export function deliveryOf(state: PartitionState, ref: Pick<DeliveryRef, 'id' | 'listener'>): Delivery {
  const delivery = findDelivery(eventOf(state, ref.id), ref.listener);
  if (!delivery) throw new Error(`record of a delivery that is not there: ${ref.id} ${ref.listener}`);
  return delivery;
}
