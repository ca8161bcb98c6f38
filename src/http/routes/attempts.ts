/** Attempts: what the holder of a lease does with it: extend it, complete it, hand it back. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { CompleteResult } from '../../event/command.js';
import type { Completion } from '../../queue/emission.js';
import { eachItem, readItems } from '../bulk.js';
import { attemptNotFound, completionError, completionOf, leaseLost } from '../completion.js';
import type { HttpContext } from '../context.js';
import { problemOf } from '../error-reply.js';
import { completedText, emittedText, leasesText, timeText } from '../event-json.js';
import { bodyOf, checker, readJson } from '../read-json.js';
import { sendJson } from '../respond.js';
import type { App } from '../routing.js';
import * as schemas from '../schemas/attempts.js';
import { CompletionBody, CompletionItem, ExtendBody } from '../schemas/input.js';
import { NO_RULES, type RulesByType, rulesOfTypes } from '../type-rules.js';
import { handBackIfLost, leased } from './leases.js';

type Completed = Extract<CompleteResult, { kind: 'completed' }>;

const checkExtendBody = checker(ExtendBody);
const checkCompletionBody = checker(CompletionBody);
const checkCompletionItem = checker(CompletionItem);

export function attemptRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.patch('/v1/attempts/:attemptId', { schema: schemas.extendSchema }, async (request, reply) => {
    const { attemptId } = request.params;
    const { value } = readJson(request, checkExtendBody);
    const token = tokenOf(request);
    const result = await queue.extend({ attemptId, token, leaseMs: value.leaseMs });
    if (result.kind === 'unknown') throw attemptNotFound(attemptId);
    if (result.kind === 'lease_lost') throw leaseLost(attemptId, 'Stop working on it: another may hold it.');
    const { expiresAt, cancelRequested } = result;
    return sendJson(reply, `{"expiresAt":"${timeText(expiresAt)}","cancelRequested":${cancelRequested}}`);
  });

  app.put(
    '/v1/attempts/:attemptId/completion',
    { schema: schemas.completeSchema, bodyLimit: config.completionBytesMax },
    (request, reply) => complete(context, request, reply, request.params.attemptId),
  );

  app.delete('/v1/attempts/:attemptId', { schema: schemas.handBackSchema }, async (request, reply) => {
    const { attemptId } = request.params;
    const { kind } = await queue.handBack({ attemptId, token: tokenOf(request) });
    if (kind === 'unknown') throw attemptNotFound(attemptId);
    if (kind === 'lease_lost') throw leaseLost(attemptId, 'There is nothing left to hand back.');
    return reply.code(204).send();
  });

  app.post(
    '/v1/completions',
    { schema: schemas.completeManySchema, bodyLimit: config.bulkBytesMax },
    (request, reply) => completeMany(context, request, reply),
  );
}

function tokenOf(request: FastifyRequest): string {
  const token = request.headers['lease-token'];
  if (typeof token === 'string' && token !== '') return token;
  throw new ClockworkError('invalid-header', 'The header Lease-Token is missing.', {
    hint: 'It is the `token` of the lease.',
  });
}

async function complete(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  attemptId: string,
): Promise<FastifyReply> {
  const { queue } = context;
  const { value, text } = readJson(request, checkCompletionBody);
  const { next, ...completion } = value;
  const token = tokenOf(request);
  const rules = completion.emit === undefined ? NO_RULES : await rulesOfEmitted(context, [completion]);
  const posted = completionOf({ attemptId, token, completion, text }, context, rules);
  const [result] = await queue.complete([posted]);
  if (result!.kind !== 'completed') throw completionError(result!, attemptId);

  const members = completedMembers(result!, posted);
  if (next === undefined) return sendJson(reply, `{${members},"next":[]}`);
  const { max = 1, leaseMs = null, worker = null } = next;
  const answer = leased(
    await queue.leaseNext({
      attemptId,
      type: result!.type,
      listener: result!.listener,
      max,
      leaseMs,
      worker,
    }),
  );
  await handBackIfLost(context, reply, answer, request.log);
  return sendJson(reply, `{${members},"next":${leasesText(answer.leases)}}`);
}

/** The types of what was emitted are those that were posted: also a repeat has the very same. */
function completedMembers(result: Completed, { emit = [] }: Completion): string {
  const emitted = result.emitted.map((id, index) => emittedText(id, emit[index]!.type));
  return `"event":${completedText(result)},"emitted":[${emitted.join(',')}]`;
}

async function completeMany(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { queue, config } = context;
  const { items } = readItems(bodyOf(request), request.headers['content-type'], config);
  const values = items.map((item) => (item instanceof ClockworkError ? null : item.value));
  const rules = values.some(emits) ? await rulesOfEmitted(context, values) : NO_RULES;
  const commands = eachItem(items, ({ value, text }) => {
    const { attemptId, token, ...completion } = checkCompletionItem(value);
    return completionOf({ attemptId, token, completion, text }, context, rules);
  });
  const sound = commands.filter((each): each is Completion => !(each instanceof ClockworkError));
  const results = sound.length === 0 ? [] : await queue.complete(sound);
  let at = 0;
  const texts = commands.map((command) => {
    if (command instanceof ClockworkError) return errorText(command);
    const result = results[at++]!;
    if (result.kind === 'completed') return `{${completedMembers(result, command)}}`;
    return errorText(completionError(result, command.attemptId));
  });
  return sendJson(reply, `{"results":[${texts.join(',')}]}`);
}

/** It may not have been checked. */
function emits(completion: unknown): completion is { readonly emit: readonly unknown[] } {
  return typeof completion === 'object' && completion !== null && Array.isArray((completion as Item)['emit']);
}

type Item = Readonly<Record<string, unknown>>;

function rulesOfEmitted(context: HttpContext, completions: readonly unknown[]): Promise<RulesByType> {
  const emitted = completions.filter(emits).flatMap(({ emit }) => emit);
  return rulesOfTypes(
    context,
    emitted.map((each) => ((each ?? {}) as Item)['type']),
  );
}

function errorText(error: ClockworkError): string {
  return `{"error":${JSON.stringify(problemOf(error))}}`;
}
