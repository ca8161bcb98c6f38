/**
 * The gateway: any request under `/http` becomes an event of type `HTTP`, and a caller that prefers to wait gets
 * the listener's response as if it had asked the listener itself.
 */
import { METHODS } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClockworkError } from '../../errors.js';
import type { EventView } from '../../event/command.js';
import { type ResponseHead, unpackResult } from '../../event/result.js';
import type { HttpContext } from '../context.js';
import { type HeaderList, splitTarget } from '../head.js';
import { guardForeignBytes, locationOf } from '../respond.js';
import type { App } from '../routing.js';
import { gatewaySchema } from '../schemas/submit.js';
import { submissionOf } from '../submission.js';
import { replyAccepted, takeOne, waitIfPreferred } from '../submitting.js';
import { rulesOf } from '../type-rules.js';

export const GATEWAY_TYPE = 'HTTP';

/** Methods whose bodies the framework does not read: with one, such a request is refused, not half taken. */
const BODYLESS = new Set(['GET', 'HEAD', 'TRACE']);

/** A tunnel is nothing that could be put into a queue. */
export const GATEWAY_METHODS = METHODS.filter((method) => method !== 'CONNECT');

export function gatewayRoutes(app: App, context: HttpContext): void {
  for (const method of GATEWAY_METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  }
  for (const url of ['/http', '/http/*']) {
    for (const method of GATEWAY_METHODS) {
      const handler = (request: FastifyRequest, reply: FastifyReply) => pass(context, request, reply);
      const config = { swagger: { exposeHeadRoute: method === 'HEAD' } };
      app.route({ method, url, schema: gatewaySchema(method, url), config, exposeHeadRoute: false, handler });
    }
  }
}

async function pass(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  refuseUnreadBody(request);
  const target = targetBehindGateway(request.raw.url!);
  const rules = await rulesOf(context, GATEWAY_TYPE);
  const submission = submissionOf(context, request, GATEWAY_TYPE, target, rules);
  const receipt = await takeOne(context, reply, submission);
  const event = await waitIfPreferred(context, request, reply, receipt.id);
  return event === null ? replyAccepted(context, reply, receipt) : replyForListener(event, reply);
}

function refuseUnreadBody({ method, headers }: FastifyRequest): void {
  const length = headers['content-length'];
  const hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (!BODYLESS.has(method) || !hasBody) return;
  throw new ClockworkError('invalid-request', `A ${method} with a body is not taken.`);
}

/** `/http/ping/1?x` → `/ping/1` and `x`. */
function targetBehindGateway(url: string): { path: string; query: string } {
  const { path, query } = splitTarget(url);
  // The first segment is the gateway's, in whatever way it was percent-encoded.
  const second = path.indexOf('/', 1);
  return { path: second < 0 ? '/' : path.slice(second), query };
}

function replyForListener(event: EventView, reply: FastifyReply): FastifyReply {
  const result = event.result && unpackResult(event.result);
  guardForeignBytes(reply.header('location', locationOf(event.id)));
  const response = result?.head.response;
  if (response) return replyWithResponse(response, result.body, reply);
  if (event.outcome === 'success') return reply.code(204).send();
  throw new ClockworkError('listener-failed', `The event ended as a failure: ${event.reason}.`, {
    hint: 'The event has the errors that its listener gave.',
    members: { eventId: event.id, reason: event.reason },
  });
}

/** Not the listener's to set: they belong to this connection, or keep a browser safe. */
const OWN_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'content-security-policy',
  'x-content-type-options',
  'x-request-id',
]);

const BODILESS_STATUS = new Set([204, 205, 304]);

function replyWithResponse(response: ResponseHead, body: Buffer, reply: FastifyReply): FastifyReply {
  reply.code(response.status);
  for (const [name, values] of endToEnd(response.headers)) {
    reply.header(name, values.length === 1 ? values[0] : values);
  }
  if (BODILESS_STATUS.has(response.status)) return reply.send();
  if (response.contentType !== null) reply.header('content-type', response.contentType);
  return reply.send(body);
}

function endToEnd(headers: HeaderList): Map<string, string[]> {
  const named = headers.filter(([name]) => name === 'connection').flatMap(([, value]) => value.split(','));
  const hops = new Set(named.map((name) => name.trim().toLowerCase()));
  const kept = new Map<string, string[]>();
  for (const [name, value] of headers) {
    if (OWN_HEADERS.has(name) || hops.has(name)) continue;
    kept.set(name, [...(kept.get(name) ?? []), value]);
  }
  return kept;
}
