/** What holds of ordering keys in a state, by a plain look at all of its events. */
import assert from 'node:assert/strict';
import type { Delivery, EventState, PartitionState } from '../../src/event/state.js';

/** Whether a delivery waits behind an older one of its type, its listener and its key that has not ended. */
export function whoIsBehind({ history }: Pick<PartitionState, 'history'>): (delivery: Delivery) => boolean {
  const heads = new Map<string, Delivery>();
  for (const event of history) {
    for (const delivery of event.deliveries) {
      const name = nameOf(delivery);
      if (name !== null && delivery.state !== 'ended' && !heads.has(name)) heads.set(name, delivery);
    }
  }
  return (delivery) => {
    const name = nameOf(delivery);
    return name !== null && heads.get(name) !== delivery;
  };
}

function nameOf({ event, listener }: Delivery): string | null {
  return event.key === null ? null : JSON.stringify([event.type.name, listener, event.key]);
}

/** S6: per key one is out or backs off, and it is the oldest that has not ended. */
export function checkKeys(state: PartitionState): void {
  const isBehind = whoIsBehind(state);
  for (const { deliveries } of state.history) {
    for (const delivery of deliveries) {
      if (delivery.state === 'ended' || !isBehind(delivery)) continue;
      assert.equal(delivery.state, 'waiting', 'S6: one of a key is out at a time');
      assert.equal(delivery.grants, 0, 'S6: nobody was out before those before it had ended');
    }
  }
}

export function checkKey(event: EventState | undefined, key: string | null): void {
  assert.equal(event?.key, key, 'the key is as it was said');
}
