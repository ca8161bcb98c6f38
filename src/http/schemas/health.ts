/** The contract of the health checks and of the contract itself. */
import Type from 'typebox';
import { problems } from './problem.js';
import { jsonReply } from './reply.js';

const tags = ['Operators'];
const strict = { additionalProperties: false } as const;
const Notes = Type.Array(Type.String(), { description: 'What an operator should know.' });

const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'degraded', 'not ready'], {
      description: '`degraded`: requests are served, but the log does not get on.',
    }),
    durable: Type.Enum(['memory', 'everysec', 'fsync'], { description: 'What a receipt is worth.' }),
    store: Type.Object(
      {
        kind: Type.String(),
        ready: Type.Boolean(),
        notes: Notes,
        durable: Type.Enum(['memory', 'everysec', 'fsync']),
      },
      strict,
    ),
    log: Type.Object({ description: Type.String(), ready: Type.Boolean(), notes: Notes }, strict),
  },
  {
    ...strict,
    examples: [
      {
        status: 'ready',
        durable: 'fsync',
        store: { kind: 'embedded', ready: true, notes: [], durable: 'fsync' },
        log: { description: 'file:/var/lib/clockwork/log', ready: true, notes: [] },
      },
    ],
  },
);

export const livezSchema = {
  operationId: 'livez',
  summary: 'Whether the process lives',
  description: 'Asks nothing of the store.',
  tags,
  response: {
    200: jsonReply(
      'It does.',
      Type.Object({ status: Type.Literal('ok') }, { ...strict, examples: [{ status: 'ok' }] }),
    ),
    ...problems(),
  },
};

export const readyzSchema = {
  operationId: 'readyz',
  summary: 'Whether the service can do its work',
  description: 'Which store, which log, and what durability there really is.',
  tags,
  response: {
    200: jsonReply('It can, maybe without its log.', Readiness),
    ...problems(),
    503: jsonReply('It cannot, and says why.', Readiness),
  },
};

export const metricsSchema = {
  operationId: 'metrics',
  summary: 'Metrics for Prometheus',
  description:
    'In the text format. While the store is out of reach, what it holds is left out and `clockwork_store_up` is 0.',
  tags,
  response: {
    200: { description: 'The metrics.', content: { 'text/plain': { schema: Type.String() } } },
    ...problems(),
  },
};

export const openapiSchema = {
  operationId: 'openapi',
  summary: 'This contract',
  description: 'OpenAPI 3.1, as JSON.',
  tags,
  response: {
    200: jsonReply('The contract.', Type.Object({}, { additionalProperties: true })),
    ...problems(),
  },
};
