/** Requests whose body is JSON for the service itself: parsed safely, checked strictly against a schema. */
import type { FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { Convert } from 'typebox/value';
import { ClockworkError } from '../errors.js';
import { isJson, mediaTypeOf, type ParsedJson, parseJson } from './body.js';

export interface Checked<Value> extends ParsedJson {
  readonly value: Value;
}

/** A check for values of `schema`, compiled once; it throws `invalid-request` with the place. */
export function checker<Schema extends TSchema>(schema: Schema): (value: unknown) => Static<Schema> {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return value as Static<Schema>;
    throw invalid(validator, value);
  };
}

/** A check of a query: numbers come as text, so values are converted first. For the framework's validation. */
export function checkerOfQuery(schema: TSchema): (query: unknown) => { value: unknown } | { error: Error } {
  const validator = Compile(schema);
  return (query) => {
    const value = Convert(schema, query);
    return validator.Check(value) ? { value } : { error: invalid(validator, value, 'The query') };
  };
}

interface Fault {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: unknown;
}

function invalid(validator: Validator, value: unknown, whole = 'The body'): ClockworkError {
  const faults = validator.Errors(value) as readonly Fault[];
  // Of several the last is the outermost: that none of the alternatives fits, not that the first does not.
  const outermost = faults.find(({ keyword }) => keyword === 'anyOf') ?? faults.at(-1);
  const { unknownField, message } = describe(outermost);
  const pointer = `${outermost?.instancePath ?? ''}${unknownField === null ? '' : `/${unknownField}`}`;
  const where = pointer === '' ? whole : `${whole}: ${pointer}`;
  return new ClockworkError('invalid-request', `${where} ${message}.`, { members: { pointer } });
}

function describe(fault: Fault | undefined): { unknownField: string | null; message: string } {
  const { additionalProperties } = (fault?.params ?? {}) as { additionalProperties?: string[] };
  if (additionalProperties?.[0] !== undefined) {
    return { unknownField: escapePointer(additionalProperties[0]), message: 'is not known' };
  }
  if (fault?.keyword === 'anyOf') return { unknownField: null, message: 'is none of what it can be' };
  return { unknownField: null, message: fault?.message ?? 'is not valid' };
}

/** RFC 6901. */
function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The body as JSON that `check` accepts. */
export function readJson<Value>(request: FastifyRequest, check: (value: unknown) => Value): Checked<Value> {
  const contentType = request.headers['content-type'];
  if (contentType === undefined || !isJson(mediaTypeOf(contentType))) {
    throw new ClockworkError('unsupported-media-type', 'This route takes JSON.', {
      hint: 'Send it with `Content-Type: application/json`.',
    });
  }
  const parsed = parseJson(bodyOf(request));
  return { ...parsed, value: check(parsed.value) };
}

const EMPTY = Buffer.alloc(0);

/** The body's bytes as they came. */
export function bodyOf(request: FastifyRequest): Buffer {
  return (request.body as Buffer | undefined) ?? EMPTY;
}
