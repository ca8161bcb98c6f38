/**
 * Recovery of a partition: what the port's `Recoverable` says, by scripts that do not go through the gate. Each looks by
 * itself whether the recovery is still this one's and the server still in the run in which it began.
 */
import { comparePositions, type KeptRecord, type Position } from '../../event/record.js';
import { type Standing, StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import type { Partition } from './partition.js';
import { replayArguments } from './replay-arguments.js';

/** What one script applies at most, so that it does not keep the others waiting for long. */
const CHUNK_RECORDS = 5_000;
const CHUNK_BYTES = 4 << 20;
const QUEUES_OF_TYPES = 500;

/** What is known of the store that is recovered. */
interface Known {
  readonly epoch: number;
  /** By the server's clock, when the recovery began. */
  readonly now: number;
  readonly ordinals: Map<string, number>;
  /** The last record that it has. */
  last: Position | null;
}

interface Records {
  readonly epoch: number;
  readonly records: readonly KeptRecord[];
  readonly archived: { readonly pos: Position; readonly slot: number };
}

/** Records that are on their way into the store. */
interface Lot {
  /** All of it is sent, or nothing more of it will be. Never rejects. */
  readonly sent: Promise<void>;
  readonly done: Promise<boolean>;
}

export interface PartitionStanding extends Standing {
  /** Null: it was never set up. */
  readonly partitions: number | null;
}

export class Recovery {
  #known: Known | null = null;
  /** The last one, until it is done. */
  #lot: Lot | null = null;

  constructor(private readonly partition: Partition) {}

  async standing(): Promise<PartitionStanding> {
    const reply = (await this.partition.run('standing', [])) as (Buffer | number | null)[];
    const [open, recovering, partitions, logId = null, view, lastView, lastN, ...archived] = reply;
    const [archivedView = null, archivedN, slot] = archived;
    return {
      open: open === 1,
      recovering: Number(recovering ?? 0),
      partitions: partitions === null ? null : Number(partitions),
      logId: logId === null ? null : String(logId),
      view: Number(view ?? 0),
      last: positionOf(lastView, lastN),
      archived:
        archivedView === null ? null : { pos: positionOf(archivedView, archivedN)!, slot: Number(slot) },
    };
  }

  async begin(epoch: number, partitions: number): Promise<boolean> {
    this.#known = null;
    this.partition.closeGate();
    return (await this.#run('begin-recovery', [epoch, partitions])) === 1;
  }

  async empty(epoch: number): Promise<boolean> {
    this.#known = null;
    const { keys } = this.partition;
    const [types, ...pairs] = await this.#empty(epoch, 'first');
    const listeners = new Map<number, number>();
    for (let at = 0; at < pairs.length; at += 2) listeners.set(pairs[at]!, pairs[at + 1]!);
    for (let from = 0; from < types; from += QUEUES_OF_TYPES) {
      const queues: string[] = [];
      for (let ordinal = from; ordinal < Math.min(types, from + QUEUES_OF_TYPES); ordinal += 1)
        for (let listener = 0; listener <= (listeners.get(ordinal) ?? 0); listener += 1)
          queues.push(keys.fresh(ordinal, listener), keys.again(ordinal, listener));
      if ((await this.#empty(epoch, 'queues', queues))[0] < 0) return false;
    }
    return types >= 0 && (await this.#empty(epoch, 'last'))[0] >= 0;
  }

  async #empty(epoch: number, step: string, queues: readonly string[] = []): Promise<[number, ...number[]]> {
    return (await this.#run('empty', [epoch, step], queues)) as [number, ...number[]];
  }

  /** Made ready while the lot before it runs; sent when that is in, so that no trying again can change their order. */
  replay(
    epoch: number,
    records: readonly KeptRecord[],
    archived: { readonly pos: Position; readonly slot: number },
  ): Promise<boolean> {
    const before = this.#lot;
    let noteSent!: () => void;
    const sent = new Promise<void>((resolve) => {
      noteSent = resolve;
    });
    const done = this.#replay({ epoch, records, archived }, before, noteSent).finally(() => {
      noteSent();
      if (this.#lot === lot) this.#lot = null;
    });
    const lot = { sent, done };
    this.#lot = lot;
    return done;
  }

  async #replay(
    { epoch, records, archived }: Records,
    before: Lot | null,
    noteSent: () => void,
  ): Promise<boolean> {
    // What is known by then is what the one before it will have brought.
    await before?.sent;
    const known = await this.#knownOf(epoch);
    const upTo = [archived.pos.view, archived.pos.n, archived.slot];
    let running: Promise<unknown> = before === null ? Promise.resolve(1) : before.done.then(Number);
    // What goes wrong is met by the wait for it.
    running.catch(() => undefined);
    for (const { chunk, isLast } of chunksOf(records)) {
      // Made ready while the one before it runs.
      const { args, keys } = replayArguments(chunk, known, this.partition.keys);
      const head = [...this.partition.head, epoch, ...(isLast ? upTo : ['', '', ''])];
      if ((await running) !== 1) return false;
      running = this.#run('replay', [...head, ...args], keys);
      running.catch(() => undefined);
      known.last = laterOf(known.last, chunk.at(-1)?.pos ?? null);
    }
    noteSent();
    return (await running) === 1;
  }

  async finish(epoch: number, logId: string, view: number, stayClosed: boolean): Promise<boolean> {
    this.#known = null;
    return (await this.#run('finish-recovery', [epoch, logId, view, stayClosed ? 1 : 0])) === 1;
  }

  async #knownOf(epoch: number): Promise<Known> {
    if (this.#known?.epoch !== epoch) {
      const [now, names, view, n] = (await this.#run('recovered-types', [])) as [
        number,
        Buffer[],
        ...unknown[],
      ];
      const ordinals = new Map(names.map((name, ordinal) => [name.toString(), ordinal]));
      this.#known = { epoch, now: Number(now), ordinals, last: positionOf(view, n) };
    }
    return this.#known;
  }

  async #run(name: string, args: readonly Argument[], more: readonly string[] = []): Promise<unknown> {
    try {
      return await this.partition.run(name, args, more);
    } catch (error) {
      if (error instanceof OutOfMemory) throw new StoreError('unavailable', name, error);
      throw error;
    }
  }
}

function laterOf(a: Position | null, b: Position | null): Position | null {
  if (a === null || b === null) return a ?? b;
  return comparePositions(a, b) < 0 ? b : a;
}

function positionOf(view: unknown, n: unknown): Position | null {
  return view === null || view === undefined ? null : { view: Number(view), n: Number(n) };
}

/** At least one, of no records when there are none. */
function* chunksOf(
  records: readonly KeptRecord[],
): IterableIterator<{ chunk: KeptRecord[]; isLast: boolean }> {
  let chunk: KeptRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const weight = 'payload' in record ? (record.payload?.byteLength ?? 0) : 0;
    if (chunk.length > 0 && (chunk.length === CHUNK_RECORDS || bytes + weight > CHUNK_BYTES)) {
      yield { chunk, isLast: false };
      chunk = [];
      bytes = 0;
    }
    chunk.push(record);
    bytes += weight;
  }
  yield { chunk, isLast: true };
}
