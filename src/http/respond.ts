/** How replies are written: JSON text made by hand, and bytes that somebody else has made. */
import type { FastifyReply } from 'fastify';
import { ClockworkError } from '../errors.js';
import { partitionOfId } from '../event/id.js';
import { NOT_ARCHIVED, type NotArchived } from '../event/unarchived.js';
import type { SubmitResult } from '../queue/submit.js';
import type { Receipt } from './event-json.js';

export const JSON_TYPE = 'application/json; charset=utf-8';

export function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(text);
}

/** Bytes of strangers, served from the service's own origin: a browser may neither guess nor run them. */
export function guardForeignBytes(reply: FastifyReply): FastifyReply {
  return reply.header('x-content-type-options', 'nosniff').header('content-security-policy', 'sandbox');
}

export function locationOf(id: string): string {
  return `/v1/events/${id}`;
}

/** The id as the store knows it; throws when no event can have it. */
export function eventIdOf(given: string): string {
  const id = given.toLowerCase();
  if (partitionOfId(id) === null) throw eventNotFound(given);
  return id;
}

export function eventNotFound(id: string): ClockworkError {
  return new ClockworkError('event-not-found', 'No event has this id.', { members: { eventId: id } });
}

/** Throws when there is nothing to show: no such event, or none that is archived yet. */
export function mustExist<Value>(value: Value | NotArchived | null, id: string): Value {
  if (value === null) throw eventNotFound(id);
  if (value === NOT_ARCHIVED)
    throw notArchived(id, 'The event was taken and is not archived yet.', 'Ask again in a moment.');
  return value;
}

/** Said of an event that the store has; whether it will still have it after a failover only the log can tell. */
export function notArchived(id: string, detail: string, hint: string): ClockworkError {
  return new ClockworkError('not-archived', detail, {
    hint,
    members: { id, eventId: id },
    retryAfterMs: 1_000,
  });
}

/** The receipt of a submission that was taken, or why it was not. */
export function receiptOf(result: SubmitResult): Receipt | ClockworkError {
  switch (result.kind) {
    case 'accepted':
    case 'duplicate':
      return result;
    case 'conflict':
      return new ClockworkError('idempotency-conflict', 'The idempotency key was used for another request.', {
        hint: 'Take a new key for a new request; send the same request again to repeat one.',
        members: { eventId: result.id },
      });
    case 'too_many_types':
      return tooManyTypes();
    case 'too_many_pending':
      return new ClockworkError('too-many-pending', 'As many events of the type as may are not complete.', {
        hint: 'Send it again later: listeners must complete some first.',
        retryAfterMs: 1_000,
      });
    case 'full':
      return new ClockworkError('store-full', 'The store holds as many bytes as it may.', {
        retryAfterMs: 5_000,
      });
    case 'behind':
      return new ClockworkError('log-behind', 'More is waiting to be archived than may.', {
        hint: 'Look at what keeps the log from being written: see /readyz.',
        retryAfterMs: 5_000,
      });
    case 'not_archived':
      return notArchived(
        result.id,
        'The event was taken, and was not archived in time.',
        'Ask for it by its id, or send the request again with the same Idempotency-Key.',
      );
    case 'archive_unavailable':
      return archiveUnavailable('The event was not taken.', 'Send it with `Event-Durability: store`');
  }
}

export function tooManyTypes(): ClockworkError {
  return new ClockworkError('too-many-types', 'No further type can come into being.', {
    hint: 'Put what differs into the body, not into the type.',
  });
}

export function archiveUnavailable(consequence: string, remedy: string): ClockworkError {
  return new ClockworkError('archive-unavailable', `Nothing can be archived now. ${consequence}`, {
    hint: `${remedy}, or later again; /readyz says what is wrong with the log.`,
    retryAfterMs: 5_000,
  });
}

export function tooManyWaiters(): ClockworkError {
  return new ClockworkError('too-many-waiters', 'More calls are waiting than may.', {
    hint: 'Ask without waiting, or in a moment again.',
    retryAfterMs: 1_000,
  });
}
