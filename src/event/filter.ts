/**
 * Filters: which events of a type a listener gets. A filter is data that is compared with the envelope, never code or a
 * regular expression, so that it costs what it weighs and cannot be made to run away.
 *
 * All parts of a filter must hold; a filter without parts matches everything.
 */
import type { EnvelopeHead } from './envelope.js';
import { split } from './packed.js';

export type Scalar = string | number | boolean | null;

/** What a JSON body must have at a pointer (RFC 6901): this value, or anything (`exists`), or nothing. */
export type BodyTest =
  | { readonly pointer: string; readonly equals: Scalar }
  | { readonly pointer: string; readonly exists: boolean };

export interface Filter {
  /** One of these, in capitals. */
  readonly method?: readonly string[];
  /** The path as it came: `{name}` stands for one segment, `*` as the last one for all that follow, also for none. */
  readonly path?: string;
  /** One of these, of the payload (`Event-Version`). */
  readonly version?: readonly string[];
  /** By name in lower case: a value that one field of that name has, or true: there is one. */
  readonly header?: Readonly<Record<string, string | true>>;
  readonly body?: readonly BodyTest[];
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$/;
const SEGMENT = /^(?:\{[^{}*]+\}|[^{}*]*)$/;
const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/;

/** Where `filter` is not of the form it must have, as a JSON pointer, and why; null: it is. */
export function filterFault(filter: Filter): { readonly pointer: string; readonly fault: string } | null {
  const method = filter.method?.findIndex((each) => !METHOD.test(each)) ?? -1;
  if (method >= 0) return { pointer: `/method/${method}`, fault: 'is no method in capitals' };
  if (filter.path !== undefined && !isPattern(filter.path)) {
    return {
      pointer: '/path',
      fault: 'must begin with `/`; `{name}` stands for a whole segment, and `*` may be the last one',
    };
  }
  for (const name of Object.keys(filter.header ?? {}))
    if (name !== name.toLowerCase())
      return { pointer: '/header', fault: 'has a name that is not in lower case' };
  const body = filter.body?.findIndex(({ pointer }) => !POINTER.test(pointer)) ?? -1;
  if (body >= 0) return { pointer: `/body/${body}/pointer`, fault: 'is no JSON pointer' };
  return null;
}

function isPattern(path: string): boolean {
  if (!path.startsWith('/')) return false;
  const segments = path.split('/').slice(1);
  const last = segments.length - 1;
  return segments.every((segment, index) => SEGMENT.test(segment) || (segment === '*' && index === last));
}

/** Tells which filters one event matches; head and body are looked into once, and only as far as the filters ask. */
export class Matcher {
  #head: EnvelopeHead | null = null;
  /** Undefined: not looked at yet; null: it is no JSON. */
  #body: { readonly value: unknown } | null | undefined;

  /** `envelope` is packed. */
  constructor(private readonly envelope: Uint8Array) {}

  matches(filter: Filter | null): boolean {
    if (filter === null) return true;
    const { method, path, version, header, body } = filter;
    const { head } = this;
    return (
      (method === undefined || method.includes(head.method)) &&
      (path === undefined || matchesPath(path, head.path)) &&
      (version === undefined || (typeof head.version === 'string' && version.includes(head.version))) &&
      (header === undefined || matchesHeaders(header, head.headers)) &&
      (body === undefined || body.every((test) => this.#matchesBody(test)))
    );
  }

  get head(): EnvelopeHead {
    this.#head ??= JSON.parse(split(this.envelope).headText) as EnvelopeHead;
    return this.#head;
  }

  #matchesBody(test: BodyTest): boolean {
    this.#body ??= this.#readBody();
    if (this.#body === null) return 'exists' in test && !test.exists;
    const found = valueAt(this.#body.value, test.pointer);
    if ('exists' in test) return test.exists === (found !== undefined);
    return found !== undefined && found.value === test.equals;
  }

  #readBody(): { readonly value: unknown } | null {
    // Checked when it was taken: it is JSON, and no deeper than the limit.
    if (this.head.bodyEncoding !== 'json') return null;
    return { value: JSON.parse(split(this.envelope).body.toString('utf8')) };
  }
}

function matchesPath(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  const hasRest = wanted.at(-1) === '*';
  const count = hasRest ? wanted.length - 1 : wanted.length;
  if (hasRest ? given.length < count : given.length !== count) return false;
  for (let index = 0; index < count; index += 1) {
    const segment = wanted[index]!;
    if (segment.startsWith('{') ? given[index] === '' : given[index] !== segment) return false;
  }
  return true;
}

function matchesHeaders(wanted: NonNullable<Filter['header']>, headers: EnvelopeHead['headers']): boolean {
  return Object.entries(wanted).every(([name, value]) =>
    headers.some(([given, text]) => given.toLowerCase() === name && (value === true || text === value)),
  );
}

/** Undefined: there is nothing there. Own members only, so that no key finds what every object has. */
function valueAt(value: unknown, pointer: string): { readonly value: unknown } | undefined {
  let found = value;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null) return undefined;
    if (Array.isArray(found) && !/^(?:0|[1-9]\d*)$/.test(key)) return undefined;
    if (!Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return { value: found };
}
