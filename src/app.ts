/** The HTTP service, without a port: routes and what they share. `main.ts` gives it a queue and lets it listen. */
import cors from '@fastify/cors';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { TSchema } from 'typebox';
import type { Config } from './config.js';
import { ClockworkError } from './errors.js';
import type { Health, HttpContext, MetricsPage } from './http/context.js';
import { corsOptions } from './http/cross-origin.js';
import { refuseExpectation, replyWithError } from './http/error-reply.js';
import { checkHeaders, secretHeaders } from './http/head.js';
import { type HttpMeter, measureRoutes, unmatchedMeter } from './http/measure.js';
import { describeRoutes } from './http/openapi.js';
import { checkerOfQuery } from './http/read-json.js';
import { attemptRoutes } from './http/routes/attempts.js';
import { docsRoutes } from './http/routes/docs.js';
import { eventRoutes } from './http/routes/events.js';
import { gatewayRoutes } from './http/routes/gateway.js';
import { healthRoutes } from './http/routes/health.js';
import { leaseRoutes } from './http/routes/leases.js';
import { listenerRoutes } from './http/routes/listeners.js';
import { logRoutes } from './http/routes/log.js';
import { metricsRoutes } from './http/routes/metrics.js';
import { typeRoutes } from './http/routes/policies.js';
import { redriveRoutes } from './http/routes/redrives.js';
import { submitRoutes } from './http/routes/submit.js';
import type { App } from './http/routing.js';
import { LISTENER_SCHEMAS } from './http/schemas/listeners.js';
import { SHARED } from './http/schemas/output.js';
import { TYPE_SCHEMAS } from './http/schemas/policies.js';
import { REDRIVE_SCHEMAS } from './http/schemas/redrives.js';
import { STATS_SCHEMAS } from './http/schemas/type-stats.js';
import { serverOptions } from './http/server-options.js';
import { endSilentConnections } from './http/silent-connections.js';
import { RouteTable, replyUnmatched } from './http/unmatched.js';
import type { Feed } from './log/feed.js';
import type { Queue } from './queue/queue.js';

export type { Health } from './http/context.js';

export interface AppDeps {
  readonly queue: Queue;
  readonly feed: Feed;
  readonly config: Config;
  readonly logger: Logger;
  /** How store and log are, for `/readyz`. */
  readonly health: () => Promise<Health>;
  readonly metrics: MetricsPage & { readonly http: HttpMeter };
}

/** Closing it answers what is under way; stop the queue and the feed first, so that calls that wait are answered at once. */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
  const { queue, feed, config, logger, health, metrics } = deps;
  const app = fastify(
    serverOptions(config, logger),
  ).withTypeProvider<TypeBoxTypeProvider>() as unknown as App;
  const context: HttpContext = {
    queue,
    feed,
    config,
    secretHeaders: secretHeaders(config.redactHeaders),
    health,
    metrics,
  };

  endSilentConnections(app);
  readBodiesAsBytes(app);
  answerErrors(app, metrics.http);
  guardRequests(app, config);
  app.setValidatorCompiler(({ schema, httpPart }) => validatorOf(schema as TSchema, httpPart));
  app.setSerializerCompiler(() => JSON.stringify);
  for (const schema of [
    ...SHARED,
    ...TYPE_SCHEMAS,
    ...STATS_SCHEMAS,
    ...LISTENER_SCHEMAS,
    ...REDRIVE_SCHEMAS,
  ])
    app.addSchema(schema);

  await describeRoutes(app as unknown as FastifyInstance);
  if (config.corsOrigins.length > 0) await app.register(cors, () => corsOptions(config.corsOrigins));
  await app.register(async (scope) => routes(scope as unknown as App, context));
  return app as unknown as FastifyInstance;
}

function routes(app: App, context: HttpContext): void {
  submitRoutes(app, context);
  gatewayRoutes(app, context);
  eventRoutes(app, context);
  leaseRoutes(app, context);
  attemptRoutes(app, context);
  typeRoutes(app, context);
  listenerRoutes(app, context);
  redriveRoutes(app, context);
  logRoutes(app, context);
  healthRoutes(app, context);
  metricsRoutes(app, context);
  docsRoutes(app);
}

/** Bodies stay bytes: what is in them is each route's to find out, and to keep as it came. */
function readBodiesAsBytes(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

function answerErrors(app: App, meter: HttpMeter): void {
  const table = new RouteTable();
  app.addHook('onRoute', ({ url, method }) => table.add(url, method));
  app.setErrorHandler((error, request, reply) => replyWithError(error, request, reply));
  measureRoutes(app, meter);
  const measureUnmatched = unmatchedMeter(meter);
  app.setNotFoundHandler((request, reply) => {
    replyUnmatched(table, request, reply);
    measureUnmatched(request, reply);
  });
  app.server.on('checkExpectation', refuseExpectation);
}

type Validate = (value: unknown) => true | { value: unknown } | { error: Error };

/** The framework checks queries only; paths, headers and bodies are the routes' own to judge. */
function validatorOf(schema: TSchema, httpPart: string | undefined): Validate {
  return httpPart === 'querystring' ? checkerOfQuery(schema) : () => true as const;
}

function guardRequests(app: App, config: Config): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
    closeConnectionsAsTheyEnd(app);
  });
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    reply.header('x-request-id', request.id);
    if (closing)
      done(new ClockworkError('shutting-down', 'The service is stopping.', { retryAfterMs: 1_000 }));
    else done(checkHeaders(request.raw, config.headersMax) ?? undefined);
  });
}

/** A connection whose last answer is written while the service stops would be kept for the next request. */
function closeConnectionsAsTheyEnd({ server }: App): void {
  if (!server.listening) return;
  const timer = setInterval(() => server.closeIdleConnections(), 25);
  server.once('close', () => clearInterval(timer));
}
