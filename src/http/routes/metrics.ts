/** Metrics for Prometheus. */
import type { HttpContext } from '../context.js';
import type { App } from '../routing.js';
import { metricsSchema } from '../schemas/health.js';

export function metricsRoutes(app: App, { metrics }: HttpContext): void {
  app.get('/metrics', { schema: metricsSchema }, async (_request, reply) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
