/** Types as JSON text, and what is declared of them as it is kept. */
import type { Config } from '../config.js';
import { ClockworkError } from '../errors.js';
import type { TypeView } from '../event/command.js';
import { type DeclaredPolicy, effectivePolicy, type Policy } from '../event/policy.js';
import { compileBodySchema } from './body-schema.js';
import type { DeclaredPolicyBody } from './schemas/policies.js';

export function typeText({ type, version, paused, open, declared, policy }: TypeView): string {
  return JSON.stringify({
    type,
    version,
    paused,
    open,
    declared,
    policy: policyMembers(policy, declared ?? {}),
  });
}

export function typeTag({ version }: TypeView): string {
  return `"${version}"`;
}

function policyMembers(policy: Policy, declared: DeclaredPolicy) {
  const { durability = 'store', schema = null, redact = [], passHeaders = [] } = declared;
  const { attemptsMax, leaseMs, backoffFirstMs, backoffFactor, backoffMsMax, backoffJitter } = policy;
  const { maxPending = null, deadlineMs = null, retentionMs } = policy;
  const backoff = {
    firstMs: backoffFirstMs,
    factor: backoffFactor,
    capMs: backoffMsMax,
    jitter: backoffJitter,
  };
  return {
    attemptsMax,
    backoff,
    leaseMs,
    maxPending,
    deadlineMs,
    retentionMs,
    durability,
    schema,
    redact,
    passHeaders,
  };
}

/** In one order of fields, so that the same policy has the same text. Throws when its parts contradict each other. */
export function declaredPolicyOf(
  body: DeclaredPolicyBody,
  serviceWide: Policy & Pick<Config, 'schemaBytesMax' | 'schemaStepsMax'>,
): DeclaredPolicy {
  const { attemptsMax, leaseMs, maxPending, deadlineMs, retentionMs, durability, schema } = body;
  const { firstMs, factor, capMs, jitter } = body.backoff ?? {};
  for (const [name, value] of Object.entries({ factor, jitter })) checkDecimals(name, value);
  const backoff = withoutGaps({ firstMs, factor, capMs, jitter });
  const declared = withoutGaps({
    attemptsMax,
    backoff: Object.keys(backoff).length === 0 ? undefined : backoff,
    leaseMs,
    maxPending,
    deadlineMs,
    retentionMs,
    durability,
    schema,
    redact: listOf(body.redact),
    passHeaders: listOf(body.passHeaders)?.sort(),
  });
  if (schema !== undefined) checkSchema(schema, serviceWide);
  const { backoffFirstMs, backoffMsMax } = effectivePolicy(serviceWide, declared);
  if (backoffMsMax < backoffFirstMs) {
    const pointer = capMs === undefined ? '/backoff/firstMs' : '/backoff/capMs';
    const detail = `The cap of the backoff would be ${backoffMsMax} ms, less than its first wait of ${backoffFirstMs} ms.`;
    throw new ClockworkError('invalid-request', detail, { members: { pointer } });
  }
  return declared;
}

/** Each once; nothing where there are none. */
function listOf<Value>(values: readonly Value[] | undefined): Value[] | undefined {
  return values === undefined || values.length === 0 ? undefined : [...new Set(values)];
}

function checkSchema(
  schema: unknown,
  { schemaBytesMax: bytesMax, schemaStepsMax }: Pick<Config, 'schemaBytesMax' | 'schemaStepsMax'>,
): void {
  if (Buffer.byteLength(JSON.stringify(schema)) > bytesMax)
    throw new ClockworkError('invalid-request', `The body: /schema has more than ${bytesMax} bytes.`, {
      members: { pointer: '/schema' },
    });
  compileBodySchema(schema, schemaStepsMax);
}

const DECIMALS_MAX = 9;

function checkDecimals(name: string, value: number | undefined): void {
  if (value === undefined || Number(value.toFixed(DECIMALS_MAX)) === value) return;
  throw new ClockworkError(
    'invalid-request',
    `The body: /backoff/${name} has more than ${DECIMALS_MAX} decimals.`,
    {
      members: { pointer: `/backoff/${name}` },
    },
  );
}

type WithoutGaps<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

function withoutGaps<Fields extends object>(fields: Fields): WithoutGaps<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as WithoutGaps<Fields>;
}
