/**
 * How errors are answered: the only map from a code to an HTTP status, and the problem details (RFC 9457) that
 * carry the code. Whatever goes wrong on the way to a handler and in it ends here, also what the framework and
 * the HTTP parser refuse.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { BlobError } from '../blob/blob.js';
import { ClockworkError, type ErrorCode } from '../errors.js';
import { CorruptSegmentError } from '../log/segment.js';
import { StoreError } from '../store/store.js';

/** Does not compile when a code is missing. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  'malformed-request': 400,
  'headers-too-large': 431,
  'uri-too-long': 414,
  'request-timeout': 408,
  'expectation-failed': 417,
  'body-too-large': 413,
  'unsupported-media-type': 415,
  'invalid-json': 400,
  'unsafe-json': 400,
  'invalid-request': 400,
  'invalid-header': 400,
  'duplicate-header': 400,
  'unsupported-header': 400,
  'key-with-delay': 400,
  'invalid-type-name': 400,
  'invalid-cloudevent': 400,
  'invalid-cursor': 400,
  'too-many-items': 413,
  'too-many-errors': 413,
  'route-not-found': 404,
  'method-not-allowed': 405,
  'event-not-found': 404,
  'event-expired': 410,
  'listener-not-found': 404,
  'type-not-found': 404,
  'redrive-not-found': 404,
  'attempt-not-found': 404,
  'response-not-found': 404,
  'cursor-expired': 410,
  'event-not-complete': 409,
  'event-complete': 409,
  'lease-lost': 409,
  'completion-conflict': 409,
  'not-subscribed': 409,
  'idempotency-conflict': 422,
  'redrive-ended': 409,
  'too-many-redrives': 409,
  'too-many-listeners': 409,
  'too-many-types': 409,
  'precondition-required': 428,
  'precondition-failed': 412,
  'too-many-pending': 429,
  'schema-mismatch': 422,
  'listener-failed': 502,
  'too-many-waiters': 503,
  'store-full': 503,
  'log-behind': 503,
  'not-archived': 503,
  'archive-unavailable': 503,
  'store-unavailable': 503,
  'store-recovering': 503,
  'log-unavailable': 503,
  'log-damaged': 500,
  'shutting-down': 503,
  'internal-error': 500,
};

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly [member: string]: unknown;
}

/** The problem without what belongs to one request: also the form of a refused item in a bulk reply. */
export function problemOf(error: ClockworkError): Problem {
  const { code, detail, hint, members } = error;
  const base = {
    type: `urn:clockwork:error:${code}`,
    title: titleOf(code),
    status: STATUS[code],
    detail,
    code,
  };
  return hint === null ? { ...members, ...base } : { ...members, ...base, hint };
}

function titleOf(code: ErrorCode): string {
  const words = code.replaceAll('-', ' ');
  return words[0]!.toUpperCase() + words.slice(1);
}

export function replyWithError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asClockworkError(error);
  const problem = { ...problemOf(known), instance: pathOf(request.raw.url), requestId: request.id };
  if (problem.status >= 500 && known.code !== 'listener-failed') {
    const err = known.cause ?? known;
    request.log.error({ err, requestId: request.id, code: known.code }, 'request failed');
  }
  if (known.retryAfterMs !== null) reply.header('retry-after', Math.ceil(known.retryAfterMs / 1_000));
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problem));
}

/** The target without its query, which may hold secrets. */
function pathOf(url = ''): string {
  return url.split('?', 1)[0]!;
}

/** The error that the caller is told for whatever was thrown. */
export function asClockworkError(error: unknown): ClockworkError {
  if (error instanceof ClockworkError) return error;
  if (error instanceof StoreError) return storeFailure(error);
  if (error instanceof BlobError) return logFailure(error);
  if (error instanceof CorruptSegmentError) return logDamage(error);
  const { code, validation } = error as Partial<FastifyError>;
  if (validation) return invalidInput(error as FastifyError);
  const known = code === undefined ? undefined : FRAMEWORK_ERRORS[code];
  if (known) return new ClockworkError(...known, { cause: error });
  return new ClockworkError('internal-error', 'The service has a fault.', { cause: error });
}

function storeFailure(error: StoreError): ClockworkError {
  const extra = { retryAfterMs: 1_000, cause: error };
  return error.failure === 'recovering'
    ? new ClockworkError('store-recovering', 'The store is catching up with the log.', extra)
    : new ClockworkError('store-unavailable', 'The store is out of reach.', extra);
}

function logFailure(error: BlobError): ClockworkError {
  return new ClockworkError('log-unavailable', 'The log is out of reach.', {
    retryAfterMs: 1_000,
    cause: error,
  });
}

function logDamage(error: CorruptSegmentError): ClockworkError {
  return new ClockworkError('log-damaged', 'A part of the log is not what was written.', {
    hint: 'Restore the object from a copy of the bucket.',
    members: { segment: error.key },
    cause: error,
  });
}

/** A parameter that the route's schema refuses. */
function invalidInput({ validation = [], validationContext }: FastifyError): ClockworkError {
  const [first] = validation;
  const unknown = first?.params['additionalProperty'];
  const where = `${validationContext ?? 'request'}${first?.instancePath ?? ''}`;
  const what = typeof unknown === 'string' ? `has an unknown parameter \`${unknown}\`` : first?.message;
  return new ClockworkError('invalid-request', `${where} ${what ?? 'is not valid'}.`);
}

const FRAMEWORK_ERRORS: Readonly<Record<string, [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'The body is larger than this route takes.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported-media-type', 'The Content-Type is not a media type.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'malformed-request',
    'The body is not as long as Content-Length says.',
  ],
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: ['unsupported-media-type', 'A QUERY must say its Content-Type.'],
  FST_ERR_BAD_URL: ['invalid-request', 'The path is not UTF-8 in percent-encoding.'],
  FST_ERR_MAX_PARAM_LENGTH: ['uri-too-long', 'A part of the path is too long.'],
  ECONNRESET: ['malformed-request', 'The connection ended before the request did.'],
};

/** What the HTTP parser refuses before there is a request. */
const PARSER_ERRORS: Readonly<Record<string, [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The header fields are larger than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.'],
};

/** For `checkExpectation`: Node would answer without a word. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const error = new ClockworkError('expectation-failed', 'Only `Expect: 100-continue` is understood.');
  const body = JSON.stringify(problemOf(error));
  response.writeHead(STATUS[error.code], { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(body);
}

/** For `clientErrorHandler`: there is no request, so the answer is written by hand and the connection closed. */
export function replyToClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, detail] = PARSER_ERRORS[error.code ?? ''] ?? [
    'malformed-request',
    'The bytes on the connection are not an HTTP request.',
  ];
  const body = JSON.stringify(problemOf(new ClockworkError(code, detail)));
  const head = [
    `HTTP/1.1 ${STATUS[code]} ${titleOf(code)}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
