/** The contract of the routes about types. */
import Type, { type Static } from 'typebox';
import { SETTINGS } from '../../config.js';
import { RETENTION_MS_MAX, RETENTION_MS_MIN } from '../../event/policy.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const strict = { additionalProperties: false } as const;
const DAY_MS = 86_400_000;
const tags = ['Operators'];

const params = Type.Object({ type: Type.String({ description: 'Name of the type.' }) });

const backoff = {
  firstMs: Type.Integer({
    minimum: 0,
    maximum: DAY_MS,
    description: 'Wait after the first failed or expired attempt.',
  }),
  factor: Type.Number({
    minimum: 1,
    maximum: 100,
    description: 'By what the wait grows with each further attempt; up to nine decimals.',
  }),
  capMs: Type.Integer({ minimum: 0, maximum: 30 * DAY_MS, description: 'Longest wait between attempts.' }),
  jitter: Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'Share of a wait that chance may take away; up to nine decimals.',
  }),
};

const attemptsMax = Type.Integer({
  minimum: 1,
  maximum: 1_000,
  description: 'Attempts after which a delivery is dead.',
});
const leaseMs = Type.Integer({
  minimum: SETTINGS.leaseMsMin.fallback,
  maximum: SETTINGS.leaseMsMax.fallback,
  description:
    'Length of a lease whose caller names none. A call for several types gets the shortest of theirs.',
});

const maxPending = Type.Integer({
  minimum: 1,
  maximum: 1_000_000_000,
  description: 'New events are refused with 429 while so many of the type are not complete.',
});

const deadlineMs = Type.Integer({
  minimum: 1,
  maximum: SETTINGS.deadlineMsMax.fallback,
  description:
    'How long after it was taken an event that names none has its deadline, see `Event-Deadline-Ms`.',
});

const retentionMs = Type.Integer({
  minimum: RETENTION_MS_MIN,
  maximum: RETENTION_MS_MAX,
  description:
    'How long an event stays in the store once all of its deliveries have ended; then it is read from the log. Not what is kept: the log has all.',
});

const requestFields = {
  durability: Type.Enum(['store', 'archive'], {
    description: 'What the receipt of an event that does not say waits for, see `Event-Durability`.',
  }),
  schema: Type.Unknown({
    description:
      'JSON Schema 2020-12 that bodies must fit, else 422 `schema-mismatch`. Nothing outside of it is referred to; patterns are ' +
      "RE2's; `format` is an annotation.",
  }),
  redact: Type.Array(Type.String({ pattern: '^/', maxLength: 1_024 }), {
    maxItems: SETTINGS.redactMax.fallback,
    description:
      'JSON pointers (RFC 6901) to what is replaced by `[redacted]` before anything is stored. A body that had such a place is ' +
      'no longer byte for byte what came. Bodies must be JSON, or empty.',
  }),
  passHeaders: Type.Array(Type.Enum(['authorization', 'cookie', 'x-api-key']), {
    description:
      'Request headers that are secret and handed on all the same, for listeners that authenticate clients themselves: they are ' +
      'stored and logged. Those of `REDACT_HEADERS` are not.',
  }),
};

const declaredExample = { attemptsMax: 8, backoff: { firstMs: 1_000, capMs: 300_000 }, leaseMs: 60_000 };

/** What is declared of a type: only that, everything may be left out. */
export const DeclaredPolicyBody = Type.Object(
  {
    attemptsMax: Type.Optional(attemptsMax),
    backoff: Type.Optional(
      Type.Object(
        {
          firstMs: Type.Optional(backoff.firstMs),
          factor: Type.Optional(backoff.factor),
          capMs: Type.Optional(backoff.capMs),
          jitter: Type.Optional(backoff.jitter),
        },
        { ...strict, description: 'How long a retry waits.' },
      ),
    ),
    leaseMs: Type.Optional(leaseMs),
    maxPending: Type.Optional(maxPending),
    deadlineMs: Type.Optional(deadlineMs),
    retentionMs: Type.Optional(retentionMs),
    durability: Type.Optional(requestFields.durability),
    schema: Type.Optional(requestFields.schema),
    redact: Type.Optional(requestFields.redact),
    passHeaders: Type.Optional(requestFields.passHeaders),
  },
  { ...strict, examples: [declaredExample] },
);
export type DeclaredPolicyBody = Static<typeof DeclaredPolicyBody>;

/** With its id, for those that refer to it by its name. */
export const DeclaredPolicySchema = Type.Object(DeclaredPolicyBody.properties, {
  ...strict,
  $id: 'DeclaredPolicy',
  description: 'What is declared of a type. What is left out is service-wide.',
  examples: [declaredExample],
});

const policyExample = {
  attemptsMax: 8,
  backoff: { firstMs: 1_000, factor: 2, capMs: 300_000, jitter: 0.2 },
  leaseMs: 60_000,
  maxPending: null,
  deadlineMs: null,
  retentionMs: DAY_MS,
  durability: 'store',
  schema: null,
  redact: [],
  passHeaders: [],
};

export const EffectivePolicy = Type.Object(
  {
    attemptsMax,
    backoff: Type.Object(backoff, strict),
    leaseMs,
    maxPending: Type.Union([maxPending, Type.Null()]),
    deadlineMs: Type.Union([deadlineMs, Type.Null()]),
    retentionMs,
    ...requestFields,
  },
  {
    ...strict,
    $id: 'Policy',
    description: 'What holds for a type: what is declared, and the rest as it is service-wide.',
    examples: [policyExample],
  },
);

const typeExample = {
  type: 'invoice.paid',
  version: 1,
  paused: false,
  open: 12,
  declared: declaredExample,
  policy: policyExample,
};

export const TypeReply = Type.Object(
  {
    type: Type.String(),
    version: Type.Integer({
      minimum: 0,
      description: '0 for a type that exists by use only; goes up with each change of what is declared.',
    }),
    paused: Type.Boolean({ description: 'Nothing of it is leased.' }),
    open: Type.Integer({
      minimum: 0,
      description: 'Its events that are not complete: what `maxPending` limits.',
    }),
    declared: Type.Union([ref('DeclaredPolicy'), Type.Null()], {
      description: 'What is declared, as `PUT` takes it; null when nothing is.',
    }),
    policy: ref('Policy'),
  },
  { ...strict, $id: 'Type', description: 'A type, and what holds for it.', examples: [typeExample] },
);

const ETag = { ETag: Type.String({ description: 'The version, for `If-Match`.' }) };
const ifMatch = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      description:
        'The `ETag` that the type must have, or `*`: needed once something was declared. Not looked at when nothing would change.',
    }),
  ),
});
const conditions = ['precondition-required', 'precondition-failed'] as const;

export const listTypesSchema = {
  operationId: 'listTypes',
  summary: 'List types',
  description: 'In the order in which they came to be, partition by partition.',
  tags,
  querystring: Type.Object(
    {
      cursor: Type.Optional(Type.String({ maxLength: 64, description: 'As the page before gave it.' })),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: SETTINGS.pageMax.fallback,
          default: 50,
          description: 'Page size.',
        }),
      ),
    },
    strict,
  ),
  response: {
    200: jsonReply(
      'A page.',
      Type.Object(
        {
          types: Type.Array(ref('Type')),
          cursor: Type.Union([Type.String(), Type.Null()], { description: 'For the next page.' }),
        },
        { ...strict, examples: [{ types: [typeExample], cursor: null }] },
      ),
    ),
    ...problems(),
  },
};

export const readTypeSchema = {
  operationId: 'readType',
  summary: 'Ask what holds for a type',
  description: 'What is declared of it, and what holds: that, and the rest as it is service-wide.',
  tags,
  params,
  response: {
    200: jsonReply('The type.', ref('Type'), ETag),
    ...problems('invalid-type-name', 'type-not-found'),
  },
};

export const declareTypeSchema = {
  operationId: 'declareType',
  summary: 'Declare the policy of a type',
  description:
    'The whole policy: what is left out is service-wide. It holds at once, also for events that were taken before. A type ' +
    'that nobody declared is version 0 and needs no `If-Match`.',
  tags,
  params,
  headers: ifMatch,
  body: { content: { 'application/json': { schema: DeclaredPolicyBody } } },
  response: {
    200: jsonReply('The type as it is now.', ref('Type'), ETag),
    ...problems(
      'invalid-type-name',
      'invalid-json',
      'unsafe-json',
      'invalid-header',
      'unsupported-media-type',
      'body-too-large',
      'too-many-types',
      ...conditions,
    ),
  },
};

export const resetTypeSchema = {
  operationId: 'resetType',
  summary: 'Take back what is declared of a type',
  description: 'Back to the service-wide policy. The type stays, with its events; its version goes on.',
  tags,
  params,
  headers: ifMatch,
  response: {
    200: jsonReply('The type as it is now.', ref('Type'), ETag),
    ...problems('invalid-type-name', 'invalid-header', 'type-not-found', ...conditions),
  },
};

export const pauseTypeSchema = {
  operationId: 'pauseType',
  summary: 'Pause a type',
  description:
    'From now on nothing of it is leased. Events are taken as before; leases that are out can be extended and completed, and ' +
    'the time of delays, retries and leases goes on.',
  tags,
  params,
  response: {
    200: jsonReply('The type as it is now.', ref('Type'), ETag),
    ...problems('invalid-type-name', 'type-not-found'),
  },
};

export const resumeTypeSchema = {
  ...pauseTypeSchema,
  operationId: 'resumeType',
  summary: 'Resume a type',
  description: 'Ends a pause: listeners that wait are woken.',
};

export const TYPE_SCHEMAS = [DeclaredPolicySchema, EffectivePolicy, TypeReply];
