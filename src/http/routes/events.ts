/** Events: how one stands, what it was, what was answered, which there are; and cancelling one. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { EventView } from '../../event/command.js';
import { type EnvelopeHead, unpackEnvelope } from '../../event/envelope.js';
import { unpackResult } from '../../event/result.js';
import type { TreeAnswer } from '../../queue/trees.js';
import type { HttpContext } from '../context.js';
import { attemptsText, eventSummaryText, eventTag, eventText, treeText } from '../event-json.js';
import { hangUpSignal } from '../hang-up.js';
import { headerIn } from '../posted.js';
import { appliedWait, preferredWaitMs } from '../prefer.js';
import {
  eventIdOf,
  eventNotFound,
  guardForeignBytes,
  mustExist,
  notArchived,
  sendJson,
  tooManyWaiters,
} from '../respond.js';
import type { App } from '../routing.js';
import * as schemas from '../schemas/events.js';

export function eventRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.get('/v1/events/:id', { schema: schemas.readSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    const event = await readOrWait(context, request, reply, id);
    reply.header('etag', eventTag(event)).header('cache-control', 'no-cache');
    if (matches(request.headers['if-none-match'], eventTag(event))) return reply.code(304).send();
    return sendJson(reply, eventText(event));
  });

  app.get('/v1/events', { schema: schemas.listSchema }, async (request, reply) => {
    const { type = null, status = null, outcome = null, cursor = null, limit = 50 } = request.query;
    const page = await queue.list({ type, status, outcome, cursor, limit, scanMax: config.scanMax });
    if (page.kind === 'bad_cursor') {
      throw new ClockworkError('invalid-request', 'The cursor is none that a page has given.');
    }
    const events = page.events.map(eventSummaryText).join(',');
    return sendJson(reply, `{"events":[${events}],"cursor":${JSON.stringify(page.cursor)}}`);
  });

  app.get('/v1/events/:id/response', { schema: schemas.responseSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    const event = mustExist(await queue.read(id), id);
    return sendResponse(event, reply);
  });

  app.get('/v1/events/:id/request', { schema: schemas.requestSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    const { head, body } = unpackEnvelope(mustExist(await queue.readRequest(id), id));
    return sendBytes(reply, head.contentType, head.headers, body);
  });

  app.get('/v1/events/:id/attempts', { schema: schemas.attemptsSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    const attempts = mustExist(await queue.readAttempts(id), id);
    return sendJson(reply, attemptsText(attempts, config.leaseBytesMax));
  });

  app.get('/v1/events/:id/tree', { schema: schemas.treeSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    return sendJson(reply, treeText(await readTree(context, request, reply, id, request.query.limit ?? 50)));
  });

  app.delete('/v1/events/:id', { schema: schemas.cancelSchema }, async (request, reply) => {
    const id = eventIdOf(request.params.id);
    if (request.query.tree) return cancelTree(context, reply, id);
    const { kind } = await queue.cancel(id);
    if (kind === 'unknown') throw eventNotFound(id);
    if (kind === 'not_archived')
      throw notArchived(
        id,
        'The event was cancelled, and that was not archived in time.',
        'Cancel it again.',
      );
    if (kind === 'complete') {
      throw new ClockworkError('event-complete', 'The event is complete.', { members: { eventId: id } });
    }
    const event = mustExist(await queue.read(id), id);
    return sendJson(reply.code(kind === 'cancelled' ? 200 : 202), eventText(event));
  });
}

async function readTree(
  { queue, config }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
  limit: number,
): Promise<TreeAnswer> {
  const waitMs = preferredWaitMs(request.headers.prefer, config.waitMsMax);
  if (waitMs === null || waitMs === 0) return mustExist(await queue.trees.read(id, limit), id);
  if (!queue.hasRoomToWait) throw tooManyWaiters();
  const tree = await queue.trees.waitFor(id, limit, { waitMs, signal: hangUpSignal(reply) });
  reply.header('preference-applied', appliedWait(waitMs));
  return mustExist(tree, id);
}

async function cancelTree({ queue }: HttpContext, reply: FastifyReply, id: string): Promise<FastifyReply> {
  const answer = await queue.trees.cancel(id);
  if (answer.kind === 'unknown') throw eventNotFound(id);
  if (answer.kind === 'not_archived')
    throw notArchived(
      answer.id,
      'An event of the tree was cancelled, and that was not archived in time.',
      'Cancel the tree again.',
    );
  const { kind: _, ...counts } = answer;
  const done = counts.requested === 0 && !counts.more;
  return sendJson(reply.code(done ? 200 : 202), JSON.stringify(counts));
}

async function readOrWait(
  { queue, config }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
): Promise<EventView> {
  const waitMs = preferredWaitMs(request.headers.prefer, config.waitMsMax);
  if (waitMs === null || waitMs === 0) return mustExist(await queue.read(id), id);
  if (!queue.hasRoomToWait) throw tooManyWaiters();
  const version = versionIn(request.headers['if-none-match']);
  const event = await queue.waitForEvent(id, { version, waitMs, signal: hangUpSignal(reply) });
  reply.header('preference-applied', appliedWait(waitMs));
  return mustExist(event, id);
}

/** The version that the caller has; -1, which none is, when its tag is none of ours. */
function versionIn(ifNoneMatch: string | undefined): number | null {
  if (ifNoneMatch === undefined) return null;
  const match = /^\s*(?:W\/)?"(\d{1,9})"\s*$/.exec(ifNoneMatch);
  return match ? Number(match[1]) : -1;
}

/** RFC 9110, section 13.1.2: weak comparison. */
function matches(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((each) => each.trim().replace(/^W\//, '') === tag);
}

function sendResponse(event: EventView, reply: FastifyReply): FastifyReply {
  const members = { eventId: event.id };
  if (event.status !== 'complete') {
    throw new ClockworkError('event-not-complete', 'The event is not complete.', {
      hint: 'Ask for the event with `Prefer: wait=25`, which answers when it is.',
      members: { ...members, eventStatus: event.status },
    });
  }
  const result = event.result && unpackResult(event.result);
  const response = result?.head.response;
  if (!response) {
    throw new ClockworkError('response-not-found', 'The event is complete and has no response.', {
      members: { ...members, outcome: event.outcome, reason: event.reason },
    });
  }
  return sendBytes(reply, response.contentType, response.headers, result.body);
}

function sendBytes(
  reply: FastifyReply,
  contentType: string | null,
  headers: EnvelopeHead['headers'],
  body: Buffer,
): FastifyReply {
  // Without it the media type would be a lie: these are the packed bytes.
  const encoding = headerIn(headers, 'content-encoding');
  if (encoding !== null) reply.header('content-encoding', encoding);
  return guardForeignBytes(reply)
    .header('content-type', contentType ?? 'application/octet-stream')
    .send(body);
}
