/**
 * The state of one partition, as the fold of its records, with the indexes that make every operation cost what
 * it touches and not what is stored.
 *
 * Indexes are heaps of entries that may be stale; an entry counts only while the delivery still says what the
 * entry says. They follow from the rest of the state, so nothing of them is recorded.
 */
import { Heap } from './heap.js';
import { History } from './history.js';
import type { Listener } from './listeners.js';
import { Outbox } from './outbox.js';
import type { DeclaredPolicy, Policy } from './policy.js';
import type { IdempotencyClaim, Outcome, Position, Reason } from './record.js';
import type { RedriveProgress, RedriveStatus, RedriveWish } from './redrive-job.js';
import { Settled } from './settled.js';
import type { Durability, Unarchived } from './unarchived.js';

/** An event that was emitted and whose acceptance, in the partition of its type, is not noted yet. */
export interface Relay {
  readonly id: string;
  readonly type: string;
  readonly parent: string;
  readonly root: string;
  readonly dueAt: number;
  readonly durability: Durability;
  /** Its ordering key; null: it has none. */
  readonly key: string | null;
  readonly envelope: Uint8Array;
  /** Of the record that fixes it. */
  readonly position: Position;
}

/** As what an event counts in its tree. */
export type Counted = 'pending' | 'inProcess' | 'success' | 'fail' | 'relaying';

/** How the events of a cascade stand that are here, see tree.ts. */
export interface TreeState extends Record<Counted, number> {
  /** Those that are not settled. */
  live: number;
  changed: Position;
  /** Of the last change of an event with `archive` durability. */
  promised: Position | null;
}

/** When it was emitted, beside what is told of it. */
export type RelayState = Relay & { readonly at: number };

/** A redrive. */
export interface RedriveState {
  readonly id: string;
  readonly type: string;
  /** Counts the steps; each names the one before. */
  readonly step: number;
  readonly status: RedriveStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** It is about what stands in the log before that: the position of the record that made it. */
  readonly until: Position;
  readonly wish: RedriveWish;
  readonly progress: RedriveProgress;
  readonly idempotency: IdempotencyClaim | null;
}

/** The event by which it was sent again last, once that may be known. */
export interface RedrivenBy {
  readonly id: string;
  /** Of its acceptance. */
  readonly position: Position;
}

/** What must be known of a past event before it is sent again. */
export interface PastEnd {
  /** Of the record that it ended with; null: it is not complete. */
  readonly ended: Position | null;
  readonly outcome: Outcome | null;
  readonly reason: Reason | null;
  readonly durability: Durability;
  /** The ordering key; null: it has none. */
  readonly key: string | null;
}

export type Status = 'pending' | 'in_process' | 'complete';

export type AttemptEnd =
  /** A completion ended the delivery. */
  | 'completed'
  /** A completion failed the attempt and asked for another. */
  | 'retried'
  /** A completion failed the last attempt that there was. */
  | 'dead'
  | 'expired'
  | 'handed_back'
  /** The listener was deleted. */
  | 'unsubscribed';

export interface LateResult {
  readonly at: number;
  readonly fingerprint: string;
  readonly payload: Uint8Array;
}

/** One lease of a delivery, from its grant to its end. */
export interface Attempt {
  readonly grant: number;
  readonly attempt: number;
  readonly token: string;
  readonly worker: string | null;
  readonly grantedAt: number;
  endedAt: number | null;
  end: AttemptEnd | null;
  outcome: Outcome | null;
  reason: Reason | null;
  /** With `retried`: when the delivery may be leased again. */
  retryAt: number | null;
  fingerprint: string | null;
  result: Uint8Array | null;
  late: LateResult | null;
  /** Ids of the events that its completion emitted; null: none. */
  emitted: readonly string[] | null;
  /** Of a delivery that was not the responder's: how the event stood when the attempt had ended. */
  aside: 'open' | 'complete' | null;
}

export type DeliveryState = 'waiting' | 'leased' | 'ended';

/** One event for one listener. */
export interface Delivery {
  readonly event: EventState;
  readonly listener: number;
  state: DeliveryState;
  /** While waiting: when it may be leased. */
  dueAt: number;
  /** While leased: when the lease ends. */
  expiresAt: number;
  /** Leases so far. */
  grants: number;
  /** Leases that count: all but those handed back. */
  attempt: number;
  /** The newest `ATTEMPTS_KEPT_MAX`, oldest first; while leased the last one is the live one. */
  readonly attempts: Attempt[];
  /** Which index it is to be found in; entries left in another are stale. `keyed`: in none, behind others of its key. */
  place: 'ready' | 'delayed' | 'held' | 'keyed' | 'none';
  /** With an ordering key, until it has ended, see keyed.ts; null otherwise. */
  links: KeyLinks | null;
}

/** The deliveries of one ordering key that have not ended. */
export interface KeyQueue {
  head: Delivery;
  tail: Delivery;
}

/** The place of a delivery among those of its key. */
export interface KeyLinks {
  before: Delivery | null;
  after: Delivery | null;
}

/** An event's place in a cascade. */
export interface Tree {
  /** Null: a client has submitted it. */
  readonly parent: string | null;
  readonly root: string | null;
  /** Events that it emitted and that are still to be relayed. */
  readonly relaying: number;
}

export interface EventState {
  readonly id: string;
  readonly type: TypeState;
  /** Counts the partition's accepted events in the order of the log: what "oldest" means. */
  readonly sequence: number;
  readonly position: Position;
  readonly createdAt: number;
  readonly envelope: Uint8Array;
  status: Status;
  outcome: Outcome | null;
  reason: Reason | null;
  startedAt: number | null;
  completedAt: number | null;
  cancelRequested: boolean;
  /** When it ends if it is not complete by then; null: never. */
  readonly deadlineAt: number | null;
  /** The ordering key; null: it has none. */
  readonly key: string | null;
  /** Of the record that completed it; null until then. */
  ended: Position | null;
  /** Of the last record of an event that is complete; null until then. */
  last: Position | null;
  /** When all of its deliveries had ended, and by which record; null until then. */
  settledAt: number | null;
  settledBy: Position | null;
  /** Counts the logged records of the event; its ETag. */
  version: number;
  /** The result that the event ended with. */
  result: Uint8Array | null;
  /** With `archive` durability the records that may not be archived yet, oldest first; null with `store`. */
  readonly unarchived: Unarchived[] | null;
  /** Null outside of cascades. */
  tree: Tree | null;
  /** The past event that it is again; null: it is none. */
  readonly redriveOf: string | null;
  /** The newest event that it is again as; null: it was not sent again. */
  redrivenBy: RedrivenBy | null;
  /** One a listener that gets it. The first is the responder's. None: no listener matched. */
  readonly deliveries: Delivery[];
}

export interface TypeState {
  readonly name: string;
  readonly ordinal: number;
  version: number;
  /** Null: nothing is declared. */
  declared: DeclaredPolicy | null;
  /** What holds: what is declared, and for the rest the service-wide policy. */
  policy: Policy;
  /** Nothing of it is leased. */
  paused: boolean;
  /** Its events that are not complete. */
  open: number;
  /** Those that were declared, also those that are gone, by ordinal. */
  readonly listeners: Listener[];
  /** Somebody has leased from the vacant ordinal, see `listeners.ts`. */
  leased: boolean;
  /** A ready queue a listener, by its ordinal, once it has been used: deliveries in the order of their events. */
  readonly ready: Heap<Delivery>[];
  /** By listener, likewise, then by ordering key: deliveries that have not ended. */
  readonly keyed: Map<string, KeyQueue>[];
  /** Its events that came to be settled while it had a retention of its own; null: none so far. */
  settled: Settled<EventState> | null;
  /** By listener, once there was one: kept with every change, so that nobody need count. */
  readonly counts: DeliveryCounts[];
  /** By listener: when it last asked for leases; forgotten with the process. */
  readonly asked: number[];
}

/** The deliveries of a listener that have not ended, by where they are. */
export interface DeliveryCounts {
  /** They may be leased now, unless the type is paused. */
  ready: number;
  /** They wait for a delay or a backoff to be over, for their events to be archived, or behind their ordering key. */
  delayed: number;
  leased: number;
}

export interface IdempotencyEntry {
  readonly id: string;
  readonly fingerprint: string;
  readonly createdAt: number;
}

/** The listener whose deliveries are being ended, and the sequence that is gone on before. */
export interface SweepCursor {
  readonly type: string;
  readonly ordinal: number;
  readonly before: number;
}

/** A lease call with its own key, remembered while its leases may live. */
export interface LeaseCall {
  /** Counts the answers: goes up when a repeat takes the leases over or, those having ended, gets new ones. */
  claim: number;
  /** When the grants end unless they are extended. */
  readonly expiresAt: number;
  readonly grants: { readonly delivery: Delivery; readonly grant: number }[];
}

export interface Limits {
  /** Longest lease; one that ends later than this from now was granted before the clock stepped back. */
  readonly leaseMsMax: number;
  readonly typesMax: number;
  /** Events are refused when the partition holds this many bytes, records not yet archived included. */
  readonly bytesMax: number;
}

export interface Entry {
  readonly at: number;
  readonly delivery: Delivery;
}

export interface Deadline {
  readonly at: number;
  readonly event: EventState;
}

export interface PartitionState {
  readonly policy: Policy;
  readonly limits: Limits;
  /** Of the log that the records belong to; null until the state was opened for one. */
  logId: string | null;
  view: number;
  n: number;
  /** Position of the last record that was applied. */
  last: Position | null;
  sequence: number;
  /** What events weigh, with their attempts, results and keys; an event keeps the weight of its key when that is forgotten. */
  bytes: number;
  /** No lease ends later. Further away than any lease may last, it shows that the clock has stepped back. */
  leasedUntil: number;
  readonly events: Map<string, EventState>;
  /** The same in the order of acceptance, which is the order of `sequence`. */
  readonly history: History<EventState>;
  /** Those whose deliveries have all ended, in the order in which they came to be so; others are with their types. */
  readonly settled: Settled<EventState>;
  /** The newest part of the log's index that events were pruned into, by its slot; 0: none yet. */
  indexed: number;
  /** Listeners that were deleted and have deliveries left. */
  leaving: number;
  /** How far those of one of them have been ended; null: none is being looked at. Forgotten with the process. */
  sweeping: SweepCursor | null;
  readonly types: Map<string, TypeState>;
  readonly typesByOrdinal: TypeState[];
  /** By the end of their life, which whole days of keys share, then by scope. */
  readonly idempotency: Map<number, Map<string, IdempotencyEntry>>;
  readonly calls: Map<string, LeaseCall>;
  readonly callsDue: Heap<{ readonly at: number; readonly call: string }>;
  /** By the id of the event that is to be relayed. */
  readonly relays: Map<string, RelayState>;
  /** By the id of the root. */
  readonly trees: Map<string, TreeState>;
  /** By the id of the job. */
  readonly redrives: Map<string, RedriveState>;
  /** Records not yet archived. */
  readonly outbox: Outbox;
  archived: { pos: Position; slot: number } | null;
  /** Deliveries of events whose acceptance was not archived, oldest first: until it is, nobody may lease them. */
  readonly held: Heap<Delivery>;
  readonly delayed: Heap<Entry>;
  readonly deadlines: Heap<Deadline>;
  readonly leased: Heap<Entry>;
  leasedCount: number;
}

/** Attempts kept for people and for repeated completions; older ones are forgotten. */
export const ATTEMPTS_KEPT_MAX = 100;

/** What an event, an attempt and an idempotency key weigh in memory beside their bytes, measured on Node 20. */
export const EVENT_OVERHEAD_BYTES = 1_000;
export const ATTEMPT_OVERHEAD_BYTES = 600;
/** Of each delivery but the first. */
export const DELIVERY_OVERHEAD_BYTES = 300;
export const KEY_OVERHEAD_BYTES = 400;
/** Of each delivery of an event with an ordering key, beside the key. */
export const KEYED_OVERHEAD_BYTES = 200;
/** The id of an emitted event, as its parent keeps it. */
export const EMITTED_BYTES = 80;

export function emptyState(policy: Policy, limits: Limits): PartitionState {
  return {
    policy,
    limits,
    logId: null,
    view: 1,
    n: 0,
    last: null,
    sequence: 0,
    bytes: 0,
    leasedUntil: 0,
    events: new Map(),
    history: new History(),
    settled: new Settled(),
    indexed: 0,
    leaving: 0,
    sweeping: null,
    types: new Map(),
    typesByOrdinal: [],
    idempotency: new Map(),
    calls: new Map(),
    callsDue: new Heap((a, b) => a.at < b.at),
    relays: new Map(),
    trees: new Map(),
    redrives: new Map(),
    outbox: new Outbox(),
    archived: null,
    held: readyHeap(),
    delayed: entryHeap(),
    // The older event first, as with all that happens at one time.
    deadlines: new Heap((a, b) => a.at < b.at || (a.at === b.at && a.event.sequence < b.event.sequence)),
    leased: entryHeap(),
    leasedCount: 0,
  };
}

function entryHeap(): Heap<Entry> {
  // The older event first, and the listener that came first, so that what happens at one time happens in one order.
  return new Heap((a, b) => a.at < b.at || (a.at === b.at && isBefore(a.delivery, b.delivery)));
}

function isBefore(a: Delivery, b: Delivery): boolean {
  const [one, other] = [a.event.sequence, b.event.sequence];
  return one < other || (one === other && a.listener < b.listener);
}

/** A type of which there is nothing yet. */
export function newType(
  about: Pick<TypeState, 'name' | 'ordinal' | 'version' | 'declared' | 'policy' | 'paused'>,
): TypeState {
  return {
    ...about,
    open: 0,
    listeners: [],
    leased: false,
    ready: [],
    keyed: [],
    settled: null,
    counts: [],
    asked: [],
  };
}

/** The oldest event first. */
export function readyHeap(): Heap<Delivery> {
  return new Heap((a, b) => a.event.sequence < b.event.sequence);
}

/** The delivery of the event for the listener of that ordinal, or null when it gets none. */
export function findDelivery({ deliveries }: EventState, listener: number): Delivery | null {
  const [first] = deliveries;
  if (first?.listener === listener) return first;
  return deliveries.find((delivery) => delivery.listener === listener) ?? null;
}

/** The delivery's end is the event's. */
export function isResponder(delivery: Delivery): boolean {
  return delivery.event.deliveries[0] === delivery;
}

/** The attempt that `grant` names, or null when there was none or it is forgotten. */
export function findAttempt(delivery: Delivery, grant: number): Attempt | null {
  const newest = delivery.attempts.at(-1);
  if (!newest) return null;
  // Grants count up by one, so the place follows from the newest.
  return delivery.attempts[delivery.attempts.length - 1 - (newest.grant - grant)] ?? null;
}

/** The lease is over by the clock, though nobody may have noticed: its time is up, or the clock stepped back. */
export function leaseExpired(delivery: Delivery, now: number, limits: Limits): boolean {
  return delivery.expiresAt <= now || delivery.expiresAt - now > limits.leaseMsMax;
}

/** It has to end: what happens to it from then on is judged as if it had, whether or not anybody has noticed. */
export function deadlineHasPassed({ deadlineAt, status }: EventState, now: number): boolean {
  return deadlineAt !== null && deadlineAt <= now && status !== 'complete';
}
