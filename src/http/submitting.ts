/** What submitting one event has in common wherever it comes in: take it, perhaps wait for its end, answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../errors.js';
import type { EventView } from '../event/command.js';
import { NOT_ARCHIVED } from '../event/unarchived.js';
import type { Submission } from '../queue/submit.js';
import { ANONYMOUS, type HttpContext } from './context.js';
import { type Receipt, receiptText } from './event-json.js';
import { hangUpSignal } from './hang-up.js';
import { appliedWait, preferredWaitMs } from './prefer.js';
import { locationOf, receiptOf, sendJson } from './respond.js';

/** How soon polling for an event makes sense, in s. */
const RETRY_AFTER_S = '1';

export async function takeOne(
  context: HttpContext,
  reply: FastifyReply,
  submission: Submission,
): Promise<Receipt> {
  const [result] = await context.queue.submit([submission], ANONYMOUS);
  const receipt = receiptOf(result!);
  if (receipt instanceof ClockworkError) throw located(reply, receipt);
  return receipt;
}

/** What went wrong after the event was taken says where it is. */
export function located(reply: FastifyReply, error: ClockworkError): ClockworkError {
  const { id } = error.members;
  if (error.code === 'not-archived') reply.header('location', locationOf(String(id)));
  return error;
}

export function replyAccepted(context: HttpContext, reply: FastifyReply, receipt: Receipt): FastifyReply {
  reply.code(202).header('location', locationOf(receipt.id)).header('retry-after', RETRY_AFTER_S);
  return sendJson(reply, receiptText(receipt, context.queue.durable));
}

/**
 * The completed event, if the request prefers to wait and it completes in time; else null. The event is taken
 * already, so nothing that goes wrong while waiting may look as if it were not: the caller can still poll.
 */
export async function waitIfPreferred(
  { queue, config }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
): Promise<EventView | null> {
  const { prefer } = request.headers;
  if (prefer === undefined) return null;
  const waitMs = preferredWaitMs(prefer, config.waitMsMax);
  if (waitMs === null || !queue.hasRoomToWait) return null;
  try {
    const event = await queue.waitForEvent(id, { version: null, waitMs, signal: hangUpSignal(reply) });
    if (event === NOT_ARCHIVED || event?.status !== 'complete') return null;
    reply.header('preference-applied', appliedWait(waitMs));
    return event;
  } catch (err) {
    request.log.warn({ err, requestId: request.id, eventId: id }, 'waiting for a submitted event failed');
    return null;
  }
}
