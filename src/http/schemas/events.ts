/** The contract of the routes about events. */
import Type from 'typebox';
import { CancelQuerySchema, ListQuerySchema, TreeQuerySchema } from './input.js';
import { EXAMPLES } from './output.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';
import { PreferHeaders } from './submit.js';

const params = Type.Object({
  id: Type.String({ description: 'Id of the event, as its receipt gave it.', examples: [EXAMPLES.id] }),
});
const tags = ['Clients'];

const anyBytes = { '*/*': { schema: Type.Unknown({ description: 'The bytes as they came.' }) } };

export const readSchema = {
  operationId: 'readEvent',
  summary: 'Ask how an event stands',
  description:
    'With `Prefer: wait=N` the answer comes when the event is complete, or as it is after N s; with `If-None-Match` too, ' +
    'when anything of it has changed.',
  tags,
  params,
  headers: Type.Object({
    ...PreferHeaders.properties,
    'if-none-match': Type.Optional(Type.String({ description: 'The `ETag` of an earlier answer.' })),
  }),
  response: {
    200: jsonReply('The event.', ref('Event'), {
      ETag: Type.String({ description: 'Changes with the event.' }),
      'Preference-Applied': Type.String({ description: 'The wait that was heeded.' }),
    }),
    304: { description: 'Nothing has changed.', type: 'null' },
    ...problems('event-not-found', 'event-expired', 'too-many-waiters', 'not-archived'),
  },
};

export const listSchema = {
  operationId: 'listEvents',
  summary: 'List events',
  description:
    'Newest first, of the events that the store holds: one that was completed longer ago than the retention is read by its id ' +
    'only. A page may be shorter than asked for, also empty, since one call looks at a bounded number of events; ' +
    'the list ends where `cursor` is null.',
  tags,
  querystring: ListQuerySchema,
  response: {
    200: jsonReply(
      'A page.',
      Type.Object(
        {
          events: Type.Array(ref('EventSummary')),
          cursor: Type.Union([Type.String(), Type.Null()], { description: 'For the next page.' }),
        },
        { additionalProperties: false, examples: [{ events: [EXAMPLES.eventSummary], cursor: null }] },
      ),
    ),
    ...problems(),
  },
};

export const responseSchema = {
  operationId: 'readResponse',
  summary: "Get the body of the listener's response",
  description: 'With its media type. The status of the response is in the event.',
  tags,
  params,
  response: {
    200: { description: "The response's body.", content: anyBytes },
    ...problems(
      'event-not-found',
      'event-expired',
      'event-not-complete',
      'response-not-found',
      'not-archived',
    ),
  },
};

export const requestSchema = {
  operationId: 'readRequest',
  summary: 'Get the body of the request back',
  description: 'Byte for byte, with its media type.',
  tags,
  params,
  response: {
    200: { description: "The request's body.", content: anyBytes },
    ...problems('event-not-found', 'event-expired', 'not-archived'),
  },
};

export const attemptsSchema = {
  operationId: 'readAttempts',
  summary: 'See who worked on an event',
  description: 'All leases, oldest first, with what came of them; also completions that came too late.',
  tags,
  params,
  response: {
    200: jsonReply(
      'The attempts.',
      Type.Object({ attempts: Type.Array(ref('Attempt')) }, { additionalProperties: false }),
    ),
    ...problems('event-not-found', 'event-expired', 'not-archived'),
  },
};

export const treeSchema = {
  operationId: 'readTree',
  summary: 'See what came of an event',
  description:
    'How the events of the whole cascade stand that the event belongs to, and those that its own completions emitted. With ' +
    '`Prefer: wait=N` the answer comes when the cascade is settled, or as it is after N s. Events that have left the store ' +
    'are not counted any more.',
  tags,
  params,
  querystring: TreeQuerySchema,
  headers: PreferHeaders,
  response: {
    200: jsonReply('The tree.', ref('Tree'), {
      'Preference-Applied': Type.String({ description: 'The wait that was heeded.' }),
    }),
    ...problems('event-not-found', 'event-expired', 'too-many-waiters', 'not-archived'),
  },
};

export const cancelSchema = {
  operationId: 'cancelEvent',
  summary: 'Cancel an event',
  description:
    'One that nobody works on ends at once: fail, `cancelled`. The listener that holds it hears of it when it extends ' +
    'its lease, and may complete it none the less. With `tree=true` the same is done to all that came of it, complete or not, ' +
    'and the answer counts them.',
  tags,
  params,
  querystring: CancelQuerySchema,
  response: {
    200: jsonReply('Cancelled.', Type.Union([ref('Event'), ref('CancelledTree')])),
    202: jsonReply('Asked of the listeners that hold it.', Type.Union([ref('Event'), ref('CancelledTree')])),
    ...problems('event-not-found', 'event-expired', 'event-complete', 'not-archived'),
  },
};
