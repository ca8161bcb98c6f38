/** What the service answers, as schemas that routes refer to by name. */
import Type, { type TSchema } from 'typebox';
import { ERRORS, type ErrorCode } from '../../errors.js';
import { LOG_OPS } from '../../log/record-line.js';
import { STATUS } from '../error-reply.js';
import { listenerMembers } from './record-members.js';

const EXAMPLE_ID = '0193f1c2-7b5a-7c3e-8000-5f2d9a1b4c6d';
const EXAMPLE_TIME = '2026-11-23T08:00:00.000Z';
const EXAMPLE_LINKS = {
  self: `/v1/events/${EXAMPLE_ID}`,
  request: `/v1/events/${EXAMPLE_ID}/request`,
  response: `/v1/events/${EXAMPLE_ID}/response`,
  attempts: `/v1/events/${EXAMPLE_ID}/attempts`,
  tree: `/v1/events/${EXAMPLE_ID}/tree`,
};
const EXAMPLE_BODY = { value: 'hello' };

/** A schema that others refer to by its name. */
function named(name: string, fields: Record<string, TSchema>, options: object): TSchema {
  return Type.Object(fields, { $id: name, additionalProperties: false, ...options });
}

export function ref(name: string): TSchema {
  return Type.Ref(`${name}#`);
}

function nullable(schema: TSchema, description?: string): TSchema {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
}

const Id = Type.String({ format: 'uuid', description: 'UUIDv7 of the event.' });
const TypeName = Type.String({ description: 'Type of the event.' });
const Time = Type.String({ format: 'date-time' });
const Status = Type.Enum(['pending', 'in_process', 'complete'], { description: 'Where the event is.' });
const Outcome = nullable(Type.Enum(['success', 'fail']), 'How it went; null until complete.');
const Reason = nullable(
  Type.Enum(['listener', 'attempts_exhausted', 'deadline', 'cancelled', 'unmatched']),
  'Why it failed; null when it did not.',
);
const Encoding = Type.Enum(['json', 'text', 'base64'], {
  description: '`json`: the body is a JSON value, in the text it came as. `text`: a string. `base64`: bytes.',
});
const Body = Type.Unknown({ description: 'The body, see `bodyEncoding`.' });
const Position = Type.String({ description: 'Place of the event in the log.' });
const Durable = Type.Enum(['memory', 'everysec', 'fsync', 'archived'], {
  description:
    'What the event survives: `memory` nothing but the process; `everysec` a crash of the store, and of the machine ' +
    'all but the last second or so; `fsync` a crash of the machine; `archived` the loss of the store: it is in the log.',
});
const HeaderPairs = Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 }), {
  description: 'Pairs of name, in lower case, and value, in the order they came.',
});

const Links = named(
  'Links',
  {
    self: Type.String(),
    request: Type.String(),
    response: Type.String(),
    attempts: Type.String(),
    tree: Type.String(),
  },
  { description: 'Where to ask for more.', examples: [EXAMPLE_LINKS] },
);

const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URN made of the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What is wrong, for people.' }),
    code: Type.Enum(Object.keys(ERRORS), { description: 'What is wrong, for programs. Stable.' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it.' })),
    instance: Type.Optional(Type.String({ description: 'The path that was asked for.' })),
    requestId: Type.Optional(Type.String({ description: 'The request, in the log of the service.' })),
  },
  {
    $id: 'Problem',
    additionalProperties: true,
    description: 'Problem details (RFC 9457). Some codes have further members.',
    examples: [
      {
        type: 'urn:clockwork:error:event-not-found',
        title: 'Event not found',
        status: 404,
        detail: 'No event has this id.',
        code: 'event-not-found',
        instance: `/v1/events/${EXAMPLE_ID}`,
        requestId: '5f2d9a1b-1a',
        eventId: EXAMPLE_ID,
      },
    ],
  },
);

const receiptExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  status: 'pending',
  outcome: null,
  createdAt: EXAMPLE_TIME,
  durable: 'fsync',
  links: EXAMPLE_LINKS,
};

const Receipt = named(
  'Receipt',
  {
    id: Id,
    type: TypeName,
    status: Type.Literal('pending'),
    outcome: Type.Null(),
    createdAt: Time,
    durable: Durable,
    links: ref('Links'),
  },
  { description: 'An event that was taken.', examples: [receiptExample] },
);

const Response = named(
  'Response',
  {
    status: Type.Integer({ minimum: 200, maximum: 599 }),
    headers: HeaderPairs,
    contentType: nullable(Type.String()),
    bytes: Type.Integer(),
    bodyEncoding: Encoding,
    body: Body,
  },
  { description: "The listener's response." },
);

const eventFields = {
  id: Id,
  type: TypeName,
  status: Status,
  outcome: Outcome,
  reason: Reason,
  createdAt: Time,
  startedAt: nullable(Time, 'When it was first leased.'),
  completedAt: nullable(Time),
  cancelRequested: Type.Boolean({ description: 'Somebody asked to cancel it while a listener held it.' }),
  attempts: Type.Integer({ description: 'Attempts of the responder so far, those handed back not counted.' }),
  settled: Type.Boolean({ description: 'The deliveries to all of its listeners have ended.' }),
  position: Position,
  parent: nullable(Id, 'The event whose completion emitted it; null when a client has submitted it.'),
  root: nullable(Id, 'The first event of that cascade.'),
};
const eventExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  status: 'complete',
  outcome: 'success',
  reason: null,
  createdAt: EXAMPLE_TIME,
  startedAt: EXAMPLE_TIME,
  completedAt: EXAMPLE_TIME,
  cancelRequested: false,
  attempts: 1,
  settled: true,
  position: '1-7',
  parent: null,
  root: null,
};
const responseExample = {
  status: 200,
  headers: [['content-type', 'application/json']],
  contentType: 'application/json',
  bytes: 17,
  bodyEncoding: 'json',
  body: EXAMPLE_BODY,
};
const resultFields = {
  response: nullable(ref('Response'), "The listener's response, once complete."),
  errors: Type.Array(Type.Unknown(), { description: 'The errors that the listener gave.' }),
};

const Event = named(
  'Event',
  { ...eventFields, ...resultFields, links: ref('Links') },
  {
    description: 'An event as a client sees it.',
    examples: [{ ...eventExample, response: responseExample, errors: [], links: EXAMPLE_LINKS }],
  },
);

const EventSummary = named(
  'EventSummary',
  { ...eventFields, links: ref('Links') },
  { description: 'An event without its response.', examples: [{ ...eventExample, links: EXAMPLE_LINKS }] },
);

const leasedEventExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  createdAt: EXAMPLE_TIME,
  method: 'POST',
  path: '/v1/types/invoice.paid/events',
  query: '',
  headers: [['content-type', 'application/json']],
  clientAddress: '127.0.0.1',
  contentType: 'application/json',
  bytes: 17,
  sha256: '9d2a5b0c3e6f718293a4b5c6d7e8f90112233445566778899aabbccddeeff001',
  bodyEncoding: 'json',
  version: null,
  correlationId: null,
  traceparent: null,
  cloudEvent: null,
  body: EXAMPLE_BODY,
};

const envelopeFields = {
  method: Type.String(),
  path: Type.String({ description: "As it came; behind the gateway without the gateway's own prefix." }),
  query: Type.String({ description: 'As it came, without the question mark.' }),
  headers: HeaderPairs,
  clientAddress: nullable(Type.String()),
  contentType: nullable(Type.String()),
  bytes: Type.Integer({ description: 'Length of the body as it came.' }),
  sha256: Type.String({ description: 'Of the body as it came, hex.' }),
  bodyEncoding: Encoding,
  version: nullable(Type.String()),
  correlationId: nullable(Type.String()),
  traceparent: nullable(Type.String()),
  cloudEvent: nullable(
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
    'Attributes of a CloudEvent; null when it was none.',
  ),
  body: Body,
};

const LeasedEvent = named(
  'LeasedEvent',
  {
    id: Id,
    type: TypeName,
    createdAt: Time,
    ...envelopeFields,
  },
  { description: 'An event as its listener gets it.', examples: [leasedEventExample] },
);

const leaseExample = {
  attemptId: `${EXAMPLE_ID}.0.0.1`,
  attempt: 1,
  token: 'q83vEjRWeJCrze8SNFZ4kA',
  expiresAt: EXAMPLE_TIME,
  deadline: null,
  position: '1-7',
  event: leasedEventExample,
};

const Lease = named(
  'Lease',
  {
    attemptId: Type.String({
      description: 'Names the attempt in the calls that extend, complete or end it.',
    }),
    attempt: Type.Integer({ minimum: 1, description: 'Counts the attempts, for people.' }),
    token: Type.String({ description: 'Proves that the lease is yours: the `Lease-Token` of those calls.' }),
    expiresAt: Time,
    deadline: nullable(
      Time,
      'When the event ends if it is not complete by then, and every lease of it; null: it has none.',
    ),
    position: Position,
    event: ref('LeasedEvent'),
  },
  { description: 'The right to complete an attempt until a time.', examples: [leaseExample] },
);

const completedExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  status: 'complete',
  outcome: 'success',
  reason: null,
  retryAt: null,
  links: EXAMPLE_LINKS,
};

const Completed = named(
  'Completed',
  {
    id: Id,
    type: TypeName,
    status: Status,
    outcome: Outcome,
    reason: Reason,
    retryAt: nullable(Time, 'When the failed attempt will be tried again; null when it will not.'),
    links: ref('Links'),
  },
  { description: 'How the event stood when its completion had been accepted.', examples: [completedExample] },
);

const Emitted = named(
  'Emitted',
  { id: Id, type: TypeName, links: ref('Links') },
  {
    description: 'An event that a completion has emitted.',
    examples: [{ id: EXAMPLE_ID, type: 'invoice.paid', links: EXAMPLE_LINKS }],
  },
);

const Tree = named(
  'Tree',
  {
    root: Id,
    counts: Type.Object(
      {
        pending: Type.Integer(),
        inProcess: Type.Integer(),
        success: Type.Integer(),
        fail: Type.Integer(),
        relaying: Type.Integer({ description: 'Emitted, and on their way to where their types live.' }),
      },
      { additionalProperties: false, description: 'Events of the cascade, the root included.' },
    ),
    settled: Type.Boolean({
      description: 'Nothing of the cascade goes on, and nothing more can come of it.',
    }),
    emitted: Type.Integer({ description: 'Events that the completions of the event asked for emitted.' }),
    children: Type.Array(ref('EventSummary'), { description: 'The first of those.' }),
  },
  { description: 'How a cascade stands.' },
);

const CancelledTree = named(
  'CancelledTree',
  {
    cancelled: Type.Integer({ description: 'Ended as cancelled, now or before.' }),
    requested: Type.Integer({ description: 'Held by listeners, who are asked.' }),
    complete: Type.Integer({ description: 'Had ended otherwise.' }),
    more: Type.Boolean({ description: 'There are more than one call goes through: cancel subtrees.' }),
  },
  {
    description: 'What cancelling an event and all that came of it has done.',
    examples: [{ cancelled: 3, requested: 1, complete: 2, more: false }],
  },
);

const Result = named(
  'Result',
  { outcome: Type.Enum(['success', 'fail']), ...resultFields },
  { description: 'What a listener posted.' },
);

const Omitted = named(
  'Omitted',
  { omitted: Type.Literal(true) },
  { description: 'Left out: the reply would be too large.' },
);

const shownResult = Type.Union([ref('Result'), ref('Omitted'), Type.Null()]);

const Attempt = named(
  'Attempt',
  {
    attemptId: Type.String(),
    listener: Type.String(),
    attempt: Type.Integer(),
    worker: nullable(Type.String()),
    grantedAt: Time,
    expiresAt: nullable(Time, 'While the lease is live.'),
    endedAt: nullable(Time),
    end: nullable(
      Type.Enum(['completed', 'retried', 'dead', 'expired', 'handed_back', 'unsubscribed']),
      'How it ended.',
    ),
    result: shownResult,
    late: nullable(
      Type.Object({ at: Time, result: shownResult }, { additionalProperties: false }),
      'A completion that came after the lease was lost: changes nothing, kept for people.',
    ),
    emitted: Type.Array(Id, { description: 'Events that its completion emitted.' }),
  },
  { description: 'One lease of an event, from its grant to its end.' },
);

const { id: _id, type: _type, createdAt: _createdAt, ...requestExample } = leasedEventExample;

const LogRecord = named(
  'LogRecord',
  {
    partition: Type.Integer({ description: 'Within it, records are in order.' }),
    position: Type.String({
      description: 'Place of the record; `position` of an event is that of its `accepted`.',
    }),
    at: Time,
    op: Type.Enum(LOG_OPS, { description: 'What happened.' }),
    type: TypeName,
    id: Type.Optional(Id),
    ordinal: Type.Optional(
      Type.Integer({ description: 'Number of the type in its partition, or of the listener in its type.' }),
    ),
    version: Type.Optional(Type.Integer({ description: 'Of the type.' })),
    policy: Type.Optional(nullable(Type.Unknown(), 'What is declared of the type; null when nothing is.')),
    paused: Type.Optional(Type.Boolean({ description: 'Nothing of the type is leased.' })),
    ...listenerMembers,
    dueAt: Type.Optional(Time),
    deadline: Type.Optional(Time),
    durability: Type.Optional(Type.Literal('archive')),
    idempotentUntil: Type.Optional(nullable(Time, 'Until when its idempotency key is remembered.')),
    parent: Type.Optional(Id),
    root: Type.Optional(Id),
    emitted: Type.Optional(Type.Array(Id, { description: 'Events that the completion emitted.' })),
    child: Type.Optional(
      Type.String({ description: 'An emitted event whose type lives in another partition.' }),
    ),
    childType: Type.Optional(TypeName),
    request: Type.Optional(
      Type.Object(
        { ...envelopeFields },
        { additionalProperties: false, description: 'What came, as a lease shows it.' },
      ),
    ),
    listener: Type.Optional(Type.Integer({ description: 'Number of the listener within the type.' })),
    grant: Type.Optional(Type.Integer({ description: 'Counts all leases of the event.' })),
    attempt: Type.Optional(Type.Integer({ description: 'Counts those not handed back.' })),
    worker: Type.Optional(nullable(Type.String())),
    expiresAt: Type.Optional(Time),
    index: Type.Optional(Type.Integer({ description: 'Which part of the index of the log has the event.' })),
    why: Type.Optional(Type.Enum(['expired', 'failed'])),
    outcome: Type.Optional(Type.Enum(['success', 'fail'])),
    reason: Type.Optional(Reason),
    result: Type.Optional(Type.Union([ref('Result'), Type.Null()])),
  },
  {
    description: 'One thing that happened. Which members there are follows from `op`.',
    examples: [
      {
        partition: 0,
        position: '1-7',
        at: EXAMPLE_TIME,
        op: 'accepted',
        type: 'invoice.paid',
        id: EXAMPLE_ID,
        dueAt: EXAMPLE_TIME,
        idempotentUntil: null,
        request: requestExample,
      },
    ],
  },
);

export const SHARED = [
  Links,
  Problem,
  Receipt,
  Response,
  Event,
  EventSummary,
  LeasedEvent,
  Lease,
  Completed,
  Emitted,
  Tree,
  CancelledTree,
  Result,
  Omitted,
  Attempt,
  LogRecord,
];

export const EXAMPLES = {
  receipt: receiptExample,
  lease: leaseExample,
  completed: completedExample,
  eventSummary: { ...eventExample, links: EXAMPLE_LINKS },
  id: EXAMPLE_ID,
  attemptId: leaseExample.attemptId,
  time: EXAMPLE_TIME,
};

/** A reply of JSON. */
export function jsonReply(description: string, schema: TSchema, headers?: Record<string, TSchema>): object {
  const reply = { description, content: { 'application/json': { schema } } };
  return headers === undefined ? reply : { ...reply, headers };
}

const ALWAYS: readonly ErrorCode[] = ['invalid-request', 'internal-error'];
const OF_THE_STORE: readonly ErrorCode[] = ['store-unavailable', 'store-recovering', 'shutting-down'];

/** The replies for `codes` and those that any call may get, by status, each saying which codes it stands for. */
export function problems(...codes: readonly ErrorCode[]): Record<number, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...codes, ...ALWAYS, ...OF_THE_STORE])) {
    byStatus.set(STATUS[code], [...(byStatus.get(STATUS[code]) ?? []), code]);
  }
  const replies = [...byStatus].map(([status, those]) => {
    const description = `Codes: ${those.map((code) => `\`${code}\``).join(', ')}.`;
    return [status, { description, content: { 'application/problem+json': { schema: ref('Problem') } } }];
  });
  return Object.fromEntries(replies);
}
