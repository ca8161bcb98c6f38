/** Makes submissions: from a request as it came, and from the items of a bulk request. */
import type { FastifyRequest } from 'fastify';
import { ClockworkError } from '../errors.js';
import { type BodyEncoding, type EnvelopeHead, sha256Hex } from '../event/envelope.js';
import type { Durability } from '../event/unarchived.js';
import type { Submission } from '../queue/submit.js';
import { classifyBody } from './body.js';
import { type Item, textAt } from './bulk.js';
import type { HttpContext } from './context.js';
import { type HeaderList, redactHeaders, sanitisedHeaders, splitTarget } from './head.js';
import { checkTypeName } from './names.js';
import { checkOrderingKey } from './ordering-key.js';
import { headerIn, readPostedBody, readPostedHeaders } from './posted.js';
import { bodyOf, checker } from './read-json.js';
import { EventItem } from './schemas/input.js';
import { checkDeadline, idempotencyKeyOf, readSubmitHeaders, type SubmitHeaders } from './submit-headers.js';
import { type TypeRules, underRules } from './type-rules.js';

type CloudEventAttributes = NonNullable<EnvelopeHead['cloudEvent']>;

/** The request itself is the event. `path` and `query` are what listeners see. */
export function submissionOf(
  context: HttpContext,
  request: FastifyRequest,
  type: string,
  target: { readonly path: string; readonly query: string },
  rules: TypeRules | null,
  cloudEvent: CloudEventAttributes | null = null,
): Submission {
  const { config } = context;
  checkTypeName(type, config.nameBytesMax);
  const body = bodyOf(request);
  const contentType = request.headers['content-type'] ?? null;
  const headers = sanitisedHeaders(request.raw, rules?.secretHeaders ?? context.secretHeaders);
  const wishes = readSubmitHeaders(request.headers, headers, config);
  const submission: Submission = {
    type,
    head: {
      method: request.method,
      path: target.path,
      query: target.query,
      headers,
      clientAddress: request.ip,
      contentType,
      bytes: body.byteLength,
      sha256: sha256Hex(body),
      bodyEncoding: classifyBody(body, contentType, request.headers['content-encoding'], config.jsonDepthMax),
      version: wishes.version,
      correlationId: wishes.correlationId,
      traceparent: wishes.traceparent,
      cloudEvent,
    },
    body,
    key: wishes.key ?? (cloudEvent && partitionKeyOf(cloudEvent, wishes.delayMs, config.keyBytesMax)),
    delayMs: wishes.delayMs,
    deadlineMs: wishes.deadlineMs,
    durability: wishes.durability ?? rules?.durability ?? 'store',
    idempotencyKey: idempotencyKeyOf(request.headers, config.keyBytesMax),
    eventHeaders: wishes.eventHeaders,
  };
  return underRules(submission, rules);
}

/** What a bulk request says for all its items. */
export interface BulkRequest {
  readonly context: HttpContext;
  /** Of the types of its items. */
  readonly rules: ReadonlyMap<string, TypeRules | null>;
  readonly path: string;
  readonly clientAddress: string;
  readonly wishes: SubmitHeaders;
  readonly idempotencyKey: string | null;
}

export function bulkRequestOf(
  context: HttpContext,
  request: FastifyRequest,
  rules: BulkRequest['rules'],
): BulkRequest {
  const { config } = context;
  const headers = sanitisedHeaders(request.raw, context.secretHeaders);
  return {
    context,
    rules,
    path: splitTarget(request.raw.url ?? '').path,
    clientAddress: request.ip,
    wishes: readSubmitHeaders(request.headers, headers, config),
    idempotencyKey: idempotencyKeyOf(request.headers, config.keyBytesMax),
  };
}

/** The ordering key of a CloudEvent: its attribute `partitionkey`, of the extension for partitioning. */
export function partitionKeyOf(
  { partitionkey }: CloudEventAttributes,
  delayMs: number,
  bytesMax: number,
): string | null {
  if (partitionkey === undefined) return null;
  const key = String(partitionkey);
  checkOrderingKey(key, delayMs, bytesMax, 'invalid-cloudevent');
  return key;
}

const checkEventItem = checker(EventItem);

export function submissionOfItem(bulk: BulkRequest, item: Item, index: number): Submission {
  const { config } = bulk.context;
  const event = checkEventItem(item.value);
  const posted = readPostedHeaders(event.headers, config);
  const contentType = event.contentType ?? headerIn(posted, 'content-type');
  const body =
    event.body === undefined
      ? { bytes: Buffer.alloc(0), contentType, bodyEncoding: 'text' as const }
      : readPostedBody(
          event.body,
          textAt(item.text, ['body']),
          event.bodyEncoding,
          contentType,
          config.jsonDepthMax,
        );
  return submissionOfParts(bulk, index, {
    type: event.type,
    headers: posted,
    bytes: body.bytes,
    contentType: body.contentType,
    bodyEncoding: body.bodyEncoding,
    key: event.key ?? bulk.wishes.key,
    delayMs: event.delayMs ?? bulk.wishes.delayMs,
    deadlineMs: event.deadlineMs ?? bulk.wishes.deadlineMs,
    durability: event.durability ?? bulk.wishes.durability,
    version: event.version ?? bulk.wishes.version,
    correlationId: event.correlationId ?? bulk.wishes.correlationId,
    cloudEvent: null,
  });
}

export interface Parts {
  readonly type: string;
  readonly headers: HeaderList;
  readonly bytes: Buffer;
  readonly contentType: string | null;
  /** Null: to be found out from the bytes. */
  readonly bodyEncoding: BodyEncoding | null;
  /** The ordering key. */
  readonly key: string | null;
  readonly delayMs: number;
  readonly deadlineMs: number | null;
  /** Null: what the type says. */
  readonly durability: Durability | null;
  readonly version: string | null;
  readonly correlationId: string | null;
  readonly cloudEvent: CloudEventAttributes | null;
}

/** Without a key no two requests have to be told from each other. */
const NOTHING_TOLD: readonly string[] = Object.freeze([]);

export function submissionOfParts(bulk: BulkRequest, index: number, parts: Parts): Submission {
  const { config, secretHeaders } = bulk.context;
  const { type, bytes, contentType, version, correlationId, cloudEvent } = parts;
  const { key, delayMs, deadlineMs, durability } = parts;
  checkTypeName(type, config.nameBytesMax);
  const rules = bulk.rules.get(type) ?? null;
  if (bytes.byteLength > config.bodyBytesMax) {
    throw new ClockworkError('body-too-large', `The body has more than ${config.bodyBytesMax} bytes.`);
  }
  const encoding = headerIn(parts.headers, 'content-encoding') ?? undefined;
  const bodyEncoding = parts.bodyEncoding ?? classifyBody(bytes, contentType, encoding, config.jsonDepthMax);
  const { headers } = parts;
  // Left out where nothing is asked for, as it was before it could be: a key tells the same requests apart for days.
  const archives = durability === 'archive' ? { durability } : {};
  const ends = deadlineMs === null ? {} : { deadlineMs };
  const keyed = key === null ? {} : { key };
  checkDeadline(deadlineMs, delayMs, 'invalid-request');
  checkOrderingKey(key, delayMs, config.keyBytesMax, 'invalid-request');
  const submission: Submission = {
    type,
    head: {
      method: 'POST',
      path: bulk.path,
      query: '',
      headers: redactHeaders(parts.headers, rules?.secretHeaders ?? secretHeaders),
      clientAddress: bulk.clientAddress,
      contentType,
      bytes: bytes.byteLength,
      sha256: sha256Hex(bytes),
      bodyEncoding,
      version,
      correlationId,
      traceparent: bulk.wishes.traceparent,
      cloudEvent,
    },
    body: bytes,
    key,
    delayMs,
    deadlineMs,
    durability: durability ?? rules?.durability ?? 'store',
    idempotencyKey: bulk.idempotencyKey === null ? null : `${bulk.idempotencyKey}#${index}`,
    eventHeaders:
      bulk.idempotencyKey === null
        ? NOTHING_TOLD
        : [
            JSON.stringify({
              delayMs,
              ...ends,
              ...archives,
              ...keyed,
              version,
              correlationId,
              cloudEvent,
              headers,
            }),
          ],
  };
  return underRules(submission, rules);
}
