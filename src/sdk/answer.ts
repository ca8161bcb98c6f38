/** What a handler says, made into the completion that the service is told. */
import { postedItem, type SubmitItem } from './bulk.js';
import { encodeBody, jsonText, postedBody } from './content.js';
import type { AnyPayloads, Payloads } from './payload.js';

/** The answer to an event. An answer of "no" is one too: `outcome: 'fail'` says that nobody could help. */
export interface Answer<Body = unknown, P extends Payloads<P> = AnyPayloads> {
  /** Of a client at the gateway; 200, with `fail` 500, unless said. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Bytes and Blob as they are; a string too when `headers` has a content type; anything else as JSON. */
  readonly body?: Body;
  /** `success` unless said. */
  readonly outcome?: 'success' | 'fail';
  /** What went wrong, for the client to see. */
  readonly errors?: readonly unknown[];
  /** With `fail`: whether it is tried again. `never` unless said. */
  readonly retry?: 'never' | 'policy' | { readonly afterMs: number };
  /** Events that this one brings about: they are accepted together with the answer, or not at all. Not together with a `retry`. */
  readonly emit?: readonly SubmitItem<P>[];
}

const MEMBERS = ['status', 'headers', 'body', 'outcome', 'errors', 'retry', 'emit'];

/** The members of the completion, as JSON without its braces. Throws when the handler gave what is no answer. */
export async function completionText(answer: unknown): Promise<string> {
  if (answer === undefined) return '"outcome":"success"';
  const { outcome = 'success', errors, retry, emit, ...response } = checked(answer);
  const emitted = emit && (await Promise.all(emit.map((item) => postedItem<AnyPayloads>(item))));
  const members = { outcome, errors, retry, response: await responseOf(response), emit: emitted };
  return jsonText(members).slice(1, -1);
}

function checked(answer: unknown): Answer {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    throw new TypeError('The handler returned no answer: { body } is one, and nothing at all.');
  }
  const unknown = Object.keys(answer).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined)
    throw new TypeError(`An answer has no member \`${unknown}\`: put it into its body.`);
  return answer;
}

async function responseOf({ status, headers, body }: Answer): Promise<object | undefined> {
  if (status === undefined && headers === undefined && body === undefined) return undefined;
  const said = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  const encoded = await encodeBody(body, typeof said === 'string' ? said : null);
  const isToldByHeader = said !== undefined || encoded.contentType === null;
  const told = isToldByHeader ? headers : { ...headers, 'content-type': encoded.contentType };
  return { status, headers: told, ...postedBody(encoded, body) };
}

/** Of a handler that threw, or of an event that was refused. */
export function failureText(error: unknown, retry: 'never' | 'policy'): string {
  return jsonText({ outcome: 'fail', errors: [error], retry }).slice(1, -1);
}

/** What the client is shown of an error, unless the listener's owner has another idea. */
export function describeError(error: unknown): unknown {
  return error instanceof Error ? { name: error.name, message: error.message } : { message: String(error) };
}
