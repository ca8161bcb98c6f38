/**
 * JSON Schemas of bodies (draft 2020-12). Who declares one is trusted with what it means, and nobody with how long it
 * takes: patterns run on an engine of linear time, steps are counted, and no schema is fetched from anywhere.
 */
import { Ajv2020, type AnySchema, type ErrorObject } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import { ClockworkError } from '../errors.js';
import { countedSchema, Steps, TooManySteps } from './schema-steps.js';

export interface SchemaFault {
  /** RFC 6901, into the body. */
  readonly pointer: string;
  readonly message: string;
}

/** The faults of a value, at least one; null when it fits. */
export type BodyCheck = (value: unknown) => readonly SchemaFault[] | null;

const FAULTS_MAX = 20;

/** Throws `invalid-request` when it is no schema, or one that cannot be used here. */
export function compileBodySchema(schema: unknown, stepsMax: number): BodyCheck {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    throw refused('it is neither an object nor a boolean');
  // One for each: names within a schema are its own.
  const ajv = new Ajv2020({
    strict: false,
    validateFormats: false,
    logger: false,
    code: { regExp: linearRegExp },
    // Written out in each place that refers to it, a part would be compiled as often.
    inlineRefs: false,
  });
  const steps = new Steps(ajv);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: isUnique });
  try {
    const validate = ajv.compile(countedSchema(schema) as AnySchema);
    if ('$async' in validate) throw new Error('it is asynchronous');
    const check = (value: unknown, stepsMax: number) =>
      steps.within(stepsMax, () =>
        validate(value) ? null : (validate.errors ?? []).slice(0, FAULTS_MAX).map(faultOf),
      );
    for (const value of LITTLE) check(value, TRIAL_STEPS_MAX);
    return (value) => checkedWithin(stepsMax, () => check(value, stepsMax));
  } catch (error) {
    if (error instanceof TooManySteps)
      throw refused(
        'its references lead to so many others, or back to themselves, that a check would not end in time',
      );
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

/** Bodies that every schema can be tried on. */
const LITTLE: readonly unknown[] = [null, '', 0, [], {}];
const TRIAL_STEPS_MAX = 100_000;

function checkedWithin(stepsMax: number, check: () => ReturnType<BodyCheck>): ReturnType<BodyCheck> {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof TooManySteps)) throw error;
    return [{ pointer: '', message: `takes more than ${stepsMax} steps to check` }];
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
