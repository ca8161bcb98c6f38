/**
 * The result: what a listener posted with its completion. Like the envelope, a head beside the response's body,
 * which is kept byte for byte.
 */
import type { BodyEncoding } from './envelope.js';
import { pack, type Unpacked, unpack } from './packed.js';
import type { Outcome } from './record.js';

export interface ResultHead {
  readonly outcome: Outcome;
  /** Null when the listener posted no response. */
  readonly response: ResponseHead | null;
  /** JSON values, as posted. */
  readonly errors: readonly unknown[];
}

export interface ResponseHead {
  /** HTTP status for a client that waits at the gateway. */
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Media type of the body; null when there is no body. */
  readonly contentType: string | null;
  readonly bytes: number;
  readonly bodyEncoding: BodyEncoding;
}

export type Result = Unpacked<ResultHead>;

export function packResult(head: ResultHead, body: Uint8Array): Buffer {
  return pack(head, body);
}

export function unpackResult(packed: Uint8Array): Result {
  return unpack<ResultHead>(packed);
}
