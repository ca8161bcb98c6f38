/**
 * Records: what happened, one per transition. The store's state is the fold of them (`apply.ts`), the outbox
 * holds them until they are archived, and a segment of the log is a run of them.
 *
 * A record that carries bytes (the envelope of an accepted event, the result of a completion) carries them as
 * `payload`, packed as `envelope.ts` and `result.ts` say, so that no copy of a body is ever parsed on the way.
 */

import type { Filter } from './filter.js';
import type { DeclaredPolicy } from './policy.js';
import type { RedriveProgress, RedriveStatus, RedriveWish } from './redrive-job.js';

/**
 * Where a record stands in the store's order: `view` goes up at every recovery, `n` counts within the view.
 * Written `view-n`, which is also a valid Redis stream id.
 */
export interface Position {
  readonly view: number;
  readonly n: number;
}

export type Outcome = 'success' | 'fail';
export type Reason = 'listener' | 'attempts_exhausted' | 'deadline' | 'cancelled' | 'unmatched';

/** One grant of one delivery: the type's ordinal, the listener's ordinal and the count of grants so far. */
export interface DeliveryRef {
  /** Id of the event. */
  readonly id: string;
  /** Ordinal of the listener within the type; `default` is 0. */
  readonly listener: number;
  /** Counts every lease of the delivery, also those handed back; names the attempt together with id and listener. */
  readonly grant: number;
}

interface Logged {
  readonly pos: Position;
  /** Milliseconds since the epoch, by the store's clock. */
  readonly at: number;
}

/** A record of an event names the event's type too, so that whoever reads the log for one type need know no ids. */
interface OfEvent extends Logged {
  readonly id: string;
  readonly type: string;
}

export interface TypeSet extends Logged {
  readonly op: 'typeSet';
  readonly type: string;
  /** Names the type in keys and attempt ids; never reused within a partition. */
  readonly ordinal: number;
  /** 0 for a type that exists by use only; goes up each time that its policy is declared or taken back. */
  readonly version: number;
  /** As declared; left out where nothing is. */
  readonly policy?: DeclaredPolicy;
  /** Left out unless it is. */
  readonly paused?: true;
}

export interface IdempotencyClaim {
  /** Caller, type and key, joined so that no two differ only by where they were cut. */
  readonly scope: string;
  /** SHA-256 (hex) of what makes two requests the same. */
  readonly fingerprint: string;
}

/** A listener was declared, or is declared otherwise. */
export interface ListenerSet extends Logged {
  readonly op: 'listenerSet';
  readonly type: string;
  /** Of the listener; never reused within its type. */
  readonly ordinal: number;
  readonly name: string;
  readonly responder: boolean;
  readonly filter: Filter | null;
}

/** A listener was deleted: it gets no further events, and the deliveries that it has end one after the other. */
export interface ListenerGone extends Logged {
  readonly op: 'listenerGone';
  readonly type: string;
  readonly ordinal: number;
}

/** The last delivery of a deleted listener has ended. */
export interface ListenerSwept extends Logged {
  readonly op: 'listenerSwept';
  readonly type: string;
  readonly ordinal: number;
}

/** A redrive was made, or is further than it was, or has ended: the whole job, as it is from then on. */
export interface RedriveSet extends Logged {
  readonly op: 'redriveSet';
  readonly type: string;
  /** Id of the job. */
  readonly redrive: string;
  readonly step: number;
  readonly status: RedriveStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly until: Position;
  readonly wish: RedriveWish;
  readonly progress: RedriveProgress;
  /** Left out without a key. */
  readonly idempotency?: IdempotencyClaim;
  /** An older job, which is remembered no more. */
  readonly forgets?: string;
}

export interface Accepted extends OfEvent {
  readonly op: 'accepted';
  /** Ordinals of the listeners that get it, the responder first; none: it ends here, unmatched. Left out: listener 0. */
  readonly listeners?: readonly number[];
  /** When the delivery may first be leased, ms since the epoch; equal to `at` without a delay. */
  readonly dueAt: number;
  /** When the event ends if it is not complete by then, ms since the epoch; left out without a deadline. */
  readonly deadlineAt?: number;
  /** Left out with `store` durability. */
  readonly durability?: 'archive';
  /** The ordering key; left out where there is none. `dueAt` is then `at`. */
  readonly key?: string;
  readonly idempotency: (IdempotencyClaim & { readonly expiresAt: number }) | null;
  /** Of an event that a completion has emitted: the event that was completed, and the one that the cascade began with. */
  readonly parent?: string;
  readonly root?: string;
  /** The past event of which it is the request again. */
  readonly redriveOf?: string;
  /** The packed envelope. */
  readonly payload: Uint8Array;
}

export interface Granted extends OfEvent, DeliveryRef {
  readonly op: 'granted';
  /** Counts leases that were not handed back: what people call the attempt. */
  readonly attempt: number;
  readonly token: string;
  readonly worker: string | null;
  /** When the lease ends unless it is extended, ms since the epoch. */
  readonly expiresAt: number;
  /** The call that asked, so that a repeat of it gets the same leases. */
  readonly call: string;
  /** Which answer to that call; see `LeaseCall`. */
  readonly claim: number;
}

export interface HandedBack extends OfEvent, DeliveryRef {
  readonly op: 'handedBack';
}

export interface Retried extends OfEvent, DeliveryRef {
  readonly op: 'retried';
  readonly why: 'expired' | 'failed';
  /** When the delivery may be leased again, ms since the epoch. */
  readonly dueAt: number;
  /** With `failed`: the completion's fingerprint and packed result. */
  readonly fingerprint: string | null;
  readonly payload: Uint8Array | null;
}

export interface Completed extends OfEvent, DeliveryRef {
  readonly op: 'completed';
  readonly outcome: Outcome;
  /** Null with `success`. */
  readonly reason: Reason | null;
  readonly fingerprint: string;
  /** Ids of the events that it emitted, in order; left out when there are none. Their records come right behind. */
  readonly emitted?: readonly string[];
  readonly payload: Uint8Array;
}

/** A completion emitted an event of a type that lives in another partition: all of it, to be accepted there. */
export interface Emitted extends OfEvent {
  readonly op: 'emitted';
  /** Its id; `id` is that of the event which was completed. */
  readonly child: string;
  readonly childType: string;
  readonly root: string;
  /** When it may first be leased. */
  readonly dueAt: number;
  /** Left out with `store` durability. */
  readonly durability?: 'archive';
  /** As in `Accepted`. */
  readonly key?: string;
  /** The packed envelope. */
  readonly payload: Uint8Array;
}

/** The other partition has accepted it, and has that in its log. */
export interface Relayed extends OfEvent {
  readonly op: 'relayed';
  readonly child: string;
}

/** The attempts ran out: by a lease that expired or by a failure that asked to be retried. */
export interface Dead extends OfEvent, DeliveryRef {
  readonly op: 'dead';
  readonly why: 'expired' | 'failed';
  readonly fingerprint: string | null;
  readonly payload: Uint8Array | null;
}

export interface CancelRequested extends OfEvent {
  readonly op: 'cancelRequested';
}

export interface Cancelled extends OfEvent {
  readonly op: 'cancelled';
}

/** The event was not complete in time, and ends; a lease that was out has ended with the record before. */
export interface DeadlinePassed extends OfEvent {
  readonly op: 'deadlinePassed';
}

/** A completion that came after its lease was lost: changes nothing, kept for people to see. */
export interface Late extends OfEvent, DeliveryRef {
  readonly op: 'late';
  readonly fingerprint: string;
  readonly payload: Uint8Array;
}

/** A delivery ended because its listener was deleted. */
export interface Unsubscribed extends OfEvent, DeliveryRef {
  readonly op: 'unsubscribed';
  /** Of the lease that it ended; 0: nobody held it. */
  readonly grant: number;
  /**
   * The listener whose delivery is the responder's from now on; null: there is none left, and the event ends unmatched.
   * Left out when the responder stays who it was.
   */
  readonly responder?: number | null;
}

/** An event has left the store, which has been told that the log's index has it. */
export interface Pruned extends OfEvent {
  readonly op: 'pruned';
  /** The part of the index is named by this slot. */
  readonly index: number;
}

/** A record of the log. */
export type LogRecord =
  | TypeSet
  | Accepted
  | Granted
  | HandedBack
  | Retried
  | Completed
  | Emitted
  | Relayed
  | Dead
  | CancelRequested
  | Cancelled
  | DeadlinePassed
  | Late
  | ListenerSet
  | ListenerGone
  | ListenerSwept
  | Unsubscribed
  | RedriveSet
  | Pruned;

export type LogOp = LogRecord['op'];

/** Of a type, and of no event. */
export type OfType = TypeSet | ListenerSet | ListenerGone | ListenerSwept | RedriveSet;

/** What is left of a pruned event while its idempotency key is remembered; in the place of its `accepted`. */
export interface KeyKept extends OfEvent {
  readonly op: 'keyKept';
  readonly idempotency: IdempotencyClaim & { readonly expiresAt: number };
}

/** Somebody had leased as `default` before any listener was declared; in the place of the first such `granted`. */
export interface DefaultLeased extends Logged {
  readonly op: 'defaultLeased';
  readonly type: string;
}

/** How far the log's index goes, when the events that were entered in it are gone; in the place of a `pruned`. */
export interface Indexed extends Logged {
  readonly op: 'indexed';
  readonly type: string;
  /** As in `Pruned`. */
  readonly index: number;
}

/** What a checkpoint is made of: records of the log, and what stands in for those that matter no more. */
export type KeptRecord = LogRecord | KeyKept | Indexed | DefaultLeased;

export type KeptOp = KeptRecord['op'];

/**
 * A change that the store keeps and the log does not need: to forget it costs at most a lease that ends early
 * or a repeat of a lost call that is answered with fresh leases.
 */
export type Volatile =
  | (DeliveryRef & { readonly op: 'extended'; readonly expiresAt: number })
  /** A repeat of a lease call took the call's leases over. */
  | { readonly op: 'claimed'; readonly call: string; readonly claim: number }
  /** The store was opened for the log `logId`: positions go on as (view, 1), (view, 2), … */
  | { readonly op: 'opened'; readonly logId: string; readonly view: number }
  /** Everything was forgotten, to be rebuilt from the log. */
  | { readonly op: 'emptied' }
  /** Everything up to `pos` is in a segment; the outbox may forget it. */
  | { readonly op: 'archived'; readonly pos: Position; readonly slot: number };

export type StoreRecord = KeptRecord | Volatile;

export function formatPosition(pos: Position): string {
  return `${pos.view}-${pos.n}`;
}

/** The position that `text` names, or null when it names none. */
export function parsePosition(text: string): Position | null {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text);
  return match ? { view: Number(match[1]), n: Number(match[2]) } : null;
}

export function comparePositions(a: Position, b: Position): number {
  return a.view - b.view || a.n - b.n;
}
