/** Listeners of types: which there are, declaring and deleting them. */
import { ClockworkError } from '../../errors.js';
import type { ListenerView, RedriveState } from '../../event/command.js';
import { type Filter, filterFault } from '../../event/filter.js';
import type { HttpContext } from '../context.js';
import { timeText } from '../event-json.js';
import { checkTypeName, nameFault } from '../names.js';
import { checker, readJson } from '../read-json.js';
import { receiptOf, sendJson } from '../respond.js';
import type { App } from '../routing.js';
import * as schemas from '../schemas/listeners.js';

const checkListener = checker(schemas.ListenerBody);

export function listenerRoutes(app: App, context: HttpContext): void {
  const { queue, config } = context;

  app.get('/v1/types/:type/listeners', { schema: schemas.listListenersSchema }, async (request, reply) => {
    const { type } = request.params;
    checkTypeName(type, config.nameBytesMax);
    const listeners = (await queue.listListeners(type)) ?? typeNotFound(type);
    const beginnings = await queue.readBeginnings(type);
    const texts = listeners.map((each) => listenerText(type, each, beginnings.get(each.ordinal) ?? null));
    return sendJson(reply, `{"listeners":[${texts.join(',')}]}`);
  });

  app.get(
    '/v1/types/:type/listeners/:name',
    { schema: schemas.readListenerSchema },
    async (request, reply) => {
      const { type, name } = namesOf(context, request.params);
      const listeners = (await queue.listListeners(type)) ?? typeNotFound(type);
      const listener = listeners.find((each) => each.name === name) ?? notFound(type, name);
      const beginning = (await queue.readBeginnings(type)).get(listener.ordinal) ?? null;
      return sendJson(reply, listenerText(type, listener, beginning));
    },
  );

  app.put(
    '/v1/types/:type/listeners/:name',
    { schema: schemas.setListenerSchema },
    async (request, reply) => {
      const { type, name } = namesOf(context, request.params);
      const { value } = readJson(request, checkListener);
      const listener = {
        name,
        responder: value.responder ?? false,
        filter: filterOf(value, config.filterBytesMax),
      };
      const result = await queue.setListener({ type, listener }, value.start ?? 'now');
      if (result.kind === 'too_many_types') throw receiptOf(result);
      if (result.kind === 'too_many_redrives') {
        throw new ClockworkError('too-many-redrives', 'As many redrives are under way as may be.', {
          hint: 'A listener that begins with the past is one. Wait for one to end, or cancel it.',
        });
      }
      if (result.kind === 'too_many_listeners') {
        throw new ClockworkError(
          'too-many-listeners',
          `The type has ${config.listenersMax} listeners, or has had as many as there can be numbers for.`,
          { hint: 'Delete one that nobody leases as any more.' },
        );
      }
      const known = (await queue.listListeners(type))?.find((each) => each.name === name);
      const beginning = known && (await queue.readBeginnings(type)).get(known.ordinal);
      return sendJson(
        reply.code(result.created ? 201 : 200),
        listenerText(type, listener, beginning ?? null),
      );
    },
  );

  app.delete(
    '/v1/types/:type/listeners/:name',
    { schema: schemas.deleteListenerSchema },
    async (request, reply) => {
      const { type, name } = namesOf(context, request.params);
      const { kind } = await queue.deleteListener(type, name);
      if (kind === 'unknown') notFound(type, name);
      return reply.code(204).send();
    },
  );
}

function namesOf(
  { config }: HttpContext,
  { type, name }: { readonly type: string; readonly name: string },
): { readonly type: string; readonly name: string } {
  checkTypeName(type, config.nameBytesMax);
  const fault = nameFault(name, config.nameBytesMax);
  if (fault !== null) throw new ClockworkError('invalid-request', `The name of the listener ${fault}.`);
  return { type, name };
}

function filterOf({ filter = null }: schemas.ListenerBody, bytesMax: number): Filter | null {
  if (filter === null || Object.keys(filter).length === 0) return null;
  if (Buffer.byteLength(JSON.stringify(filter)) > bytesMax) {
    throw new ClockworkError('invalid-request', `The filter has more than ${bytesMax} bytes.`, {
      members: { pointer: '/filter' },
    });
  }
  const fault = filterFault(filter as Filter);
  if (fault !== null) {
    const pointer = `/filter${fault.pointer}`;
    throw new ClockworkError('invalid-request', `The field ${pointer} ${fault.fault}.`, {
      members: { pointer },
    });
  }
  return filter as Filter;
}

function listenerText(
  type: string,
  { name, responder, filter }: Omit<ListenerView, 'ordinal'>,
  beginning: RedriveState | null,
): string {
  return JSON.stringify({
    type,
    name,
    responder,
    filter,
    beginning: beginning && beginningMembers(beginning),
  });
}

function beginningMembers({ id, status, startedAt, endedAt, progress }: RedriveState) {
  const { scanned, sent, waiting, logBeginsAt, problem } = progress;
  return {
    id,
    status,
    startedAt: timeText(startedAt),
    endedAt: endedAt === null ? null : timeText(endedAt),
    scanned,
    sent,
    waiting,
    logBeginsAt: logBeginsAt === null ? null : timeText(logBeginsAt),
    problem,
  };
}

function typeNotFound(type: string): never {
  throw new ClockworkError('type-not-found', `There is no type ${JSON.stringify(type)}.`, {
    hint: 'It comes to be with its first event, or with the first `PUT` of a listener.',
  });
}

function notFound(type: string, name: string): never {
  throw new ClockworkError(
    'listener-not-found',
    `The type ${JSON.stringify(type)} has no listener ${JSON.stringify(name)} that was declared.`,
    { hint: '`GET /v1/types/{type}/listeners` lists those that there are.', members: { listener: name } },
  );
}
