/** The service's log: pino, with what must not be in a log kept out of it. */
import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import type { Config } from '../config.js';

/** Wherever these stand in what is logged, their values do not. Bodies are never logged. */
const SECRET_KEYS = ['authorization', 'cookie', 'token', 'secret', 'password', 'secretAccessKey'];

export function makeLogger({ logLevel }: Pick<Config, 'logLevel'>, stream?: DestinationStream): Logger {
  const options = {
    level: logLevel,
    base: null,
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' },
    serializers: { err: stdSerializers.err },
  };
  return stream === undefined ? pino(options) : pino(options, stream);
}
