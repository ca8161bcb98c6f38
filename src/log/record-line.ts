/**
 * A record as one line of a segment, and back: JSON that people and query engines can read, from which the very
 * bytes of the record come back. `FORMAT.md` says what the fields are.
 *
 * The packed bytes of a record (head, line feed, body) become an object: the head's fields, then the body as
 * `body` (text) or as `bodyBase64`. The head's text is spliced in as it is: it was made by JSON.stringify, so that
 * parsing and stringifying it again gives the same text.
 */
import { isUtf8 } from 'node:buffer';
import { join, split } from '../event/packed.js';
import {
  formatPosition,
  type KeptOp,
  type KeptRecord,
  type LogOp,
  type LogRecord,
  parsePosition,
} from '../event/record.js';
import { fieldsText } from '../event/record-text.js';

/** Under what name each operation carries its packed bytes, null for those that have none. */
export const PAYLOAD_FIELD: Readonly<Record<KeptOp, 'request' | 'result' | null>> = {
  typeSet: null,
  accepted: 'request',
  granted: null,
  handedBack: null,
  retried: 'result',
  completed: 'result',
  emitted: 'request',
  relayed: null,
  dead: 'result',
  cancelRequested: null,
  cancelled: null,
  deadlinePassed: null,
  late: 'result',
  pruned: null,
  listenerSet: null,
  listenerGone: null,
  listenerSwept: null,
  redriveSet: null,
  unsubscribed: null,
  keyKept: null,
  indexed: null,
  defaultLeased: null,
};

/** Every operation that a line of the log can have. */
export const LOG_OPS = (Object.keys(PAYLOAD_FIELD) as readonly KeptOp[]).filter(isOfLog);

const OP = '"op":"';
const BODY_TEXT = '"body":"';
const BODY_BASE64 = '"bodyBase64":"';

/** A body whose text would grow beyond this by escapes is binary to people, whatever its bytes say. */
const ESCAPED_GROWTH_MAX = 2;

/** The record's line, without the line feed. */
export function encodeRecord(record: KeptRecord): string {
  const { pos, at, op } = record;
  const fields = `{"pos":"${formatPosition(pos)}","at":${at},"op":"${op}"${fieldsText(record)}`;
  if (!('payload' in record)) return `${fields}}`;
  const { payload } = record;
  return `${fields},"${PAYLOAD_FIELD[op]}":${payload === null ? 'null' : encodePacked(payload)}}`;
}

/**
 * Throws when the line is none that `encodeRecord` wrote; the segment's hash is what guards against damage.
 *
 * What a client has sent is cut out of the line and not parsed: its keys may be anything, and the bytes must come back.
 */
export function decodeRecord(line: string): LogRecord {
  const record = decodeKeptRecord(line);
  if (isLogRecord(record)) return record;
  throw new Error(`an operation that stands in checkpoints only: ${record.op}`);
}

/** As `decodeRecord`, of a line of a checkpoint. */
export function decodeKeptRecord(line: string): KeptRecord {
  const named = opIn(line);
  const payloadField = named === null ? null : PAYLOAD_FIELD[named];
  const split = payloadField === null ? null : splitLine(line, payloadField);
  const parsed: unknown = JSON.parse(split?.fields ?? line);
  if (!isObject(parsed)) throw new Error('a record that is no object');
  const { pos: posText, op } = parsed;
  const pos = typeof posText === 'string' ? parsePosition(posText) : null;
  if (pos === null) throw new Error(`a record without a position: ${JSON.stringify(posText)}`);
  if (named === null || op !== named)
    throw new Error(`an operation that is not known: ${JSON.stringify(op)}`);
  // The object that was parsed becomes the record: to copy it takes as long as to parse it.
  parsed['pos'] = pos;
  if (payloadField === null) return parsed as unknown as KeptRecord;
  if (split !== null) {
    parsed['payload'] = decodePacked(split.packed);
    return parsed as unknown as KeptRecord;
  }
  const { [payloadField]: packed, ...rest } = parsed;
  if (packed !== null) throw new Error(`a record without its ${payloadField}`);
  return { ...rest, payload: null } as unknown as KeptRecord;
}

function encodePacked(packed: Uint8Array): string {
  const { headText, body } = split(packed);
  const comma = headText === '{}' ? '' : ',';
  return `${headText.slice(0, -1)}${comma}${encodeBody(body)}}`;
}

function encodeBody(body: Buffer): string {
  if (isUtf8(body)) {
    const text = JSON.stringify(body.toString('utf8'));
    if (text.length <= 2 + ESCAPED_GROWTH_MAX * body.byteLength) return `"body":${text}`;
  }
  return `"bodyBase64":"${body.toString('base64')}"`;
}

/** What the line says that it is, which stands before all that a client may have sent; null when that is none. */
function opIn(line: string): KeptOp | null {
  const start = line.indexOf(OP) + OP.length;
  const op = line.slice(start, line.indexOf('"', start));
  return isKeptOp(op) ? op : null;
}

/**
 * The packed bytes are the last field. No string holds a quotation mark that is not escaped, so the first `,"request":{`
 * of a line is that field and no part of a value, all before it being of the service's making. Null: the field is null.
 */
function splitLine(line: string, name: string): { fields: string; packed: string } | null {
  const key = `,"${name}":{`;
  const at = line.indexOf(key);
  if (at === -1) return null;
  return { fields: `${line.slice(0, at)}}`, packed: line.slice(at + key.length - 1, -1) };
}

/** For the same reason the last key of this name is the body's: what is before it may have such keys, the body cannot. */
function decodePacked(packed: string): Buffer {
  const text = packed.lastIndexOf(BODY_TEXT);
  const base64 = packed.lastIndexOf(BODY_BASE64);
  if (Math.max(text, base64) < 1) throw new Error('a record whose packed bytes lack a body');
  const [at, key] = text > base64 ? [text, BODY_TEXT] : [base64, BODY_BASE64];
  const body: unknown = JSON.parse(packed.slice(at + key.length - 1, -1));
  if (typeof body !== 'string') throw new Error('a record whose body is no text');
  const hasFields = packed[at - 1] === ',';
  const head = `${packed.slice(0, hasFields ? at - 1 : at)}}`;
  return join(head, key === BODY_TEXT ? body : Buffer.from(body, 'base64'));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isKeptOp(op: string): op is KeptOp {
  return Object.hasOwn(PAYLOAD_FIELD, op);
}

function isOfLog(op: KeptOp): op is LogOp {
  return op !== 'keyKept' && op !== 'indexed' && op !== 'defaultLeased';
}

/** Not one of those that stand in checkpoints only. */
export function isLogRecord(record: KeptRecord): record is LogRecord {
  return isOfLog(record.op);
}
