/** The contract of leasing. */
import Type from 'typebox';
import { LeaseBody } from './input.js';
import { EXAMPLES } from './output.js';
import { problems } from './problem.js';
import { jsonReply, ref } from './reply.js';

export const leaseSchema = {
  operationId: 'lease',
  summary: 'Lease events',
  description:
    'The oldest events that may be leased, at most `max`; empty when there are none and the wait is over. Who gets one has ' +
    'until `expiresAt` to complete or extend it; after that it is given to somebody else. If the caller hangs up before ' +
    'the answer is written, its leases go back at once.',
  tags: ['Listeners'],
  headers: Type.Object({
    'idempotency-key': Type.Optional(
      Type.String({
        maxLength: 256,
        description: 'The same key gives the same leases while they live: for a call whose answer was lost.',
      }),
    ),
  }),
  body: { content: { 'application/json': { schema: LeaseBody } } },
  response: {
    200: jsonReply(
      'The leases.',
      Type.Object(
        { leases: Type.Array(ref('Lease')) },
        { additionalProperties: false, examples: [{ leases: [EXAMPLES.lease] }] },
      ),
    ),
    ...problems(
      'invalid-json',
      'unsafe-json',
      'invalid-type-name',
      'invalid-header',
      'duplicate-header',
      'body-too-large',
      'unsupported-media-type',
      'not-subscribed',
      'too-many-waiters',
    ),
  },
};
