/** Where the log is that a command works on: `--log`, or else the variables that the service takes. */
import { join, resolve } from 'node:path';
import { BlobError, type BlobStore } from '../blob/blob.js';
import { ConfigError, readConfig } from '../config.js';
import { discoverLog } from '../log/discovery.js';
import type { LogIdentity } from '../log/reader.js';
import { type CliContext, CliError, EXIT, type LogPlace } from './context.js';

/** Of all that the service can be told, what says where its log is. */
const VARIABLES = ['DATA_DIR', 'S3_BUCKET', 'S3_PREFIX', 'S3_ENDPOINT', 'S3_FORCE_PATH_STYLE'];

/** `given` is the value of `--log`. */
export function logPlace(given: string | undefined, env: CliContext['env']): LogPlace {
  const config = readPlaceVariables(env);
  const { s3Endpoint: endpoint, s3ForcePathStyle: forcePathStyle } = config;
  if (given === undefined) {
    if (config.s3Bucket === null) return { kind: 'file', folder: resolve(config.dataDir, 'log') };
    return { kind: 's3', bucket: config.s3Bucket, prefix: config.s3Prefix, endpoint, forcePathStyle };
  }
  const [, scheme, rest = ''] = /^(file|s3):(.*)$/s.exec(given) ?? [];
  if (scheme === 'file' && rest !== '')
    return { kind: 'file', folder: resolve(rest.replace(/^\/\/(?=\/)/, '')) };
  const [, bucket, prefix = ''] = /^\/\/([^/]+)(?:\/(.*))?$/s.exec(scheme === 's3' ? rest : '') ?? [];
  if (bucket !== undefined) return { kind: 's3', bucket, prefix, endpoint, forcePathStyle };
  throw new CliError(
    EXIT.usage,
    `--log ${JSON.stringify(given)} is no place of a log`,
    'Say file:PATH or s3://BUCKET/PREFIX.',
  );
}

function readPlaceVariables(env: CliContext['env']) {
  try {
    return readConfig(Object.fromEntries(VARIABLES.map((name) => [name, env[name]])));
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(EXIT.usage, error.message);
    throw error;
  }
}

/** Opens the log for `use` and closes it. Throws CliError when there is none. */
export async function withLog<Result>(
  context: CliContext,
  given: string | undefined,
  use: (blobs: BlobStore, identity: LogIdentity) => Promise<Result>,
): Promise<Result> {
  const blobs = await context.openLog(logPlace(given, context.env));
  try {
    const identity = await discoverLog(blobs);
    if (identity === null) {
      throw new CliError(
        EXIT.unsound,
        `there is no log at ${blobs.description}: no object ${join('log', '0', '…')} in it`,
        'Name the place that holds `log/`: --log file:PATH, --log s3://BUCKET/PREFIX, or DATA_DIR, S3_BUCKET and S3_PREFIX as the service has them.',
      );
    }
    return await use(blobs, identity);
  } catch (error) {
    if (!(error instanceof BlobError)) throw error;
    throw new CliError(EXIT.unreachable, `${blobs.description}: ${error.message}`, HINTS[error.failure]);
  } finally {
    await blobs.close();
  }
}

const HINTS = {
  unavailable:
    'It does not answer, or not as it should; it may again in a while. Check S3_ENDPOINT, AWS_REGION and the network.',
  refused: 'It refuses. Check the bucket or the folder, the credentials (AWS_*) and what they may do.',
} as const;
