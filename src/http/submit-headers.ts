/** The headers that say how a submitted request is to be treated, apart from what it is. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Config } from '../config.js';
import { ClockworkError } from '../errors.js';
import type { Durability } from '../event/unarchived.js';
import type { HeaderList } from './head.js';
import { checkOrderingKey } from './ordering-key.js';

export interface SubmitHeaders {
  readonly delayMs: number;
  /** Null: what the type says. */
  readonly deadlineMs: number | null;
  /** Null: what the type says. */
  readonly durability: Durability | null;
  readonly version: string | null;
  readonly correlationId: string | null;
  /** The ordering key. */
  readonly key: string | null;
  readonly traceparent: string | null;
  /** Sorted `name: value` of all `Event-*` headers: with the idempotency key they tell requests apart. */
  readonly eventHeaders: readonly string[];
}

const EVENT_HEADERS = [
  'event-key',
  'event-delay-ms',
  'event-deadline-ms',
  'event-durability',
  'event-version',
  'event-correlation-id',
];
const NO_EVENT_HEADERS: readonly string[] = Object.freeze([]);

export function readSubmitHeaders(
  headers: IncomingHttpHeaders,
  list: HeaderList,
  config: Config,
): SubmitHeaders {
  const eventHeaders = eventHeadersIn(list);
  const traceparent = traceparentOf(headers);
  if (eventHeaders.length === 0) {
    return {
      delayMs: 0,
      deadlineMs: null,
      durability: null,
      version: null,
      correlationId: null,
      key: null,
      traceparent,
      eventHeaders,
    };
  }
  const delayMs = delayOf(headers['event-delay-ms'], config.delayMsMax);
  const key = keyIn('Event-Key', headers['event-key'], config.keyBytesMax);
  checkOrderingKey(key, delayMs, config.keyBytesMax, 'invalid-header');
  return {
    delayMs,
    deadlineMs: deadlineOf(headers['event-deadline-ms'], delayMs, config.deadlineMsMax),
    durability: durabilityOf(headers['event-durability']),
    version: keyIn('Event-Version', headers['event-version'], config.keyBytesMax),
    correlationId: keyIn('Event-Correlation-Id', headers['event-correlation-id'], config.keyBytesMax),
    key,
    traceparent,
    eventHeaders,
  };
}

function eventHeadersIn(list: HeaderList): readonly string[] {
  let found: string[] | null = null;
  for (const [name, value] of list) {
    if (!name.startsWith('event-')) continue;
    if (!EVENT_HEADERS.includes(name)) {
      throw new ClockworkError('unsupported-header', `The header ${name} is not known here.`, {
        hint: `Known are ${EVENT_HEADERS.join(', ')}.`,
      });
    }
    found ??= [];
    if (found.some((each) => each.startsWith(`${name}:`))) {
      throw new ClockworkError('duplicate-header', `The header ${name} came twice.`);
    }
    found.push(`${name}: ${value}`);
  }
  return found?.sort() ?? NO_EVENT_HEADERS;
}

function delayOf(given: string | string[] | undefined, delayMsMax: number): number {
  if (given === undefined) return 0;
  const delayMs = /^\d{1,12}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (delayMs <= delayMsMax) return delayMs;
  throw new ClockworkError('invalid-header', `Event-Delay-Ms must be a whole number, 0 to ${delayMsMax}.`);
}

function deadlineOf(
  given: string | string[] | undefined,
  delayMs: number,
  deadlineMsMax: number,
): number | null {
  if (given === undefined) return null;
  const deadlineMs = /^\d{1,12}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (!(deadlineMs >= 1 && deadlineMs <= deadlineMsMax))
    throw new ClockworkError(
      'invalid-header',
      `Event-Deadline-Ms must be a whole number, 1 to ${deadlineMsMax}.`,
    );
  checkDeadline(deadlineMs, delayMs, 'invalid-header');
  return deadlineMs;
}

/** An event must not end before anybody may work on it. */
export function checkDeadline(
  deadlineMs: number | null,
  delayMs: number,
  code: 'invalid-header' | 'invalid-request',
): void {
  if (deadlineMs === null || deadlineMs > delayMs) return;
  throw new ClockworkError(code, 'The deadline must come after the delay.', {
    hint: 'Both count from when the event is taken.',
  });
}

function durabilityOf(given: string | string[] | undefined): Durability | null {
  if (given === undefined) return null;
  if (given === 'store' || given === 'archive') return given;
  throw new ClockworkError('invalid-header', 'Event-Durability must be `store` or `archive`.');
}

function keyIn(name: string, value: string | string[] | undefined, bytesMax: number): string | null {
  if (value === undefined) return null;
  const text = String(value);
  // One character of a header is one byte on the wire.
  if (text.length > 0 && text.length <= bytesMax) return text;
  throw new ClockworkError('invalid-header', `${name} must have 1 to ${bytesMax} bytes.`);
}

/**
 * The value of `Idempotency-Key`, or null. The draft makes it a string in quotes, many send it bare: `"k"` and
 * `k` are the same key.
 */
export function idempotencyKeyOf(headers: IncomingHttpHeaders, bytesMax: number): string | null {
  const key = keyIn('Idempotency-Key', headers['idempotency-key'], bytesMax);
  if (key === null) return null;
  const bare = /^"([^"\\]+)"$/.exec(key)?.[1] ?? key;
  if (bare === '""') throw new ClockworkError('invalid-header', 'Idempotency-Key must not be empty.');
  return bare;
}

/** As W3C Trace Context says, one that is not well formed is passed over. */
function traceparentOf(headers: IncomingHttpHeaders): string | null {
  const traceparent = headers['traceparent'];
  return typeof traceparent === 'string' && isTraceparent(traceparent) ? traceparent : null;
}

export function isTraceparent(text: string): boolean {
  return /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/.test(text);
}
