/**
 * Every error that the service can answer with: a closed list of codes with what each means, and the one class
 * that carries them. Knows no HTTP; `http/error-reply.ts` gives each code its status, `docs/errors.md` shows
 * this table to readers and a test keeps the two equal.
 */

export const ERRORS = {
  // What came in could not be read.
  'malformed-request': 'The bytes on the connection are not an HTTP request.',
  'headers-too-large': 'More than 100 header fields, or more than 16 KiB of them.',
  'uri-too-long': 'The request target is longer than a URL may be.',
  'request-timeout': 'The request did not arrive in time: headers within 5 s, all of it within 15 s.',
  'expectation-failed': 'The `Expect` header asks for something other than `100-continue`.',
  'body-too-large': 'The body, an item of a bulk request or a response is larger than its limit.',
  'unsupported-media-type': 'The route does not take this content type.',
  'invalid-json': 'The body says that it is JSON and is not. `line`, `column` and `offset` say where.',
  'unsafe-json': 'The JSON has a `__proto__` key, or a `constructor` that holds a `prototype`.',
  'invalid-request': 'A parameter or a field is missing, unknown, or not of the form it must have.',
  'invalid-header': 'A header field has a value that it cannot have.',
  'duplicate-header': 'A header field that may come once came twice.',
  'unsupported-header': 'An `Event-` header that this service does not know.',
  'key-with-delay': 'An event has an ordering key and a delay: its turn comes by the one or by the other.',
  'invalid-type-name': 'The name of a type is empty, too long, `.`, `..`, or has a NUL or half a character.',
  'invalid-cloudevent':
    'The CloudEvent lacks an attribute, has one of the wrong form, or is of another version.',
  'too-many-items': 'More items in one request than the limit.',
  'too-many-errors': 'More entries in `errors`, or more bytes of them, than the limit.',

  'invalid-cursor':
    'The cursor is none that this log has given: it was changed on the way, or is of another log.',

  // What was asked for is not there.
  'route-not-found': 'No such path.',
  'method-not-allowed': 'The path exists, the method does not. `Allow` lists those that do.',
  'event-not-found': 'No event has this id.',
  'event-expired': 'The event was completed so long ago that the log no longer has all of it.',
  'listener-not-found': 'Nobody has declared a listener of this name for the type.',
  'type-not-found': 'There is no such type: nobody has declared it, and no event of it was ever taken.',
  'redrive-not-found': 'No redrive has this id, or it is remembered no more.',
  'attempt-not-found': 'No attempt has this id.',
  'response-not-found':
    'The event is complete and has no response: its listener posted none, or it ended without one.',
  'cursor-expired':
    'The log no longer goes back to where the cursor is. `earliest` is the cursor to begin with.',

  // What was asked for does not fit how things stand.
  'event-not-complete': 'The event has no response yet.',
  'event-complete': 'The event is complete: it cannot be cancelled.',
  'lease-lost':
    'The token is not that of a live lease: it expired, was handed back, or another holds the event now.',
  'completion-conflict': 'The attempt was completed before, with another completion.',
  'not-subscribed': 'The type has no listener of this name.',
  'idempotency-conflict': 'The idempotency key was used before, for another request.',
  'redrive-ended': 'The redrive has ended: it cannot be cancelled.',
  'too-many-redrives': 'As many redrives as may are under way.',
  'too-many-listeners': 'The type has as many listeners as it may.',
  'too-many-types': 'No further type can come into being.',
  'precondition-required':
    'What is declared of a type is changed only by who knows it: `If-Match` must name its `ETag`.',
  'precondition-failed': 'The type has changed since. `version` is that of now, as in its `ETag`.',
  'too-many-pending':
    'As many events of the type as its `maxPending` says are not complete. New ones are taken when some are.',
  'schema-mismatch':
    'The body is not as the policy of its type says. `errors` has each place, as a JSON pointer, and what is wrong with it.',

  // The listener behind the gateway.
  'listener-failed': 'The event that the gateway waited for ended as a failure, without a response.',

  // The service is not able to.
  'too-many-waiters': 'More calls are waiting than the limit.',
  'store-full': 'The store holds as many bytes as it may. It takes events again as soon as some are gone.',
  'log-behind':
    'More is waiting to be archived than may. Events are taken again once the log has caught up; leases and completions go on.',
  'not-archived':
    'The event was taken, or changed, and that was not archived in time. Ask again, or send the same request again.',
  'archive-unavailable': 'Nothing can be archived now, so that no event with `archive` durability is taken.',
  'store-unavailable':
    'The store is out of reach. The request may or may not have been carried out; it may be sent again.',
  'store-recovering': 'The store is catching up with the log and cannot tell yet what it knows.',
  'log-unavailable': 'The log is out of reach. The same request may be sent again.',
  'log-damaged': 'A part of the log is not what was written. `segment` names it.',
  'shutting-down': 'The service is stopping.',
  'internal-error': 'The service has a fault. The log of the service has it under the request id.',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorExtra {
  /** What to do about it, in a sentence. */
  readonly hint?: string;
  /** Further members of the problem: where in the body, which id. JSON values. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** When to try again. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** An answer that is an error, thrown where a request cannot go on. `detail` is for the caller to read. */
export class ClockworkError extends Error {
  readonly hint: string | null;
  readonly members: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | null;

  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    extra: ErrorExtra = {},
  ) {
    super(`${code}: ${detail}`, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.name = 'ClockworkError';
    this.hint = extra.hint ?? null;
    this.members = extra.members ?? {};
    this.retryAfterMs = extra.retryAfterMs ?? null;
  }
}
