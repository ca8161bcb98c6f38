/** How Fastify and Node's HTTP server are set: limits, ids, logging, and who answers what goes wrong early. */

import type { RawServerDefault } from 'fastify';
import { type FastifyHttpOptions, LogController } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { replyToClientError, replyWithError } from './error-reply.js';
import { requestIdOf } from './request-id.js';

/** How often Node looks for requests that are late; by default it would let them be for half a minute. */
const LATE_CHECK_MS = 500;

export function serverOptions(config: Config, logger: Logger): FastifyHttpOptions<RawServerDefault, Logger> {
  return {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger of its own for each request would cost more than the rest of the route; lines name the request.
    childLoggerFactory: (parent) => parent,
    genReqId: requestIdOf,
    bodyLimit: config.bodyBytesMax,
    trustProxy: config.trustProxy,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    http: {
      // Node refuses from this number on; it counts the target, and names and values of the fields.
      maxHeaderSize: config.headerBytesMax + 1,
      headersTimeout: config.headersTimeoutMs,
      connectionsCheckingInterval: LATE_CHECK_MS,
    },
    // Names of types come percent-encoded, three characters a byte; whether one is too long is ours to say.
    routerOptions: { maxParamLength: config.headerBytesMax },
    frameworkErrors: (error, request, reply) => {
      replyWithError(error, request, reply);
    },
    clientErrorHandler: (error, socket) => replyToClientError(error, socket),
  };
}
