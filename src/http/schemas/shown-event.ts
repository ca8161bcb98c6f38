/** An event as a client sees it: the receipt, how it stands, and the cascade that it belongs to. */
import Type from 'typebox';
import {
  Body,
  Encoding,
  EXAMPLE_BODY,
  EXAMPLE_ID,
  EXAMPLE_LINKS,
  EXAMPLE_TIME,
  HeaderPairs,
  Id,
  Outcome,
  Position,
  Reason,
  Status,
  Time,
  TypeName,
} from './members.js';
import { named, nullable, ref } from './reply.js';

const Durable = Type.Enum(['memory', 'everysec', 'fsync', 'archived'], {
  description:
    'What the event survives: `memory` nothing but the process; `everysec` a crash of the store, and of the machine ' +
    'all but the last second or so; `fsync` a crash of the machine; `archived` the loss of the store: it is in the log.',
});
export const Links = named(
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

export const receiptExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  status: 'pending',
  outcome: null,
  createdAt: EXAMPLE_TIME,
  durable: 'fsync',
  links: EXAMPLE_LINKS,
};

export const Receipt = named(
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

export const Response = named(
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
  deadline: Type.Optional(
    Type.Union([Time], {
      description: 'It ends then if it is not complete; left out when it has no deadline.',
    }),
  ),
  parent: nullable(Id, 'The event whose completion emitted it; null when a client has submitted it.'),
  root: nullable(Id, 'The first event of that cascade.'),
  key: nullable(Type.String(), 'The ordering key.'),
  redriveOf: nullable(Id, 'The past event whose request it is again.'),
  redrivenBy: nullable(Id, 'The newest event as which it was sent again.'),
};
export const eventExample = {
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
  key: null,
  redriveOf: null,
  redrivenBy: null,
};
const responseExample = {
  status: 200,
  headers: [['content-type', 'application/json']],
  contentType: 'application/json',
  bytes: 17,
  bodyEncoding: 'json',
  body: EXAMPLE_BODY,
};
export const resultFields = {
  response: nullable(ref('Response'), "The listener's response, once complete."),
  errors: Type.Array(Type.Unknown(), { description: 'The errors that the listener gave.' }),
};

export const Event = named(
  'Event',
  { ...eventFields, ...resultFields, links: ref('Links') },
  {
    description: 'An event as a client sees it.',
    examples: [{ ...eventExample, response: responseExample, errors: [], links: EXAMPLE_LINKS }],
  },
);

export const EventSummary = named(
  'EventSummary',
  { ...eventFields, links: ref('Links') },
  { description: 'An event without its response.', examples: [{ ...eventExample, links: EXAMPLE_LINKS }] },
);

export const completedExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  status: 'complete',
  outcome: 'success',
  reason: null,
  retryAt: null,
  links: EXAMPLE_LINKS,
};

export const Completed = named(
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

export const Emitted = named(
  'Emitted',
  { id: Id, type: TypeName, links: ref('Links') },
  {
    description: 'An event that a completion has emitted.',
    examples: [{ id: EXAMPLE_ID, type: 'invoice.paid', links: EXAMPLE_LINKS }],
  },
);

export const Tree = named(
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

export const CancelledTree = named(
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
