/** What clients and listeners send, as schemas: the checks, the types and the contract come from these. */
import Type, { type Static } from 'typebox';
import { SETTINGS } from '../../config.js';

const KEY_MAX = SETTINGS.keyBytesMax.fallback;
const LEASES_MAX = SETTINGS.leasesMax.fallback;
const DELAY_MS_MAX = SETTINGS.delayMsMax.fallback;
const strict = { additionalProperties: false } as const;

export const BodyEncodingSchema = Type.Enum(['json', 'text', 'base64'], {
  description:
    'What `body` is: `json` any JSON value, `text` a string of text, `base64` a string of bytes. Without it a body ' +
    'is JSON, except a string under a content type that is not JSON, which is text.',
});

export const PostedHeaders = Type.Record(
  Type.String(),
  Type.Union([Type.String(), Type.Array(Type.String())]),
  { description: 'Header fields by name; an array for one that comes several times.' },
);

const LeaseMs = Type.Integer({
  minimum: SETTINGS.leaseMsMin.fallback,
  maximum: SETTINGS.leaseMsMax.fallback,
  description: 'Length of the lease. Without it that of the type, see `PUT /v1/types/{type}`.',
});

export const EventItem = Type.Object(
  {
    type: Type.String({ minLength: 1, description: 'The type of the event.' }),
    body: Type.Optional(Type.Unknown({ description: 'The body, see `bodyEncoding`.' })),
    bodyEncoding: Type.Optional(BodyEncodingSchema),
    contentType: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024 })),
    headers: Type.Optional(PostedHeaders),
    delayMs: Type.Optional(
      Type.Integer({ minimum: 0, maximum: DELAY_MS_MAX, description: 'May be leased after this time.' }),
    ),
    deadlineMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SETTINGS.deadlineMsMax.fallback,
        description: 'The event ends after this time if it is not complete, see `Event-Deadline-Ms`.',
      }),
    ),
    durability: Type.Optional(
      Type.Enum(['store', 'archive'], { description: 'What the receipt waits for, see `Event-Durability`.' }),
    ),
    version: Type.Optional(Type.String({ minLength: 1, maxLength: KEY_MAX })),
    correlationId: Type.Optional(Type.String({ minLength: 1, maxLength: KEY_MAX })),
    key: Type.Optional(
      Type.String({ minLength: 1, maxLength: KEY_MAX, description: 'The ordering key, see `Event-Key`.' }),
    ),
  },
  { ...strict, title: 'EventItem', description: 'One event of a bulk request.' },
);
export type EventItem = Static<typeof EventItem>;

export const LeaseBody = Type.Object(
  {
    types: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: SETTINGS.leaseTypesMax.fallback,
      description: 'Types to lease events of.',
    }),
    listener: Type.Optional(Type.String({ minLength: 1, maxLength: 256, default: 'default' })),
    max: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LEASES_MAX, default: 1, description: 'At most this many leases.' }),
    ),
    leaseMs: Type.Optional(LeaseMs),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: SETTINGS.waitMsMax.fallback,
        default: 0,
        description: 'Wait so long for an event if there is none.',
      }),
    ),
    worker: Type.Optional(
      Type.String({ minLength: 1, maxLength: KEY_MAX, description: 'Names the process, for people.' }),
    ),
  },
  {
    ...strict,
    examples: [{ types: ['HTTP'], max: 10, leaseMs: 30_000, waitMs: 20_000, worker: 'worker-1' }],
  },
);
export type LeaseBody = Static<typeof LeaseBody>;

export const ExtendBody = Type.Object(
  { leaseMs: Type.Integer({ minimum: SETTINGS.leaseMsMin.fallback, maximum: SETTINGS.leaseMsMax.fallback }) },
  { ...strict, examples: [{ leaseMs: 60_000 }] },
);

const OutcomeSchema = Type.Enum(['success', 'fail']);

const ResponseBody = Type.Object(
  {
    status: Type.Optional(
      Type.Integer({
        minimum: 200,
        maximum: 599,
        description: 'HTTP status for a client at the gateway. 200, with `fail` 500, when not given.',
      }),
    ),
    headers: Type.Optional(PostedHeaders),
    body: Type.Optional(Type.Unknown({ description: 'The body, see `bodyEncoding`.' })),
    bodyEncoding: Type.Optional(BodyEncodingSchema),
  },
  strict,
);

const Retry = Type.Union(
  [
    Type.Literal('never'),
    Type.Literal('policy'),
    Type.Object({ afterMs: Type.Integer({ minimum: 0, maximum: DELAY_MS_MAX }) }, strict),
  ],
  {
    description:
      'With `fail`: `never` (the default) ends the event, `policy` tries again after the backoff, `afterMs` after ' +
      'that time; both while there are attempts left.',
  },
);

const completionFields = {
  outcome: OutcomeSchema,
  response: Type.Optional(ResponseBody),
  errors: Type.Optional(
    Type.Array(Type.Unknown(), { description: 'What went wrong, any JSON, shown to the client.' }),
  ),
  retry: Type.Optional(Retry),
  emit: Type.Optional(
    Type.Array(EventItem, {
      description:
        'Events that the completion brings about, in the form of bulk requests: they are accepted together with it, or not ' +
        'at all. Not together with a `retry`.',
    }),
  ),
};

const Next = Type.Object(
  {
    max: Type.Optional(Type.Integer({ minimum: 1, maximum: LEASES_MAX, default: 1 })),
    leaseMs: Type.Optional(LeaseMs),
    worker: Type.Optional(Type.String({ minLength: 1, maxLength: KEY_MAX })),
  },
  { ...strict, description: 'Lease further events of the same type in the same call.' },
);

const completionExample = {
  outcome: 'success',
  response: { status: 200, headers: { 'content-type': 'application/json' }, body: { value: 'hello' } },
};

export const CompletionBody = Type.Object(
  { ...completionFields, next: Type.Optional(Next) },
  { ...strict, examples: [{ ...completionExample, next: { max: 1 } }] },
);
export type CompletionBody = Static<typeof CompletionBody>;

export const CompletionItem = Type.Object(
  { attemptId: Type.String({ minLength: 1 }), token: Type.String({ minLength: 1 }), ...completionFields },
  { ...strict, title: 'CompletionItem', description: 'One completion of several.' },
);
export type CompletionItem = Static<typeof CompletionItem>;

export const TreeQuerySchema = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: SETTINGS.pageMax.fallback,
        default: 50,
        description: 'Children to show.',
      }),
    ),
  },
  strict,
);

export const CancelQuerySchema = Type.Object(
  {
    tree: Type.Optional(
      Type.Boolean({ default: false, description: 'Cancel also what came of it: its children, and theirs.' }),
    ),
  },
  strict,
);

export const ListQuerySchema = Type.Object(
  {
    type: Type.Optional(Type.String({ description: 'Events of this type only.' })),
    status: Type.Optional(Type.Enum(['pending', 'in_process', 'complete'])),
    outcome: Type.Optional(OutcomeSchema),
    cursor: Type.Optional(Type.String({ maxLength: 256, description: 'As the page before gave it.' })),
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
);
