/**
 * The head of an envelope, made from a request: what listeners and people may see of it. Secrets are taken out
 * here, before anything is stored.
 */
import type { IncomingMessage } from 'node:http';
import { ClockworkError } from '../errors.js';

const REDACTED = '[redacted]';

/** Headers that prove who somebody is: to hand them on would hand on the right to act for the client. */
const SECRET_HEADERS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'lease-token',
] as const;

/** Names of the headers to redact, in lower case: the fixed ones and the operator's. */
export function secretHeaders(more: readonly string[]): ReadonlySet<string> {
  return new Set([...SECRET_HEADERS, ...more.map((name) => name.toLowerCase())]);
}

export type HeaderList = readonly (readonly [name: string, value: string])[];

/**
 * The headers in the order they came, names in lower case (RFC 9110 gives case no meaning), secrets redacted.
 */
export function sanitisedHeaders(request: IncomingMessage, secret: ReadonlySet<string>): HeaderList {
  const { rawHeaders } = request;
  const headers: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    headers.push([name, secret.has(name) ? REDACTED : rawHeaders[at + 1]!]);
  }
  return headers;
}

export function redactHeaders(headers: HeaderList, secret: ReadonlySet<string>): HeaderList {
  return headers.map(([name, value]) => [name, secret.has(name) ? REDACTED : value]);
}

const ONCE = new Set(['host', 'authorization', 'content-type', 'idempotency-key']);

/** Refuses too many headers and doubles of those that decide what a request means. */
export function checkHeaders(request: IncomingMessage, headersMax: number): ClockworkError | null {
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * headersMax) {
    return new ClockworkError('headers-too-large', `The request has more than ${headersMax} header fields.`);
  }
  let seen = '';
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { length } = rawHeaders[at]!;
    // Only names of these lengths can be meant; most are passed over without a look.
    if (length !== 4 && length !== 12 && length !== 13 && length !== 15) continue;
    const name = rawHeaders[at]!.toLowerCase();
    if (!ONCE.has(name)) continue;
    const mark = `${name},`;
    if (seen.includes(mark)) return new ClockworkError('duplicate-header', `The header ${name} came twice.`);
    seen += mark;
  }
  return null;
}

/** Path and query as they came, undecoded. */
export function splitTarget(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}
