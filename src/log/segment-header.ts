/** The first line of a segment: where it stands in the log, who wrote it, and which records it holds. */
import { formatPosition, type Position, parsePosition } from '../event/record.js';

export const SEGMENT_VERSION = 1;

/** `data` holds records; `fence` holds none and only takes the slot, so that no writer of before may append. */
export type SegmentKind = 'data' | 'fence';

export interface SegmentPlace {
  readonly kind: SegmentKind;
  readonly logId: string;
  readonly partition: number;
  /** How many partitions the log has. */
  readonly partitions: number;
  readonly slot: number;
  /** Goes up each time a writer opens the log. */
  readonly epoch: number;
  /** Of the store that wrote. */
  readonly view: number;
  /** Which process wrote, for people. */
  readonly writer: string;
  /** Of this one segment: by it a writer knows its own. */
  readonly putId: string;
  /** `sha256` of the segment in the slot before; null in the first. */
  readonly previous: string | null;
}

export interface SegmentHeader extends SegmentPlace {
  readonly v: number;
  /** Position of the first record; null when there is none. */
  readonly from: Position | null;
  /** Position of the last record; in a fence that of the last record before it, null when there is none. */
  readonly to: Position | null;
  readonly count: number;
}

export function encodeHeader(header: SegmentHeader): string {
  const { v, kind, logId, partition, partitions, slot, epoch, view, writer, putId, previous, count } = header;
  const from = header.from && formatPosition(header.from);
  const to = header.to && formatPosition(header.to);
  return JSON.stringify({
    v,
    kind,
    logId,
    partition,
    partitions,
    slot,
    epoch,
    view,
    writer,
    putId,
    previous,
    from,
    to,
    count,
  });
}

/** Throws, saying what is wrong, when the line is no header that this reader knows. */
export function decodeHeader(line: string): SegmentHeader {
  const fields = parseObject(line);
  if (fields === null) throw new Error('it has no header');
  if (fields['v'] !== SEGMENT_VERSION) {
    throw new Error(`it is of version ${fields['v']}; this reader knows ${SEGMENT_VERSION}`);
  }
  const kind = fields['kind'];
  if (kind !== 'data' && kind !== 'fence') throw new Error(`it is of the kind ${JSON.stringify(kind)}`);
  return {
    v: SEGMENT_VERSION,
    kind,
    logId: textOf(fields, 'logId'),
    partition: countOf(fields, 'partition'),
    partitions: countOf(fields, 'partitions'),
    slot: countOf(fields, 'slot'),
    epoch: countOf(fields, 'epoch'),
    view: countOf(fields, 'view'),
    writer: textOf(fields, 'writer'),
    putId: textOf(fields, 'putId'),
    previous: fields['previous'] === null ? null : textOf(fields, 'previous'),
    from: positionOf(fields, 'from'),
    to: positionOf(fields, 'to'),
    count: countOf(fields, 'count'),
  };
}

/** The object that a line is, or null when it is none. */
export function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    // Not JSON: the caller says what it should have been.
    return null;
  }
}

function countOf(fields: Record<string, unknown>, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrongField(fields, name);
  return value;
}

function textOf(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw wrongField(fields, name);
  return value;
}

function positionOf(fields: Record<string, unknown>, name: string): Position | null {
  if (fields[name] === null) return null;
  const position = parsePosition(textOf(fields, name));
  if (position === null) throw wrongField(fields, name);
  return position;
}

function wrongField(fields: Record<string, unknown>, name: string): Error {
  return new Error(`its header has ${JSON.stringify(fields[name])} as ${name}`);
}
