/** Submitting: a raw request for one type, and many events in one request. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { Submission } from '../../queue/submit.js';
import { mediaTypeOf } from '../body.js';
import { eachItem, type ItemOrError, readItems } from '../bulk.js';
import { BATCHED, binaryAttributes, STRUCTURED, submissionOfCloudEvent } from '../cloud-event.js';
import { ANONYMOUS, type HttpContext } from '../context.js';
import { problemOf } from '../error-reply.js';
import { eventText, receiptText } from '../event-json.js';
import { splitTarget } from '../head.js';
import { bodyOf } from '../read-json.js';
import { locationOf, receiptOf, sendJson } from '../respond.js';
import type { App } from '../routing.js';
import { bulkSchema, submitSchema } from '../schemas/submit.js';
import { bulkRequestOf, submissionOf, submissionOfItem } from '../submission.js';
import { located, replyAccepted, takeOne, waitIfPreferred } from '../submitting.js';
import { type RulesByType, rulesOf, rulesOfTypes } from '../type-rules.js';

export function submitRoutes(app: App, context: HttpContext): void {
  app.post('/v1/types/:type/events', { schema: submitSchema }, async (request, reply) => {
    const target = splitTarget(request.raw.url!);
    const { type } = request.params;
    const rules = rulesOf(context, type);
    const known = rules instanceof Promise ? await rules : rules;
    const receipt = await takeOne(context, reply, submissionOf(context, request, type, target, known));
    const event = await waitIfPreferred(context, request, reply, receipt.id);
    if (event === null) return replyAccepted(context, reply, receipt);
    return sendJson(reply.header('location', locationOf(receipt.id)), eventText(event));
  });

  const { bulkBytesMax } = context.config;
  app.post('/v1/events', { schema: bulkSchema, bodyLimit: bulkBytesMax }, (request, reply) =>
    submitMany(context, request, reply),
  );
}

async function submitMany(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { submissions, single } = await readSubmissions(context, request);
  const accepted = submissions.filter((each): each is Submission => !(each instanceof ClockworkError));
  const [first] = submissions;
  // A sender of one event looks at the status, not into the body.
  if (single && first instanceof ClockworkError) throw first;

  const results = accepted.length === 0 ? [] : await context.queue.submit(accepted, ANONYMOUS);
  let at = 0;
  const receipts = submissions.map((each) =>
    each instanceof ClockworkError ? each : receiptOf(results[at++]!),
  );
  if (single && receipts[0] instanceof ClockworkError) throw located(reply, receipts[0]);

  const { durable } = context.queue;
  const texts = receipts.map((each) =>
    each instanceof ClockworkError
      ? `{"error":${JSON.stringify(problemOf(each))}}`
      : `{"event":${receiptText(each, durable)}}`,
  );
  const refused = receipts.filter((each) => each instanceof ClockworkError).length;
  const counts = `"accepted":${receipts.length - refused},"refused":${refused}`;
  return sendJson(reply, `{${counts},"results":[${texts.join(',')}]}`);
}

async function readSubmissions(
  context: HttpContext,
  request: FastifyRequest,
): Promise<{ submissions: readonly (Submission | ClockworkError)[]; single: boolean }> {
  const contentType = request.headers['content-type'];
  if (request.headers['ce-specversion'] !== undefined) {
    return { submissions: [await binarySubmission(context, request)], single: true };
  }
  const mediaType = contentType === undefined ? '' : mediaTypeOf(contentType);
  const { items, single } = readItems(bodyOf(request), contentType, context.config);
  const isCloudEvents = mediaType === STRUCTURED || mediaType === BATCHED;
  if (isCloudEvents) refuseOtherMode(mediaType, single);
  const bulk = bulkRequestOf(context, request, await rulesOfItems(context, items));
  const make = isCloudEvents ? submissionOfCloudEvent : submissionOfItem;
  return { submissions: eachItem(items, (item, index) => make(bulk, item, index)), single };
}

/** Of the types that they name. */
function rulesOfItems(context: HttpContext, items: readonly ItemOrError[]): Promise<RulesByType> {
  const named = items.map((item) =>
    item instanceof ClockworkError ? null : ((item.value ?? {}) as { readonly type?: unknown }).type,
  );
  return rulesOfTypes(context, named);
}

async function binarySubmission(context: HttpContext, request: FastifyRequest): Promise<Submission> {
  const contentType = request.headers['content-type'] ?? null;
  const attributes = binaryAttributes(request.raw.rawHeaders, contentType);
  const body = bodyOf(request);
  const { bodyBytesMax } = context.config;
  if (body.byteLength > bodyBytesMax) {
    throw new ClockworkError('body-too-large', `The body has more than ${bodyBytesMax} bytes.`);
  }
  const target = splitTarget(request.raw.url!);
  const type = attributes['type'] as string;
  return submissionOf(context, request, type, target, await rulesOf(context, type), attributes);
}

function refuseOtherMode(mediaType: string, single: boolean): void {
  if (single === (mediaType === STRUCTURED)) return;
  const wanted = mediaType === STRUCTURED ? 'one JSON object' : 'a JSON array';
  throw new ClockworkError('invalid-cloudevent', `The body of ${mediaType} must be ${wanted}.`);
}
