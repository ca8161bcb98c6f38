/**
 * The store on Redis 7 or newer, or Valkey: each transition is one Lua script on the keys of one partition. What the
 * scripts mean is what `decide` and `apply` in event/ mean; README.md beside this file says how it is done.
 */
import { randomUUID } from 'node:crypto';
import type {
  AbandonCommand,
  AbandonResult,
  AcceptCommand,
  AcceptResult,
  AttemptView,
  CancelResult,
  CompleteCommand,
  CompleteResult,
  DeleteListenerResult,
  EventView,
  ExpireResult,
  ExtendCommand,
  ExtendResult,
  HandBackCommand,
  HandBackResult,
  LeaseCommand,
  LeaseResult,
  ListenerView,
  ListQuery,
  ListResult,
  ListTypesQuery,
  ListTypesResult,
  PastEnd,
  PruneCommand,
  RedriveState,
  Relay,
  SetListenerCommand,
  SetListenerResult,
  SetRedriveCommand,
  SetRedriveResult,
  SetTypeCommand,
  SetTypeResult,
  SettledEvent,
  SweepResult,
  TreeCounts,
  TypeStats,
  TypeView,
} from '../../event/command.js';
import { partitionOfId } from '../../event/id.js';
import type { KeptRecord, LogRecord, Position } from '../../event/record.js';
import type { NotArchived } from '../../event/unarchived.js';
import {
  type Depths,
  partitionOfType,
  type Recoverable,
  type Standing,
  type Store,
  StoreError,
  type StoreHealth,
  type Wake,
} from '../store.js';
import { acceptBatch } from './accept.js';
import { parseAddress } from './address.js';
import { AppendOnlyFiles } from './append-only-file.js';
import { completeBatch, extendBatch, handBack, type OnAttempt, onAttempt } from './attempt.js';
import { Coalescer } from './coalescer.js';
import { Connection } from './connection.js';
import { depths } from './depths.js';
import { expire, promote } from './expire.js';
import { FullGauge } from './full-gauge.js';
import { abandon, lease } from './lease.js';
import { list } from './list.js';
import { deleteListener, listListeners, type Sweeping, setListener, sweep } from './listeners.js';
import { archivedTo, holdArchiving, hurryArchiving, markArchived, readOutbox } from './outbox.js';
import { OutboxGauge } from './outbox-gauge.js';
import type { Partition } from './partition.js';
import { listTypes, readType, setType, type TypesOptions } from './policies.js';
import { indexedTo, prune, settled } from './prune.js';
import { readAttempts, readBatch, readRequest } from './read.js';
import { Recovery } from './recovery.js';
import { readEnds, readRedrives, setRedrive } from './redrives.js';
import { noteRelayed, readTree, relays } from './relay.js';
import { readServerFacts, type ServerFacts } from './server-facts.js';
import { makePartitions, type RedisStoreOptions, setUp } from './set-up.js';
import { positionOf } from './state-codec.js';
import { typeStats } from './type-stats.js';
import { Wakes } from './wakes.js';

export type { RedisStoreOptions } from './set-up.js';

/** What one script call takes at most. */
const BATCH = { itemsMax: 256, bytesMax: 1 << 20 };
const CANCEL_RESULTS = ['cancelled', 'requested', 'complete', 'unknown'] as const;

interface Lane {
  readonly partition: Partition;
  readonly recovery: Recovery;
  /** Null: there is no limit. */
  readonly outbox: OutboxGauge | null;
  readonly accept: Coalescer<AcceptCommand, AcceptResult>;
  readonly extend: Coalescer<OnAttempt<ExtendCommand>, ExtendResult>;
  readonly complete: Coalescer<OnAttempt<CompleteCommand>, CompleteResult>;
  readonly read: Coalescer<string, EventView | NotArchived | null>;
}

export class RedisStore implements Store, Recoverable {
  readonly #lanes: readonly Lane[];
  /** By partition: how far the deliveries of a listener that was deleted have been ended. */
  readonly #sweeping = new Map<number, Sweeping>();

  /** Resolves when Redis is up and fits: it is waited for. Rejects when it does not fit, with what to change. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const connection = new Connection(parseAddress(options.url), options.logger ?? null);
    const instance = randomUUID();
    const wakes = new Wakes(instance);
    try {
      const partitions = makePartitions(options, connection, instance, wakes);
      const { logId, facts } = await setUp(options, connection, partitions);
      const byChannel = new Map(partitions.map((partition) => [partition.keys.wakeChannel, partition]));
      await connection.subscribe([...byChannel.keys()], (channel, message) => {
        const partition = byChannel.get(channel);
        if (partition) wakes.foreign(partition, message);
      });
      return new RedisStore(logId, options, connection, wakes, partitions, facts);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  readonly #full: FullGauge;
  readonly #files: AppendOnlyFiles;

  private constructor(
    /** That of the log as first seen; of a store that was empty, the one that a new log would get. */
    private firstLogId: string,
    private readonly options: RedisStoreOptions,
    private readonly connection: Connection,
    private readonly wakes: Wakes,
    partitions: readonly Partition[],
    private facts: ServerFacts,
  ) {
    this.#full = new FullGauge(connection);
    this.#files = new AppendOnlyFiles(connection, options.logger ?? null);
    this.#lanes = partitions.map((partition) => this.#laneOf(partition));
    // Behind the same address there may be another server now, or one with other settings.
    connection.onReady(() => void this.#lookAgain());
  }

  get logId(): string {
    return this.#lanes[0]?.partition.logId ?? this.firstLogId;
  }

  get partitions(): number {
    return this.#lanes.length;
  }

  async accept(commands: readonly AcceptCommand[]): Promise<AcceptResult[]> {
    return Promise.all(commands.map((command) => this.#laneOfType(command.type).accept.submit(command)));
  }

  async lease(command: LeaseCommand): Promise<LeaseResult> {
    const { partition } = this.#laneOfType(command.types[0]!);
    const { leaseMs } = this.options.policy;
    return partition.whileOpen('lease', () => lease(partition, command, leaseMs));
  }

  async extend(command: ExtendCommand): Promise<ExtendResult> {
    const item = onAttempt(command);
    const lane = item && this.#lanes[item.partition];
    return lane ? lane.extend.submit(item) : { kind: 'unknown' };
  }

  async complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]> {
    return Promise.all(
      commands.map(async (command): Promise<CompleteResult> => {
        const item = onAttempt(command);
        const lane = item && this.#lanes[item.partition];
        return lane ? lane.complete.submit(item) : { kind: 'unknown' };
      }),
    );
  }

  async handBack(command: HandBackCommand): Promise<HandBackResult> {
    const item = onAttempt(command);
    const lane = item && this.#lanes[item.partition];
    return lane ? handBack(lane.partition, item) : { kind: 'unknown' };
  }

  async abandon(command: AbandonCommand): Promise<AbandonResult> {
    // The leases of one call are of one partition.
    const item = command.leases[0] ? onAttempt(command.leases[0]) : null;
    const lane = item && this.#lanes[item.partition];
    return lane ? abandon(lane.partition, command) : { handedBack: 0 };
  }

  async cancel(id: string): Promise<CancelResult> {
    const partition = this.#partitionOf(id);
    if (!partition) return { kind: 'unknown' };
    const [answer] = await partition.change('cancel', [id]);
    const [code, ...position] = answer as [0 | 1 | 2 | 3, ...number[]];
    const kind = CANCEL_RESULTS[code];
    return kind === 'unknown' ? { kind } : { kind, archive: positionOf(position) };
  }

  async setListener(command: SetListenerCommand): Promise<SetListenerResult> {
    const { partition } = this.#laneOfType(command.type);
    const { typesMax } = this.options.limits;
    return partition.whileOpen('set-listener', () => setListener(partition, command, typesMax));
  }

  async deleteListener(type: string, name: string): Promise<DeleteListenerResult> {
    const { partition } = this.#laneOfType(type);
    return partition.whileOpen('delete-listener', () => deleteListener(partition, type, name));
  }

  async listListeners(type: string): Promise<ListenerView[] | null> {
    const { partition } = this.#laneOfType(type);
    return partition.whileOpen('list-listeners', () => listListeners(partition, type));
  }

  async sweep(number: number, limit: number): Promise<SweepResult> {
    const partition = this.#partition(number);
    const from = this.#sweeping.get(number) ?? null;
    const { next, ...result } = await partition.whileOpen('sweep', () => sweep(partition, from, limit));
    if (next === null) this.#sweeping.delete(number);
    else this.#sweeping.set(number, next);
    return result;
  }

  async expire(partition: number, limit: number): Promise<ExpireResult> {
    return expire(this.#partition(partition), limit, this.options.limits.leaseMsMax);
  }

  async promote(partition: number, limit: number): Promise<number> {
    return promote(this.#partition(partition), limit);
  }

  async settled(partition: number, retentionMs: number, limit: number): Promise<SettledEvent[]> {
    const asked = this.#partition(partition);
    return asked.whileOpen('settled', () => settled(asked, retentionMs, limit));
  }

  async prune(partition: number, command: PruneCommand): Promise<number> {
    return prune(this.#partition(partition), command);
  }

  async indexedTo(partition: number): Promise<number> {
    return indexedTo(this.#partition(partition));
  }

  async relays(partition: number, skip: number, limit: number): Promise<Relay[]> {
    return relays(this.#partition(partition), skip, limit);
  }

  async noteRelayed(partition: number, children: readonly string[]): Promise<number> {
    return noteRelayed(this.#partition(partition), children);
  }

  async readTree(partition: number, root: string): Promise<TreeCounts | null> {
    return readTree(this.#partition(partition), root);
  }

  async setRedrive(command: SetRedriveCommand): Promise<SetRedriveResult> {
    const partition =
      command.kind === 'create' ? this.#laneOfType(command.type).partition : this.#partitionOf(command.id);
    if (!partition) return { kind: 'unknown' };
    return partition.whileOpen('setRedrive', () => setRedrive(partition, command));
  }

  async readRedrives(partition: number, which: 'all' | 'running'): Promise<RedriveState[]> {
    return readRedrives(this.#partition(partition), which);
  }

  async readEnds(partition: number, ids: readonly string[]): Promise<(PastEnd | null)[]> {
    return readEnds(this.#partition(partition), ids);
  }

  async read(id: string): Promise<EventView | NotArchived | null> {
    const partition = partitionOfId(id);
    const lane = partition === null ? undefined : this.#lanes[partition];
    return lane ? lane.read.submit(id) : null;
  }

  async readRequest(id: string): Promise<Uint8Array | NotArchived | null> {
    const partition = this.#partitionOf(id);
    return partition && readRequest(partition, id);
  }

  async readAttempts(id: string): Promise<AttemptView[] | NotArchived | null> {
    const partition = this.#partitionOf(id);
    return partition && readAttempts(partition, id);
  }

  async list(query: ListQuery): Promise<ListResult> {
    return list(
      this.#lanes.map((lane) => lane.partition),
      query,
    );
  }

  async setType(command: SetTypeCommand): Promise<SetTypeResult> {
    return setType(this.#laneOfType(command.type).partition, command, this.#types);
  }

  async readType(type: string): Promise<TypeView | null> {
    return readType(this.#laneOfType(type).partition, type, this.#types);
  }

  async listTypes(query: ListTypesQuery): Promise<ListTypesResult> {
    return listTypes(
      this.#lanes.map(({ partition }) => partition),
      query,
      this.#types,
    );
  }

  async typeStats(type: string): Promise<TypeStats | null> {
    const { partition } = this.#laneOfType(type);
    return partition.whileOpen('type-stats', () => typeStats(partition, type));
  }

  async readOutbox(
    partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
    view?: number,
  ): Promise<LogRecord[]> {
    const asked = this.#partition(partition);
    return asked.whileOpen('readOutbox', () => readOutbox(asked, after, limit, view ?? null));
  }

  async markArchived(partition: number, pos: Position, slot: number, view?: number): Promise<void> {
    return markArchived(this.#partition(partition), pos, slot, view ?? null);
  }

  async archivedTo(partition: number): Promise<{ pos: Position; slot: number } | null> {
    return archivedTo(this.#partition(partition));
  }

  async holdArchiving(partition: number, holder: string, ms: number): Promise<boolean> {
    await this.#untilFilesAreWhole(partition);
    return holdArchiving(this.#partition(partition), holder, ms);
  }

  async hurryArchiving(partition: number): Promise<void> {
    return hurryArchiving(this.#partition(partition));
  }

  async standing(partition: number): Promise<Standing> {
    const { partitions: _, ...standing } = await this.#recovery(partition).standing();
    if (standing.logId !== null) this.firstLogId = standing.logId;
    return standing;
  }

  async beginRecovery(partition: number, epoch: number): Promise<boolean> {
    await this.#untilFilesAreWhole(partition);
    return this.#recovery(partition).begin(epoch, this.partitions);
  }

  async empty(partition: number, epoch: number): Promise<boolean> {
    this.#sweeping.delete(partition);
    return this.#recovery(partition).empty(epoch);
  }

  async replay(
    partition: number,
    epoch: number,
    records: readonly KeptRecord[],
    archived: { pos: Position; slot: number },
  ): Promise<boolean> {
    return this.#recovery(partition).replay(epoch, records, archived);
  }

  async finishRecovery(
    partition: number,
    epoch: number,
    logId: string,
    view: number,
    options = { stayClosed: false },
  ): Promise<boolean> {
    const finished = await this.#recovery(partition).finish(epoch, logId, view, options.stayClosed);
    if (finished) this.firstLogId = logId;
    return finished;
  }

  doubt(partition: number): void {
    this.#partition(partition).closeGate();
  }

  onWake(wake: (wake: Wake) => void): () => void {
    return this.wakes.listen(wake);
  }

  async health(): Promise<StoreHealth> {
    const { durable, notes } = this.facts;
    const about = { kind: 'redis', durable };
    if (!this.connection.ready)
      return { ...about, ready: false, notes: ['Redis is out of reach.', ...notes] };
    try {
      await Promise.all(this.#lanes.map(({ partition }) => partition.learnTypes()));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return { ...about, ready: false, notes: [error.message, ...notes] };
    }
    const full = this.#full.isFull ? ['Redis is nearly full: new events are refused.'] : [];
    const isBehind = this.#lanes.some(({ outbox }) => outbox?.isBehind);
    const behind = isBehind
      ? ['More than OUTBOX_BYTES_MAX waits to be archived: new events are refused.']
      : [];
    return { ...about, ready: true, notes: [...full, ...behind, ...notes] };
  }

  async depths(partition: number): Promise<Depths> {
    return depths(this.#partition(partition));
  }

  async close(): Promise<void> {
    this.#full.stop();
    for (const { outbox } of this.#lanes) outbox?.stop();
    await this.connection.close();
  }

  get #types(): TypesOptions {
    const { policy, limits } = this.options;
    return { policy, typesMax: limits.typesMax };
  }

  #laneOf(partition: Partition): Lane {
    const { limits, outboxBytesMax } = this.options;
    const outbox = outboxBytesMax === undefined ? null : new OutboxGauge(partition, outboxBytesMax);
    const accepting = {
      typesMax: limits.typesMax,
      isFull: () => this.#full.isFull,
      isBehind: () => outbox?.isBehind ?? false,
      onFull: () => this.#full.hitTheLimit(),
    };
    return {
      partition,
      recovery: new Recovery(partition),
      outbox,
      accept: new Coalescer({
        ...BATCH,
        bytesOf: ({ envelope }) => envelope.byteLength,
        run: (commands) => acceptBatch(partition, commands, accepting),
      }),
      extend: new Coalescer({ ...BATCH, bytesOf: () => 0, run: (items) => extendBatch(partition, items) }),
      complete: new Coalescer({
        ...BATCH,
        bytesOf: ({ command }) => completionBytes(command),
        run: (items) => completeBatch(partition, items, limits.typesMax),
      }),
      read: new Coalescer({ ...BATCH, bytesOf: () => 0, run: (ids) => readBatch(partition, ids) }),
    };
  }

  #laneOfType(type: string): Lane {
    return this.#lanes[partitionOfType(type, this.#lanes.length)]!;
  }

  /** Null: no id of ours. */
  #partitionOf(id: string): Partition | null {
    const number = partitionOfId(id);
    return (number === null ? undefined : this.#lanes[number]?.partition) ?? null;
  }

  #partition(number: number): Partition {
    return this.#lane(number).partition;
  }

  #untilFilesAreWhole(partition: number): Promise<void> {
    return this.#files.untilWhole(async () => (await this.#recovery(partition).standing()).open);
  }

  #recovery(number: number): Recovery {
    return this.#lane(number).recovery;
  }

  #lane(number: number): Lane {
    const lane = this.#lanes[number];
    if (!lane) throw new Error(`there is no partition ${number}`);
    return lane;
  }

  async #lookAgain(): Promise<void> {
    try {
      this.facts = await readServerFacts(this.connection);
    } catch {
      // The connection broke again, and will be ready again: that calls this again.
    }
  }
}

function completionBytes({ result, emit = [] }: CompleteCommand): number {
  return emit.reduce((sum, { envelope }) => sum + envelope.byteLength, result.byteLength);
}
