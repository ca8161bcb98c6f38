/** An event begins: its state, the deliveries to its listeners, and the idempotency key that it came with. */
import { completeEvent, settle } from '../ending.js';
import { joinKey } from '../keyed.js';
import { moveTo } from '../place.js';
import type { Accepted, KeyKept } from '../record.js';
import { enqueue, hold } from '../schedule.js';
import {
  DELIVERY_OVERHEAD_BYTES,
  type Delivery,
  EVENT_OVERHEAD_BYTES,
  type EventState,
  KEY_OVERHEAD_BYTES,
  KEYED_OVERHEAD_BYTES,
  type PartitionState,
} from '../state.js';
import { typeOf } from './find.js';

export function applyAccepted(state: PartitionState, record: Accepted): void {
  const type = typeOf(state, record.type);
  state.sequence += 1;
  const event: EventState = {
    id: record.id,
    type,
    sequence: state.sequence,
    position: record.pos,
    createdAt: record.at,
    envelope: record.payload,
    status: 'pending',
    outcome: null,
    reason: null,
    startedAt: null,
    completedAt: null,
    cancelRequested: false,
    deadlineAt: record.deadlineAt ?? null,
    key: record.key ?? null,
    ended: null,
    last: null,
    settledAt: null,
    settledBy: null,
    version: 1,
    result: null,
    unarchived: record.durability === 'archive' ? [] : null,
    tree:
      record.parent === undefined ? null : { parent: record.parent, root: record.root ?? null, relaying: 0 },
    redriveOf: record.redriveOf ?? null,
    redrivenBy: null,
    deliveries: [],
  };
  const past = event.redriveOf === null ? undefined : state.events.get(event.redriveOf);
  if (past) past.redrivenBy = { id: event.id, position: record.pos };
  if (event.deadlineAt !== null) state.deadlines.push({ at: event.deadlineAt, event });
  type.open += 1;
  state.events.set(record.id, event);
  state.history.push(event);
  for (const listener of record.listeners ?? FIRST_ONLY) addDelivery(state, event, listener, record);
  state.bytes += eventWeight(event);
  if (record.idempotency) rememberKey(state, record, record.idempotency);
  if (event.deliveries.length > 0) return;
  completeEvent(event, record, 'fail', 'unmatched');
  settle(state, event, record);
}

const FIRST_ONLY: readonly number[] = Object.freeze([0]);

function addDelivery(state: PartitionState, event: EventState, listener: number, record: Accepted): void {
  const delivery: Delivery = {
    event,
    listener,
    state: 'waiting',
    // In its turn, whatever becomes of the clock until then.
    dueAt: event.key === null ? record.dueAt : 0,
    expiresAt: 0,
    grants: 0,
    attempt: 0,
    attempts: [],
    place: 'none',
    links: null,
  };
  event.deliveries.push(delivery);
  if (event.key !== null && !joinKey(delivery, event.key)) moveTo(delivery, 'keyed');
  else if (event.unarchived) hold(state, delivery);
  else enqueue(state, delivery, record.at);
}

/** Without its attempts and its key. */
export function eventWeight({ envelope, deliveries, key }: EventState): number {
  const more = Math.max(0, deliveries.length - 1) * DELIVERY_OVERHEAD_BYTES;
  const keyed = key === null ? 0 : 2 * key.length + deliveries.length * KEYED_OVERHEAD_BYTES;
  return EVENT_OVERHEAD_BYTES + envelope.byteLength + more + keyed;
}

export function rememberKey(
  state: PartitionState,
  record: Accepted | KeyKept,
  { scope, fingerprint, expiresAt }: KeyKept['idempotency'],
): void {
  let day = state.idempotency.get(expiresAt);
  if (!day) {
    day = new Map();
    state.idempotency.set(expiresAt, day);
  }
  day.set(scope, { id: record.id, fingerprint, createdAt: record.at });
  state.bytes += KEY_OVERHEAD_BYTES;
}
