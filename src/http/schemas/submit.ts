/** The contract of the routes that take events. */
import Type from 'typebox';
import { EventItem } from './input.js';
import { EXAMPLES } from './output.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const Prefer = Type.Optional(
  Type.String({
    description: '`wait=N`: wait up to N s, at most 25, for the end (RFC 7240).',
    examples: ['wait=10'],
  }),
);
export const PreferHeaders = Type.Object({ prefer: Prefer });

const SubmitHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      maxLength: 256,
      description:
        'The same key with the same request, within 24 h, is the same event with the same answer; with another ' +
        'request it is refused.',
    }),
  ),
  prefer: Prefer,
  'event-deadline-ms': Type.Optional(
    Type.String({
      pattern: '^\\d{1,12}$',
      description:
        'If it is not complete after this time, at most 90 days, the event ends: fail, with `deadline`. Without it what ' +
        'the type says.',
    }),
  ),
  'event-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description:
        'The ordering key. Of the events of a type with the same key each listener has one at a time, in the order in ' +
        'which they were taken: the next when it has ended. Not together with a delay.',
    }),
  ),
  'event-delay-ms': Type.Optional(
    Type.String({ pattern: '^\\d{1,12}$', description: 'May be leased after this time, at most 90 days.' }),
  ),
  'event-durability': Type.Optional(
    Type.Enum(['store', 'archive'], {
      description:
        'What the receipt waits for. `store` (the default): that the event is in the store, as durable as that is. ' +
        '`archive`: that it is in the log; and so it goes on: nothing of the event is shown, leased or answered that ' +
        'is not archived.',
    }),
  ),
  'event-version': Type.Optional(
    Type.String({ maxLength: 256, description: 'Version of the payload, handed on to listeners.' }),
  ),
  'event-correlation-id': Type.Optional(
    Type.String({ maxLength: 256, description: 'Handed on to listeners.' }),
  ),
  traceparent: Type.Optional(Type.String({ description: 'W3C Trace Context, handed on to listeners.' })),
});

const anyBody = {
  content: {
    '*/*': {
      schema: Type.Unknown({
        description: 'Any bytes, up to 1 MiB, kept as they came. What says that it is JSON must be JSON.',
      }),
    },
  },
};

const receiptHeaders = {
  Location: Type.String({ description: 'Where to ask for the event.' }),
  'Retry-After': Type.Integer({ description: 'How soon asking makes sense, in s.' }),
};
const accepted = jsonReply('The event was taken.', ref('Receipt'), receiptHeaders);

const submitProblems = problems(
  'key-with-delay',
  'invalid-type-name',
  'invalid-json',
  'unsafe-json',
  'invalid-header',
  'duplicate-header',
  'unsupported-header',
  'body-too-large',
  'unsupported-media-type',
  'idempotency-conflict',
  'too-many-types',
  'too-many-pending',
  'schema-mismatch',
  'store-full',
  'log-behind',
  'not-archived',
  'archive-unavailable',
);

export const submitSchema = {
  operationId: 'submit',
  summary: 'Submit a request as an event',
  description: 'The request becomes the event: its method, target, headers (secrets redacted) and body.',
  tags: ['Clients'],
  params: Type.Object({
    type: Type.String({
      description: 'Type of the event: any Unicode, percent-encoded.',
      examples: ['invoice.paid'],
    }),
  }),
  headers: SubmitHeaders,
  body: anyBody,
  response: {
    200: jsonReply('With `Prefer: wait`: the event is complete.', ref('Event'), {
      Location: Type.String({ description: 'Where to ask for the event.' }),
      'Preference-Applied': Type.String({ description: 'The wait that was heeded.' }),
    }),
    202: accepted,
    ...submitProblems,
  },
};

const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ minLength: 1 }),
    source: Type.String({ minLength: 1 }),
    type: Type.String({ minLength: 1, description: 'Is the type of the event.' }),
    datacontenttype: Type.Optional(Type.String()),
    dataschema: Type.Optional(Type.String()),
    subject: Type.Optional(Type.String()),
    time: Type.Optional(Type.String({ format: 'date-time' })),
    data: Type.Optional(Type.Unknown({ description: 'Is the body of the event.' })),
    data_base64: Type.Optional(Type.String({ description: 'Is the body of the event, as bytes.' })),
  },
  {
    additionalProperties: true,
    title: 'CloudEvent',
    examples: [{ specversion: '1.0', id: '1', source: '/shop', type: 'invoice.paid', data: { invoice: 7 } }],
  },
);

const itemExamples = [{ type: 'invoice.paid', body: { invoice: 7 } }];

export const bulkSchema = {
  operationId: 'submitMany',
  summary: 'Submit many events',
  description:
    'An NDJSON stream or a JSON array of events, one event, or CloudEvents 1.0 (binary with a `ce-specversion` header ' +
    'and a body of any type, structured, batched). Each item is judged by itself: one that is refused does not sink the ' +
    'others. A single event that is refused is the refusal of the call. The idempotency key of item i is `key#i`; the ' +
    '`Event-` headers hold for items that do not say otherwise.',
  tags: ['Clients'],
  headers: Type.Omit(SubmitHeaders, ['prefer']),
  body: {
    content: {
      'application/json': {
        schema: Type.Union([Type.Array(EventItem, { maxItems: 1_000 }), EventItem], {
          examples: [itemExamples],
        }),
      },
      'application/x-ndjson': {
        schema: Type.String({ description: 'One event a line, each as in the JSON array.' }),
      },
      'application/cloudevents+json': { schema: CloudEvent },
      'application/cloudevents-batch+json': { schema: Type.Array(CloudEvent, { maxItems: 1_000 }) },
    },
  },
  response: {
    200: jsonReply(
      'A result for each item, in order.',
      Type.Object(
        {
          accepted: Type.Integer(),
          refused: Type.Integer(),
          results: Type.Array(
            Type.Union([
              Type.Object({ event: ref('Receipt') }, { additionalProperties: false }),
              Type.Object({ error: ref('Problem') }, { additionalProperties: false }),
            ]),
          ),
        },
        {
          additionalProperties: false,
          examples: [{ accepted: 1, refused: 0, results: [{ event: EXAMPLES.receipt }] }],
        },
      ),
    ),
    ...submitProblems,
    ...problems(
      'invalid-json',
      'unsafe-json',
      'invalid-cloudevent',
      'key-with-delay',
      'invalid-type-name',
      'invalid-header',
      'duplicate-header',
      'unsupported-header',
      'body-too-large',
      'too-many-items',
      'unsupported-media-type',
    ),
  },
};

const NAMEABLE = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']);
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** One operation for each method and path; methods that OpenAPI cannot name are left out of the contract. */
export function gatewaySchema(method: string, url: string): object {
  const words = method[0] + method.slice(1).toLowerCase();
  const withPath = url.endsWith('*');
  const path = Type.Object({
    path: Type.String({ description: "The listener's own path, slashes and all." }),
  });
  return {
    hide: !NAMEABLE.has(method),
    operationId: `gateway${words}${withPath ? 'Path' : ''}`,
    summary: `Submit a ${method} through the gateway`,
    description:
      'The request becomes an event of type `HTTP`, its path without `/http`. With `Prefer: wait` the reply is that of ' +
      'the listener: status, headers and body; 204 when it succeeded and posted no response, 502 when the event failed ' +
      'without one. Any method.',
    tags: ['Clients'],
    ...(withPath ? { params: path } : {}),
    headers: SubmitHeaders,
    ...(WITH_BODY.has(method) ? { body: anyBody } : {}),
    response: {
      202: accepted,
      default: {
        description: "With `Prefer: wait`: the listener's own response.",
        content: { '*/*': { schema: Type.Unknown() } },
      },
      ...submitProblems,
      ...problems('listener-failed'),
    },
  };
}
