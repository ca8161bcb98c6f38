/** What is declared of a type, made ready for the requests that come for it. */
import { ClockworkError } from '../errors.js';
import { sha256Hex } from '../event/envelope.js';
import type { DeclaredPolicy } from '../event/policy.js';
import type { Durability } from '../event/unarchived.js';
import type { Submission } from '../queue/submit.js';
import { type BodyCheck, compileBodySchema } from './body-schema.js';
import type { HttpContext } from './context.js';
import { checkTypeName, nameFault } from './names.js';

export interface TypeRules {
  /** Of an event that names none. */
  readonly durability: Durability;
  /** Request headers to redact, in lower case. */
  readonly secretHeaders: ReadonlySet<string>;
  /** Null: any body. */
  readonly check: BodyCheck | null;
  /** Places in the body to redact, each as its steps. */
  readonly redact: readonly (readonly string[])[];
}

/** Null: nothing is declared that concerns requests. No promise where it is known. Throws when the name is none. */
export function rulesOf(context: HttpContext, type: string): TypeRules | null | Promise<TypeRules | null> {
  checkTypeName(type, context.config.nameBytesMax);
  const declared = context.queue.policyOf(type);
  return declared instanceof Promise
    ? declared.then((known) => rulesFrom(context, known))
    : rulesFrom(context, declared);
}

export type RulesByType = ReadonlyMap<string, TypeRules | null>;

export const NO_RULES: RulesByType = new Map();

/** Of those of `names` that can be names of types; what is wrong with the others is said of who names them. */
export async function rulesOfTypes(context: HttpContext, names: Iterable<unknown>): Promise<RulesByType> {
  const types = new Set<string>();
  for (const name of names)
    if (typeof name === 'string' && nameFault(name, context.config.nameBytesMax) === null) types.add(name);
  const rules = await Promise.all(
    [...types].map(async (type) => [type, await rulesOf(context, type)] as const),
  );
  return new Map(rules);
}

/** By what was declared, which is the same object as long as it is the same version. */
const MADE = new WeakMap<DeclaredPolicy, TypeRules | null>();

function rulesFrom(context: HttpContext, declared: DeclaredPolicy | null): TypeRules | null {
  if (declared === null) return null;
  const made = MADE.get(declared);
  if (made !== undefined) return made;
  const rules = makeRules(context, declared);
  MADE.set(declared, rules);
  return rules;
}

function makeRules({ secretHeaders, config }: HttpContext, declared: DeclaredPolicy): TypeRules | null {
  const { durability = 'store', schema, redact = [], passHeaders = [] } = declared;
  if (durability === 'store' && schema === undefined && redact.length === 0 && passHeaders.length === 0)
    return null;
  const always = new Set(config.redactHeaders.map((name) => name.toLowerCase()));
  const passed = new Set(passHeaders.filter((name) => !always.has(name)));
  return {
    durability,
    secretHeaders: new Set([...secretHeaders].filter((name) => !passed.has(name))),
    check: schema === undefined ? null : compileBodySchema(schema, config.schemaStepsMax),
    redact: redact.map(stepsOf),
  };
}

/** RFC 6901. */
function stepsOf(pointer: string): string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Carrying = Pick<Submission, 'head' | 'body' | 'requestSha256'>;

/** What carries a body as it may be taken; throws `schema-mismatch` when the body is not as the type says. */
export function underRules<Carrier extends Carrying>(submission: Carrier, rules: TypeRules | null): Carrier {
  if (rules === null || (rules.check === null && rules.redact.length === 0)) return submission;
  const { head, body } = submission;
  if (rules.check === null && body.byteLength === 0) return submission;
  if (head.bodyEncoding !== 'json')
    throw mismatch(
      [{ pointer: '', message: 'must be JSON' }],
      'Send it with `Content-Type: application/json`.',
    );
  const value: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  const faults = rules.check?.(value) ?? null;
  if (faults !== null)
    throw mismatch(faults, 'The policy of the type has the schema: `GET /v1/types/{type}`.');
  // Each of them, not only the first that is there.
  const redacted = rules.redact.filter((steps) => redactAt(value, steps)).length;
  if (redacted === 0) return submission;
  const bytes = Buffer.from(JSON.stringify(value));
  // A key tells requests apart by what came, not by what is left of it.
  const requestSha256 = head.sha256;
  return {
    ...submission,
    body: bytes,
    head: { ...head, bytes: bytes.byteLength, sha256: sha256Hex(bytes) },
    requestSha256,
  };
}

function mismatch(errors: readonly { pointer: string; message: string }[], hint: string): ClockworkError {
  const [first] = errors;
  const where = first?.pointer ? `The body: ${first.pointer}` : 'The body';
  return new ClockworkError('schema-mismatch', `${where} ${first?.message ?? 'does not fit'}.`, {
    hint,
    members: { errors },
  });
}

const REDACTED = '[redacted]';

/** Redacts in place; false when there is nothing. */
function redactAt(value: unknown, steps: readonly string[]): boolean {
  let at = value;
  for (const [depth, step] of steps.entries()) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false;
    if (Array.isArray(at) && !/^(0|[1-9]\d*)$/.test(step)) return false;
    const members = at as Record<string, unknown>;
    if (depth === steps.length - 1) members[step] = REDACTED;
    at = members[step];
  }
  return true;
}
