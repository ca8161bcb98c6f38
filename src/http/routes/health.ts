/** Health: whether the process lives, and whether it can do its work and what its promises are worth. */
import type { HttpContext } from '../context.js';
import type { App } from '../routing.js';
import { livezSchema, readyzSchema } from '../schemas/health.js';

export function healthRoutes(app: App, { health }: HttpContext): void {
  app.get('/livez', { schema: livezSchema }, async () => ({ status: 'ok' }));

  app.get('/readyz', { schema: readyzSchema }, async (_request, reply) => {
    const { store, log } = await health();
    const ready = store.ready && log.ready;
    reply.code(ready ? 200 : 503);
    return { status: ready ? 'ready' : 'not ready', durable: store.durable, store, log };
  });
}
