/** Which pages of other origins may call the service from a browser (CORS). */
import type { FastifyCorsOptions, FastifyCorsOptionsDelegateCallback } from '@fastify/cors';

const EXPOSED = ['Location', 'Retry-After', 'ETag', 'Preference-Applied', 'X-Request-Id'];

export function corsOptions(origins: readonly string[]): FastifyCorsOptionsDelegateCallback {
  const options: FastifyCorsOptions = {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: EXPOSED,
    maxAge: 600,
  };
  return (request, callback) => {
    const isPreflight = request.headers['access-control-request-method'] !== undefined;
    // Any other OPTIONS is a request like all others: at the gateway it is an event.
    const passes = request.method === 'OPTIONS' && !isPreflight;
    callback(null, passes ? { ...options, preflight: false } : options);
  };
}
