/**
 * Everything that can be set and every limit, in one table: name, environment variable, default, unit, bounds
 * and what it is for. `readConfig` turns an environment into a checked, frozen object; a bad value throws with
 * the variable's name and what is allowed. `docs/configuration.md` shows the table and a test keeps it equal.
 */
import { PARTITIONS_MAX } from './event/id.js';
import { LISTENERS_MAX } from './event/listeners.js';

import { RETENTION_MS_MAX, RETENTION_MS_MIN } from './event/policy.js';

import { REDRIVES_RUNNING_MAX } from './event/redrive.js';

export type Unit = 'ms' | 'bytes' | 'count' | 'ratio' | 'factor' | 'port' | null;

interface Setting<Value> {
  /** Null: fixed, part of the contract with clients. */
  readonly variable: string | null;
  readonly fallback: Value;
  readonly unit: Unit;
  /** What a value must be, in words. */
  readonly allowed: string;
  readonly about: string;
  /** Holds credentials: shown without them. */
  readonly secret: boolean;
  /** The value that `text` stands for; undefined when it stands for none. */
  readonly read: (text: string) => Value | undefined;
}

interface NumberOptions {
  readonly unit: Unit;
  readonly min: number;
  readonly max: number;
}

function integer(variable: string, fallback: number, options: NumberOptions, about: string): Setting<number> {
  const { unit, min, max } = options;
  const read = (text: string) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return {
    variable,
    fallback,
    unit,
    allowed: `a whole number, ${min} to ${max}`,
    about,
    secret: false,
    read,
  };
}

/** Null unless it is set. */
function optionalInteger(variable: string, options: NumberOptions, about: string): Setting<number | null> {
  return { ...integer(variable, 0, options, about), fallback: null };
}

function decimal(variable: string, fallback: number, options: NumberOptions, about: string): Setting<number> {
  const { unit, min, max } = options;
  const read = (text: string) => {
    const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return { variable, fallback, unit, allowed: `a number, ${min} to ${max}`, about, secret: false, read };
}

function flag(variable: string, fallback: boolean, about: string): Setting<boolean> {
  const read = (text: string) => ({ true: true, false: false })[text];
  return { variable, fallback, unit: null, allowed: '`true` or `false`', about, secret: false, read };
}

interface TextOptions {
  readonly allowed: string;
  readonly pattern: RegExp;
  readonly secret?: boolean;
}

function text(variable: string, fallback: string, options: TextOptions, about: string): Setting<string> {
  const { allowed, pattern, secret = false } = options;
  const read = (value: string) => (pattern.test(value) ? value : undefined);
  return { variable, fallback, unit: null, allowed, about, secret, read };
}

function optional(variable: string, options: TextOptions, about: string): Setting<string | null> {
  return { ...text(variable, '', options, about), fallback: null };
}

function choice<const Value extends string>(
  variable: string,
  fallback: NoInfer<Value>,
  values: readonly Value[],
  about: string,
): Setting<Value> {
  const allowed = values.map((value) => `\`${value}\``).join(', ');
  const read = (value: string) => values.find((each) => each === value);
  return { variable, fallback, unit: null, allowed, about, secret: false, read };
}

function list(variable: string, options: TextOptions, about: string): Setting<readonly string[]> {
  const { allowed, pattern } = options;
  const read = (value: string) => {
    const items = value.split(',').map((each) => each.trim());
    return items.every((each) => pattern.test(each)) ? Object.freeze(items) : undefined;
  };
  return { variable, fallback: Object.freeze([]), unit: null, allowed, about, secret: false, read };
}

function fixed(fallback: number, unit: Unit, about: string): Setting<number> {
  return { variable: null, fallback, unit, allowed: '', about, secret: false, read: () => undefined };
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;

const URL_REDIS = /^(rediss?|redis\+sentinel|redis\+cluster):\/\/\S+$/;
const URL_HTTP = /^https?:\/\/[^\s/]+\S*$/;
const ORIGIN = /^(\*|https?:\/\/[^\s/]+)$/;
const HEADER_NAME = /^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/;

export const SETTINGS = {
  host: text(
    'HOST',
    '127.0.0.1',
    { allowed: 'an address or a host name', pattern: /^[^\s/]+$/ },
    'Address to listen on. Beyond loopback only with `ALLOW_ANONYMOUS=true`.',
  ),
  port: integer(
    'PORT',
    7420,
    { unit: 'port', min: 0, max: 65_535 },
    'Port to listen on; 0 takes a free one.',
  ),
  allowAnonymous: flag(
    'ALLOW_ANONYMOUS',
    false,
    'Serves whoever reaches the port: said out loud before listening beyond loopback.',
  ),
  trustProxy: flag(
    'TRUST_PROXY',
    false,
    'Takes the client address from `X-Forwarded-For`: only behind a proxy that sets it.',
  ),
  corsOrigins: list(
    'CORS_ORIGINS',
    { allowed: 'origins such as `https://app.example`, or `*`, separated by commas', pattern: ORIGIN },
    'Origins whose pages may call the service from a browser; none by default.',
  ),
  redactHeaders: list(
    'REDACT_HEADERS',
    { allowed: 'header names, separated by commas', pattern: HEADER_NAME },
    'Further request headers whose values are replaced by `[redacted]` before anything is stored.',
  ),
  logLevel: choice(
    'LOG_LEVEL',
    'info',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'How much the service logs.',
  ),

  dataDir: text(
    'DATA_DIR',
    './data',
    { allowed: 'a path', pattern: /^[^\0]+$/ },
    'Folder of the embedded store and of the log in files, where those are in use.',
  ),
  redisUrl: optional(
    'REDIS_URL',
    {
      allowed: 'a `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://` URL',
      pattern: URL_REDIS,
      secret: true,
    },
    'Redis or Valkey to keep the state in; without it the embedded store does.',
  ),
  redisPrefix: text(
    'REDIS_PREFIX',
    'clockwork',
    { allowed: '1 to 64 of `a-z A-Z 0-9 . _ -`', pattern: /^[a-zA-Z0-9._-]{1,64}$/ },
    'What every key in Redis begins with.',
  ),
  partitions: integer(
    'PARTITIONS',
    1,
    { unit: 'count', min: 1, max: PARTITIONS_MAX },
    'Parts that types are spread over; kept in the store, another number later is refused.',
  ),
  embeddedBytesMax: integer(
    'EMBEDDED_BYTES_MAX',
    1_024 * MIB,
    { unit: 'bytes', min: MIB, max: 1_024 * 1_024 * MIB },
    'Memory that events may take in the embedded store; events are refused beyond it.',
  ),
  s3Bucket: optional(
    'S3_BUCKET',
    { allowed: 'a bucket name', pattern: /^[a-zA-Z0-9._-]{3,255}$/ },
    'Bucket for the log; without it the log is files in `DATA_DIR`.',
  ),
  s3Prefix: text(
    'S3_PREFIX',
    '',
    { allowed: 'empty, or a path of `a-z 0-9 . _ -` that ends with `/`', pattern: /^([a-z0-9._-]+\/)*$/ },
    'What every key in the bucket begins with.',
  ),
  s3Endpoint: optional(
    'S3_ENDPOINT',
    { allowed: 'an `http://` or `https://` URL', pattern: URL_HTTP, secret: true },
    'Where the bucket is, when it is not at AWS.',
  ),
  s3ForcePathStyle: flag(
    'S3_FORCE_PATH_STYLE',
    false,
    'Names the bucket in the path instead of the host name, as most servers other than AWS need.',
  ),
  archiveIntervalMs: integer(
    'ARCHIVE_INTERVAL_MS',
    SECOND_MS,
    { unit: 'ms', min: 50, max: 60 * SECOND_MS },
    'How often the log takes what the store holds for it.',
  ),
  archiveTimeoutMs: integer(
    'ARCHIVE_TIMEOUT_MS',
    10 * SECOND_MS,
    { unit: 'ms', min: 100, max: 60 * SECOND_MS },
    'How long an answer about an event with `archive` durability waits for the log.',
  ),
  outboxBytesMax: integer(
    'OUTBOX_BYTES_MAX',
    256 * MIB,
    { unit: 'bytes', min: MIB, max: 1_024 * 1_024 * MIB },
    'What may wait in Redis to be archived, in each partition, about; events are refused beyond it.',
  ),
  checkpointRecords: integer(
    'CHECKPOINT_RECORDS',
    100_000,
    { unit: 'count', min: 1_000, max: 1_000_000_000 },
    'Records of the log after which all that is alive is written down anew, so that a store is rebuilt quickly.',
  ),
  logRetentionMs: optionalInteger(
    'LOG_RETENTION_MS',
    { unit: 'ms', min: DAY_MS, max: 3_650 * DAY_MS },
    'How long the log is kept, at least; without it for ever.',
  ),

  retentionMs: integer(
    'RETENTION_MS',
    DAY_MS,
    { unit: 'ms', min: RETENTION_MS_MIN, max: RETENTION_MS_MAX },
    'How long settled events stay in the store, unless their type says otherwise; then they are read from the log.',
  ),
  pastCacheBytesMax: integer(
    'PAST_CACHE_BYTES_MAX',
    32 * MIB,
    { unit: 'bytes', min: 0, max: 64 * 1_024 * MIB },
    'Memory for events that were read from the log lately, and as much for parts of its index and for bodies.',
  ),
  feedCacheBytesMax: integer(
    'FEED_CACHE_BYTES_MAX',
    64 * MIB,
    { unit: 'bytes', min: 0, max: 64 * 1_024 * MIB },
    'Memory for segments of the log that were read lately.',
  ),

  attemptsMax: integer(
    'ATTEMPTS_MAX',
    5,
    { unit: 'count', min: 1, max: 1_000 },
    'Attempts after which a delivery is dead.',
  ),
  leaseMs: integer(
    'LEASE_MS',
    30 * SECOND_MS,
    { unit: 'ms', min: SECOND_MS, max: 12 * HOUR_MS },
    'Length of a lease whose caller names none.',
  ),
  backoffFirstMs: integer(
    'BACKOFF_FIRST_MS',
    500,
    { unit: 'ms', min: 0, max: DAY_MS },
    'Wait after the first failed or expired attempt.',
  ),
  backoffFactor: decimal(
    'BACKOFF_FACTOR',
    2,
    { unit: 'factor', min: 1, max: 100 },
    'By what the wait grows with each further attempt.',
  ),
  backoffMsMax: integer(
    'BACKOFF_MS_MAX',
    60 * SECOND_MS,
    { unit: 'ms', min: 0, max: 30 * DAY_MS },
    'Longest wait between attempts.',
  ),
  backoffJitter: decimal(
    'BACKOFF_JITTER',
    0.2,
    { unit: 'ratio', min: 0, max: 1 },
    'Share of a wait that chance may take away.',
  ),

  bodyBytesMax: integer(
    'BODY_BYTES_MAX',
    MIB,
    { unit: 'bytes', min: KIB, max: 4 * MIB },
    'Body of an event, also of each in a bulk request.',
  ),
  waitersMax: integer(
    'WAITERS_MAX',
    10_000,
    { unit: 'count', min: 1, max: 1_000_000 },
    'Calls that may be waiting at one time, for events or for leases.',
  ),
  typesMax: integer(
    'TYPES_MAX',
    10_000,
    { unit: 'count', min: 1, max: 1_000_000 },
    'Types that may come into being by use, in each partition.',
  ),
  headersMax: fixed(100, 'count', 'Header fields of a request.'),
  headerBytesMax: fixed(16 * KIB, 'bytes', 'Header fields of a request together.'),
  nameBytesMax: fixed(256, 'bytes', 'Name of a type or a listener, in UTF-8.'),
  keyBytesMax: fixed(
    256,
    'bytes',
    'Ordering key, idempotency key, correlation id, version, or name of a worker.',
  ),
  jsonDepthMax: fixed(
    64,
    'count',
    'Depth to which JSON is handed on as JSON; deeper is handed on as base64.',
  ),
  bulkItemsMax: fixed(1_000, 'count', 'Items of a bulk request, events or completions.'),
  bulkBytesMax: fixed(16 * MIB, 'bytes', 'Body of a bulk request.'),
  leasesMax: fixed(500, 'count', 'Leases of one call.'),
  leaseBytesMax: fixed(
    8 * MIB,
    'bytes',
    'Events in the answer to one call for leases; the first comes whatever it weighs.',
  ),
  listenersMax: fixed(LISTENERS_MAX, 'count', 'Listeners of a type.'),
  filterBytesMax: fixed(8 * KIB, 'bytes', 'Filter of a listener, as JSON.'),
  redrivesMax: fixed(
    REDRIVES_RUNNING_MAX,
    'count',
    'Redrives of a partition that are under way at one time.',
  ),
  redriveRate: fixed(
    100,
    'count',
    'Events a second that a redrive sends unless it is asked for another rate.',
  ),
  redriveRateMax: fixed(10_000, 'count', 'Events a second that a redrive may be asked to send.'),
  leaseTypesMax: fixed(100, 'count', 'Types of one call for leases.'),
  responseBytesMax: fixed(4 * MIB, 'bytes', 'Body of a response in a completion.'),
  completionBytesMax: fixed(8 * MIB, 'bytes', 'Body of a request that completes one attempt.'),
  schemaBytesMax: fixed(64 * KIB, 'bytes', 'JSON Schema of the bodies of a type, as JSON.'),
  schemaStepsMax: fixed(
    5_000_000,
    'count',
    'Steps of the check of one body: each part of it by each part of the schema that it meets.',
  ),
  redactMax: fixed(100, 'count', 'Places in bodies of a type that are redacted.'),
  errorsMax: fixed(100, 'count', 'Errors in a completion.'),
  errorsBytesMax: fixed(64 * KIB, 'bytes', 'Errors in a completion together, as JSON.'),
  emitsMax: fixed(1_000, 'count', 'Events that one completion emits.'),
  emitBytesMax: fixed(4 * MIB, 'bytes', 'Events that one completion emits, with its response, together.'),
  leaseMsMin: fixed(SECOND_MS, 'ms', 'Shortest lease.'),
  leaseMsMax: fixed(12 * HOUR_MS, 'ms', 'Longest lease, also when extended.'),
  delayMsMax: fixed(90 * DAY_MS, 'ms', 'Longest delay of an event, also of a retry.'),
  deadlineMsMax: fixed(90 * DAY_MS, 'ms', 'Longest time until the deadline of an event.'),
  waitMsMax: fixed(25 * SECOND_MS, 'ms', 'Longest wait of a call.'),
  pageMax: fixed(500, 'count', 'Events of one page of a list.'),
  scanMax: fixed(10_000, 'count', 'Events looked at for one page of a list.'),
  feedPageMax: fixed(1_000, 'count', 'Records of one page of the log.'),
  feedPageBytesMax: fixed(
    8 * MIB,
    'bytes',
    'Records of one page of the log together; the first comes whatever it weighs.',
  ),
  feedSegmentsMax: fixed(100, 'count', 'Segments of the log looked at for one page of it.'),
  feedTypesMax: fixed(100, 'count', 'Types of one call for a page of the log.'),
  headersTimeoutMs: fixed(5 * SECOND_MS, 'ms', 'Within which the headers of a request must have come.'),
  requestTimeoutMs: fixed(15 * SECOND_MS, 'ms', 'Within which all of a request must have come.'),
  keepAliveTimeoutMs: fixed(
    75 * SECOND_MS,
    'ms',
    'How long an idle connection is kept: longer than load balancers do.',
  ),
} satisfies Record<string, Setting<unknown>>;

type Settings = typeof SETTINGS;
export type Config = { readonly [Name in keyof Settings]: Settings[Name]['fallback'] };

/** A variable has a value that it cannot have. The message is for the operator. */
export class ConfigError extends Error {
  constructor(
    readonly variable: string,
    message: string,
  ) {
    super(message);
    this.name = 'ConfigError';
  }
}

/** The checked, frozen configuration that `environment` asks for. A variable that is set but empty is not set. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const entries = Object.entries(SETTINGS).map(([name, setting]) => [
    name,
    readSetting(setting, environment),
  ]);
  const config = Object.freeze(Object.fromEntries(entries)) as Config;
  refuseContradictions(config);
  return config;
}

function readSetting(
  setting: Setting<unknown>,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const { variable, fallback } = setting;
  const given = variable === null ? undefined : environment[variable];
  if (variable === null || given === undefined || given === '') return fallback;
  const value = setting.read(given);
  if (value !== undefined) return value;
  const shown = setting.secret ? '' : ` It is ${JSON.stringify(given)}.`;
  throw new ConfigError(variable, `${variable} must be ${setting.allowed}.${shown}`);
}

function refuseContradictions(config: Config): void {
  if (!isLoopback(config.host) && !config.allowAnonymous) {
    throw new ConfigError(
      'HOST',
      `HOST is ${config.host}, which others can reach, and nothing asks them who they are. Either listen on ` +
        'loopback (HOST=127.0.0.1), or say that everybody may (ALLOW_ANONYMOUS=true).',
    );
  }
  if (config.partitions > 1 && config.redisUrl === null) {
    throw new ConfigError('PARTITIONS', 'PARTITIONS must be 1 with the embedded store; more need REDIS_URL.');
  }
  if (config.backoffMsMax < config.backoffFirstMs) {
    throw new ConfigError('BACKOFF_MS_MAX', 'BACKOFF_MS_MAX must not be less than BACKOFF_FIRST_MS.');
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What is configured, by variable, for logs: credentials left out, what nobody set left out. */
export function describeConfig(config: Config): Record<string, unknown> {
  const described: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [keyof Config, Setting<unknown>][]) {
    const value = config[name];
    if (setting.variable === null || value === setting.fallback) continue;
    described[setting.variable] = setting.secret ? withoutCredentials(String(value)) : value;
  }
  return described;
}

/** Everything between the scheme and the last `@` goes, and every parameter: passwords stand there too. */
function withoutCredentials(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)(?:.*@)?/s, '$1').replace(/[?#].*$/s, '');
}
