/**
 * Bodies on their way out and in. What a caller gives is made into bytes or text once, so that every repeat of the call sends the
 * same; what the service says a body is, it becomes: a JSON value, a string, or bytes.
 */
import type { Response as ListenerResponse } from './wire.js';

const JSON_TYPE = 'application/json';

export type Encoded =
  | { readonly kind: 'none'; readonly contentType: string | null }
  | { readonly kind: 'bytes'; readonly body: Uint8Array; readonly contentType: string }
  | { readonly kind: 'text' | 'json'; readonly body: string; readonly contentType: string };

/**
 * Bytes, Blob, FormData and URLSearchParams go as they are, and so does a string that has a content type; all else is sent as JSON,
 * also a string without one.
 */
export async function encodeBody(value: unknown, contentType: string | null): Promise<Encoded> {
  if (value === undefined) return { kind: 'none', contentType };
  if (value instanceof ArrayBuffer) return bytesOf(new Uint8Array(value), contentType);
  if (ArrayBuffer.isView(value)) return bytesOf(viewed(value), contentType);
  if (value instanceof Blob || value instanceof FormData || value instanceof URLSearchParams) {
    const { headers, bytes } = await sent(value);
    return bytesOf(bytes, contentType ?? headers.get('content-type'));
  }
  if (typeof value === 'string' && contentType !== null) return { kind: 'text', body: value, contentType };
  return { kind: 'json', body: jsonText(value), contentType: contentType ?? JSON_TYPE };
}

function bytesOf(body: Uint8Array, contentType: string | null): Encoded {
  return { kind: 'bytes', body, contentType: contentType || 'application/octet-stream' };
}

function viewed({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A form's parts are kept apart by a random boundary: made here once, it is the same in every repeat. */
async function sent(
  value: Blob | FormData | URLSearchParams,
): Promise<{ headers: Headers; bytes: Uint8Array }> {
  const response = new Response(value);
  return { headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/** Throws where `JSON.stringify` would leave a value out in silence. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`A ${typeof value} is no JSON.`);
  return text;
}

/** Members of an item or of a response, inside JSON. */
export interface Posted {
  readonly body?: unknown;
  readonly bodyEncoding?: ListenerResponse['bodyEncoding'];
}

/** An encoded body inside JSON; `value` is what it was made of. */
export function postedBody(encoded: Encoded, value: unknown): Posted {
  switch (encoded.kind) {
    case 'none':
      return {};
    case 'bytes':
      return { body: toBase64(encoded.body), bodyEncoding: 'base64' };
    case 'text':
      return { body: encoded.body, bodyEncoding: 'text' };
    case 'json':
      return { body: value, bodyEncoding: 'json' };
  }
}

/** What came with the encoding that the service gave it. */
export function decodeBody({
  body,
  bodyEncoding,
}: {
  readonly body: unknown;
  readonly bodyEncoding: string;
}): unknown {
  return bodyEncoding === 'base64' && typeof body === 'string' ? fromBase64(body) : body;
}

/** Arguments of one call are limited in number. */
const CHUNK_BYTES = 8_192;

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return btoa(text);
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** A body that was had back: the bytes, and what they are said to be. */
export class Content {
  constructor(
    readonly bytes: Uint8Array,
    readonly contentType: string | null,
  ) {}

  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  json<Value = unknown>(): Value {
    return JSON.parse(this.text()) as Value;
  }
}
