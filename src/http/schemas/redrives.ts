/** The contract of the routes about redrives. */
import Type, { type Static } from 'typebox';
import { SETTINGS } from '../../config.js';
import { EXAMPLE_ID, EXAMPLE_TIME } from './members.js';
import { problems } from './problem.js';
import { jsonReply, nullable, ref } from './reply.js';

const strict = { additionalProperties: false } as const;
const tags = ['Operators'];
const PAGE_MAX = 100;
const RATE_MAX = SETTINGS.redriveRateMax.fallback;

const id = Type.String({ description: 'Id of the redrive.' });
const params = Type.Object({ id });
const Filter = Type.Enum(['dead', 'failed', 'any'], {
  description:
    '`dead`: those whose attempts ran out. `failed`: all that failed, but not what was cancelled. `any`: every complete event. With a listener the first two speak of its deliveries.',
});
const ShownFilter = Type.Enum(['dead', 'failed', 'any', 'taken'], {
  description:
    'As it was asked for. `taken`: it brings a listener that begins with the past every event that was taken before.',
});
const Rate = Type.Integer({
  minimum: 1,
  maximum: RATE_MAX,
  default: SETTINGS.redriveRate.fallback,
  description: 'New events a second, at most.',
});
const about = {
  type: 'Whose past events.',
  listener:
    'Who alone gets the new events, whatever its filter says. Null or left out: whoever gets such events now.',
  from: 'Only what ended then or later.',
  to: 'Only what ended before. In any case only what had been recorded when the redrive was made.',
  dryRun: 'Counts and sends nothing.',
};
const WhenEnded = (description: string) =>
  Type.Optional(Type.Union([Type.String({ description: `${description} RFC 3339.` }), Type.Null()]));

export const RedriveBody = Type.Object(
  {
    type: Type.String({ description: about.type }),
    listener: Type.Optional(Type.Union([Type.String({ description: about.listener }), Type.Null()])),
    filter: Filter,
    from: WhenEnded(about.from),
    to: WhenEnded(about.to),
    dryRun: Type.Optional(Type.Boolean({ default: false, description: about.dryRun })),
    ratePerSecond: Type.Optional(Rate),
  },
  { ...strict, examples: [{ type: 'invoice.paid', filter: 'dead', ratePerSecond: 50 }] },
);
export type RedriveBody = Static<typeof RedriveBody>;

const Time = Type.String({ format: 'date-time' });
const redriveExample = {
  id: EXAMPLE_ID,
  type: 'invoice.paid',
  listener: null,
  filter: 'dead',
  from: null,
  to: null,
  dryRun: false,
  ratePerSecond: 50,
  status: 'running',
  startedAt: EXAMPLE_TIME,
  endedAt: null,
  scanned: 20_000,
  matched: 1_200,
  sent: 1_199,
  skipped: { requestGone: 1 },
  waiting: null,
  logBeginsAt: null,
  problem: null,
  links: { self: `/v1/redrives/${EXAMPLE_ID}` },
};

const RedriveReply = Type.Object(
  {
    id,
    type: Type.String({ description: about.type }),
    listener: nullable(Type.String(), about.listener),
    filter: ShownFilter,
    from: nullable(Time, about.from),
    to: nullable(Time, about.to),
    dryRun: Type.Boolean({ description: about.dryRun }),
    ratePerSecond: Type.Integer({ description: 'New events a second, at most.' }),
    status: Type.Enum(['running', 'done', 'cancelled', 'failed']),
    startedAt: Time,
    endedAt: nullable(Time),
    scanned: Type.Integer({
      description: 'Records of the log that were looked at, of all types of the partition.',
    }),
    matched: Type.Integer({ description: 'Events found.' }),
    sent: Type.Integer({ description: 'New events.' }),
    skipped: Type.Object(
      {
        requestGone: Type.Integer({
          description: 'Found, and the log no longer goes back to what was asked.',
        }),
      },
      { ...strict, description: 'Events found and not sent, by why.' },
    ),
    waiting: nullable(
      Type.String(),
      'The code of the error for which nothing can be sent at the moment, as `too-many-pending`.',
    ),
    logBeginsAt: nullable(
      Time,
      'From when on there was a log to look at, where its old end had been deleted. Null: it was whole.',
    ),
    problem: nullable(Type.String(), 'Why it failed.'),
    links: Type.Object({ self: Type.String() }, strict),
  },
  {
    ...strict,
    $id: 'Redrive',
    description: 'A job that sends past events again.',
    examples: [redriveExample],
  },
);

export const createRedriveSchema = {
  operationId: 'createRedrive',
  summary: 'Send past events again',
  description:
    'A job that finds past events of a type in the log and sends their requests again, byte for byte, as new events that name the old ones (`redriveOf`), at a rate. ' +
    'It is worked on in the background, goes on after a restart, and sends none twice. With an `Idempotency-Key`, the same request again is the same job.',
  tags,
  body: { content: { 'application/json': { schema: RedriveBody } } },
  response: {
    202: jsonReply('The job.', ref('Redrive')),
    ...problems(
      'invalid-type-name',
      'invalid-json',
      'unsafe-json',
      'unsupported-media-type',
      'body-too-large',
      'type-not-found',
      'listener-not-found',
      'too-many-redrives',
      'idempotency-conflict',
    ),
  },
};

export const listRedrivesSchema = {
  operationId: 'listRedrives',
  summary: 'List redrives',
  description: 'The newest first. Of each partition the last hundred are remembered.',
  tags,
  querystring: Type.Object(
    {
      type: Type.Optional(Type.String({ description: 'Only those of this type.' })),
      cursor: Type.Optional(Type.String({ description: 'As the page before gave it.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: 20 })),
    },
    strict,
  ),
  response: {
    200: jsonReply(
      'A page.',
      Type.Object(
        {
          redrives: Type.Array(ref('Redrive')),
          cursor: nullable(Type.String(), 'Of the next page; null at the end.'),
        },
        { ...strict, examples: [{ redrives: [redriveExample], cursor: null }] },
      ),
    ),
    ...problems('invalid-type-name'),
  },
};

export const readRedriveSchema = {
  operationId: 'readRedrive',
  summary: 'Ask how far a redrive is',
  description: 'Its progress is told to within a second.',
  tags,
  params,
  response: { 200: jsonReply('The job.', ref('Redrive')), ...problems('redrive-not-found') },
};

export const cancelRedriveSchema = {
  operationId: 'cancelRedrive',
  summary: 'Cancel a redrive',
  description: 'What it has sent stays. One that is cancelled already is answered the same.',
  tags,
  params,
  response: {
    200: jsonReply('The job, which is cancelled.', ref('Redrive')),
    ...problems('redrive-not-found', 'redrive-ended'),
  },
};

export const REDRIVE_SCHEMAS = [RedriveReply];
