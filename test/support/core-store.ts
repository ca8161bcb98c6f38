/** A store that is the core alone, in memory, on a clock that tests may set: for tests of what stands above it. */

import { apply } from '../../src/event/apply.js';
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
} from '../../src/event/command.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import { decideDeadlines } from '../../src/event/decide/deadline.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideExpire } from '../../src/event/decide/expire.js';
import { decideExtend } from '../../src/event/decide/extend.js';
import { decideAbandon, decideHandBack } from '../../src/event/decide/hand-back.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { decideDeleteListener, decideSetListener, decideSweep } from '../../src/event/decide/listener.js';
import { decidePrune, findSettled } from '../../src/event/decide/prune.js';
import { decideSetRedrive } from '../../src/event/decide/redrive.js';
import { decideRelayed, findRelays } from '../../src/event/decide/relay.js';
import { decideSetType, typeView } from '../../src/event/decide/set-type.js';
import { listenersOf } from '../../src/event/listeners.js';
import { split } from '../../src/event/packed.js';
import type { Policy } from '../../src/event/policy.js';
import type { LogRecord, Position } from '../../src/event/record.js';
import { findEnds, findRedrives } from '../../src/event/redrive.js';
import { promoteDue, releaseArchived } from '../../src/event/schedule.js';
import { type EventState, emptyState, type Limits, type PartitionState } from '../../src/event/state.js';
import { noteAsked, viewStats } from '../../src/event/stats.js';
import { stilledBy, viewTree } from '../../src/event/tree.js';
import type { NotArchived } from '../../src/event/unarchived.js';
import { shownAttempts, shownRequest, shownView } from '../../src/event/view.js';
import { listEvents, listTypes } from '../../src/store/embedded/list.js';
import {
  type Depths,
  type Store,
  StoreError,
  type StoreFailure,
  type StoreHealth,
  type Wake,
} from '../../src/store/store.js';

import { LOG_ID } from './records.js';

const POLICY: Policy = {
  attemptsMax: 5,
  leaseMs: 30_000,
  backoffFirstMs: 500,
  backoffFactor: 2,
  backoffMsMax: 60_000,
  backoffJitter: 0.2,
  retentionMs: 86_400_000,
};
const LIMITS: Limits = { leaseMsMax: 12 * 3_600_000, typesMax: 10_000, bytesMax: 256 * 1024 * 1024 };

export class CoreStore implements Store {
  readonly logId = LOG_ID;
  readonly partitions = 1;
  /** What the clock shows; null: the real one. */
  now: number | null = null;
  /** While set, every method fails like this. */
  failure: StoreFailure | null = null;
  readonly #state;
  readonly #listeners = new Set<(wake: Wake) => void>();

  constructor(settings: { policy?: Partial<Policy>; limits?: Partial<Limits> } = {}) {
    this.#state = emptyState({ ...POLICY, ...settings.policy }, { ...LIMITS, ...settings.limits });
  }

  async accept(commands: readonly AcceptCommand[]): Promise<AcceptResult[]> {
    return commands.map((command) => this.#run((now) => decideAccept(this.#state, command, now)));
  }

  async lease(command: LeaseCommand): Promise<LeaseResult> {
    return this.#run((now) => {
      for (const record of decideDeadlines(this.#state, 1_000, now).records) apply(this.#state, record);
      promoteDue(this.#state, now, 1_000);
      noteAsked(this.#state, command, now);
      return decideLease(this.#state, command, now);
    });
  }

  async extend(command: ExtendCommand): Promise<ExtendResult> {
    return this.#run((now) => decideExtend(this.#state, command, now));
  }

  async complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]> {
    return commands.map((command) => this.#run((now) => decideComplete(this.#state, command, now)));
  }

  async handBack(command: HandBackCommand): Promise<HandBackResult> {
    return this.#run((now) => decideHandBack(this.#state, command, now));
  }

  async abandon(command: AbandonCommand): Promise<AbandonResult> {
    return this.#run((now) => decideAbandon(this.#state, command, now));
  }

  async cancel(id: string): Promise<CancelResult> {
    return this.#run((now) => decideCancel(this.#state, id, now));
  }

  async setListener(command: SetListenerCommand): Promise<SetListenerResult> {
    return this.#run((now) => decideSetListener(this.#state, command, now));
  }

  async deleteListener(type: string, name: string): Promise<DeleteListenerResult> {
    return this.#run((now) => decideDeleteListener(this.#state, type, name, now));
  }

  async listListeners(type: string): Promise<ListenerView[] | null> {
    const known = this.#state.types.get(type);
    return known ? listenersOf(known.listeners) : null;
  }

  async sweep(_partition: number, limit: number): Promise<SweepResult> {
    return this.#run((now) => decideSweep(this.#state, limit, now));
  }

  async expire(_partition: number, limit: number): Promise<ExpireResult> {
    return this.#run((now) => decideExpire(this.#state, limit, now));
  }

  async promote(_partition: number, limit: number): Promise<number> {
    return promoteDue(this.#state, this.#clock(), limit).length;
  }

  async settled(_partition: number, retentionMs: number, limit: number): Promise<SettledEvent[]> {
    return findSettled(this.#state, retentionMs, limit, this.#clock());
  }

  async prune(_partition: number, command: PruneCommand): Promise<number> {
    return this.#run((now) => decidePrune(this.#state, command, now));
  }

  async indexedTo(): Promise<number> {
    return this.#state.indexed;
  }

  async relays(_partition: number, skip: number, limit: number): Promise<Relay[]> {
    return findRelays(this.#state, skip, limit);
  }

  async noteRelayed(_partition: number, children: readonly string[]): Promise<number> {
    return this.#run((now) => decideRelayed(this.#state, children, now));
  }

  async readTree(_partition: number, root: string): Promise<TreeCounts | null> {
    this.#mayFail();
    return viewTree(this.#state, root);
  }

  async setRedrive(command: SetRedriveCommand): Promise<SetRedriveResult> {
    return this.#run((now) => decideSetRedrive(this.#state, command, now));
  }

  async readRedrives(_partition: number, which: 'all' | 'running'): Promise<RedriveState[]> {
    this.#mayFail();
    return findRedrives(this.#state, which);
  }

  async readEnds(_partition: number, ids: readonly string[]): Promise<(PastEnd | null)[]> {
    this.#mayFail();
    return findEnds(this.#state, ids);
  }

  async read(id: string): Promise<EventView | NotArchived | null> {
    const event = this.#event(id);
    return event && shownView(this.#state, event);
  }

  async readRequest(id: string): Promise<Uint8Array | NotArchived | null> {
    const event = this.#event(id);
    return event && shownRequest(this.#state, event);
  }

  async readAttempts(id: string): Promise<AttemptView[] | NotArchived | null> {
    const event = this.#event(id);
    return event && shownAttempts(this.#state, event);
  }

  async list(query: ListQuery): Promise<ListResult> {
    this.#mayFail();
    return listEvents(this.#state, query);
  }

  async setType(command: SetTypeCommand): Promise<SetTypeResult> {
    const result = this.#run((now) => decideSetType(this.#state, command, now));
    const ready = command.kind === 'resume' ? [{ type: command.type, listener: 'default', count: 1 }] : [];
    for (const wake of this.#listeners) wake({ ready, changed: [], archived: [], wanted: [] });
    return result;
  }

  async readType(type: string): Promise<TypeView | null> {
    this.#mayFail();
    const known = this.#state.types.get(type);
    return known ? typeView(known) : null;
  }

  async typeStats(type: string): Promise<TypeStats | null> {
    this.#mayFail();
    const known = this.#state.types.get(type);
    return known ? viewStats(known, this.#clock()) : null;
  }

  async listTypes(query: ListTypesQuery): Promise<ListTypesResult> {
    this.#mayFail();
    return listTypes(this.#state, query);
  }

  onWake(wake: (wake: Wake) => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  async health(): Promise<StoreHealth> {
    return { kind: 'core', ready: this.failure === null, notes: [], durable: 'memory' };
  }

  async depths(): Promise<Depths> {
    this.#mayFail();
    const { events, typesByOrdinal, delayed, leasedCount, outbox } = this.#state;
    const ready = typesByOrdinal.reduce((sum, type) => sum + (type.ready[0]?.size ?? 0), 0);
    return {
      events: events.size,
      ready,
      delayed: delayed.size,
      leased: leasedCount,
      outbox: outbox.length,
    };
  }

  async readOutbox(
    _partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
  ): Promise<LogRecord[]> {
    return this.#state.outbox.read(after, limit);
  }

  /** In tests it stands for whoever archives: everything, unless a position is given. */
  async markArchived(_partition?: number, pos?: Position, slot = 1): Promise<void> {
    const { view, n } = this.#state;
    apply(this.#state, { op: 'archived', pos: pos ?? { view, n }, slot });
    releaseArchived(this.#state, this.#clock(), Number.POSITIVE_INFINITY);
    const names = this.#state.typesByOrdinal.map(({ name }) => name);
    const ready = names.map((type) => ({ type, listener: 'default', count: 1 }));
    for (const wake of this.#listeners) wake({ ready, changed: [], archived: [0], wanted: [] });
  }

  async archivedTo(): Promise<PartitionState['archived']> {
    return this.#state.archived;
  }

  async hurryArchiving(): Promise<void> {}

  async holdArchiving(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {}

  /** The body that is kept for an event. */
  bodyOf(id: string): Buffer {
    return split(this.#event(id)!.envelope).body;
  }

  #event(id: string): EventState | null {
    this.#mayFail();
    return this.#state.events.get(id) ?? null;
  }

  #clock(): number {
    return this.now ?? Date.now();
  }

  #mayFail(): void {
    if (this.failure !== null) throw new StoreError(this.failure, 'test', new Error('as the test wants it'));
  }

  #run<Result>(decide: (now: number) => Decision<Result>): Result {
    this.#mayFail();
    const { records, result } = decide(this.#clock());
    for (const record of records) apply(this.#state, record);
    const ids = new Set(records.flatMap((record) => ('id' in record ? [record.id] : [])));
    const roots = records.flatMap((record) => stilledBy(this.#state, record) ?? []);
    for (const root of roots) ids.add(root);
    if (ids.size > 0) this.#wake([...ids]);
    return result;
  }

  #wake(changed: string[]): void {
    const ready = changed.flatMap((id) => {
      const type = this.#state.events.get(id)?.type.name;
      return type === undefined ? [] : [{ type, listener: 'default', count: 1 }];
    });
    for (const wake of this.#listeners) wake({ ready, changed, archived: [], wanted: [] });
  }
}
