/** An event as its listener gets it, and the story of its attempts. */
import Type from 'typebox';
import {
  Body,
  Encoding,
  EXAMPLE_BODY,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  HeaderPairs,
  Id,
  Position,
  Time,
  TypeName,
} from './members.js';
import { named, nullable, ref } from './reply.js';
import { resultFields } from './shown-event.js';
export const leasedEventExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  createdAt: EXAMPLE_TIME,
  key: null,
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

export const envelopeFields = {
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

export const LeasedEvent = named(
  'LeasedEvent',
  {
    id: Id,
    type: TypeName,
    createdAt: Time,
    key: nullable(Type.String(), 'The ordering key.'),
    ...envelopeFields,
  },
  { description: 'An event as its listener gets it.', examples: [leasedEventExample] },
);

export const leaseExample = {
  attemptId: `${EXAMPLE_ID}.0.0.1`,
  attempt: 1,
  token: 'q83vEjRWeJCrze8SNFZ4kA',
  expiresAt: EXAMPLE_TIME,
  deadline: null,
  position: '1-7',
  event: leasedEventExample,
};

export const Lease = named(
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

export const Result = named(
  'Result',
  { outcome: Type.Enum(['success', 'fail']), ...resultFields },
  { description: 'What a listener posted.' },
);

export const Omitted = named(
  'Omitted',
  { omitted: Type.Literal(true) },
  { description: 'Left out: the reply would be too large.' },
);

const shownResult = Type.Union([ref('Result'), ref('Omitted'), Type.Null()]);

export const Attempt = named(
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
