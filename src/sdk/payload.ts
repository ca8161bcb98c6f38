/**
 * Types for what an application puts into its events. An application names its types of events once, in an interface, and has
 * bodies and responses checked by its compiler. Nothing of this is there when the program runs: the service takes any body.
 */
import type {
  Event as WireEvent,
  LeasedEvent as WireLeasedEvent,
  Receipt as WireReceipt,
  Response as WireResponse,
} from './wire.js';

export interface Payload {
  readonly request: unknown;
  readonly response: unknown;
}

/** `interface Mine { greeting: { request: { name: string }; response: string } }` is one. */
export type Payloads<P> = { readonly [Type in keyof P]: Payload };
export type AnyPayloads = Readonly<Record<string, Payload>>;

declare const answered: unique symbol;

/** What a submit gives. It remembers, for the compiler, which response its event will have. */
export interface Receipt<Body = unknown> extends WireReceipt {
  readonly [answered]?: Body;
}

/** A listener's response; bytes for a `bodyEncoding` of `base64`. */
export interface EventResponse<Body = unknown> extends Omit<WireResponse, 'body'> {
  readonly body: Body;
}

/** An event as a client sees it, and the tag that tells this state of it from others. */
export interface Event<Body = unknown> extends Omit<WireEvent, 'response'> {
  readonly response: EventResponse<Body> | null;
  readonly etag: string;
}

/** An event as its listener sees it; its body is bytes for a `bodyEncoding` of `base64`. */
export interface LeasedEvent<Body = unknown, Type extends string = string>
  extends Omit<WireLeasedEvent, 'body' | 'type'> {
  readonly type: Type;
  readonly body: Body;
}
