/** Redrives: jobs that send past events again. */
import { ClockworkError } from '../../errors.js';
import type { RedriveState } from '../../event/command.js';
import { sha256Hex } from '../../event/envelope.js';
import { partitionOfId } from '../../event/id.js';
import type { RedriveRequest } from '../../queue/redrives.js';
import { ANONYMOUS, type HttpContext } from '../context.js';
import { timeText } from '../event-json.js';
import { checkTypeName, nameFault } from '../names.js';
import { bodyOf, checker, readJson } from '../read-json.js';
import { sendJson } from '../respond.js';
import type { App } from '../routing.js';
import * as schemas from '../schemas/redrives.js';
import { idempotencyKeyOf } from '../submit-headers.js';

const checkRedrive = checker(schemas.RedriveBody);
const PAGE = 20;

export function redriveRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.post('/v1/redrives', { schema: schemas.createRedriveSchema }, async (request, reply) => {
    const { value } = readJson(request, checkRedrive);
    const key = idempotencyKeyOf(request.headers, config.keyBytesMax);
    const idempotency =
      key === null
        ? null
        : {
            scope: JSON.stringify([ANONYMOUS, key]),
            fingerprint: sha256Hex(bodyOf(request)),
          };
    const wanted = { ...wantedBy(value, context), idempotency };
    const result = await queue.redrives.create(wanted);
    switch (result.kind) {
      case 'set': {
        const { redrive } = result;
        return sendJson(reply.code(202).header('location', linkOf(redrive.id)), redriveText(redrive));
      }
      case 'unknown_type':
        throw new ClockworkError('type-not-found', `There is no type ${JSON.stringify(wanted.type)}.`, {
          hint: 'Types are case-sensitive; `GET /v1/types` lists those that there are.',
        });
      case 'unknown_listener':
        throw listenerNotFound(wanted);
      case 'too_many':
        throw new ClockworkError('too-many-redrives', 'As many redrives as may are under way.', {
          hint: 'Wait until one has ended, or cancel one: `GET /v1/redrives` lists them.',
        });
      case 'conflict':
        throw new ClockworkError(
          'idempotency-conflict',
          'The idempotency key was used for another redrive.',
          {
            hint: 'Take a new key for a new request; send the same request again to repeat one.',
            members: { redrive: result.redrive.id },
          },
        );
      default:
        throw new Error(`a redrive that was to be made is ${result.kind}`);
    }
  });

  app.get('/v1/redrives', { schema: schemas.listRedrivesSchema }, async (request, reply) => {
    const { type = null, cursor = null, limit = PAGE } = request.query;
    if (type !== null) checkTypeName(type, config.nameBytesMax);
    if (cursor !== null && partitionOfId(cursor) === null)
      throw new ClockworkError('invalid-request', 'The cursor is none that a page has given.');
    const { redrives, more } = await queue.redrives.list({ type, before: cursor, limit });
    const next = more ? JSON.stringify(redrives.at(-1)!.id) : 'null';
    return sendJson(reply, `{"redrives":[${redrives.map(redriveText).join(',')}],"cursor":${next}}`);
  });

  app.get('/v1/redrives/:id', { schema: schemas.readRedriveSchema }, async (request, reply) => {
    const { id } = request.params;
    const redrive = await queue.redrives.read(id.toLowerCase());
    if (redrive === null) throw notFound(id);
    return sendJson(reply.header('cache-control', 'no-cache'), redriveText(redrive));
  });

  app.delete('/v1/redrives/:id', { schema: schemas.cancelRedriveSchema }, async (request, reply) => {
    const { id } = request.params;
    if (partitionOfId(id.toLowerCase()) === null) throw notFound(id);
    const result = await queue.redrives.cancel(id.toLowerCase());
    if (result.kind === 'set') return sendJson(reply, redriveText(result.redrive));
    if (result.kind !== 'ended') throw notFound(id);
    throw new ClockworkError('redrive-ended', `The redrive is ${result.redrive.status}.`, {
      members: { redrive: id },
    });
  });
}

function wantedBy(body: schemas.RedriveBody, { config }: HttpContext): Omit<RedriveRequest, 'idempotency'> {
  const { type, listener = null, filter, dryRun = false, ratePerSecond = config.redriveRate } = body;
  checkTypeName(type, config.nameBytesMax);
  const fault = listener === null ? null : nameFault(listener, config.nameBytesMax);
  if (fault !== null) throw invalid('/listener', `The name of the listener ${fault}.`);
  const from = timeOf('/from', body.from);
  const to = timeOf('/to', body.to);
  if (from !== null && to !== null && from >= to)
    throw invalid('/from', 'It begins when it ends, or later: `from` must be before `to`.');
  return { type, listener, wish: { filter, from, to, dryRun, ratePerSecond } };
}

const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

function timeOf(pointer: string, text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  const ms = DATE_TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms) || ms < 0)
    throw invalid(pointer, `The body: ${pointer} is no time as RFC 3339 has it, like 2026-01-15T12:00:00Z.`);
  return ms;
}

function invalid(pointer: string, detail: string): ClockworkError {
  return new ClockworkError('invalid-request', detail, { members: { pointer } });
}

function listenerNotFound({ type, listener }: Pick<RedriveRequest, 'type' | 'listener'>): ClockworkError {
  const path = `/v1/types/${encodeURIComponent(type)}/listeners`;
  return new ClockworkError(
    'listener-not-found',
    `The type ${JSON.stringify(type)} has no listener ${JSON.stringify(listener)}.`,
    {
      hint: `GET ${path} lists those that were declared; PUT ${path}/${encodeURIComponent(listener ?? '')} declares it.`,
      members: { listener },
    },
  );
}

function notFound(id: string): ClockworkError {
  return new ClockworkError(
    'redrive-not-found',
    'There is no redrive of this id, or it is remembered no more.',
    {
      hint: '`GET /v1/redrives` lists those that are.',
      members: { redrive: id },
    },
  );
}

function linkOf(id: string): string {
  return `/v1/redrives/${id}`;
}

function redriveText({ id, type, status, startedAt, endedAt, wish, progress }: RedriveState): string {
  const { filter, listener, from, to, dryRun, ratePerSecond } = wish;
  const { scanned, matched, sent, requestGone, waiting, logBeginsAt, problem } = progress;
  const time = (ms: number | null) => (ms === null ? null : timeText(ms));
  return JSON.stringify({
    id,
    type,
    listener: listener?.name ?? null,
    filter,
    from: time(from),
    to: time(to),
    dryRun,
    ratePerSecond,
    status,
    startedAt: time(startedAt),
    endedAt: time(endedAt),
    scanned,
    matched,
    sent,
    skipped: { requestGone },
    waiting: status === 'running' ? waiting : null,
    logBeginsAt: time(logBeginsAt),
    problem,
    links: { self: linkOf(id) },
  });
}
