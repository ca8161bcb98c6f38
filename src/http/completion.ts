/** Completions: what a listener posts, checked and packed. */
import type { Config } from '../config.js';
import { ClockworkError } from '../errors.js';
import type { RetryWish } from '../event/command.js';
import { sha256Hex } from '../event/envelope.js';
import { join } from '../event/packed.js';
import { packResult, type ResponseHead } from '../event/result.js';
import type { CompleteAnswer } from '../queue/answer.js';
import type { Completion } from '../queue/emission.js';
import { classifyLeniently } from './body.js';
import { textAt } from './bulk.js';
import type { HttpContext } from './context.js';
import { readEmissions } from './emission.js';
import { headerIn, readPostedBody, readPostedHeaders } from './posted.js';
import { archiveUnavailable, notArchived, tooManyTypes } from './respond.js';
import type { CompletionBody } from './schemas/input.js';
import type { RulesByType } from './type-rules.js';

export interface CompletionSource {
  readonly attemptId: string;
  readonly token: string;
  readonly completion: Omit<CompletionBody, 'next'>;
  /** The JSON that the completion was parsed from. */
  readonly text: string;
}

/**
 * Two completions are the same when outcome, retry, response, errors and emitted events are: bodies compared byte
 * for byte, all else as values. White space outside bodies and `next` make no difference.
 */
export function completionOf(source: CompletionSource, context: HttpContext, rules: RulesByType): Completion {
  const { config } = context;
  const { completion, attemptId, token } = source;
  const errors = completion.errors ?? [];
  checkErrors(errors, config);
  const { response, body } = responseOf(source, config);
  const result = packResult({ outcome: completion.outcome, response, errors }, body);
  const retry = retryOf(completion);
  const base = { attemptId, token, outcome: completion.outcome, retry, result };
  const { emit: items = [] } = completion;
  if (items.length === 0) return { ...base, fingerprint: fingerprintOf(JSON.stringify(retry), result) };
  if (retry.kind !== 'never') {
    throw new ClockworkError('invalid-request', 'The field /emit does not go with a retry.', {
      hint: 'An attempt that is tried again emits nothing: emit with the completion that ends the event.',
      members: { pointer: '/emit' },
    });
  }
  const surroundings = { text: source.text, resultBytes: result.byteLength, rules };
  const { emit, said } = readEmissions(context, items, surroundings);
  const fingerprint = fingerprintOf(`${JSON.stringify(retry)} ${said}`, result);
  return { ...base, fingerprint, emit };
}

function fingerprintOf(said: string, result: Uint8Array): string {
  return sha256Hex(join(said, result));
}

function checkErrors(errors: readonly unknown[], { errorsMax, errorsBytesMax }: Config): void {
  if (errors.length === 0) return;
  if (errors.length <= errorsMax && Buffer.byteLength(JSON.stringify(errors)) <= errorsBytesMax) return;
  throw new ClockworkError(
    'too-many-errors',
    `There are more than ${errorsMax} errors or more than ${errorsBytesMax} bytes of them.`,
  );
}

function retryOf({ outcome, retry = 'never' }: Omit<CompletionBody, 'next'>): RetryWish {
  if (outcome === 'success' && retry !== 'never') {
    throw new ClockworkError('invalid-request', 'The field /retry goes with outcome `fail` only.', {
      members: { pointer: '/retry' },
    });
  }
  return typeof retry === 'string' ? { kind: retry } : { kind: 'after', afterMs: retry.afterMs };
}

const NO_BODY = Buffer.alloc(0);

function responseOf(
  { completion, text }: CompletionSource,
  config: Config,
): { response: ResponseHead | null; body: Buffer } {
  const { response, outcome } = completion;
  if (response === undefined) return { response: null, body: NO_BODY };
  const status = response.status ?? (outcome === 'success' ? 200 : 500);
  const headers = readPostedHeaders(response.headers, config);
  const given = headerIn(headers, 'content-type');
  if (response.body === undefined) {
    const head = { status, headers, contentType: given, bytes: 0, bodyEncoding: 'text' } as const;
    return { response: head, body: NO_BODY };
  }
  const bodyText = textAt(text, ['response', 'body']);
  const posted = readPostedBody(response.body, bodyText, response.bodyEncoding, given, config.jsonDepthMax);
  const { bytes, contentType } = posted;
  if (bytes.byteLength > config.responseBytesMax) {
    throw new ClockworkError(
      'body-too-large',
      `The response has more than ${config.responseBytesMax} bytes.`,
    );
  }
  // Compressed bytes are no text, whatever they say that they unfold to.
  const packed = headerIn(headers, 'content-encoding') !== null;
  const bodyEncoding =
    posted.bodyEncoding ??
    (packed ? 'base64' : classifyLeniently(bytes, contentType ?? '', config.jsonDepthMax));
  return { response: { status, headers, contentType, bytes: bytes.byteLength, bodyEncoding }, body: bytes };
}

/** Why a completion was not accepted. */
export function completionError(
  result: Exclude<CompleteAnswer, { kind: 'completed' }>,
  attemptId: string,
): ClockworkError {
  const members = { attemptId };
  switch (result.kind) {
    case 'lease_lost':
      return leaseLost(
        attemptId,
        'If the token was once its own, the first result that comes late is kept with the attempt, for people to see.',
      );
    case 'conflict':
      return new ClockworkError(
        'completion-conflict',
        'The attempt was completed before, with something else.',
        {
          hint: 'The first completion stands.',
          members,
        },
      );
    case 'unknown':
      return attemptNotFound(attemptId);
    case 'not_archived':
      return notArchived(
        result.id,
        'The attempt was completed, and that was not archived in time.',
        'Send the same completion again: it is one, with one answer.',
      );
    case 'too_many_types':
      return tooManyTypes();
    case 'archive_unavailable':
      return archiveUnavailable('The attempt was not completed.', 'Emit with `store` durability');
  }
}

export function leaseLost(attemptId: string, hint: string): ClockworkError {
  return new ClockworkError('lease-lost', 'The token is not that of a live lease of this attempt.', {
    hint,
    members: { attemptId },
  });
}

export function attemptNotFound(attemptId: string): ClockworkError {
  return new ClockworkError('attempt-not-found', 'No attempt has this id.', { members: { attemptId } });
}
