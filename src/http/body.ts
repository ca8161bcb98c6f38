/**
 * Looks at a body once, when it comes, and says how it will be handed on inside JSON. The bytes themselves are
 * never changed: JSON that is handed on as JSON is the text it came as.
 */
import { isUtf8 } from 'node:buffer';
import { parse as parseSafely } from 'secure-json-parse';
import { ClockworkError } from '../errors.js';
import type { BodyEncoding } from '../event/envelope.js';
import { isDeep } from './json-depth.js';
import { findJsonFault, type JsonFault } from './json-fault.js';

const TEXT_TYPES = new Set([
  'application/x-www-form-urlencoded',
  'application/xml',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/javascript',
  'application/graphql',
  'application/sql',
  'application/yaml',
  'application/toml',
]);

/**
 * How `body` is handed on. An empty body is empty text whatever it says that it is. Throws when the content type
 * says JSON and the body is none, or is one that no parser should be given.
 */
export function classifyBody(
  body: Buffer,
  contentType: string | null,
  contentEncoding: string | undefined,
  jsonDepthMax: number,
): BodyEncoding {
  if (body.byteLength === 0) return 'text';
  // Compressed bytes are kept and handed on as they are: nothing here inflates what a stranger has packed.
  if (contentType === null || (contentEncoding !== undefined && contentEncoding !== 'identity'))
    return 'base64';
  const mediaType = mediaTypeOf(contentType);
  if (!isUnicode(contentType)) return 'base64';
  if (isJson(mediaType)) return isDeep(parseJson(body).text, jsonDepthMax) ? 'base64' : 'json';
  return isText(mediaType) && isUtf8(body) ? 'text' : 'base64';
}

/** Like `classifyBody` for bytes whose sender said how they are encoded: JSON that is none is just bytes. */
export function classifyLeniently(body: Buffer, contentType: string, jsonDepthMax: number): BodyEncoding {
  try {
    return classifyBody(body, contentType, undefined, jsonDepthMax);
  } catch (error) {
    if (error instanceof ClockworkError) return 'base64';
    throw error;
  }
}

export interface ParsedJson {
  readonly text: string;
  readonly value: unknown;
}

/** The JSON that `body` is; throws `invalid-json` with the place, or `unsafe-json`. */
export function parseJson(body: Buffer): ParsedJson {
  if (!isUtf8(body)) throw notUtf8(body);
  return parseJsonText(body.toString('utf8'));
}

export function parseJsonText(text: string): ParsedJson {
  // The parser would skip a byte order mark; inside a reply it would make JSON of something that is none.
  if (text.charCodeAt(0) === 0xfeff) throw invalidJson(placeOf(text, 0, 'a byte order mark'));
  let value: unknown;
  try {
    value = mayBeUnsafe(text)
      ? parseSafely(text, undefined, { protoAction: 'error', constructorAction: 'error' })
      : JSON.parse(text);
  } catch (error) {
    throw refusalOf(text, error);
  }
  return { text, value };
}

/** Hardly any JSON has these words or an escape that could hide them; to look for them so costs less than a parser that does. */
function mayBeUnsafe(text: string): boolean {
  return text.includes('__proto__') || text.includes('constructor') || text.includes('\\u');
}

function refusalOf(text: string, cause: unknown): ClockworkError {
  const fault = findJsonFault(text);
  if (fault) return invalidJson(fault);
  return new ClockworkError(
    'unsafe-json',
    'The JSON has a `__proto__` key or a `constructor` that holds a `prototype`.',
    { hint: 'Rename the key, or send the body as `application/octet-stream`.', cause },
  );
}

function invalidJson({ offset, line, column, message }: JsonFault): ClockworkError {
  return new ClockworkError(
    'invalid-json',
    `The body is not JSON: ${message} at line ${line}, column ${column}.`,
    {
      members: { offset, line, column },
    },
  );
}

function notUtf8(body: Buffer): ClockworkError {
  const text = body.toString('utf8');
  const back = Buffer.from(text, 'utf8');
  const first = back.findIndex((byte, index) => byte !== body[index]);
  const before = body.toString('utf8', 0, first < 0 ? back.byteLength : first).replace(/\ufffd+$/, '');
  return invalidJson(placeOf(before, before.length, 'bytes that are not UTF-8'));
}

function placeOf(text: string, offset: number, message: string): JsonFault {
  const before = text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n'), message };
}

/** `type/subtype` in lower case. */
export function mediaTypeOf(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

export function isJson(mediaType: string): boolean {
  return mediaType === 'application/json' || mediaType.endsWith('+json') || mediaType === 'text/json';
}

function isText(mediaType: string): boolean {
  if (mediaType.startsWith('text/') || TEXT_TYPES.has(mediaType)) return true;
  return mediaType.endsWith('+xml') || mediaType.endsWith('+yaml');
}

/** No charset is named, or one that UTF-8 covers. */
function isUnicode(contentType: string): boolean {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType) ?? [];
  return /^(utf-?8|us-ascii)$/i.test(charset);
}
