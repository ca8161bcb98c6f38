/** The order in which deliveries are leased. */
import type { Delivery } from '../../src/event/state.js';

export function oldest(eligible: readonly Delivery[], max: number, bytesMax: number): Delivery[] {
  const taken: Delivery[] = [];
  let bytes = 0;
  for (const delivery of eligible) {
    bytes += delivery.event.envelope.byteLength;
    if (taken.length === max || (taken.length > 0 && bytes > bytesMax)) break;
    taken.push(delivery);
  }
  return taken;
}
