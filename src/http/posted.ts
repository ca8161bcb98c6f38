/**
 * Bodies and headers that come inside JSON: the `body` of an event in a bulk request, the `response` of a
 * completion. A body that is JSON is cut out as the text it came as.
 */
import { ClockworkError } from '../errors.js';
import type { BodyEncoding } from '../event/envelope.js';
import { isJson, mediaTypeOf } from './body.js';
import type { HeaderList } from './head.js';
import { isDeep } from './json-depth.js';

export interface PostedBody {
  readonly bytes: Buffer;
  readonly contentType: string | null;
  /** Null: its sender said what the bytes are, not what they mean; look at them. */
  readonly bodyEncoding: BodyEncoding | null;
}

const DEFAULT_TYPE = {
  json: 'application/json',
  text: 'text/plain; charset=utf-8',
  base64: 'application/octet-stream',
} as const;

/**
 * `value` is the body as parsed, `text` as it came. Without `encoding` a body is JSON, except a string under a
 * content type that is not JSON: that is the text itself.
 */
export function readPostedBody(
  value: unknown,
  text: string,
  encoding: BodyEncoding | undefined,
  contentType: string | null,
  jsonDepthMax: number,
): PostedBody {
  const isBareText =
    encoding === undefined &&
    typeof value === 'string' &&
    contentType !== null &&
    !isJson(mediaTypeOf(contentType));
  const how = isBareText ? 'text' : (encoding ?? 'json');
  const type = contentType ?? DEFAULT_TYPE[how];
  if (how === 'json') {
    const bytes = Buffer.from(text, 'utf8');
    return { bytes, contentType: type, bodyEncoding: isDeep(text, jsonDepthMax) ? 'base64' : 'json' };
  }
  if (typeof value !== 'string') {
    throw new ClockworkError('invalid-request', `With bodyEncoding \`${how}\` the body must be a string.`);
  }
  const bytes = how === 'text' ? textBytes(value) : base64Bytes(value);
  return { bytes, contentType: type, bodyEncoding: null };
}

function textBytes(text: string): Buffer {
  if (!/\p{Surrogate}/u.test(text)) return Buffer.from(text, 'utf8');
  throw new ClockworkError('invalid-request', 'The body has half a surrogate pair, which no text can have.');
}

function base64Bytes(text: string): Buffer {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, 'base64');
  throw new ClockworkError('invalid-request', 'The body is not base64 (RFC 4648, section 4, with padding).');
}

const HEADER_NAME = /^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers from an object, names in lower case; throws when one could not be sent. */
export function readPostedHeaders(
  posted: Readonly<Record<string, string | readonly string[]>> | undefined,
  limits: { readonly headersMax: number; readonly headerBytesMax: number },
): HeaderList {
  const headers: [string, string][] = [];
  let bytes = 0;
  for (const [name, values] of Object.entries(posted ?? {})) {
    for (const value of typeof values === 'string' ? [values] : values) {
      if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
        throw new ClockworkError('invalid-request', `The header ${JSON.stringify(name)} cannot be sent.`);
      }
      bytes += name.length + value.length;
      headers.push([name.toLowerCase(), value]);
    }
  }
  if (headers.length > limits.headersMax || bytes > limits.headerBytesMax) {
    const { headersMax, headerBytesMax } = limits;
    throw new ClockworkError(
      'headers-too-large',
      `There are more than ${headersMax} headers or more than ${headerBytesMax} bytes of them.`,
    );
  }
  return headers;
}

export function headerIn(headers: HeaderList, wanted: string): string | null {
  return headers.find(([name]) => name === wanted)?.[1] ?? null;
}
