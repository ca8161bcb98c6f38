/** A state as plain values, so that two can be compared: all that it holds, and nothing of how it is indexed. */

import { formatPosition } from '../../src/event/record.js';
import type { Delivery, EventState, PartitionState } from '../../src/event/state.js';
import { unarchivedOf } from '../../src/event/unarchived.js';

export interface StateDump {
  readonly view: number;
  readonly n: number;
  readonly sequence: number;
  readonly bytes: number;
  readonly leasedCount: number;
  readonly archived: unknown;
  readonly types: readonly unknown[];
  readonly leaving: number;
  readonly events: readonly unknown[];
  readonly keys: readonly unknown[];
  readonly calls: readonly unknown[];
  readonly relays: readonly unknown[];
  readonly trees: readonly unknown[];
  readonly redrives: readonly unknown[];
  readonly outbox: readonly unknown[];
}

/** What has ended by `now` and may be forgotten at any time (keys, lease calls) is left out. */
export function dumpState(state: PartitionState, now = 0): StateDump {
  return {
    view: state.view,
    n: state.n,
    sequence: state.sequence,
    bytes: state.bytes,
    leasedCount: state.leasedCount,
    archived: state.archived,
    // Where deliveries wait, and how many, depends on when somebody last looked.
    types: state.typesByOrdinal.map(
      ({ policy: _, ready: __, keyed: ___, counts: ____, asked: _____, ...type }) => type,
    ),
    leaving: state.leaving,
    events: [...state.history].map((event) => dumpEvent(state, event)),
    keys: [...state.idempotency]
      .filter(([expiresAt]) => expiresAt > now)
      .sort(([a], [b]) => a - b)
      .map(([expiresAt, entries]) => [expiresAt, [...entries]]),
    calls: [...state.calls]
      .filter(([, { expiresAt }]) => expiresAt > now)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([call, { claim, expiresAt, grants }]) => ({
        call,
        claim,
        expiresAt,
        // Those that have ended are of no account, and a call that was forgotten in between has lost them.
        grants: grants
          .filter(({ delivery, grant }) => delivery.state === 'leased' && delivery.grants === grant)
          .map(({ delivery, grant }) => [delivery.event.id, delivery.listener, grant]),
      })),
    relays: [...state.relays.values()].map((relay) => ({ ...relay, envelope: text(relay.envelope) })),
    trees: [...state.trees].sort(([a], [b]) => (a < b ? -1 : 1)),
    redrives: [...state.redrives].sort(([a], [b]) => (a < b ? -1 : 1)),
    outbox: [...state.outbox].map((record) => ({
      ...record,
      pos: formatPosition(record.pos),
      payload: 'payload' in record ? text(record.payload) : undefined,
    })),
  };
}

function dumpEvent({ archived }: PartitionState, event: EventState): unknown {
  return {
    ...event,
    // Those that are archived are let go only when another comes.
    unarchived: event.unarchived && unarchivedOf(event.unarchived, archived?.pos ?? null),
    type: event.type.name,
    position: formatPosition(event.position),
    envelope: text(event.envelope),
    result: text(event.result),
    deliveries: event.deliveries.map(dumpDelivery),
  };
}

function dumpDelivery({ listener, state, dueAt, expiresAt, grants, attempt, attempts }: Delivery): unknown {
  return {
    listener,
    state,
    grants,
    attempt,
    // Of a time that has no meaning in the state that it is in, what is left depends on what came before.
    dueAt: state === 'waiting' ? dueAt : null,
    expiresAt: state === 'leased' ? expiresAt : null,
    attempts: attempts.map((each) => ({
      ...each,
      result: text(each.result),
      late: each.late && { ...each.late, payload: text(each.late.payload) },
    })),
  };
}

function text(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
