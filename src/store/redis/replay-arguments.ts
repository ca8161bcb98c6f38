/** What lua/replay.lua is told: records, which of the keys and bodies each needs, and whole events in one piece. */
import { formatPosition, type KeptRecord, type Position } from '../../event/record.js';
import type { Argument } from './connection.js';
import type { Keys } from './keys.js';
import { writeRecord } from './outbox-codec.js';
import { QueueKeys } from './partition.js';
import { writeCompleted } from './state-codec.js';
import { type Known, type WholeEvent, wholeEventsOf } from './whole-events.js';

const DAY_MS = 86_400_000;

/** A run of records of whole events, as one. */
interface Run {
  readonly day: number;
  readonly ordinals: number[];
  readonly completed: number[];
  readonly scopes: string[];
  readonly entry: RunEntry;
  /** The entry behind its position. */
  readonly written: [view: number, n: number, ...unknown[]];
}

type RunEntry = [
  'Z',
  at: number,
  /** Where the first event of the run stands among the bodies. */
  place: number,
  /** Of the types of those that are accepted, in order. */
  ordinals: readonly number[],
  /** Where the ids of those that are completed stand among the bodies, in order. */
  completed: readonly number[],
  /** Idempotency keys, each with what is remembered under it. */
  scopes: readonly string[],
  /** Of the first record of a whole event among all the records. */
  firstView: number,
  firstN: number,
];

/** `ordinals` learns the types that the records bring. */
export function replayArguments(
  records: readonly KeptRecord[],
  known: Known & { readonly ordinals: Map<string, number> },
  keys: Keys,
): { args: Argument[]; keys: string[] } {
  const written = new Written(known, keys);
  const wholes = wholeEventsOf(records, known);
  for (const [index, record] of records.entries()) {
    const whole = wholes[index];
    if (whole) written.addWhole(record, whole);
    else written.add(record);
  }
  return written.finish();
}

class Written {
  readonly #queues = new QueueKeys();
  readonly #bodies = new Bodies();
  readonly #entries: unknown[] = [];
  /** Where the ids of whole events stand among the bodies. */
  readonly #places = new Map<WholeEvent, number>();
  #firstWhole: Position | null = null;
  #run: Run | null = null;

  constructor(
    private readonly known: Known & { readonly ordinals: Map<string, number> },
    private readonly keys: Keys,
  ) {}

  add(record: KeptRecord): void {
    const { ordinals, now } = this.known;
    this.#run = null;
    if (record.op === 'typeSet') ordinals.set(record.type, record.ordinal);
    const ordinal = this.#ordinalOf(record);
    const { entry, body } = writeRecord(record, ordinal);
    const bodyPlace = body === null ? 0 : this.#bodies.add(body);
    const places = keysOf(record, ordinal, now, this.keys).map((key) => this.#queues.placeOf(key));
    const { view, n } = record.pos;
    const isList = record.op === 'accepted' && record.listeners !== undefined;
    const [first, second, third] = isList ? [places, 0, 0] : [...places, 0, 0, 0];
    this.#entries.push([view, n, entry, bodyPlace, first, second, third]);
  }

  /** `record` is one of the event's. */
  addWhole(record: KeptRecord, whole: WholeEvent): void {
    const run = this.#runOf(record);
    if (record === whole.accepted) this.#addAccepted(run, whole);
    else if (record === whole.completed) run.completed.push(this.#places.get(whole)!);
  }

  finish(): { args: Argument[]; keys: string[] } {
    return { args: [JSON.stringify(this.#entries), ...this.#bodies.asArguments()], keys: this.#queues.list };
  }

  #addAccepted(run: Run, whole: WholeEvent): void {
    const { accepted, granted, completed } = whole;
    const { id, at, idempotency } = accepted;
    const place = this.#bodies.add(id);
    this.#places.set(whole, place);
    if (run.ordinals.length === 0) run.entry[2] = place;
    run.ordinals.push(this.#ordinalOf(accepted));
    if (idempotency) run.scopes.push(idempotency.scope, `${id} ${at} ${idempotency.fingerprint}`);
    this.#bodies.add(writeCompleted(accepted, granted, completed));
    this.#bodies.add(accepted.payload);
    this.#bodies.add(completed.payload);
  }

  /** Idempotency keys are kept by day, so a run has those of one. */
  #runOf(record: KeptRecord): Run {
    const { view, n } = record.pos;
    const day = Math.floor(record.at / DAY_MS);
    if (this.#run === null || (record.op === 'accepted' && day !== this.#run.day)) {
      this.#firstWhole ??= record.pos;
      const [ordinals, completed, scopes]: [number[], number[], string[]] = [[], [], []];
      const { view: firstView, n: firstN } = this.#firstWhole;
      const entry: RunEntry = ['Z', record.at, 0, ordinals, completed, scopes, firstView, firstN];
      const written: [number, number, ...unknown[]] = [view, n, entry, 0, 0, 0, 0];
      this.#entries.push(written);
      this.#run = { day, ordinals, completed, scopes, entry, written };
    }
    // Of the last of them.
    this.#run.written[0] = view;
    this.#run.written[1] = n;
    return this.#run;
  }

  #ordinalOf({ type, pos }: KeptRecord): number {
    const ordinal = this.known.ordinals.get(type);
    if (ordinal !== undefined) return ordinal;
    throw new Error(`record ${formatPosition(pos)} is of a type that the log has not named`);
  }
}

/** One behind the other. To give the client each as an argument of its own takes six times as long. */
class Bodies {
  #bytes = Buffer.allocUnsafe(1 << 20);
  #length = 0;
  readonly #ends: number[] = [];

  /** Its place, counted from 1. */
  add(body: string | Uint8Array): number {
    const isText = typeof body === 'string';
    this.#makeRoom(isText ? 3 * body.length : body.byteLength);
    if (isText) this.#length += this.#bytes.write(body, this.#length);
    else {
      this.#bytes.set(body, this.#length);
      this.#length += body.byteLength;
    }
    return this.#ends.push(this.#length);
  }

  asArguments(): Argument[] {
    return [JSON.stringify(this.#ends), this.#bytes.subarray(0, this.#length)];
  }

  #makeRoom(bytesMax: number): void {
    const needed = this.#length + bytesMax;
    if (needed <= this.#bytes.byteLength) return;
    const more = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.byteLength));
    more.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = more;
  }
}

/** The queues and calls that a record is about, in the order that lua/replay.lua wants. */
function keysOf(record: KeptRecord, ordinal: number, now: number, keys: Keys): string[] {
  switch (record.op) {
    case 'accepted':
      return (record.listeners ?? [0]).map((listener) => keys.fresh(ordinal, listener));
    case 'granted': {
      const queues = [keys.fresh(ordinal, record.listener), keys.again(ordinal, record.listener)];
      // A call is forgotten when its leases are over.
      return record.expiresAt <= now ? queues : [...queues, keys.call(record.call)];
    }
    case 'handedBack':
    case 'retried':
      return [keys.again(ordinal, record.listener)];
    default:
      return [];
  }
}
