/**
 * JSON Schemas of bodies (draft 2020-12). Who declares one is trusted with what it means, and nobody with how long it
 * takes: patterns run on an engine of linear time, and no schema is fetched from anywhere.
 */
import { Ajv2020, type AnySchema, type ErrorObject } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import { ClockworkError } from '../errors.js';

export interface SchemaFault {
  /** RFC 6901, into the body. */
  readonly pointer: string;
  readonly message: string;
}

/** The faults of a value, at least one; null when it fits. */
export type BodyCheck = (value: unknown) => readonly SchemaFault[] | null;

const FAULTS_MAX = 20;

/** Throws `invalid-request` when it is no schema, or one that cannot be used here. */
export function compileBodySchema(schema: unknown): BodyCheck {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    throw refused('it is neither an object nor a boolean');
  // One for each: names within a schema are its own.
  const ajv = new Ajv2020({
    strict: false,
    validateFormats: false,
    addUsedSchema: false,
    logger: false,
    code: { regExp: linearRegExp },
  });
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: isUnique });
  try {
    const validate = ajv.compile(schema as AnySchema);
    if ('$async' in validate) throw new Error('it is asynchronous');
    return (value) => (validate(value) ? null : (validate.errors ?? []).slice(0, FAULTS_MAX).map(faultOf));
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

function refused(why: string): ClockworkError {
  return new ClockworkError('invalid-request', `The schema cannot be used: ${why}.`, {
    hint: 'It must be JSON Schema 2020-12 that refers to nothing outside of it, with patterns as RE2 knows them.',
    members: { pointer: '/schema' },
  });
}

function faultOf({ instancePath, params, message }: ErrorObject): SchemaFault {
  const { missingProperty, additionalProperty, unevaluatedProperty } = params as Record<string, unknown>;
  const member = missingProperty ?? additionalProperty ?? unevaluatedProperty;
  const under = typeof member === 'string' ? `/${member.replaceAll('~', '~0').replaceAll('/', '~1')}` : '';
  return { pointer: `${instancePath}${under}`, message: message ?? 'does not fit' };
}

/** As the validator wants it: named by its text, by which it tells one pattern from another. */
const linearRegExp = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(pattern);
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => `/${pattern}/` };
  },
  { code: 'linearRegExp' },
);

/** The validator's own compares each item with each. */
function isUnique(wanted: boolean, items: readonly unknown[]): boolean {
  return !wanted || new Set(items.map(canonical)).size === items.length;
}

/** The same text for values that are equal. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`,
  );
  return `{${members.sort().join(',')}}`;
}
