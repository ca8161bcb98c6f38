/** Types: which there are, what is declared of them, and pausing them. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { SetTypeCommand, TypeView } from '../../event/command.js';
import type { HttpContext } from '../context.js';
import { isDeep } from '../json-depth.js';
import { checkTypeName } from '../names.js';
import { checker, readJson } from '../read-json.js';
import { receiptOf, sendJson } from '../respond.js';
import type { App } from '../routing.js';
import * as schemas from '../schemas/policies.js';
import { typeStatsSchema } from '../schemas/type-stats.js';
import { statsText } from '../stats-json.js';
import { declaredPolicyOf, typeTag, typeText } from '../type-json.js';

const checkPolicy = checker(schemas.DeclaredPolicyBody);

export function typeRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.get('/v1/types', { schema: schemas.listTypesSchema }, async (request, reply) => {
    const { cursor = null, limit = 50 } = request.query;
    const page = await queue.listTypes({ cursor, limit });
    if (page.kind === 'bad_cursor')
      throw new ClockworkError('invalid-request', 'The cursor is none that a page has given.');
    const types = page.types.map(typeText).join(',');
    return sendJson(reply, `{"types":[${types}],"cursor":${JSON.stringify(page.cursor)}}`);
  });

  app.get('/v1/types/:type', { schema: schemas.readTypeSchema }, async (request, reply) => {
    const type = typeOf(context, request.params);
    const view = await queue.readType(type);
    if (view === null) throw typeNotFound(type);
    return sendType(reply, view);
  });

  app.put('/v1/types/:type', { schema: schemas.declareTypeSchema }, async (request, reply) => {
    const type = typeOf(context, request.params);
    const { value, text } = readJson(request, checkPolicy);
    if (isDeep(text, config.jsonDepthMax))
      throw new ClockworkError('invalid-request', `The body is nested deeper than ${config.jsonDepthMax}.`);
    const policy = declaredPolicyOf(value, config);
    return set(context, reply, { kind: 'declare', type, policy, ifVersion: ifVersionOf(request) });
  });

  app.delete('/v1/types/:type', { schema: schemas.resetTypeSchema }, async (request, reply) => {
    const type = typeOf(context, request.params);
    return set(context, reply, { kind: 'reset', type, ifVersion: ifVersionOf(request) });
  });

  app.get('/v1/types/:type/stats', { schema: typeStatsSchema }, async (request, reply) => {
    const type = typeOf(context, request.params);
    const stats = await queue.typeStats(type);
    if (stats === null) throw typeNotFound(type);
    return sendJson(reply.header('cache-control', 'no-cache'), statsText(stats, stats.rates));
  });

  app.post('/v1/types/:type/pause', { schema: schemas.pauseTypeSchema }, async (request, reply) =>
    set(context, reply, { kind: 'pause', type: typeOf(context, request.params) }),
  );

  app.post('/v1/types/:type/resume', { schema: schemas.resumeTypeSchema }, async (request, reply) =>
    set(context, reply, { kind: 'resume', type: typeOf(context, request.params) }),
  );
}

function typeOf({ config }: HttpContext, { type }: { readonly type: string }): string {
  checkTypeName(type, config.nameBytesMax);
  return type;
}

async function set(
  { queue }: HttpContext,
  reply: FastifyReply,
  command: SetTypeCommand,
): Promise<FastifyReply> {
  const result = await queue.setType(command);
  switch (result.kind) {
    case 'set':
      return sendType(reply, result.view);
    case 'unknown':
      throw typeNotFound(command.type);
    case 'too_many_types':
      throw receiptOf(result);
    case 'precondition_required':
      throw new ClockworkError('precondition-required', 'Something is declared of this type already.', {
        hint: 'Read the type, and send its ETag as If-Match.',
        members: { version: result.version },
      });
    case 'precondition_failed':
      throw new ClockworkError('precondition-failed', `The type has version ${result.version}.`, {
        hint: 'Read the type again, and decide anew.',
        members: { version: result.version },
      });
  }
}

function sendType(reply: FastifyReply, view: TypeView): FastifyReply {
  return sendJson(reply.header('etag', typeTag(view)).header('cache-control', 'no-cache'), typeText(view));
}

function typeNotFound(type: string): ClockworkError {
  return new ClockworkError('type-not-found', `There is no type ${JSON.stringify(type)}.`, {
    hint: 'It comes to be with its first event, or with `PUT`.',
  });
}

/** RFC 9110, section 13.1.1: strong comparison, so that a weak tag is never the one. */
function ifVersionOf({ headers }: FastifyRequest): number | 'any' | null {
  const given = headers['if-match']?.trim();
  if (given === undefined) return null;
  if (given === '*') return 'any';
  if (/^W\/"[^"]*"$/.test(given)) return NO_VERSION;
  const tag = /^"([^"]*)"$/.exec(given)?.[1];
  if (tag === undefined)
    throw new ClockworkError('invalid-header', 'If-Match must be one ETag in quotation marks, or `*`.');
  return /^\d{1,15}$/.test(tag) ? Number(tag) : NO_VERSION;
}

const NO_VERSION = -1;
