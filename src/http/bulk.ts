/** Bulk requests: many items in one body, each judged by itself. */
import { ClockworkError } from '../errors.js';
import { isJson, mediaTypeOf, parseJson, parseJsonText } from './body.js';
import { elementsOf, membersOf, rootSpan, type Span } from './json-scan.js';

/** One item: as text, as parsed, and where each of its members stands in the text. */
export interface Item {
  readonly text: string;
  readonly value: unknown;
}

export type ItemOrError = Item | ClockworkError;

const NDJSON = new Set(['application/x-ndjson', 'application/ndjson', 'application/jsonl']);

export interface BulkLimits {
  readonly bulkItemsMax: number;
}

/**
 * The items of `body`; `single` when it was one object. Throws when there is no telling where the items are.
 */
export function readItems(
  body: Buffer,
  contentType: string | undefined,
  limits: BulkLimits,
): { items: readonly ItemOrError[]; single: boolean } {
  const mediaType = contentType === undefined ? '' : mediaTypeOf(contentType);
  if (NDJSON.has(mediaType)) return { items: readLines(body, limits), single: false };
  if (!isJson(mediaType)) {
    throw new ClockworkError('unsupported-media-type', 'This route takes JSON, NDJSON and CloudEvents.', {
      hint: 'Send `application/json`, `application/x-ndjson` or a CloudEvents type.',
    });
  }
  return readDocument(body, limits);
}

function readDocument(body: Buffer, limits: BulkLimits): { items: readonly ItemOrError[]; single: boolean } {
  const { text, value } = checkedDocument(body);
  const root = rootSpan(text);
  if (text[root.start] !== '[') {
    return { items: [readItem(text.slice(root.start, root.end), value)], single: true };
  }
  const spans = elementsOf(text, root);
  refuseTooMany(spans.length, limits);
  const values = value as readonly unknown[] | undefined;
  const items = spans.map(({ start, end }, index) => readItem(text.slice(start, end), values?.[index]));
  return { items, single: false };
}

/** Without its value when it has unsafe keys: those are each item's own matter, all else is the document's. */
function checkedDocument(body: Buffer): { readonly text: string; readonly value?: unknown } {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof ClockworkError && error.code === 'unsafe-json')
      return { text: body.toString('utf8') };
    throw error;
  }
}

function readLines(body: Buffer, limits: BulkLimits): ItemOrError[] {
  const items: ItemOrError[] = [];
  for (let start = 0, line = 1; start < body.length; line += 1) {
    const feed = body.indexOf(10, start);
    const end = feed < 0 ? body.length : feed;
    const bytes = body.subarray(start, end);
    start = end + 1;
    if (isBlank(bytes)) continue;
    refuseTooMany(items.length + 1, limits);
    items.push(orError(() => parseJson(bytes), line));
  }
  return items;
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** `value` is what `text` was parsed as with the document that it stands in; left out when it has not been. */
function readItem(text: string, value: unknown): ItemOrError {
  return value === undefined ? orError(() => parseJsonText(text), null) : { text, value };
}

function orError(read: () => Item, line: number | null): ItemOrError {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ClockworkError)) throw error;
    // A line of NDJSON is a document of its own: its place is the line's in the body.
    const members = line === null ? error.members : { ...error.members, line };
    return new ClockworkError(error.code, error.detail, {
      members,
      ...(error.hint ? { hint: error.hint } : {}),
    });
  }
}

function refuseTooMany(count: number, { bulkItemsMax }: BulkLimits): void {
  if (count <= bulkItemsMax) return;
  throw new ClockworkError('too-many-items', `The request has more than ${bulkItemsMax} items.`);
}

/** The text of the member at `path` as it came; empty when there is none. */
export function textAt(text: string, path: readonly string[]): string {
  let span: Span | undefined = rootSpan(text);
  for (const key of path) {
    span = span && membersOf(text, span).get(key);
  }
  return span ? text.slice(span.start, span.end) : '';
}

/** What `make` makes of each item; what it throws as an error becomes the item's own. */
export function eachItem<Result>(
  items: readonly ItemOrError[],
  make: (item: Item, index: number) => Result,
): (Result | ClockworkError)[] {
  return items.map((item, index) => {
    if (item instanceof ClockworkError) return item;
    try {
      return make(item, index);
    } catch (error) {
      if (error instanceof ClockworkError) return error;
      throw error;
    }
  });
}
