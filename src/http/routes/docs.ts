/** The contract, for programs at `/openapi.json` and for people at `/docs`. */
import helmet from '@fastify/helmet';
import swaggerUi from '@fastify/swagger-ui';
import type { App } from '../routing.js';
import { openapiSchema } from '../schemas/health.js';

export function docsRoutes(app: App): void {
  app.get('/openapi.json', { schema: openapiSchema }, async () => app.swagger());

  // Pages for browsers, in a scope of their own: no other reply pays for these headers.
  app.register(async (scope) => {
    await scope.register(helmet, { contentSecurityPolicy: false });
    await scope.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
  });
}
