/** The contract as OpenAPI 3.1, made from the schemas of the routes as they are registered. */
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';

const DESCRIPTION = [
  'An HTTP event queue. A client posts a request and has an id at once; a listener leases the event, completes it, and ' +
    'the client reads the answer under the id.',
  'All errors are problem details (RFC 9457) with a stable `code`. Unknown fields and parameters are refused. Times are ' +
    'RFC 3339 in UTC; durations carry their unit in their name.',
].join('\n\n');

const options: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Clockwork',
      version: '1',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'The service that serves this file.' }],
    tags: [
      { name: 'Clients', description: 'Submit events and read their answers.' },
      { name: 'Listeners', description: 'Lease events and complete them.' },
      { name: 'Operators', description: 'See how the service is.' },
    ],
    security: [],
  },
  convertConstToEnum: false,
  stripBasePath: false,
  exposeHeadRoutes: false,
  refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json['$id'] ?? `def-${i}`) },
  transform: ({ schema, url }) => ({ schema, url: url.replace(/\*$/, ':path') }),
};

export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, options);
}
