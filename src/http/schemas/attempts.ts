/** The contract of what the holder of a lease does with it. */
import Type from 'typebox';
import { CompletionBody, CompletionItem, ExtendBody } from './input.js';
import { EXAMPLES } from './output.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

const tags = ['Listeners'];
const params = Type.Object({
  attemptId: Type.String({ description: 'As the lease gave it.', examples: [EXAMPLES.attemptId] }),
});
const headers = Type.Object({
  'lease-token': Type.String({ description: 'The `token` of the lease.', examples: [EXAMPLES.lease.token] }),
});
const bodyProblems = [
  'invalid-json',
  'unsafe-json',
  'body-too-large',
  'unsupported-media-type',
  'invalid-header',
] as const;

export const extendSchema = {
  operationId: 'extend',
  summary: 'Extend a lease',
  description:
    'Its end becomes now and `leaseMs`. The answer tells whether somebody asked to cancel the event.',
  tags,
  params,
  headers,
  body: { content: { 'application/json': { schema: ExtendBody } } },
  response: {
    200: jsonReply(
      'Extended.',
      Type.Object(
        { expiresAt: Type.String({ format: 'date-time' }), cancelRequested: Type.Boolean() },
        { additionalProperties: false, examples: [{ expiresAt: EXAMPLES.time, cancelRequested: false }] },
      ),
    ),
    ...problems('attempt-not-found', 'lease-lost', ...bodyProblems),
  },
};

export const completeSchema = {
  operationId: 'complete',
  summary: 'Complete an attempt',
  description:
    'The same completion sent again is one completion with one answer. They are the same when outcome, retry, response, ' +
    'errors and what is emitted are: bodies byte for byte, all else as values; `next` does not count.',
  tags,
  params,
  headers,
  body: { content: { 'application/json': { schema: CompletionBody } } },
  response: {
    200: jsonReply(
      'Accepted.',
      Type.Object(
        {
          event: ref('Completed'),
          emitted: Type.Array(ref('Emitted'), {
            description: 'Events that it emitted, in the order of `emit`.',
          }),
          next: Type.Array(ref('Lease'), { description: 'Leases that `next` asked for.' }),
        },
        { additionalProperties: false, examples: [{ event: EXAMPLES.completed, emitted: [], next: [] }] },
      ),
    ),
    ...problems(
      'attempt-not-found',
      'lease-lost',
      'completion-conflict',
      'schema-mismatch',
      'not-archived',
      'archive-unavailable',
      'too-many-errors',
      'too-many-items',
      'too-many-types',
      'key-with-delay',
      'invalid-type-name',
      'headers-too-large',
      ...bodyProblems,
    ),
  },
};

export const handBackSchema = {
  operationId: 'handBack',
  summary: 'Hand a lease back',
  description: 'The event may be leased again at once, and the attempt is not counted.',
  tags,
  params,
  headers,
  response: {
    204: { description: 'Handed back.', type: 'null' },
    ...problems('attempt-not-found', 'lease-lost', 'invalid-header'),
  },
};

export const completeManySchema = {
  operationId: 'completeMany',
  summary: 'Complete many attempts',
  description:
    'A JSON array or NDJSON. Each is judged by itself: one that is refused does not sink the others.',
  tags,
  body: {
    content: {
      'application/json': {
        schema: Type.Array(CompletionItem, {
          maxItems: 1_000,
          examples: [[{ attemptId: EXAMPLES.attemptId, token: EXAMPLES.lease.token, outcome: 'success' }]],
        }),
      },
      'application/x-ndjson': { schema: Type.String({ description: 'One completion a line.' }) },
    },
  },
  response: {
    200: jsonReply(
      'A result for each, in order.',
      Type.Object(
        {
          results: Type.Array(
            Type.Union([
              Type.Object(
                { event: ref('Completed'), emitted: Type.Array(ref('Emitted')) },
                { additionalProperties: false },
              ),
              Type.Object({ error: ref('Problem') }, { additionalProperties: false }),
            ]),
          ),
        },
        {
          additionalProperties: false,
          examples: [{ results: [{ event: EXAMPLES.completed, emitted: [] }] }],
        },
      ),
    ),
    ...problems('too-many-items', ...bodyProblems),
  },
};
