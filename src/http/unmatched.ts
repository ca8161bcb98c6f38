/** Requests that no route takes: a path that is not known, or a method that the path does not have. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../errors.js';
import { replyWithError } from './error-reply.js';
import { splitTarget } from './head.js';

/** Which methods each path has; filled as routes are registered. */
export class RouteTable {
  readonly #methods = new Map<string, Set<string>>();

  add(pattern: string, methods: string | readonly string[]): void {
    // Not a path: how preflights of any path are taken.
    if (pattern === '*') return;
    const known = this.#methods.get(pattern) ?? new Set();
    for (const method of typeof methods === 'string' ? [methods] : methods) known.add(method);
    this.#methods.set(pattern, known);
  }

  /** The methods of the path that `path` is, sorted; empty when it is none. */
  methodsOf(path: string): string[] {
    const found = new Set<string>();
    for (const [pattern, methods] of this.#methods) {
      if (!isOf(path, pattern)) continue;
      for (const method of methods) found.add(method);
    }
    return [...found].sort();
  }
}

function isOf(path: string, pattern: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  const matches = wanted.every((part, at) => part === '*' || part.startsWith(':') || part === given[at]);
  return matches && (wanted.length === given.length || wanted.at(-1) === '*');
}

export function replyUnmatched(
  routes: RouteTable,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { path } = splitTarget(request.raw.url ?? '');
  const methods = routes.methodsOf(path);
  // A route that has the method and found nothing itself, such as a folder of files, is no route either.
  if (methods.length === 0 || methods.includes(request.method)) {
    const hint = 'The paths are listed in /openapi.json.';
    return replyWithError(new ClockworkError('route-not-found', 'No such path.', { hint }), request, reply);
  }
  reply.header('allow', [...methods, 'OPTIONS'].join(', '));
  if (request.method === 'OPTIONS') return reply.code(204).send();
  const detail = `${request.method} is not a method of this path.`;
  return replyWithError(new ClockworkError('method-not-allowed', detail), request, reply);
}
