/**
 * Commands and what comes back: the operations of a store, as data. Whatever is random in an operation (ids,
 * tokens) is in its command, so that the same commands at the same times always give the same records.
 *
 * Times are milliseconds since the epoch by the store's clock, durations milliseconds.
 */
import type { WantedListener } from './listeners.js';
import type { DeclaredPolicy, Policy } from './policy.js';
import type { IdempotencyClaim, Outcome, Position, Reason } from './record.js';
import type { RedriveProgress, RedriveStatus, RedriveWish } from './redrive-job.js';
import type { AttemptEnd, PastEnd, RedriveState, Relay, Status } from './state.js';
import type { Durability } from './unarchived.js';

export type { PastEnd, RedriveState, Relay };

export interface AcceptCommand {
  /** Made by the caller; the same id again is the same event. */
  readonly id: string;
  readonly type: string;
  /** Packed, see envelope.ts. */
  readonly envelope: Uint8Array;
  /** 0: may be leased at once. */
  readonly delayMs: number;
  /** The event ends so long after its acceptance if it is not complete by then; left out: what the type says. */
  readonly deadlineMs?: number;
  readonly idempotency: IdempotencyClaim | null;
  /** `store` unless said. */
  readonly durability?: Durability;
  /** The ordering key; left out where there is none. With it `delayMs` is of no account. */
  readonly key?: string;
  /** A completion in another partition has emitted it: it is taken in any case, and `delayMs` is of no account. */
  readonly emitted?: { readonly parent: string; readonly root: string; readonly dueAt: number };
  /**
   * It is the request of a past event again. With `only` nobody but that listener gets it, whatever its filter says; null:
   * whoever gets such events.
   */
  readonly redrive?: { readonly of: string; readonly only: string | null };
}

/** What one partition has of a tree, its root apart. Of events that have left the store nothing is counted. */
export interface TreeCounts {
  readonly pending: number;
  readonly inProcess: number;
  readonly success: number;
  readonly fail: number;
  /** On their way from here to other partitions. */
  readonly relaying: number;
  /** Those that are not settled. */
  readonly live: number;
  /** When it was counted anew last. */
  readonly changed: Position;
  /** With `archive` durability: what must be archived before it may be shown; null: nothing. */
  readonly archive: Position | null;
}

/** An event that a completion emits. Its parent and its root follow from the attempt. */
export interface EmitCommand {
  /** Made by the caller. */
  readonly id: string;
  readonly type: string;
  /** Packed, see envelope.ts. */
  readonly envelope: Uint8Array;
  /** 0: may be leased at once. */
  readonly delayMs: number;
  /** Also `archive` when its parent's is. */
  readonly durability: Durability;
  /** As in `AcceptCommand`. */
  readonly key?: string;
}

/** With `archive` durability: what must be archived before the answer may be given; null: nothing. */
export interface Promised {
  readonly archive: Position | null;
}

export type AcceptResult =
  | ({ readonly kind: 'accepted'; readonly id: string; readonly createdAt: number } & Promised)
  /** The idempotency key has been used for the same request: `id` is the first one's. */
  | ({ readonly kind: 'duplicate'; readonly id: string; readonly createdAt: number } & Promised)
  /** The idempotency key has been used for another request. */
  | { readonly kind: 'conflict'; readonly id: string }
  | { readonly kind: 'too_many_types' }
  /** As many events of the type as may are not complete. */
  | { readonly kind: 'too_many_pending' }
  /** It is for one listener only, and there is no such listener any more. */
  | { readonly kind: 'no_listener' }
  | { readonly kind: 'full' }
  /** More is waiting to be archived than may. */
  | { readonly kind: 'behind' };

/** Each is one atomic step; one that would change nothing is done already, whatever its condition. */
export type SetTypeCommand =
  /** The whole policy, and nothing of what was declared before. */
  | ({ readonly kind: 'declare'; readonly policy: DeclaredPolicy } & SetTypeIf)
  /** Back to the service-wide policy; the version goes on. */
  | ({ readonly kind: 'reset' } & SetTypeIf)
  | { readonly kind: 'pause' | 'resume'; readonly type: string };

interface SetTypeIf {
  readonly type: string;
  /** Only if the type has this version, or (`any`) is there. Null: the caller has not said, which only version 0 allows. */
  readonly ifVersion: number | 'any' | null;
}

export type SetTypeResult =
  | { readonly kind: 'set'; readonly view: TypeView }
  /** No such type: there is nothing to take back, to pause or to resume. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'precondition_required'; readonly version: number }
  | { readonly kind: 'precondition_failed'; readonly version: number }
  | { readonly kind: 'too_many_types' };

/** A type as operators see it. */
export interface TypeView {
  readonly type: string;
  /** 0 for a type that exists by use only. */
  readonly version: number;
  /** Null: nothing is declared. */
  readonly declared: DeclaredPolicy | null;
  /** What holds. */
  readonly policy: Policy;
  readonly paused: boolean;
  /** Its events that are not complete. */
  readonly open: number;
}

/** How the events of a type stand now. */
export interface TypeStats {
  readonly type: string;
  readonly paused: boolean;
  /** Its events that are not complete. */
  readonly open: number;
  /** By the store's clock. */
  readonly now: number;
  /** By ordinal. */
  readonly listeners: readonly ListenerStats[];
}

/** The deliveries of a listener that have not ended. */
export interface ListenerStats {
  readonly name: string;
  /** They may be leased now, unless the type is paused. */
  readonly ready: number;
  /** They wait for a delay or a backoff to be over, for their events to be archived, or behind their ordering key. */
  readonly delayed: number;
  readonly leased: number;
  /** When the oldest event of those that are ready was accepted; null: none is. */
  readonly oldestAt: number | null;
  /** When somebody last asked for leases in its name, to some seconds; null: not known to have. */
  readonly askedAt: number | null;
}

export interface ListTypesQuery {
  /** As an earlier page gave it; null for the first. */
  readonly cursor: string | null;
  readonly limit: number;
}

export type ListTypesResult =
  | {
      readonly kind: 'page';
      /** In the order in which they came to be, partition by partition. */
      readonly types: readonly TypeView[];
      /** Null at the end. */
      readonly cursor: string | null;
    }
  | { readonly kind: 'bad_cursor' };

/** Each is one atomic step; a command that comes again finds done what it asks for. */
export type SetRedriveCommand =
  | {
      readonly kind: 'create';
      /** Made by the caller, of the partition of the type. */
      readonly id: string;
      readonly type: string;
      /** By its name; null: whoever gets such events. */
      readonly listener: string | null;
      readonly wish: Omit<RedriveWish, 'listener'>;
      /** The key is remembered for as long as the job is. */
      readonly idempotency: IdempotencyClaim | null;
    }
  | {
      readonly kind: 'advance';
      readonly id: string;
      /** The step that it goes on from: of two that work on the job at once, one goes on. */
      readonly after: number;
      readonly status: Exclude<RedriveStatus, 'cancelled'>;
      readonly progress: RedriveProgress;
    }
  | { readonly kind: 'cancel'; readonly id: string };

export type SetRedriveResult =
  /** With `create`: this one, or the one that the idempotency key was used for. */
  | { readonly kind: 'set'; readonly redrive: RedriveState }
  /** The idempotency key was used for another job. */
  | { readonly kind: 'conflict'; readonly redrive: RedriveState }
  | { readonly kind: 'unknown_type' }
  | { readonly kind: 'unknown_listener' }
  /** As many jobs of the partition are under way as may be. */
  | { readonly kind: 'too_many' }
  /** Somebody else has gone on with it, or it has ended. */
  | { readonly kind: 'stale'; readonly redrive: RedriveState }
  /** It cannot be cancelled any more. */
  | { readonly kind: 'ended'; readonly redrive: RedriveState }
  /** It is not there, or forgotten. */
  | { readonly kind: 'unknown' };

export interface LeaseCommand {
  /** Not empty, without doubles, all of one partition. */
  readonly types: readonly string[];
  readonly listener: string;
  readonly max: number;
  /** Envelope bytes in one reply; the first lease is given whatever it weighs. */
  readonly bytesMax: number;
  /** Null: the type's own. */
  readonly leaseMs: number | null;
  readonly worker: string | null;
  /** Names the call: the same call again gets the same leases while they live. */
  readonly call: string;
  /** `max` tokens of 128 random bits. */
  readonly tokens: readonly string[];
}

export interface LeasedEvent {
  readonly id: string;
  readonly type: string;
  readonly createdAt: number;
  /** The ordering key; null: it has none. */
  readonly key: string | null;
  readonly envelope: Uint8Array;
}

export interface Lease {
  readonly attemptId: string;
  readonly attempt: number;
  readonly token: string;
  readonly expiresAt: number;
  /** When the event ends if it is not complete by then, and the lease with it; null: it has no deadline. */
  readonly deadlineAt: number | null;
  /** Of the event's acceptance. */
  readonly position: Position;
  readonly event: LeasedEvent;
}

export type LeaseResult =
  | {
      readonly kind: 'leased';
      /** Oldest event first; empty when nothing is eligible. */
      readonly leases: readonly Lease[];
      /** Which answer to this call this is: a repeat makes the ones before it void, see AbandonCommand. */
      readonly claim: number;
    }
  /** `type` is the first of the types that has no listener of this name. */
  | { readonly kind: 'not_subscribed'; readonly type: string; readonly listener: string };

export interface ExtendCommand {
  readonly attemptId: string;
  readonly token: string;
  readonly leaseMs: number;
}

export type ExtendResult =
  | { readonly kind: 'extended'; readonly expiresAt: number; readonly cancelRequested: boolean }
  | { readonly kind: 'lease_lost' }
  | { readonly kind: 'unknown' };

export type RetryWish =
  | { readonly kind: 'never' }
  | { readonly kind: 'policy' }
  | { readonly kind: 'after'; readonly afterMs: number };

export interface CompleteCommand {
  readonly attemptId: string;
  readonly token: string;
  readonly outcome: Outcome;
  /** Heeded with outcome `fail` only. */
  readonly retry: RetryWish;
  /** Packed, see result.ts. */
  readonly result: Uint8Array;
  /** SHA-256 (hex) of what makes two completions the same. */
  readonly fingerprint: string;
  /** Accepted together with the completion, if that ends its delivery by itself: a `retry` emits nothing. */
  readonly emit?: readonly EmitCommand[];
}

export type CompleteResult =
  | (Promised & {
      readonly kind: 'completed';
      readonly id: string;
      readonly type: string;
      /** Whose delivery it was. */
      readonly listener: string;
      /** How the event stood when this completion had been accepted; a repeat hears the same. */
      readonly status: Status;
      readonly outcome: Outcome | null;
      readonly reason: Reason | null;
      /** When the failed attempt will be tried again; null when it will not. */
      readonly retryAt: number | null;
      /** Ids of the events that it emitted, those of the first try. */
      readonly emitted: readonly string[];
    })
  | { readonly kind: 'lease_lost' }
  /** The attempt was completed before, with something else. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unknown' }
  /** It emits events of a new type, and there are as many as there may be. Nothing has changed. */
  | { readonly kind: 'too_many_types' };

export interface HandBackCommand {
  readonly attemptId: string;
  readonly token: string;
}

export type HandBackResult =
  | { readonly kind: 'handed_back' }
  | { readonly kind: 'lease_lost' }
  | { readonly kind: 'unknown' };

/** The caller of a lease call has gone before its answer was written. */
export interface AbandonCommand {
  readonly call: string;
  readonly claim: number;
  readonly leases: readonly HandBackCommand[];
}

export interface AbandonResult {
  /** How many leases were handed back; 0 when a repeat of the call has taken them over. */
  readonly handedBack: number;
}

export type CancelResult =
  | ({ readonly kind: 'cancelled' } & Promised)
  /** A listener holds it and will hear of it at its next extension. */
  | ({ readonly kind: 'requested' } & Promised)
  | ({ readonly kind: 'complete' } & Promised)
  | { readonly kind: 'unknown' };

export interface SetListenerCommand {
  readonly type: string;
  readonly listener: WantedListener;
  /** If there is no such listener yet, it gets past events too: by a job of this id, made in the same step. */
  readonly beginning?: { readonly id: string };
}

export type SetListenerResult =
  | { readonly kind: 'set'; readonly created: boolean }
  | { readonly kind: 'too_many_listeners' }
  | { readonly kind: 'too_many_types' }
  /** It begins with the past, and as many jobs of the partition are under way as may be. */
  | { readonly kind: 'too_many_redrives' };

export type DeleteListenerResult = { readonly kind: 'deleted' } | { readonly kind: 'unknown' };

/** A listener that was declared. */
export interface ListenerView extends WantedListener {
  readonly ordinal: number;
}

export interface SweepResult {
  /** Deliveries that were ended. */
  readonly ended: number;
  /** There may be more: ask again at once. */
  readonly more: boolean;
}

export interface ExpireResult {
  /** Leases found expired and ended. */
  readonly expired: number;
  /** Events ended whose deadline has passed; leases are looked at when there are none. */
  readonly deadlines: number;
  /** There may be more: ask again at once. */
  readonly more: boolean;
}

/** An event as a client sees it. */
export interface EventView {
  readonly id: string;
  readonly type: string;
  readonly status: Status;
  readonly outcome: Outcome | null;
  readonly reason: Reason | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly cancelRequested: boolean;
  /** Attempts of the responder so far. */
  readonly attempts: number;
  /** All of its deliveries have ended. */
  readonly settled: boolean;
  readonly version: number;
  readonly position: Position;
  /** The event whose completion emitted it, and the first one of that cascade; null when a client has submitted it. */
  readonly parent: string | null;
  readonly root: string | null;
  /** When it ends if it is not complete by then; null: never. */
  readonly deadlineAt: number | null;
  /** The ordering key; null: it has none. */
  readonly key: string | null;
  /** The past event whose request it is again; null: it is none. */
  readonly redriveOf: string | null;
  /** The newest event by which it was sent again, while the store has that; null: there is none. */
  readonly redrivenBy: string | null;
  /** Packed; null until complete and when it ended without a completion. */
  readonly result: Uint8Array | null;
  /** With `archive` durability: something has happened since, and is shown once it is archived. */
  readonly behind: boolean;
}

/** What is shown of an event among others, and kept of one that has left the store. */
export type EventSummary = Omit<EventView, 'result' | 'behind'>;

export interface AttemptView {
  readonly attemptId: string;
  readonly listener: string;
  readonly attempt: number;
  readonly worker: string | null;
  readonly grantedAt: number;
  /** While the lease is live: when it ends. */
  readonly expiresAt: number | null;
  readonly endedAt: number | null;
  readonly end: AttemptEnd | null;
  readonly result: Uint8Array | null;
  readonly late: { readonly at: number; readonly result: Uint8Array } | null;
  /** Ids of the events that its completion emitted; left out when there are none. */
  readonly emitted?: readonly string[];
}

/** An event that may leave the store, without what is in the log byte for byte: its request and its result. */
export interface SettledEvent {
  readonly event: EventSummary;
  /** Of the record that it ended with, which has its result. */
  readonly ended: Position;
  readonly attempts: readonly SettledAttempt[];
}

export interface SettledAttempt extends AttemptView {
  /** Its result is the event's, and left out here. */
  readonly own: boolean;
}

export interface PruneCommand {
  /** As `settled` showed them. */
  readonly events: readonly { readonly id: string; readonly version: number }[];
  /** By what slot the part of the log's index is named that has them. */
  readonly index: number;
}

export interface ListQuery {
  readonly type: string | null;
  readonly status: Status | null;
  readonly outcome: Outcome | null;
  /** As an earlier page gave it; null for the newest. */
  readonly cursor: string | null;
  readonly limit: number;
  /** Events looked at for one page. */
  readonly scanMax: number;
}

export type ListResult =
  | {
      readonly kind: 'page';
      /** Newest first. */
      readonly events: readonly EventSummary[];
      /** Null at the end. */
      readonly cursor: string | null;
    }
  | { readonly kind: 'bad_cursor' };
