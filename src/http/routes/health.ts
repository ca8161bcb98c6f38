/** Health: whether the process lives, and whether it can do its work and what its promises are worth. */
import type { HttpContext } from '../context.js';
import type { App } from '../routing.js';
import { livezSchema, readyzSchema } from '../schemas/health.js';

export function healthRoutes(app: App, { health }: HttpContext): void {
  app.get('/livez', { schema: livezSchema }, async () => ({ status: 'ok' }));

  app.get('/readyz', { schema: readyzSchema }, async (_request, reply) => {
    const { store, log } = await health();
    reply.code(store.ready ? 200 : 503);
    // Without its log the service still takes and hands out events; only taking it out of service would stop that.
    const status = !store.ready ? 'not ready' : log.ready ? 'ready' : 'degraded';
    return { status, durable: store.durable, store, log };
  });
}
