/**
 * Recovery of a partition: what the port's `Recoverable` says, by scripts that do not go through the gate. Each looks by
 * itself whether the recovery is still this one's and the server still in the run in which it began.
 */
import { formatPosition, type KeptRecord, type Position } from '../../event/record.js';
import { type Standing, StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import { writeRecord } from './outbox-codec.js';
import { type Partition, QueueKeys } from './partition.js';

/** What one script applies at most, so that it does not keep the others waiting for long. */
const CHUNK_RECORDS = 2_500;
const CHUNK_BYTES = 2 << 20;
const QUEUES_OF_TYPES = 500;

interface Types {
  readonly epoch: number;
  /** By the server's clock, when the recovery began. */
  readonly now: number;
  readonly ordinals: Map<string, number>;
}

export interface PartitionStanding extends Standing {
  /** Null: it was never set up. */
  readonly partitions: number | null;
}

export class Recovery {
  #types: Types | null = null;

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
    this.#types = null;
    this.partition.closeGate();
    return (await this.#run('begin-recovery', [epoch, partitions])) === 1;
  }

  async empty(epoch: number): Promise<boolean> {
    this.#types = null;
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

  async replay(
    epoch: number,
    records: readonly KeptRecord[],
    archived: { readonly pos: Position; readonly slot: number },
  ): Promise<boolean> {
    const types = await this.#typesOf(epoch);
    const upTo = [archived.pos.view, archived.pos.n, archived.slot];
    let running: Promise<unknown> = Promise.resolve(1);
    for (const { chunk, isLast } of chunksOf(records)) {
      // Made ready while the one before it runs.
      const { args, keys } = this.#argumentsOf(chunk, types);
      const head = [...this.partition.head, epoch, ...(isLast ? upTo : ['', '', ''])];
      if ((await running) !== 1) return false;
      running = this.#run('replay', [...head, ...args], keys);
      // What goes wrong is met by the wait for it.
      running.catch(() => undefined);
    }
    return (await running) === 1;
  }

  /** As lua/replay.lua wants them: the records, then the bodies. */
  #argumentsOf(records: readonly KeptRecord[], types: Types): { args: Argument[]; keys: string[] } {
    const { ordinals } = types;
    const queues = new QueueKeys();
    const bodies: Buffer[] = [];
    const written = records.map((record) => {
      if (record.op === 'typeSet') ordinals.set(record.type, record.ordinal);
      const ordinal = ordinals.get(record.type);
      if (ordinal === undefined)
        throw new Error(`record ${formatPosition(record.pos)} is of a type that the log has not named`);
      const { entry, body } = writeRecord(record, ordinal);
      if (body !== null) bodies.push(body);
      const places = this.#keysOf(record, ordinal, types.now).map((key) => queues.placeOf(key));
      const { view, n } = record.pos;
      const isList = record.op === 'accepted' && record.listeners !== undefined;
      const [first, second, third] = isList ? [places, 0, 0] : [...places, 0, 0, 0];
      return [view, n, entry, body === null ? 0 : bodies.length, first, second, third];
    });
    return { args: [JSON.stringify(written), ...bodies], keys: queues.list };
  }

  async finish(epoch: number, logId: string, view: number, stayClosed: boolean): Promise<boolean> {
    this.#types = null;
    return (await this.#run('finish-recovery', [epoch, logId, view, stayClosed ? 1 : 0])) === 1;
  }

  /** The queues and calls that a record is about, in the order that lua/replay.lua wants. */
  #keysOf(record: KeptRecord, ordinal: number, now: number): string[] {
    const { keys } = this.partition;
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

  async #typesOf(epoch: number): Promise<Types> {
    if (this.#types?.epoch !== epoch) {
      const [now, names] = (await this.#run('recovered-types', [])) as [number, Buffer[]];
      const ordinals = new Map(names.map((name, ordinal) => [name.toString(), ordinal]));
      this.#types = { epoch, now: Number(now), ordinals };
    }
    return this.#types;
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
