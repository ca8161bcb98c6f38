/** The contract of the log's feed. */
import Type from 'typebox';
import { SETTINGS } from '../../config.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const LogQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        maxLength: 16_384,
        description: 'The `cursor` of an earlier page; without it the log is read from its beginning.',
      }),
    ),
    types: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: SETTINGS.feedTypesMax.fallback,
        description: 'Records of these types only: `types=a&types=b`.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SETTINGS.feedPageMax.fallback,
        default: 100,
        description: 'Records of one page.',
      }),
    ),
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: SETTINGS.waitMsMax.fallback,
        default: 0,
        description: 'How long to wait for a record when there is none after the cursor.',
      }),
    ),
    hurry: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'The call waits for what has been recorded already: it is archived within a fraction of a second, and not when ' +
          '`ARCHIVE_INTERVAL_MS` is over. For a listener that needs the log up to its lease; more calls cost more objects.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const readLogSchema = {
  operationId: 'readLog',
  summary: 'Read the log',
  description:
    'What has happened, as far as it is archived, in order: go on with the `cursor` of the page before, and every record ' +
    'comes once. Records of one type are in the order in which they happened; with several partitions those of different ' +
    'types may change places. A page may be short, also empty, since one call looks at a bounded part of the log: the log ' +
    'has been read to its end when `atEnd` is true. Lease tokens and idempotency keys are not shown.',
  tags: ['Listeners'],
  querystring: LogQuery,
  response: {
    200: jsonReply(
      'A page.',
      Type.Object(
        {
          records: Type.Array(ref('LogRecord')),
          cursor: Type.String({ description: 'For the next page.' }),
          atEnd: Type.Boolean({ description: 'There was nothing after this page.' }),
        },
        { additionalProperties: false },
      ),
    ),
    ...problems(
      'invalid-cursor',
      'invalid-type-name',
      'cursor-expired',
      'too-many-waiters',
      'log-unavailable',
      'log-damaged',
    ),
  },
};
