/** What a decision is made of: the records that must be applied, in order, and the answer to the caller. */
import type { Accepted, LogRecord, OfType, Position, StoreRecord } from '../record.js';
import type { EventState, PartitionState } from '../state.js';
import { newestUnarchived } from '../unarchived.js';

export interface Decision<Result> {
  readonly records: readonly StoreRecord[];
  readonly result: Result;
}

export function refuse<Result>(result: Result): Decision<Result> {
  return { records: [], result };
}

/** What must be archived before `records` of the event may be answered for; null: nothing. */
export function promisedBy(
  { archived }: PartitionState,
  { unarchived }: EventState,
  records: readonly LogRecord[],
): Position | null {
  if (unarchived === null) return null;
  return records.at(-1)?.pos ?? newestUnarchived(unarchived, archived?.pos ?? null);
}

/** What a decision says of a record; the type of a known event is found by its id. */
type Unplaced<R> = R extends Accepted | OfType
  ? Omit<R, 'pos' | 'at'>
  : R extends LogRecord
    ? Omit<R, 'pos' | 'at' | 'type'>
    : never;

type Mutable<R> = { -readonly [Field in keyof R]: R[Field] };

/** Collects the records of one decision and gives them their places in the log. */
export class Recorder {
  readonly records: LogRecord[] = [];
  readonly #declared = new Set<string>();

  constructor(
    private readonly state: PartitionState,
    private readonly now: number,
  ) {}

  /** Takes the object as it is and completes it: a copy took 4 µs, and records are made for each event. */
  add(record: Unplaced<LogRecord>): void {
    const placed = record as Mutable<LogRecord>;
    if (!('type' in record)) placed.type = this.state.events.get(record.id)!.type.name;
    placed.pos = this.nextPosition();
    placed.at = this.now;
    this.records.push(placed);
  }

  /** Makes the type when there is none of this name; false when there are as many types as there may be, unless it has to be. */
  declare(type: string, always = false): boolean {
    const { types, typesByOrdinal, limits } = this.state;
    if (types.has(type) || this.#declared.has(type)) return true;
    const ordinal = typesByOrdinal.length + this.#declared.size;
    if (ordinal >= limits.typesMax && !always) return false;
    this.add({ op: 'typeSet', type, ordinal, version: 0 });
    this.#declared.add(type);
    return true;
  }

  nextPosition(): Position {
    return { view: this.state.view, n: this.state.n + this.records.length + 1 };
  }
}
