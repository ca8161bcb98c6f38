/**
 * What the service answers, as types. Written by `npm run openapi` from the contract; not by hand.
 */

/** Where to ask for more. */
export interface Links {
  readonly self: string;
  readonly request: string;
  readonly response: string;
  readonly attempts: string;
  readonly tree: string;
}

/** Problem details (RFC 9457). Some codes have further members. */
export interface Problem {
  /** A URN made of the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong, for people. */
  readonly detail: string;
  /** What is wrong, for programs. Stable. */
  readonly code: 'malformed-request' | 'headers-too-large' | 'uri-too-long' | 'request-timeout' | 'expectation-failed' | 'body-too-large' | 'unsupported-media-type' | 'invalid-json' | 'unsafe-json' | 'invalid-request' | 'invalid-header' | 'duplicate-header' | 'unsupported-header' | 'key-with-delay' | 'invalid-type-name' | 'invalid-cloudevent' | 'too-many-items' | 'too-many-errors' | 'invalid-cursor' | 'route-not-found' | 'method-not-allowed' | 'event-not-found' | 'event-expired' | 'listener-not-found' | 'type-not-found' | 'redrive-not-found' | 'attempt-not-found' | 'response-not-found' | 'cursor-expired' | 'event-not-complete' | 'event-complete' | 'lease-lost' | 'completion-conflict' | 'not-subscribed' | 'idempotency-conflict' | 'redrive-ended' | 'too-many-redrives' | 'too-many-listeners' | 'too-many-types' | 'precondition-required' | 'precondition-failed' | 'too-many-pending' | 'schema-mismatch' | 'listener-failed' | 'too-many-waiters' | 'store-full' | 'log-behind' | 'not-archived' | 'archive-unavailable' | 'store-unavailable' | 'store-recovering' | 'log-unavailable' | 'log-damaged' | 'shutting-down' | 'internal-error';
  /** What to do about it. */
  readonly hint?: string;
  /** The path that was asked for. */
  readonly instance?: string;
  /** The request, in the log of the service. */
  readonly requestId?: string;
  readonly [name: string]: unknown;
}

/** An event that was taken. */
export interface Receipt {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  readonly status: 'pending';
  readonly outcome: null;
  readonly createdAt: string;
  /** What the event survives: `memory` nothing but the process; `everysec` a crash of the store, and of the machine all but the last second or so; `fsync` a crash of the machine; `archived` the loss of the store: it is in the log. */
  readonly durable: 'memory' | 'everysec' | 'fsync' | 'archived';
  readonly links: Links;
}

/** The listener's response. */
export interface Response {
  readonly status: number;
  /** Pairs of name, in lower case, and value, in the order they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly contentType: string | null;
  readonly bytes: number;
  /** `json`: the body is a JSON value, in the text it came as. `text`: a string. `base64`: bytes. */
  readonly bodyEncoding: 'json' | 'text' | 'base64';
  /** The body, see `bodyEncoding`. */
  readonly body: unknown;
}

/** An event as a client sees it. */
export interface Event {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  /** Where the event is. */
  readonly status: 'pending' | 'in_process' | 'complete';
  /** How it went; null until complete. */
  readonly outcome: 'success' | 'fail' | null;
  /** Why it failed; null when it did not. */
  readonly reason: 'listener' | 'attempts_exhausted' | 'deadline' | 'cancelled' | 'unmatched' | null;
  readonly createdAt: string;
  /** When it was first leased. */
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  /** Somebody asked to cancel it while a listener held it. */
  readonly cancelRequested: boolean;
  /** Attempts of the responder so far, those handed back not counted. */
  readonly attempts: number;
  /** The deliveries to all of its listeners have ended. */
  readonly settled: boolean;
  /** Place of the event in the log. */
  readonly position: string;
  /** It ends then if it is not complete; left out when it has no deadline. */
  readonly deadline?: string;
  /** The event whose completion emitted it; null when a client has submitted it. */
  readonly parent: string | null;
  /** The first event of that cascade. */
  readonly root: string | null;
  /** The ordering key. */
  readonly key: string | null;
  /** The past event whose request it is again. */
  readonly redriveOf: string | null;
  /** The newest event as which it was sent again. */
  readonly redrivenBy: string | null;
  /** The listener's response, once complete. */
  readonly response: Response | null;
  /** The errors that the listener gave. */
  readonly errors: readonly unknown[];
  readonly links: Links;
}

/** An event without its response. */
export interface EventSummary {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  /** Where the event is. */
  readonly status: 'pending' | 'in_process' | 'complete';
  /** How it went; null until complete. */
  readonly outcome: 'success' | 'fail' | null;
  /** Why it failed; null when it did not. */
  readonly reason: 'listener' | 'attempts_exhausted' | 'deadline' | 'cancelled' | 'unmatched' | null;
  readonly createdAt: string;
  /** When it was first leased. */
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  /** Somebody asked to cancel it while a listener held it. */
  readonly cancelRequested: boolean;
  /** Attempts of the responder so far, those handed back not counted. */
  readonly attempts: number;
  /** The deliveries to all of its listeners have ended. */
  readonly settled: boolean;
  /** Place of the event in the log. */
  readonly position: string;
  /** It ends then if it is not complete; left out when it has no deadline. */
  readonly deadline?: string;
  /** The event whose completion emitted it; null when a client has submitted it. */
  readonly parent: string | null;
  /** The first event of that cascade. */
  readonly root: string | null;
  /** The ordering key. */
  readonly key: string | null;
  /** The past event whose request it is again. */
  readonly redriveOf: string | null;
  /** The newest event as which it was sent again. */
  readonly redrivenBy: string | null;
  readonly links: Links;
}

/** An event as its listener gets it. */
export interface LeasedEvent {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  readonly createdAt: string;
  /** The ordering key. */
  readonly key: string | null;
  readonly method: string;
  /** As it came; behind the gateway without the gateway's own prefix. */
  readonly path: string;
  /** As it came, without the question mark. */
  readonly query: string;
  /** Pairs of name, in lower case, and value, in the order they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly clientAddress: string | null;
  readonly contentType: string | null;
  /** Length of the body as it came. */
  readonly bytes: number;
  /** Of the body as it came, hex. */
  readonly sha256: string;
  /** `json`: the body is a JSON value, in the text it came as. `text`: a string. `base64`: bytes. */
  readonly bodyEncoding: 'json' | 'text' | 'base64';
  readonly version: string | null;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** Attributes of a CloudEvent; null when it was none. */
  readonly cloudEvent: {
    readonly [name: string]: string | number | boolean;
  } | null;
  /** The body, see `bodyEncoding`. */
  readonly body: unknown;
}

/** The right to complete an attempt until a time. */
export interface Lease {
  /** Names the attempt in the calls that extend, complete or end it. */
  readonly attemptId: string;
  /** Counts the attempts, for people. */
  readonly attempt: number;
  /** Proves that the lease is yours: the `Lease-Token` of those calls. */
  readonly token: string;
  readonly expiresAt: string;
  /** When the event ends if it is not complete by then, and every lease of it; null: it has none. */
  readonly deadline: string | null;
  /** Place of the event in the log. */
  readonly position: string;
  readonly event: LeasedEvent;
}

/** How the event stood when its completion had been accepted. */
export interface Completed {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  /** Where the event is. */
  readonly status: 'pending' | 'in_process' | 'complete';
  /** How it went; null until complete. */
  readonly outcome: 'success' | 'fail' | null;
  /** Why it failed; null when it did not. */
  readonly reason: 'listener' | 'attempts_exhausted' | 'deadline' | 'cancelled' | 'unmatched' | null;
  /** When the failed attempt will be tried again; null when it will not. */
  readonly retryAt: string | null;
  readonly links: Links;
}

/** An event that a completion has emitted. */
export interface Emitted {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** Type of the event. */
  readonly type: string;
  readonly links: Links;
}

/** How a cascade stands. */
export interface Tree {
  /** UUIDv7 of the event. */
  readonly root: string;
  /** Events of the cascade, the root included. */
  readonly counts: {
    readonly pending: number;
    readonly inProcess: number;
    readonly success: number;
    readonly fail: number;
    /** Emitted, and on their way to where their types live. */
    readonly relaying: number;
  };
  /** Nothing of the cascade goes on, and nothing more can come of it. */
  readonly settled: boolean;
  /** Events that the completions of the event asked for emitted. */
  readonly emitted: number;
  /** The first of those. */
  readonly children: readonly EventSummary[];
}

/** What cancelling an event and all that came of it has done. */
export interface CancelledTree {
  /** Ended as cancelled, now or before. */
  readonly cancelled: number;
  /** Held by listeners, who are asked. */
  readonly requested: number;
  /** Had ended otherwise. */
  readonly complete: number;
  /** There are more than one call goes through: cancel subtrees. */
  readonly more: boolean;
}

/** What a listener posted. */
export interface Result {
  readonly outcome: 'success' | 'fail';
  /** The listener's response, once complete. */
  readonly response: Response | null;
  /** The errors that the listener gave. */
  readonly errors: readonly unknown[];
}

/** Left out: the reply would be too large. */
export interface Omitted {
  readonly omitted: true;
}

/** One lease of an event, from its grant to its end. */
export interface Attempt {
  readonly attemptId: string;
  readonly listener: string;
  readonly attempt: number;
  readonly worker: string | null;
  readonly grantedAt: string;
  /** While the lease is live. */
  readonly expiresAt: string | null;
  readonly endedAt: string | null;
  /** How it ended. */
  readonly end: 'completed' | 'retried' | 'dead' | 'expired' | 'handed_back' | 'unsubscribed' | null;
  readonly result: Result | Omitted | null;
  /** A completion that came after the lease was lost: changes nothing, kept for people. */
  readonly late: {
    readonly at: string;
    readonly result: Result | Omitted | null;
  } | null;
  /** Events that its completion emitted. */
  readonly emitted: readonly string[];
}

/** One thing that happened. Which members there are follows from `op`. */
export interface LogRecord {
  /** Within it, records are in order. */
  readonly partition: number;
  /** Place of the record; `position` of an event is that of its `accepted`. */
  readonly position: string;
  readonly at: string;
  /** What happened. */
  readonly op: 'typeSet' | 'accepted' | 'granted' | 'handedBack' | 'retried' | 'completed' | 'emitted' | 'relayed' | 'dead' | 'cancelRequested' | 'cancelled' | 'deadlinePassed' | 'late' | 'pruned' | 'listenerSet' | 'listenerGone' | 'listenerSwept' | 'redriveSet' | 'unsubscribed';
  /** Type of the event. */
  readonly type: string;
  /** UUIDv7 of the event. */
  readonly id?: string;
  /** Number of the type in its partition, or of the listener in its type. */
  readonly ordinal?: number;
  /** Of the type. */
  readonly version?: number;
  /** What is declared of the type; null when nothing is. */
  readonly policy?: unknown | null;
  /** Nothing of the type is leased. */
  readonly paused?: boolean;
  /** Of the listener. */
  readonly name?: string;
  /** Of the listener; null when it gets all events. */
  readonly filter?: unknown | null;
  /** With `listenerSet`: whether it is one. With `unsubscribed`: number of the listener that is it from now on, or null. */
  readonly responder?: boolean | number | null;
  /** Numbers of the listeners that get the event, the responder first. Left out: 0 alone. */
  readonly listeners?: readonly number[];
  /** The past event whose request it is again. */
  readonly redriveOf?: string;
  /** Id of the redrive. */
  readonly redrive?: string;
  /** Of the redrive: counts its records. */
  readonly step?: number;
  /** Of the redrive. */
  readonly status?: string;
  /** What the redrive was asked for. */
  readonly wish?: unknown;
  /** How far the redrive is. */
  readonly progress?: unknown;
  readonly dueAt?: string;
  readonly deadline?: string;
  readonly durability?: 'archive';
  /** Until when its idempotency key is remembered. */
  readonly idempotentUntil?: string | null;
  /** The ordering key. */
  readonly key?: string;
  /** UUIDv7 of the event. */
  readonly parent?: string;
  /** UUIDv7 of the event. */
  readonly root?: string;
  /** Events that the completion emitted. */
  readonly emitted?: readonly string[];
  /** An emitted event whose type lives in another partition. */
  readonly child?: string;
  /** Type of the event. */
  readonly childType?: string;
  /** What came, as a lease shows it. */
  readonly request?: {
    readonly method: string;
    /** As it came; behind the gateway without the gateway's own prefix. */
    readonly path: string;
    /** As it came, without the question mark. */
    readonly query: string;
    /** Pairs of name, in lower case, and value, in the order they came. */
    readonly headers: readonly (readonly [string, string])[];
    readonly clientAddress: string | null;
    readonly contentType: string | null;
    /** Length of the body as it came. */
    readonly bytes: number;
    /** Of the body as it came, hex. */
    readonly sha256: string;
    /** `json`: the body is a JSON value, in the text it came as. `text`: a string. `base64`: bytes. */
    readonly bodyEncoding: 'json' | 'text' | 'base64';
    readonly version: string | null;
    readonly correlationId: string | null;
    readonly traceparent: string | null;
    /** Attributes of a CloudEvent; null when it was none. */
    readonly cloudEvent: {
      readonly [name: string]: string | number | boolean;
    } | null;
    /** The body, see `bodyEncoding`. */
    readonly body: unknown;
  };
  /** Number of the listener within the type. */
  readonly listener?: number;
  /** Counts all leases of the event. */
  readonly grant?: number;
  /** Counts those not handed back. */
  readonly attempt?: number;
  readonly worker?: string | null;
  readonly expiresAt?: string;
  /** Which part of the index of the log has the event. */
  readonly index?: number;
  readonly why?: 'expired' | 'failed';
  readonly outcome?: 'success' | 'fail';
  /** Why it failed; null when it did not. */
  readonly reason?: 'listener' | 'attempts_exhausted' | 'deadline' | 'cancelled' | 'unmatched' | null;
  readonly result?: Result | null;
}

/** What is declared of a type. What is left out is service-wide. */
export interface DeclaredPolicy {
  /** Attempts after which a delivery is dead. */
  readonly attemptsMax?: number;
  /** How long a retry waits. */
  readonly backoff?: {
    /** Wait after the first failed or expired attempt. */
    readonly firstMs?: number;
    /** By what the wait grows with each further attempt; up to nine decimals. */
    readonly factor?: number;
    /** Longest wait between attempts. */
    readonly capMs?: number;
    /** Share of a wait that chance may take away; up to nine decimals. */
    readonly jitter?: number;
  };
  /** Length of a lease whose caller names none. A call for several types gets the shortest of theirs. */
  readonly leaseMs?: number;
  /** New events are refused with 429 while so many of the type are not complete. */
  readonly maxPending?: number;
  /** How long after it was taken an event that names none has its deadline, see `Event-Deadline-Ms`. */
  readonly deadlineMs?: number;
  /** How long an event stays in the store once all of its deliveries have ended; then it is read from the log. Not what is kept: the log has all. */
  readonly retentionMs?: number;
  /** What the receipt of an event that does not say waits for, see `Event-Durability`. */
  readonly durability?: 'store' | 'archive';
  /** JSON Schema 2020-12 that bodies must fit, else 422 `schema-mismatch`. Nothing outside of it is referred to; patterns are RE2's; `format` is an annotation. */
  readonly schema?: unknown;
  /** JSON pointers (RFC 6901) to what is replaced by `[redacted]` before anything is stored. A body that had such a place is no longer byte for byte what came. Bodies must be JSON, or empty. */
  readonly redact?: readonly string[];
  /** Request headers that are secret and handed on all the same, for listeners that authenticate clients themselves: they are stored and logged. Those of `REDACT_HEADERS` are not. */
  readonly passHeaders?: readonly ('authorization' | 'cookie' | 'x-api-key')[];
}

/** What holds for a type: what is declared, and the rest as it is service-wide. */
export interface Policy {
  /** Attempts after which a delivery is dead. */
  readonly attemptsMax: number;
  readonly backoff: {
    /** Wait after the first failed or expired attempt. */
    readonly firstMs: number;
    /** By what the wait grows with each further attempt; up to nine decimals. */
    readonly factor: number;
    /** Longest wait between attempts. */
    readonly capMs: number;
    /** Share of a wait that chance may take away; up to nine decimals. */
    readonly jitter: number;
  };
  /** Length of a lease whose caller names none. A call for several types gets the shortest of theirs. */
  readonly leaseMs: number;
  readonly maxPending: number | null;
  readonly deadlineMs: number | null;
  /** How long an event stays in the store once all of its deliveries have ended; then it is read from the log. Not what is kept: the log has all. */
  readonly retentionMs: number;
  /** What the receipt of an event that does not say waits for, see `Event-Durability`. */
  readonly durability: 'store' | 'archive';
  /** JSON Schema 2020-12 that bodies must fit, else 422 `schema-mismatch`. Nothing outside of it is referred to; patterns are RE2's; `format` is an annotation. */
  readonly schema: unknown;
  /** JSON pointers (RFC 6901) to what is replaced by `[redacted]` before anything is stored. A body that had such a place is no longer byte for byte what came. Bodies must be JSON, or empty. */
  readonly redact: readonly string[];
  /** Request headers that are secret and handed on all the same, for listeners that authenticate clients themselves: they are stored and logged. Those of `REDACT_HEADERS` are not. */
  readonly passHeaders: readonly ('authorization' | 'cookie' | 'x-api-key')[];
}

/** A type, and what holds for it. */
export interface Type {
  readonly type: string;
  /** 0 for a type that exists by use only; goes up with each change of what is declared. */
  readonly version: number;
  /** Nothing of it is leased. */
  readonly paused: boolean;
  /** Its events that are not complete: what `maxPending` limits. */
  readonly open: number;
  /** What is declared, as `PUT` takes it; null when nothing is. */
  readonly declared: DeclaredPolicy | null;
  readonly policy: Policy;
}

/** How the deliveries of a listener stand. */
export interface ListenerStats {
  /** Name of the listener. */
  readonly name: string;
  /** Deliveries that may be leased now, unless the type is paused. */
  readonly waiting: number;
  /** Deliveries that wait for a delay or a backoff to be over, for their events to be archived, or behind others of their ordering key. */
  readonly delayed: number;
  /** Deliveries that are in process: leases that are out. */
  readonly leased: number;
  /** How long ago the oldest event of those that are `waiting` was taken, its delays included; null when none is. */
  readonly oldestWaitingMs: number | null;
  /** When somebody last asked for leases in its name, on whichever instance, to five seconds; null: not since the store began, was rebuilt or, embedded, was started. Who waits for events asks time and again. */
  readonly askedAt: string | null;
}

/** How the events of a type stand. The counts of deliveries are those of its listeners together. */
export interface TypeStats {
  readonly type: string;
  /** Nothing of it is leased. */
  readonly paused: boolean;
  /** Its events that are not complete. */
  readonly open: number;
  /** Deliveries that may be leased now, unless the type is paused. */
  readonly waiting: number;
  /** Deliveries that wait for a delay or a backoff to be over, for their events to be archived, or behind others of their ordering key. */
  readonly delayed: number;
  /** Deliveries that are in process: leases that are out. */
  readonly leased: number;
  /** How long ago the oldest event of those that are `waiting` was taken, its delays included; null when none is. */
  readonly oldestWaitingMs: number | null;
  /** What has gone through this instance in the last minute; counted in its memory, so of several instances each has its own. */
  readonly rates: {
    /** Over how long they are taken. */
    readonly windowMs: number;
    /** Events taken, also those that completions have emitted. */
    readonly acceptedPerSecond: number;
    /** Attempts completed with success. */
    readonly completedPerSecond: number;
    /** Attempts completed with failure, whether or not they are tried again. */
    readonly failedPerSecond: number;
  };
  /** Those that can lease from it: the declared ones, else `default`. */
  readonly listeners: readonly ListenerStats[];
}

/** How far a listener has been given the past. */
export interface Beginning {
  /** The job that brings the past. */
  readonly id: string;
  /** Where it is. */
  readonly status: 'running' | 'done' | 'cancelled' | 'failed';
  readonly startedAt: string;
  /** Null while it is running. */
  readonly endedAt: string | null;
  /** Records of the log that it has looked at. */
  readonly scanned: number;
  /** Past events that the listener was given. */
  readonly sent: number;
  /** Why nothing is given at the moment, such as `too-many-pending`; null: nothing speaks against it. */
  readonly waiting: string | null;
  /** Where the old end of the log has been deleted: when what it begins with was recorded. */
  readonly logBeginsAt: string | null;
  /** Why it failed. */
  readonly problem: string | null;
}

/** A listener that was declared. */
export interface Listener {
  readonly type: string;
  readonly name: string;
  readonly responder: boolean;
  /** Which events it gets: all parts must hold. Null: all. */
  readonly filter: {
    /** One of these, in capitals. */
    readonly method?: readonly string[];
    /** The path as it came: `{name}` stands for one segment, `*` at the end for all that follow. */
    readonly path?: string;
    /** One of these, of the payload (`Event-Version`). */
    readonly version?: readonly string[];
    /** By name in lower case: a value that a field has, or `true`: there is one. */
    readonly header?: {
      readonly [name: string]: string | true;
    };
    /** What a JSON body must have. */
    readonly body?: readonly ({
      /** Where in the JSON body (RFC 6901). */
      readonly pointer: string;
      readonly equals: string | number | boolean | null;
    } | {
      /** Where in the JSON body (RFC 6901). */
      readonly pointer: string;
      readonly exists: boolean;
    })[];
  } | null;
  /** Of one that began with the past, as far as it is remembered; else null. */
  readonly beginning: Beginning | null;
}

/** A job that sends past events again. */
export interface Redrive {
  /** Id of the redrive. */
  readonly id: string;
  /** Whose past events. */
  readonly type: string;
  /** Who alone gets the new events, whatever its filter says. Null or left out: whoever gets such events now. */
  readonly listener: string | null;
  /** As it was asked for. `taken`: it brings a listener that begins with the past every event that was taken before. */
  readonly filter: 'dead' | 'failed' | 'any' | 'taken';
  /** Only what ended then or later. */
  readonly from: string | null;
  /** Only what ended before. In any case only what had been recorded when the redrive was made. */
  readonly to: string | null;
  /** Counts and sends nothing. */
  readonly dryRun: boolean;
  /** New events a second, at most. */
  readonly ratePerSecond: number;
  readonly status: 'running' | 'done' | 'cancelled' | 'failed';
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Records of the log that were looked at, of all types of the partition. */
  readonly scanned: number;
  /** Events found. */
  readonly matched: number;
  /** New events. */
  readonly sent: number;
  /** Events found and not sent, by why. */
  readonly skipped: {
    /** Found, and the log no longer goes back to what was asked. */
    readonly requestGone: number;
  };
  /** The code of the error for which nothing can be sent at the moment, as `too-many-pending`. */
  readonly waiting: string | null;
  /** From when on there was a log to look at, where its old end had been deleted. Null: it was whole. */
  readonly logBeginsAt: string | null;
  /** Why it failed. */
  readonly problem: string | null;
  readonly links: {
    readonly self: string;
  };
}
