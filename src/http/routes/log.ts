/** The log: archived records in order, for listeners that build a state of their own and for whoever wants to see. */
import type { FastifyReply } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { FeedResult } from '../../log/feed.js';
import type { HttpContext } from '../context.js';
import { hangUpSignal } from '../hang-up.js';
import { checkTypeName } from '../names.js';
import { JSON_TYPE, tooManyWaiters } from '../respond.js';
import type { App } from '../routing.js';
import { readLogSchema } from '../schemas/log.js';

const PAGE = 100;

export function logRoutes(app: App, { feed, config }: HttpContext): void {
  app.get('/v1/log', { schema: readLogSchema }, async (request, reply) => {
    const { after = null, types = null, limit = PAGE, waitMs = 0, hurry = false } = request.query;
    for (const type of types ?? []) checkTypeName(type, config.nameBytesMax);
    if (waitMs > 0 && !feed.hasRoomToWait) throw tooManyWaiters();
    const signal = waitMs > 0 ? hangUpSignal(reply) : null;
    return sendPage(reply, await feed.read({ after, types, limit, waitMs, hurry, signal }));
  });
}

function sendPage(reply: FastifyReply, result: FeedResult): FastifyReply {
  switch (result.kind) {
    case 'garbled':
      throw new ClockworkError('invalid-cursor', 'The cursor is none that a page has given.');
    case 'foreign':
      throw new ClockworkError('invalid-cursor', 'The cursor is of another log.', {
        hint: 'Begin without one.',
      });
    case 'gone':
      throw new ClockworkError('cursor-expired', 'The log no longer goes back to where the cursor is.', {
        hint: 'Begin again with `earliest`, knowing that records are missing.',
        members: { earliest: result.earliest },
      });
    case 'page':
      return reply.header('content-type', JSON_TYPE).header('cache-control', 'no-store').send(pageOf(result));
  }
}

const OPEN = Buffer.from('{"records":[');
const COMMA = Buffer.from(',');

/** Put together from the records' own bytes. */
function pageOf({ records, cursor, atEnd }: Extract<FeedResult, { kind: 'page' }>): Buffer {
  const parts: Buffer[] = [OPEN];
  for (const [index, record] of records.entries()) {
    if (index > 0) parts.push(COMMA);
    parts.push(record);
  }
  parts.push(Buffer.from(`],"cursor":"${cursor}","atEnd":${atEnd}}`));
  return Buffer.concat(parts);
}
