/**
 * The envelope: the request as it came, sanitised. The head is for people and listeners; the body is kept byte
 * for byte beside it, never parsed and written again, which would lose big numbers, duplicate keys and order.
 */
import { hash } from 'node:crypto';
import { pack, type Unpacked, unpack } from './packed.js';

/**
 * How a body is handed to listeners inside JSON: as the JSON it is, as a string, or as base64. Decided once, when
 * the event is accepted, so that no lease has to look at the body again.
 */
export type BodyEncoding = 'json' | 'text' | 'base64';

export interface EnvelopeHead {
  readonly method: string;
  /** The path as it came, without the query; behind a gateway without the gateway's own prefix. */
  readonly path: string;
  /** Without `?`; empty when there was none. */
  readonly query: string;
  /** In the order they came, redacted. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly clientAddress: string | null;
  readonly contentType: string | null;
  /** Length of the body. */
  readonly bytes: number;
  /** Of the body, hex. */
  readonly sha256: string;
  readonly bodyEncoding: BodyEncoding;
  /** `Event-Version`: version of the payload, the client's business. */
  readonly version: string | null;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** The attributes of a CloudEvent, as they came; null when it was none. */
  readonly cloudEvent: Readonly<Record<string, string | number | boolean>> | null;
}

export type Envelope = Unpacked<EnvelopeHead>;

export function packEnvelope(head: EnvelopeHead, body: Uint8Array): Buffer {
  return pack(head, body);
}

export function unpackEnvelope(packed: Uint8Array): Envelope {
  return unpack<EnvelopeHead>(packed);
}

export function sha256Hex(bytes: Uint8Array | string): string {
  // In one call: without the stream that `createHash` makes, it takes half the time for a body of 1 KB.
  return hash('sha256', bytes, 'hex');
}
