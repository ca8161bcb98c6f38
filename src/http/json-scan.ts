/**
 * Finds values inside JSON by their place in the text, so that a body inside a bigger document is kept as the
 * text it came as: 2^53+1, `1.0`, duplicate keys and white space survive, which parsing and writing would lose.
 *
 * All functions take text that `JSON.parse` has accepted and check nothing again. None recurses, so depth costs
 * no stack.
 */

/** From `start` up to and without `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The one value that `text` holds, without the white space around it. */
export function rootSpan(text: string): Span {
  const start = skipSpace(text, 0);
  return { start, end: endOfValue(text, start) };
}

/**
 * The values of the object at `span` by key. Of doubles the last counts, as it does for `JSON.parse`; empty when
 * there is no object.
 */
export function membersOf(text: string, span: Span): Map<string, Span> {
  const members = new Map<string, Span>();
  if (text.charCodeAt(span.start) !== OPEN_BRACE) return members;
  let at = skipSpace(text, span.start + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const key = text.slice(at, keyEnd);
    const colon = skipSpace(text, keyEnd);
    const start = skipSpace(text, colon + 1);
    const end = endOfValue(text, start);
    members.set(key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1), { start, end });
    at = afterComma(text, end);
  }
  return members;
}

/** The elements of the array at `span`, in order; empty when there is no array. */
export function elementsOf(text: string, span: Span): Span[] {
  const elements: Span[] = [];
  if (text.charCodeAt(span.start) !== OPEN_BRACKET) return elements;
  let at = skipSpace(text, span.start + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    elements.push({ start: at, end });
    at = afterComma(text, end);
  }
  return elements;
}

/** How deep arrays and objects are nested: 0 for a number, 1 for `[]`. Stops counting above `max`. */
export function depthOf(text: string, max: number): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (deepest > max) return deepest;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
  }
  return deepest;
}

/** Past the white space, the comma if there is one, and the white space behind it. */
function afterComma(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function endOfValue(text: string, start: number): number {
  const code = text.charCodeAt(start);
  if (code === QUOTE) return endOfString(text, start);
  if (code === OPEN_BRACE || code === OPEN_BRACKET) return endOfContainer(text, start);
  let at = start + 1;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at;
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
}

/** Behind the quote that ends the string whose first quote is at `start`: the next one that is not escaped. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); ; quote = text.indexOf('"', quote + 1)) {
    let first = quote;
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
}
