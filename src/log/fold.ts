/**
 * The fold of a log for who wants to know whether it folds, how many events it has and what their digest is: `apply`
 * of the core, which keeps of an event only hashes of its bodies, and nothing once the event has ended. So memory
 * grows with the events that are open and not with the length of the log.
 */
import { apply } from '../event/apply.js';
import { typeView } from '../event/decide/set-type.js';
import { listenersOf } from '../event/listeners.js';
import type { LogRecord } from '../event/record.js';
import { tidy } from '../event/schedule.js';
import {
  ATTEMPTS_KEPT_MAX,
  type EventState,
  emptyState,
  type PartitionState,
  type TypeState,
} from '../event/state.js';
import { attemptsOf, viewOf } from '../event/view.js';
import { Digest, sha256, type TypeFacts } from './digest.js';

/** Decisions need these, records do not: they are facts. */
export const FOLD_POLICY = {
  attemptsMax: 1,
  leaseMs: 0,
  backoffFirstMs: 0,
  backoffFactor: 1,
  backoffMsMax: 0,
  backoffJitter: 0,
};
export const FOLD_LIMITS = { leaseMsMax: Number.MAX_SAFE_INTEGER, typesMax: 0, bytesMax: 0 };

/** Indexes keep stale entries; they are dropped when this many records, and as many as there are events, have come. */
export const TIDY_RECORDS_MIN = 10_000;

export interface EventCounts {
  accepted: number;
  pending: number;
  inProcess: number;
  success: number;
  fail: number;
}

export class LogFold {
  readonly #state: PartitionState = emptyState(FOLD_POLICY, FOLD_LIMITS);
  readonly #digest = new Digest((hash) => hash);
  readonly #counts = { accepted: 0, success: 0, fail: 0 };
  #untidy = 0;

  /** Throws when the record cannot follow those before it. */
  add(record: LogRecord): void {
    const slim = withHashes(record);
    if (slim.op === 'late' && !this.#state.events.has(slim.id)) {
      this.#digest.addLate(slim);
      return;
    }
    // That an event has left the store takes nothing from what has happened.
    if (slim.op === 'pruned') return;
    // What is on its way to another partition is told by that one's log.
    if (slim.op === 'emitted' || slim.op === 'relayed') return;
    apply(this.#state, slim);
    if (slim.op === 'accepted') this.#counts.accepted += 1;
    this.#forget(slim);
  }

  /** Ends the fold. */
  finish(): { readonly events: EventCounts; readonly digest: string } {
    let pending = 0;
    let inProcess = 0;
    for (const event of [...this.#state.events.values()]) {
      if (event.status === 'pending') pending += 1;
      else if (event.status === 'in_process') inProcess += 1;
      this.#letGo(event);
    }
    for (const type of this.#state.typesByOrdinal) this.#digest.addType(typeFacts(type));
    for (const redrive of this.#state.redrives.values()) this.#digest.addRedrive(redrive);
    return { events: { ...this.#counts, pending, inProcess }, digest: this.#digest.toString() };
  }

  /** What no later record needs. */
  #forget(record: LogRecord): void {
    const state = this.#state;
    state.outbox.trim(record.pos);
    state.history.clear();
    state.settled.clear();
    state.calls.clear();
    state.trees.clear();
    const event = 'id' in record ? state.events.get(record.id) : undefined;
    if (event && hasEnded(event)) this.#letGo(event);
    this.#untidy += 1;
    if (this.#untidy < Math.max(TIDY_RECORDS_MIN, state.events.size)) return;
    this.#untidy = 0;
    state.callsDue.retain(() => false);
    tidy(state);
  }

  #letGo(event: EventState): void {
    if (event.outcome !== null) this.#counts[event.outcome] += 1;
    this.#digest.addEvent(viewOf(event), event.envelope, attemptsOf(event));
    this.#state.events.delete(event.id);
  }
}

/** What of a type is in a digest. */
export function typeFacts(type: TypeState): TypeFacts {
  return { ...typeView(type), listeners: listenersOf(type.listeners) };
}

/** Nothing but a late completion can come; with more attempts than are kept, it may be of one that is forgotten. */
function hasEnded({ status, deliveries }: EventState): boolean {
  return (
    status === 'complete' &&
    deliveries.every(({ state, grants }) => state === 'ended' && grants <= ATTEMPTS_KEPT_MAX)
  );
}

/** With the SHA-256 of what it carries in the place of that, and without its idempotency key. */
export function withHashes(record: LogRecord): LogRecord {
  if (!('payload' in record) || record.payload === null) return record;
  const payload = sha256(record.payload);
  if (record.op !== 'accepted') return { ...record, payload };
  // What is read from the log is archived, so its durability has no meaning here.
  const { durability: _, ...rest } = record;
  return { ...rest, payload, idempotency: null };
}
