/** Lease: the oldest eligible deliveries go to a caller, each fenced by a token of its own. */
import { formatAttemptId } from '../attempt-id.js';
import type { Lease, LeaseCommand, LeaseResult } from '../command.js';
import { ordinalFor } from '../listeners.js';
import type { Volatile } from '../record.js';
import { peekDeadline, peekReady, takeReady } from '../schedule.js';
import {
  type Delivery,
  findAttempt,
  type LeaseCall,
  leaseExpired,
  type PartitionState,
  type TypeState,
} from '../state.js';
import { type Decision, Recorder, refuse } from './decision.js';

/**
 * Takes what it grants out of the ready queues, so its records must be applied. `decideDeadlines` comes first, else there
 * is nothing while an event has passed its deadline, then `promoteDue`, else a delivery whose wait has just ended would be
 * passed over.
 */
export function decideLease(
  state: PartitionState,
  command: LeaseCommand,
  now: number,
): Decision<LeaseResult> {
  const missing = unsubscribedIn(state, command);
  if (missing !== null) return refuse(missing);
  const queues = queuesFor(state, command);
  const known = findCall(state, command.call, now);
  const live = known ? liveLeases(state, known, now) : [];
  if (known && live.length > 0) return replay(command, known, live);

  const claim = (known?.claim ?? 0) + 1;
  const expiresAt = now + (command.leaseMs ?? leaseMsOf(state, command.types));
  const recorder = new Recorder(state, now);
  const leases: Lease[] = [];
  for (const delivery of takeOldest(state, queues, command, now)) {
    const token = command.tokens[leases.length]!;
    const grant = delivery.grants + 1;
    const attempt = delivery.attempt + 1;
    recorder.add({
      op: 'granted',
      id: delivery.event.id,
      listener: delivery.listener,
      grant,
      attempt,
      token,
      worker: command.worker,
      expiresAt,
      call: command.call,
      claim,
    });
    leases.push(leaseOf(delivery, grant, attempt, token, expiresAt));
  }
  return { records: recorder.records, result: { kind: 'leased', leases, claim } };
}

/** One call gives leases of one length: the shortest of what the types say. */
function leaseMsOf(state: PartitionState, types: readonly string[]): number {
  return Math.min(...types.map((name) => (state.types.get(name)?.policy ?? state.policy).leaseMs));
}

/** What is remembered of a lease call. It is forgotten when its leases would have ended without an extension. */
export function findCall(state: PartitionState, call: string, now: number): LeaseCall | null {
  const known = state.calls.get(call);
  return known && known.expiresAt > now ? known : null;
}

function replay(command: LeaseCommand, call: LeaseCall, leases: Lease[]): Decision<LeaseResult> {
  const claim = call.claim + 1;
  const claimed: Volatile = { op: 'claimed', call: command.call, claim };
  return { records: [claimed], result: { kind: 'leased', leases, claim } };
}

function liveLeases(state: PartitionState, call: LeaseCall, now: number): Lease[] {
  const leases: Lease[] = [];
  for (const { delivery, grant } of call.grants) {
    const holds = delivery.state === 'leased' && delivery.grants === grant;
    if (!holds || leaseExpired(delivery, now, state.limits)) continue;
    const { attempt, token } = findAttempt(delivery, grant)!;
    leases.push(leaseOf(delivery, grant, attempt, token, delivery.expiresAt));
  }
  return leases;
}

/** One of the types has no such listener. */
export function unsubscribedIn(
  { types }: PartitionState,
  command: LeaseCommand,
): Extract<LeaseResult, { kind: 'not_subscribed' }> | null {
  const { listener } = command;
  const isMissing = (type: string) => ordinalFor(types.get(type)?.listeners ?? [], listener) === null;
  const type = command.types.find(isMissing);
  return type === undefined ? null : { kind: 'not_subscribed', type, listener };
}

function queuesFor({ types }: PartitionState, command: LeaseCommand): Queue[] {
  return command.types.flatMap((name) => {
    const type = types.get(name);
    if (!type || type.paused) return [];
    return [{ type, listener: ordinalFor(type.listeners, command.listener)! }];
  });
}

interface Queue {
  readonly type: TypeState;
  readonly listener: number;
}

function takeOldest(
  state: PartitionState,
  queues: readonly Queue[],
  command: LeaseCommand,
  now: number,
): Delivery[] {
  const taken: Delivery[] = [];
  // So many have passed at once that the store has not ended all of them yet.
  if (peekDeadline(state, now) !== null) return taken;
  let bytes = 0;
  while (taken.length < command.max) {
    const oldest = oldestOf(queues);
    if (!oldest) break;
    bytes += oldest.event.envelope.byteLength;
    if (taken.length > 0 && bytes > command.bytesMax) break;
    takeReady(oldest);
    taken.push(oldest);
  }
  return taken;
}

function oldestOf(queues: readonly Queue[]): Delivery | null {
  let oldest: Delivery | null = null;
  for (const { type, listener } of queues) {
    const delivery = peekReady(type, listener);
    if (delivery && (!oldest || delivery.event.sequence < oldest.event.sequence)) oldest = delivery;
  }
  return oldest;
}

function leaseOf(
  { event, listener }: Delivery,
  grant: number,
  attempt: number,
  token: string,
  expiresAt: number,
): Lease {
  return {
    attemptId: formatAttemptId(event.id, event.type.ordinal, listener, grant),
    attempt,
    token,
    expiresAt,
    deadlineAt: event.deadlineAt,
    position: event.position,
    event: {
      id: event.id,
      type: event.type.name,
      createdAt: event.createdAt,
      key: event.key,
      envelope: event.envelope,
    },
  };
}
