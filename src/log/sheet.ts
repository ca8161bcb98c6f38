/**
 * Lines as a sheet: their bytes are read once, without a string or an object a record. The records of it are those that
 * `decodeKeptRecord` reads.
 */
import { setImmediate } from 'node:timers/promises';
import type { KeptRecord } from '../event/record.js';
import { recordText } from '../event/record-text.js';
import type { Sheet } from '../event/sheet.js';
import { RUN_BYTES } from './lines.js';
import { decodeKeptRecord, PAYLOAD_FIELD } from './record-line.js';

/** Throws when a line is none that `encodeRecord` wrote. `lines` end with a line feed, each. */
export function sheetOf(lines: Buffer, count: number): Sheet {
  const writer = new SheetWriter(lines, count);
  for (let start = 0; start < lines.byteLength; ) {
    const end = lines.indexOf(LINE_FEED, start);
    writer.add(start, end);
    start = end + 1;
  }
  return writer.finish();
}

/** With the event loop let go from time to time. */
export async function sheetFrom(records: readonly KeptRecord[]): Promise<Sheet> {
  const ends = new Int32Array(records.length);
  const payloads = new Uint8Array(
    records.reduce((sum, record) => sum + (payloadOf(record)?.byteLength ?? 0), 0),
  );
  const texts: string[] = [];
  let length = 0;
  let run = 0;
  for (const record of records) {
    const payload = payloadOf(record);
    const text = recordText(record);
    ends[texts.length] = payload === null ? -1 : length + payload.byteLength;
    texts.push('payload' in record ? `${text.slice(0, -1)},"payload":null}` : text);
    if (payload !== null) payloads.set(payload, length);
    length += payload?.byteLength ?? 0;
    run += text.length + (payload?.byteLength ?? 0);
    if (run < RUN_BYTES) continue;
    run = 0;
    await setImmediate();
  }
  return { fields: encoder.encode(`[${texts.join(',')}]`), payloads, ends };
}

function payloadOf(record: KeptRecord): Uint8Array | null {
  return 'payload' in record ? record.payload : null;
}

const encoder = new TextEncoder();

const LINE_FEED = 10;
const QUOTE = 34;
const COMMA = 44;
const DASH = 45;
const ZERO = 48;
const NINE = 57;
const OPEN = 91;
const BACKSLASH = 92;
const CLOSE = 93;
const U = 117;
const CURLY_CLOSE = 125;
const FIRST_PRINTABLE = 32;

const POS = Buffer.from('{"pos":"');
const VIEW = Buffer.from('{"pos":{"view":');
const N = Buffer.from(',"n":');
const AT = Buffer.from('","at":');
const OP = Buffer.from(',"op":"');
const NO_PAYLOAD = Buffer.from(',"payload":null}');
const BODY_TEXT = Buffer.from('"body":');
const BODY_BASE64 = Buffer.from('"bodyBase64":');
const POSITION_DIGITS_MAX = 15;

/** What stands before the payload of an operation, and what in the place of both when there is none. */
interface PayloadMarks {
  readonly begin: Buffer;
  readonly none: Buffer;
}

const MARKS: ReadonlyMap<string, PayloadMarks | null> = new Map(
  Object.entries(PAYLOAD_FIELD).map(([op, name]) => [
    op,
    name && { begin: Buffer.from(`,"${name}":{`), none: Buffer.from(`,"${name}":null}`) },
  ]),
);

/** What an escape of one letter stands for. */
const ESCAPED = new Uint8Array(256);
for (const [letter, byte] of Object.entries({ '"': 34, '\\': 92, '/': 47, b: 8, f: 12, n: 10, r: 13, t: 9 }))
  ESCAPED[letter.charCodeAt(0)] = byte;

/** A record's fields are longer than in its line by what a position takes more. */
const FIELDS_GROWTH_MAX = 48;

class SheetWriter {
  #fields: Buffer;
  #fieldsLength = 1;
  /** Long enough: no payload is longer than its line. */
  readonly #payloads: Buffer;
  #payloadsLength = 0;
  readonly #ends: Int32Array;
  #count = 0;

  constructor(
    private readonly lines: Buffer,
    count: number,
  ) {
    this.#fields = Buffer.allocUnsafeSlow(lines.byteLength + count * FIELDS_GROWTH_MAX + 2);
    this.#fields[0] = OPEN;
    this.#payloads = Buffer.allocUnsafeSlow(lines.byteLength);
    this.#ends = new Int32Array(count);
  }

  /** The line from `start` up to `end`. */
  add(start: number, end: number): void {
    if (this.#count === this.#ends.length) throw new RangeError('more lines than there should be');
    const [fieldsLength, payloadsLength] = [this.#fieldsLength, this.#payloadsLength];
    if (this.#count > 0) this.#fields[this.#fieldsLength++] = COMMA;
    if (!this.#addQuickly(start, end)) {
      [this.#fieldsLength, this.#payloadsLength] = [fieldsLength, payloadsLength];
      this.#addParsed(decodeKeptRecord(this.lines.toString('utf8', start, end)), end);
    }
    this.#count += 1;
  }

  finish(): Sheet {
    if (this.#count !== this.#ends.length) throw new RangeError('fewer lines than there should be');
    this.#fields[this.#fieldsLength++] = CLOSE;
    const fields = new Uint8Array(this.#fields.subarray(0, this.#fieldsLength));
    const payloads = new Uint8Array(this.#payloads.subarray(0, this.#payloadsLength));
    return { fields, payloads, ends: this.#ends };
  }

  /** False, with something half done, when the line is not as `encodeRecord` writes most of them. */
  #addQuickly(start: number, end: number): boolean {
    const { lines } = this;
    if (!matches(lines, start, POS)) return false;
    const dash = this.#copyNumber(VIEW, start + POS.length);
    if (lines[dash] !== DASH) return false;
    const at = this.#copyNumber(N, dash + 1);
    if (!matches(lines, at, AT)) return false;
    this.#fields[this.#fieldsLength++] = CURLY_CLOSE;
    const marks = MARKS.get(opAt(lines, at + AT.length));
    if (marks === undefined) return false;
    // Behind the quotation mark that ends the position.
    const rest = at + 1;
    if (marks === null) {
      this.#copyFields(rest, end);
      this.#ends[this.#count] = -1;
      return true;
    }
    if (matches(lines, end - marks.none.length, marks.none)) {
      this.#copyFields(rest, end - marks.none.length);
      this.#append(NO_PAYLOAD);
      this.#ends[this.#count] = -1;
      return true;
    }
    const begin = lines.indexOf(marks.begin, rest);
    if (begin < 0 || begin >= end) return false;
    this.#copyFields(rest, begin);
    this.#append(NO_PAYLOAD);
    if (!this.#copyPacked(begin + marks.begin.length - 1, end - 1)) return false;
    this.#ends[this.#count] = this.#payloadsLength;
    return true;
  }

  /** `name` and the number at `from`; where that ends. No room is made: there is enough for two. */
  #copyNumber(name: Buffer, from: number): number {
    const { lines } = this;
    let end = from;
    while (isDigit(lines[end]!)) end += 1;
    // JSON knows no number that begins with a zero, but zero itself.
    if (end === from || end - from > POSITION_DIGITS_MAX || (lines[from] === ZERO && end - from > 1))
      return -1;
    this.#append(name);
    this.#copyFields(from, end);
    return end;
  }

  #append(bytes: Buffer): void {
    const fields = this.#fields;
    let at = this.#fieldsLength;
    for (let index = 0; index < bytes.length; index += 1) fields[at++] = bytes[index]!;
    this.#fieldsLength = at;
  }

  #copyFields(from: number, to: number): void {
    this.lines.copy(this.#fields, this.#fieldsLength, from, to);
    this.#fieldsLength += to - from;
  }

  /** The packed bytes that stand as an object from `from` up to `to`: its head, a line feed, its body. */
  #copyPacked(from: number, to: number): boolean {
    const { lines } = this;
    if (lines[to - 1] !== CURLY_CLOSE || lines[to - 2] !== QUOTE) return false;
    const bodyEnd = to - 2;
    const bodyStart = openingQuote(lines, bodyEnd - 1, from) + 1;
    if (bodyStart === 0) return false;
    const isText = matches(lines, bodyStart - 1 - BODY_TEXT.length, BODY_TEXT);
    if (!isText && !matches(lines, bodyStart - 1 - BODY_BASE64.length, BODY_BASE64)) return false;
    const key = bodyStart - 1 - (isText ? BODY_TEXT : BODY_BASE64).length;
    if (key <= from) return false;
    const headEnd = lines[key - 1] === COMMA ? key - 1 : key;
    lines.copy(this.#payloads, this.#payloadsLength, from, headEnd);
    this.#payloadsLength += headEnd - from;
    this.#payloads[this.#payloadsLength++] = CURLY_CLOSE;
    this.#payloads[this.#payloadsLength++] = LINE_FEED;
    if (isText) return this.#copyText(bodyStart, bodyEnd);
    const body = lines.toString('latin1', bodyStart, bodyEnd);
    if (body.includes('\\')) return false;
    this.#payloadsLength += this.#payloads.write(body, this.#payloadsLength, 'base64');
    return true;
  }

  /** What is between the quotation marks of a JSON string; its bytes are fewer than those that they are written as. */
  #copyText(from: number, to: number): boolean {
    const { lines } = this;
    const payloads = this.#payloads;
    let length = this.#payloadsLength;
    let at = from;
    for (; at < to; at += 1) {
      let byte = lines[at]!;
      if (byte < FIRST_PRINTABLE) return false;
      if (byte === BACKSLASH) {
        at += 1;
        if (lines[at] === U) return this.#copyParsedText(from, to);
        byte = ESCAPED[lines[at]!]!;
        if (byte === 0) return false;
      }
      payloads[length++] = byte;
    }
    this.#payloadsLength = length;
    return at === to;
  }

  #copyParsedText(from: number, to: number): boolean {
    const text = JSON.parse(this.lines.toString('utf8', from - 1, to + 1)) as string;
    this.#payloadsLength += this.#payloads.write(text, this.#payloadsLength);
    return true;
  }

  #addParsed(record: KeptRecord, end: number): void {
    const payload = 'payload' in record ? record.payload : null;
    const fields = Buffer.from(JSON.stringify(payload === null ? record : { ...record, payload: null }));
    this.#makeRoom(fields.byteLength + 1, end);
    if (this.#count > 0) this.#fields[this.#fieldsLength++] = COMMA;
    this.#append(fields);
    if (payload !== null) this.#payloads.set(payload, this.#payloadsLength);
    this.#payloadsLength += payload?.byteLength ?? 0;
    this.#ends[this.#count] = payload === null ? -1 : this.#payloadsLength;
  }

  /** For the fields in hand, which may be longer than their line, and for those of the lines from `from` on. */
  #makeRoom(bytes: number, from: number): void {
    const left = this.#ends.length - this.#count;
    const needed = this.#fieldsLength + bytes + this.lines.byteLength - from + left * FIELDS_GROWTH_MAX + 1;
    if (needed <= this.#fields.byteLength) return;
    const more = Buffer.allocUnsafeSlow(2 * needed);
    more.set(this.#fields.subarray(0, this.#fieldsLength));
    this.#fields = more;
  }
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function matches(lines: Buffer, at: number, bytes: Buffer): boolean {
  if (at < 0) return false;
  for (let index = 0; index < bytes.length; index += 1) if (lines[at + index] !== bytes[index]) return false;
  return true;
}

/** The operation that a line names behind its time, which begins at `at`; empty when that is not how it goes on. */
function opAt(lines: Buffer, at: number): string {
  let start = at;
  while (isDigit(lines[start]!)) start += 1;
  if (!matches(lines, start, OP)) return '';
  start += OP.length;
  let end = start;
  while (end < lines.byteLength && lines[end] !== QUOTE) end += 1;
  return lines.toString('latin1', start, end);
}

/** From `at` back to `first`, the first quotation mark that is not escaped; -1: none. */
function openingQuote(lines: Buffer, at: number, first: number): number {
  for (let place = at; place >= first; place -= 1) {
    if (lines[place] !== QUOTE) continue;
    let before = place - 1;
    while (lines[before] === BACKSLASH) before -= 1;
    if ((place - 1 - before) % 2 === 0) return place;
    place = before + 1;
  }
  return -1;
}
