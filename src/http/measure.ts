/** Tells a meter of every request that was answered. Who hangs up before the answer is not counted. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from './routing.js';

/** Called for every answer: it may only count. */
export type RouteMeter = (status: number, ms: number) => void;

export interface HttpMeter {
  /** The meter of a route, made once; `route` is written as in the contract. */
  route(method: string, route: string): RouteMeter;
}

/** For routes registered from now on. Each gets a hook of its own: looking its name up would cost more than counting. */
export function measureRoutes(app: App, meter: HttpMeter): void {
  app.addHook('onRoute', (route) => {
    const methods = typeof route.method === 'string' ? [route.method] : route.method;
    const url = asInContract(route.url);
    const meters = new Map(methods.map((method) => [method, meter.route(method, url)]));
    const only = methods.length === 1 ? meters.get(methods[0]!) : undefined;
    const measure = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
      (only ?? meters.get(request.method))?.(reply.raw.statusCode, reply.elapsedTime);
      done();
    };
    const others = route.onResponse ?? [];
    route.onResponse = [...(Array.isArray(others) ? others : [others]), measure];
  });
}

/** For requests that no route takes, once their answer is known. */
export function unmatchedMeter(meter: HttpMeter): (request: FastifyRequest, reply: FastifyReply) => void {
  const meters = new Map<string, RouteMeter>();
  return ({ method }, reply) => {
    let each = meters.get(method);
    if (!each) {
      // Node's parser knows some thirty methods and refuses all others.
      each = meter.route(method, 'unmatched');
      meters.set(method, each);
    }
    each(reply.statusCode, reply.elapsedTime);
  };
}

function asInContract(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');
}
