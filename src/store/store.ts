/**
 * The port to where the queue's state lives: one atomic method per transition.
 *
 * The contract, for every adapter:
 *
 * - A method that resolves has happened, durably in the sense of `health().durable`, together with its records
 *   in the outbox; expected outcomes (a stale token, an unknown id) are values. It rejects only with
 *   `StoreError`: `unavailable`, after which it may or may not have happened and the same command may be sent
 *   again, or `recovering`.
 * - Commands carry ids and tokens, so a command repeated is one transition, not two.
 * - Time is the store's own and is read once a transition. Nothing outside compares times with it.
 * - What a read shows is as durable as what a write has promised. Of an event with `archive` durability that is what the
 *   log has: it is shown as it was when its last archived record was made, nobody may lease it before its acceptance is
 *   archived, and what a write answers about it names the position that must be archived before the answer is given.
 * - What a completion emits into other partitions is fixed with it, and accepted there by whoever relays it: see `relays`.
 * - A type lives in one partition, `partitionOfType`; an id names its partition by itself.
 *
 * The meaning of every method is `decide` and `apply` in `event/`; the contract suite in `test/contract` says
 * the same in sentences and runs on every adapter.
 */
import { crc32 } from 'node:zlib';
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
} from '../event/command.js';
import type { KeptRecord, LogRecord, Position } from '../event/record.js';
import type { Sheet } from '../event/sheet.js';
import type { NotArchived } from '../event/unarchived.js';

export type StoreFailure =
  /** Out of reach, or it failed on the way. */
  | 'unavailable'
  /** It is catching up with the log and cannot tell what it knows. */
  | 'recovering';

export class StoreError extends Error {
  constructor(
    readonly failure: StoreFailure,
    readonly operation: string,
    cause: unknown,
  ) {
    super(`${operation}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StoreError';
  }
}

/**
 * What survives when a method has resolved:
 * `memory` nothing but the process; `everysec` a crash of the store's process, and of the machine all but the
 * last second or so; `fsync` a crash of the machine.
 */
export type Durable = 'memory' | 'everysec' | 'fsync';

export interface StoreHealth {
  /** `embedded` or `redis`. */
  readonly kind: string;
  readonly ready: boolean;
  /** Why it is not ready, or what an operator should know; empty when all is well. */
  readonly notes: readonly string[];
  readonly durable: Durable;
}

/** What changed, so that waiting calls can look again. Hints: they may come twice, late or not at all. */
export interface Wake {
  /** Deliveries that became leasable, by type and listener. */
  readonly ready: readonly { readonly type: string; readonly listener: string; readonly count: number }[];
  /** Ids of events that changed. */
  readonly changed: readonly string[];
  /** Partitions whose records have been noted as archived. */
  readonly archived: readonly number[];
  /** Partitions of whose records somebody waits until they are archived. */
  readonly wanted: readonly number[];
}

/** How much a partition holds. What was cancelled while it waited counts until a lease meets it. */
export interface Depths {
  /** Events kept, complete ones included. */
  readonly events: number;
  /** Deliveries that may be leased now; null when there are too many types to look at each. */
  readonly ready: number | null;
  /** Deliveries that wait for a delay or a backoff to be over, or for their events to be archived. */
  readonly delayed: number;
  readonly leased: number;
  /** Records not yet archived. */
  readonly outbox: number;
}

/** With more types than this, nobody counts what is ready in each of them. */
export const DEPTHS_TYPES_MAX = 1_000;

/**
 * `view` is that of the store which the caller has opened. A store that stands at another rejects as `recovering`,
 * in the same atomic step: behind the same address there is another copy of it now, whose records or gaps are not
 * those that the caller speaks of.
 */
export interface Outbox {
  /** Records after `after` (null: from the oldest kept), oldest first, bounded; at least one when there is one. */
  readOutbox(
    partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
    view?: number,
  ): Promise<LogRecord[]>;
  /** Everything up to `pos` is in segment `slot` or before: note it and trim. Idempotent, never goes back. */
  markArchived(partition: number, pos: Position, slot: number, view?: number): Promise<void>;
  /** What `markArchived` last noted. */
  archivedTo(partition: number): Promise<{ pos: Position; slot: number } | null>;
  /**
   * Whether `holder` has the partition's archiving for the next `ms` milliseconds: free, or its own already. It
   * saves work that one process can do for all, and protects nothing: what two archivers do at once is settled
   * by the log's conditional puts.
   */
  holdArchiving(partition: number, holder: string, ms: number): Promise<boolean>;
}

/** How a partition of the store stands, as recovery needs to know it. Told whether or not the gate is open. */
export interface Standing {
  /** Transitions and reads are let through: this run of the store is the one that was opened. */
  readonly open: boolean;
  /** Whose records these are; null when the store is empty (new, or emptied). */
  readonly logId: string | null;
  /** 0 when the store is empty. */
  readonly view: number;
  /** Position of the last record that the state has. */
  readonly last: Position | null;
  readonly archived: { readonly pos: Position; readonly slot: number } | null;
  /** The highest epoch that has begun to recover it; 0 when none has. */
  readonly recovering: number;
}

/** As what a store that is open was opened; whether the log has gone on with it, only the log can tell. */
export interface Claim {
  readonly logId: string;
  readonly view: number;
  /** The last segment that it has noted as archived; 0: none. */
  readonly slot: number;
}

/**
 * A store that can be brought up to the log. Every recovery has an epoch, won in the log. It belongs to the run of
 * the store in which it began: once a higher epoch has begun, or the store has restarted, failed over or been
 * emptied by others, `empty`, `replay` and `finishRecovery` change nothing and resolve to false (another run may lack
 * what was replayed before). Each can be repeated. `holdArchiving` and `archivedTo` work behind a closed gate too.
 */
export interface Recoverable {
  standing(partition: number): Promise<Standing>;
  /** Closes the gate: from now on every other method rejects as `recovering`, on every instance. False: a higher epoch. */
  beginRecovery(partition: number, epoch: number): Promise<boolean>;
  /** Forgets everything of the partition but the epoch, in bounded steps; from the first on it stands as empty. */
  empty(partition: number, epoch: number): Promise<boolean>;
  /**
   * Applies records of the log or of a checkpoint, in order; those up to `standing().last` are passed over. They do not
   * go to the outbox: they are archived, up to `archived`. A checkpoint leaves records out, also its last: then
   * `standing().last` is `archived.pos` all the same.
   *
   * It may be called again before it has answered: what comes later is applied later, and not at all when what came
   * before it was not. With `sheet`, which is the same records, a store need not write them down one by one.
   */
  replay(
    partition: number,
    epoch: number,
    records: readonly KeptRecord[],
    archived: { pos: Position; slot: number },
    sheet?: Sheet,
  ): Promise<boolean>;
  /**
   * The state is that of the log `logId`; positions go on as (view, 1), (view, 2), …; the gate opens for this run. A
   * repeat finds it open, and changes nothing. With `stayClosed` the gate does not open: the store stands as a copy of
   * that view, for another recovery to bring up to the log's end.
   */
  finishRecovery(
    partition: number,
    epoch: number,
    logId: string,
    view: number,
    options?: { readonly stayClosed: boolean },
  ): Promise<boolean>;
  /**
   * The log has gone on with another store. From now on every method behind the gate rejects as `recovering` in this
   * process, until the store has been recovered, or the log has gone on with it again. `standing` does not change.
   */
  doubt(partition: number): void;
}

/** The store when it can be recovered from the log; null when it cannot, and has no gate. */
export function recoverableOf(store: Store): (Store & Recoverable) | null {
  return 'beginRecovery' in store ? (store as Store & Recoverable) : null;
}

export interface Store extends Outbox {
  /** Made at the first start; stands in every segment, so that a store and a log that differ are told apart. */
  readonly logId: string;
  readonly partitions: number;

  /** Results in the order of the commands. One refused command does not sink the others. */
  accept(commands: readonly AcceptCommand[]): Promise<AcceptResult[]>;
  /** Of the types' eligible deliveries the oldest, at most `max`. Does not wait. */
  lease(command: LeaseCommand): Promise<LeaseResult>;
  extend(command: ExtendCommand): Promise<ExtendResult>;
  /** Results in the order of the commands. */
  complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]>;
  handBack(command: HandBackCommand): Promise<HandBackResult>;
  abandon(command: AbandonCommand): Promise<AbandonResult>;
  cancel(id: string): Promise<CancelResult>;
  /** Declares a listener, or declares it otherwise: events from then on are matched by its filter. Makes the type. */
  setListener(command: SetListenerCommand): Promise<SetListenerResult>;
  /** From now on it gets no events; its deliveries are ended by `sweep`. Its name may be declared again, as another. */
  deleteListener(type: string, name: string): Promise<DeleteListenerResult>;
  /** Those that are declared, in the order in which they were; null: there is no such type. */
  listListeners(type: string): Promise<ListenerView[] | null>;
  /** Ends deliveries of listeners that were deleted, having looked at `limit` events at most. */
  sweep(partition: number, limit: number): Promise<SweepResult>;
  /** Ends at most `limit` expired leases of a partition, the longest expired first, or events whose deadline has passed. */
  expire(partition: number, limit: number): Promise<ExpireResult>;
  /** Wakes waiting calls for deliveries whose delay, backoff, or wait to be archived is over. Resolves to how many there were. */
  promote(partition: number, limit: number): Promise<number>;

  /**
   * Events that may leave: settled for at least `retentionMs`, or what is declared of their type instead, and all of their
   * records archived. What had settled before anything was declared leaves by `retentionMs`. The longest settled first,
   * behind them type by type those with a retention of their own, at most `limit` and bounded in bytes; fewer, also none,
   * does not mean that there are no more.
   */
  settled(partition: number, retentionMs: number, limit: number): Promise<SettledEvent[]>;
  /** Forgets events that `settled` has shown, but those that have changed since. Resolves to how many went. */
  prune(partition: number, command: PruneCommand): Promise<number>;
  /** The newest part of the log's index that `prune` was told of, by its slot; 0: none. */
  indexedTo(partition: number): Promise<number>;

  /** Events that were emitted here and are not noted as `relayed`, the longest waiting first, from the place `skip` on; bounded in bytes too. */
  relays(partition: number, skip: number, limit: number): Promise<Relay[]>;
  /** They have been accepted where their types live, and that is archived. Resolves to how many of them that is news of. */
  noteRelayed(partition: number, children: readonly string[]): Promise<number>;
  /** What a partition has of the tree of `root`, the root itself apart; null: nothing. */
  readTree(partition: number, root: string): Promise<TreeCounts | null>;

  /** Makes a job that sends past events again, goes on with one by a step, or cancels it. The work itself is others'. */
  setRedrive(command: SetRedriveCommand): Promise<SetRedriveResult>;
  /** Jobs of a partition, in no order; to ask for those under way costs little when there are none. */
  readRedrives(partition: number, which: 'all' | 'running'): Promise<RedriveState[]>;
  /** Of events of one partition, in their order, what must be known before they are sent again; null: not known here. */
  readEnds(partition: number, ids: readonly string[]): Promise<(PastEnd | null)[]>;

  /** Null: not known. */
  read(id: string): Promise<EventView | NotArchived | null>;
  readRequest(id: string): Promise<Uint8Array | NotArchived | null>;
  /** Oldest first. */
  readAttempts(id: string): Promise<AttemptView[] | NotArchived | null>;
  /** Events whose acceptance is not archived yet are left out. */
  list(query: ListQuery): Promise<ListResult>;

  /** Somebody waits until what has been recorded is archived: whoever archives the partition hears of it as `wanted`. */
  hurryArchiving(partition: number): Promise<void>;

  /** Declares a policy, takes it back, pauses or resumes; holds for every transition after it, on every instance. */
  setType(command: SetTypeCommand): Promise<SetTypeResult>;
  /** Null: there is no such type. */
  readType(type: string): Promise<TypeView | null>;
  listTypes(query: ListTypesQuery): Promise<ListTypesResult>;
  /** Null: there is no such type. The cost does not grow with what is stored. */
  typeStats(type: string): Promise<TypeStats | null>;

  /** Calls `wake` from now on, for changes made here and by other processes; returns how to stop it. */
  onWake(wake: (wake: Wake) => void): () => void;
  health(): Promise<StoreHealth>;
  /** For metrics; the cost does not grow with what is stored. */
  depths(partition: number): Promise<Depths>;
  close(): Promise<void>;
}

/** The partition that a type lives in: the CRC-32 of its name in UTF-8, modulo their number. */
export function partitionOfType(type: string, partitions: number): number {
  return partitions === 1 ? 0 : crc32(type) % partitions;
}
