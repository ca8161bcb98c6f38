/** The contract of the route that tells how the events of a type stand. */
import Type from 'typebox';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const strict = { additionalProperties: false } as const;

const waiting = Type.Integer({
  minimum: 0,
  description: 'Deliveries that may be leased now, unless the type is paused.',
});
const delayed = Type.Integer({
  minimum: 0,
  description:
    'Deliveries that wait for a delay or a backoff to be over, for their events to be archived, or behind others of their ordering key.',
});
const leased = Type.Integer({
  minimum: 0,
  description: 'Deliveries that are in process: leases that are out.',
});
const oldestWaitingMs = Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
  description:
    'How long ago the oldest event of those that are `waiting` was taken, its delays included; null when none is.',
});
const perSecond = (description: string) => Type.Number({ minimum: 0, description });

const listenerExample = {
  name: 'default',
  waiting: 7,
  delayed: 2,
  leased: 3,
  oldestWaitingMs: 5_230,
  askedAt: '2026-11-23T08:00:00.000Z',
};

const statsExample = {
  type: 'invoice.paid',
  paused: false,
  open: 12,
  waiting: 7,
  delayed: 2,
  leased: 3,
  oldestWaitingMs: 5_230,
  rates: { windowMs: 60_000, acceptedPerSecond: 1.4, completedPerSecond: 1.35, failedPerSecond: 0.05 },
  listeners: [listenerExample],
};

const ListenerStatsReply = Type.Object(
  {
    name: Type.String({ description: 'Name of the listener.' }),
    waiting,
    delayed,
    leased,
    oldestWaitingMs,
    askedAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
      description:
        'When somebody last asked for leases in its name, on whichever instance, to five seconds; null: not since the store began, was rebuilt or, embedded, was started. Who waits for events asks time and again.',
    }),
  },
  {
    ...strict,
    $id: 'ListenerStats',
    description: 'How the deliveries of a listener stand.',
    examples: [listenerExample],
  },
);

const TypeStatsReply = Type.Object(
  {
    type: Type.String(),
    paused: Type.Boolean({ description: 'Nothing of it is leased.' }),
    open: Type.Integer({ minimum: 0, description: 'Its events that are not complete.' }),
    waiting,
    delayed,
    leased,
    oldestWaitingMs,
    rates: Type.Object(
      {
        windowMs: Type.Integer({ description: 'Over how long they are taken.' }),
        acceptedPerSecond: perSecond('Events taken, also those that completions have emitted.'),
        completedPerSecond: perSecond('Attempts completed with success.'),
        failedPerSecond: perSecond('Attempts completed with failure, whether or not they are tried again.'),
      },
      {
        ...strict,
        description:
          'What has gone through this instance in the last minute; counted in its memory, so of several instances each has its own.',
      },
    ),
    listeners: Type.Array(ref('ListenerStats'), {
      description: 'Those that can lease from it: the declared ones, else `default`.',
    }),
  },
  {
    ...strict,
    $id: 'TypeStats',
    description:
      'How the events of a type stand. The counts of deliveries are those of its listeners together.',
    examples: [statsExample],
  },
);

export const typeStatsSchema = {
  operationId: 'typeStats',
  summary: 'Ask how the events of a type stand',
  description:
    'How much waits, since when, how much is in process, and which listeners ask for it. The cost does not grow with what is stored.',
  tags: ['Operators'],
  params: Type.Object({ type: Type.String({ description: 'Name of the type.' }) }),
  response: {
    200: jsonReply('How they stand now.', ref('TypeStats')),
    ...problems('invalid-type-name', 'type-not-found'),
  },
};

export const STATS_SCHEMAS = [ListenerStatsReply, TypeStatsReply];
