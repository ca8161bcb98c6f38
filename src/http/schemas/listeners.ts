/** The contract of the routes about listeners. */
import Type, { type Static } from 'typebox';
import { SETTINGS } from '../../config.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const strict = { additionalProperties: false } as const;
const tags = ['Operators'];
const NAME_MAX = 256;
const PARTS_MAX = 100;

const typeParams = Type.Object({ type: Type.String({ description: 'Name of the type.' }) });
const params = Type.Object({
  type: Type.String({ description: 'Name of the type.' }),
  name: Type.String({ description: 'Name of the listener.' }),
});

const pointer = Type.String({ maxLength: 1_024, description: 'Where in the JSON body (RFC 6901).' });
const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);

const filterFields = {
  method: Type.Optional(
    Type.Array(Type.String(), {
      minItems: 1,
      maxItems: PARTS_MAX,
      description: 'One of these, in capitals.',
    }),
  ),
  path: Type.Optional(
    Type.String({
      maxLength: 2_048,
      description:
        'The path as it came: `{name}` stands for one segment, `*` at the end for all that follow.',
    }),
  ),
  version: Type.Optional(
    Type.Array(Type.String({ maxLength: NAME_MAX }), {
      minItems: 1,
      maxItems: PARTS_MAX,
      description: 'One of these, of the payload (`Event-Version`).',
    }),
  ),
  header: Type.Optional(
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Literal(true)]), {
      description: 'By name in lower case: a value that a field has, or `true`: there is one.',
    }),
  ),
  body: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Object({ pointer, equals: Scalar }, strict),
        Type.Object({ pointer, exists: Type.Boolean() }, strict),
      ]),
      { minItems: 1, maxItems: PARTS_MAX, description: 'What a JSON body must have.' },
    ),
  ),
};
const filterExample = { method: ['POST'], body: [{ pointer: '/amount', exists: true }] };
const filterAbout = 'Which events it gets: all parts must hold. Null: all.';

export const ListenerBody = Type.Object(
  {
    responder: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'The end of its delivery is the end of the event, if it is the first such that gets it.',
      }),
    ),
    filter: Type.Optional(
      Type.Union([Type.Object(filterFields, strict), Type.Null()], { description: filterAbout }),
    ),
    start: Type.Optional(
      Type.Enum(['now', 'beginning'], {
        default: 'now',
        description:
          'With `beginning` a new listener gets the past events of the type too, each as a new event that names the old one in ' +
          '`redriveOf`. Of no account for one that is there.',
      }),
    ),
  },
  { ...strict, examples: [{ responder: true, filter: filterExample }] },
);
export type ListenerBody = Static<typeof ListenerBody>;

const beginningExample = {
  id: '0193f1c2-7b5a-7c3e-8000-5f2d9a1b4c6d',
  status: 'running',
  startedAt: '2026-11-23T08:00:00.000Z',
  endedAt: null,
  scanned: 120_000,
  sent: 39_000,
  waiting: null,
  logBeginsAt: null,
  problem: null,
};
const listenerExample = {
  type: 'invoice.paid',
  name: 'mailer',
  responder: true,
  filter: filterExample,
  beginning: beginningExample,
};

const time = Type.String({ format: 'date-time' });
const nullableTime = (description: string) => Type.Union([time, Type.Null()], { description });

const Beginning = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'The job that brings the past.' }),
    status: Type.Enum(['running', 'done', 'cancelled', 'failed'], { description: 'Where it is.' }),
    startedAt: time,
    endedAt: nullableTime('Null while it is running.'),
    scanned: Type.Integer({ minimum: 0, description: 'Records of the log that it has looked at.' }),
    sent: Type.Integer({ minimum: 0, description: 'Past events that the listener was given.' }),
    waiting: Type.Union([Type.String(), Type.Null()], {
      description:
        'Why nothing is given at the moment, such as `too-many-pending`; null: nothing speaks against it.',
    }),
    logBeginsAt: nullableTime(
      'Where the old end of the log has been deleted: when what it begins with was recorded.',
    ),
    problem: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed.' }),
  },
  {
    ...strict,
    $id: 'Beginning',
    description: 'How far a listener has been given the past.',
    examples: [beginningExample],
  },
);

const ListenerReply = Type.Object(
  {
    type: Type.String(),
    name: Type.String(),
    responder: Type.Boolean(),
    filter: Type.Union([Type.Object(filterFields, strict), Type.Null()], { description: filterAbout }),
    beginning: Type.Union([ref('Beginning'), Type.Null()], {
      description: 'Of one that began with the past, as far as it is remembered; else null.',
    }),
  },
  { ...strict, $id: 'Listener', description: 'A listener that was declared.', examples: [listenerExample] },
);

const names = ['invalid-type-name'] as const;

export const listListenersSchema = {
  operationId: 'listListeners',
  summary: 'List the listeners of a type',
  description:
    'Those that were declared, in that order. A type without any has `default`, which subscribes itself.',
  tags,
  params: typeParams,
  response: {
    200: jsonReply(
      'The listeners.',
      Type.Object(
        { listeners: Type.Array(ref('Listener')) },
        { ...strict, examples: [{ listeners: [listenerExample] }] },
      ),
    ),
    ...problems(...names, 'type-not-found'),
  },
};

export const readListenerSchema = {
  operationId: 'readListener',
  summary: 'Ask how a listener is declared',
  description: 'Its filter, and whether it is a responder.',
  tags,
  params,
  response: {
    200: jsonReply('The listener.', ref('Listener')),
    ...problems(...names, 'type-not-found', 'listener-not-found'),
  },
};

export const setListenerSchema = {
  operationId: 'setListener',
  summary: 'Declare a listener',
  description:
    `From now on it gets the events of the type that its filter matches. A type has ${SETTINGS.listenersMax.fallback} at most. ` +
    'The first one of a type gets what has waited, unless somebody has leased as `default` before, who then stays a listener. ' +
    'Declared again it is changed: for events that come from then on.',
  tags,
  params,
  body: { content: { 'application/json': { schema: ListenerBody } } },
  response: {
    200: jsonReply('The listener, which was there.', ref('Listener')),
    201: jsonReply('The listener, which is new.', ref('Listener')),
    ...problems(
      ...names,
      'invalid-json',
      'unsafe-json',
      'unsupported-media-type',
      'body-too-large',
      'too-many-types',
      'too-many-listeners',
      'too-many-redrives',
    ),
  },
};

export const deleteListenerSchema = {
  operationId: 'deleteListener',
  summary: 'Delete a listener',
  description:
    'It gets no further events, and the deliveries that it has end, a great many of them in the background. Where it was the ' +
    'responder, the next listener that has the event is; with none left the event ends as a failure, `unmatched`.',
  tags,
  params,
  response: {
    204: { description: 'It is gone.', type: 'null' },
    ...problems(...names, 'listener-not-found'),
  },
};

export const LISTENER_SCHEMAS = [Beginning, ListenerReply];
