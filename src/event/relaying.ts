/** What it means that an event was emitted for another partition, and that it is there for good. */
import type { Emitted, Relayed } from './record.js';
import { EVENT_OVERHEAD_BYTES, type EventState, type PartitionState } from './state.js';
import { countRelaying, NO_TREE } from './tree.js';
import type { Durability } from './unarchived.js';

export function applyEmitted(state: PartitionState, event: EventState, record: Emitted): void {
  const { child, childType, root, dueAt, payload, pos, at } = record;
  const durability: Durability = record.durability ?? 'store';
  const key = record.key ?? null;
  const relay = { id: child, type: childType, parent: record.id, root, dueAt, durability, key } as const;
  state.relays.set(child, { ...relay, envelope: payload, position: pos, at });
  state.bytes += EVENT_OVERHEAD_BYTES + payload.byteLength;
  const { tree } = event;
  event.tree = { ...(tree ?? NO_TREE), relaying: (tree?.relaying ?? 0) + 1 };
  countRelaying(state, root, 1, { pos, promised: durability === 'archive' });
}

export function applyRelayed(state: PartitionState, event: EventState, record: Relayed): void {
  const relay = state.relays.get(record.child);
  if (!relay) throw new Error(`relayed without having been emitted: ${record.child}`);
  state.relays.delete(record.child);
  state.bytes -= EVENT_OVERHEAD_BYTES + relay.envelope.byteLength;
  const { tree } = event;
  event.tree = { ...(tree ?? NO_TREE), relaying: (tree?.relaying ?? 1) - 1 };
  countRelaying(state, relay.root, -1, { pos: record.pos, promised: false });
}
