/**
 * The embedded store: the pure core in memory, over a journal in a folder of its own. One process, one partition,
 * no server. Calls that come while another waits for its sync see the state as it is, and wait for the same sync or
 * the next.
 */
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
import { decideAccept } from '../../event/decide/accept.js';
import { decideCancel } from '../../event/decide/cancel.js';
import { decideComplete } from '../../event/decide/complete.js';
import { decideDeadlines } from '../../event/decide/deadline.js';
import type { Decision } from '../../event/decide/decision.js';
import { decideExpire, forgetPast } from '../../event/decide/expire.js';
import { decideExtend } from '../../event/decide/extend.js';
import { decideAbandon, decideHandBack } from '../../event/decide/hand-back.js';
import { decideLease } from '../../event/decide/lease.js';
import { decideDeleteListener, decideSetListener, decideSweep } from '../../event/decide/listener.js';
import { decidePrune, findSettled } from '../../event/decide/prune.js';
import { decideSetRedrive } from '../../event/decide/redrive.js';
import { decideRelayed, findRelays } from '../../event/decide/relay.js';
import { decideSetType, typeView } from '../../event/decide/set-type.js';
import { listenersOf } from '../../event/listeners.js';
import { comparePositions, type KeptRecord, type LogRecord, type Position } from '../../event/record.js';
import { findEnds, findRedrives } from '../../event/redrive.js';
import { promoteDue, releaseArchived } from '../../event/schedule.js';
import type { Sheet } from '../../event/sheet.js';
import type { PartitionState } from '../../event/state.js';
import { noteAsked, viewStats } from '../../event/stats.js';
import { viewTree } from '../../event/tree.js';
import type { NotArchived } from '../../event/unarchived.js';
import { shownAttempts, shownRequest, shownView } from '../../event/view.js';
import type { Depths, Recoverable, Standing, Store, StoreHealth, Wake } from '../store.js';
import { depthsOf } from './depths.js';
import { type EmbeddedOptions, Engine } from './engine.js';
import { listEvents, listTypes } from './list.js';
import type { Wakes } from './wakes.js';

/** Deliveries whose wait is over that one lease moves to their queues at most, so that a great many cannot stop the loop. */
const PROMOTED_BY_LEASE_MAX = 10_000;
/** Likewise events whose deadline has passed. */
const ENDED_BY_LEASE_MAX = 1_000;

export class EmbeddedStore implements Store, Recoverable {
  readonly partitions = 1;
  readonly #state: PartitionState;
  readonly #wakes: Wakes;
  #archiving: { readonly holder: string; readonly until: number } | null = null;

  private constructor(private readonly engine: Engine) {
    this.#state = engine.state;
    this.#wakes = engine.wakes;
  }

  /** That of the log; before there is one, the id that a new log would get. */
  get logId(): string {
    return this.#state.logId ?? this.engine.folder.logId;
  }

  /** Until `finishRecovery` the gate is closed. Throws FolderError when the folder is another's, or damaged. */
  static async open(options: EmbeddedOptions): Promise<EmbeddedStore> {
    return new EmbeddedStore(await Engine.open(options));
  }

  accept(commands: readonly AcceptCommand[]): Promise<AcceptResult[]> {
    return this.#transition('accept', (now) =>
      this.engine.wantArchived(
        commands.map((command) => this.#carryOut(decideAccept(this.#state, command, now))),
      ),
    );
  }

  lease(command: LeaseCommand): Promise<LeaseResult> {
    return this.#transition('lease', (now) => {
      this.#carryOut(decideDeadlines(this.#state, ENDED_BY_LEASE_MAX, now));
      this.#wakes.notePromoted(promoteDue(this.#state, now, PROMOTED_BY_LEASE_MAX));
      const result = this.#carryOut(decideLease(this.#state, command, now));
      if (result.kind === 'leased') noteAsked(this.#state, command, now);
      return result;
    });
  }

  extend(command: ExtendCommand): Promise<ExtendResult> {
    return this.#transition('extend', (now) => this.#carryOut(decideExtend(this.#state, command, now)));
  }

  complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]> {
    return this.#transition('complete', (now) =>
      this.engine.wantArchived(
        commands.map((command) => this.#carryOut(decideComplete(this.#state, command, now))),
      ),
    );
  }

  handBack(command: HandBackCommand): Promise<HandBackResult> {
    return this.#transition('handBack', (now) => this.#carryOut(decideHandBack(this.#state, command, now)));
  }

  abandon(command: AbandonCommand): Promise<AbandonResult> {
    return this.#transition('abandon', (now) => this.#carryOut(decideAbandon(this.#state, command, now)));
  }

  async cancel(id: string): Promise<CancelResult> {
    const [result] = await this.#transition('cancel', (now) =>
      this.engine.wantArchived([this.#carryOut(decideCancel(this.#state, id, now))]),
    );
    return result!;
  }

  setListener(command: SetListenerCommand): Promise<SetListenerResult> {
    return this.#transition('setListener', (now) =>
      this.#carryOut(decideSetListener(this.#state, command, now)),
    );
  }

  deleteListener(type: string, name: string): Promise<DeleteListenerResult> {
    return this.#transition('deleteListener', (now) =>
      this.#carryOut(decideDeleteListener(this.#state, type, name, now)),
    );
  }

  listListeners(type: string): Promise<ListenerView[] | null> {
    return this.#transition('listListeners', () => {
      const known = this.#state.types.get(type);
      return known ? listenersOf(known.listeners) : null;
    });
  }

  sweep(_partition: number, limit: number): Promise<SweepResult> {
    return this.#transition('sweep', (now) => this.#carryOut(decideSweep(this.#state, limit, now)));
  }

  expire(_partition: number, limit: number): Promise<ExpireResult> {
    return this.#transition('expire', (now) => {
      forgetPast(this.#state, now);
      return this.#carryOut(decideExpire(this.#state, limit, now));
    });
  }

  promote(_partition: number, limit: number): Promise<number> {
    return this.#transition('promote', (now) => {
      const promoted = promoteDue(this.#state, now, limit);
      this.#wakes.notePromoted(promoted);
      return promoted.length;
    });
  }

  settled(_partition: number, retentionMs: number, limit: number): Promise<SettledEvent[]> {
    return this.#transition('settled', (now) => findSettled(this.#state, retentionMs, limit, now));
  }

  prune(_partition: number, command: PruneCommand): Promise<number> {
    return this.#transition('prune', (now) => this.#carryOut(decidePrune(this.#state, command, now)));
  }

  indexedTo(_partition: number): Promise<number> {
    return this.#transition('indexedTo', () => this.#state.indexed);
  }

  relays(_partition: number, skip: number, limit: number): Promise<Relay[]> {
    return this.#transition('relays', () => findRelays(this.#state, skip, limit));
  }

  noteRelayed(_partition: number, children: readonly string[]): Promise<number> {
    return this.#transition('noteRelayed', (now) =>
      this.#carryOut(decideRelayed(this.#state, children, now)),
    );
  }

  readTree(_partition: number, root: string): Promise<TreeCounts | null> {
    return this.#transition('readTree', () => viewTree(this.#state, root));
  }

  setRedrive(command: SetRedriveCommand): Promise<SetRedriveResult> {
    return this.#transition('setRedrive', (now) =>
      this.#carryOut(decideSetRedrive(this.#state, command, now)),
    );
  }

  readRedrives(_partition: number, which: 'all' | 'running'): Promise<RedriveState[]> {
    return this.#transition('readRedrives', () => findRedrives(this.#state, which));
  }

  readEnds(_partition: number, ids: readonly string[]): Promise<(PastEnd | null)[]> {
    return this.#transition('readEnds', () => findEnds(this.#state, ids));
  }

  async read(id: string): Promise<EventView | NotArchived | null> {
    this.engine.assertOpen('read');
    const event = this.#state.events.get(id);
    if (!event) return null;
    // As it is now, and shown when that is durable; what comes after belongs to another read.
    const view = shownView(this.#state, event);
    await this.engine.folder.journal.tailOf(id);
    return view;
  }

  async readRequest(id: string): Promise<Uint8Array | NotArchived | null> {
    this.engine.assertOpen('readRequest');
    const event = this.#state.events.get(id);
    if (!event) return null;
    const request = shownRequest(this.#state, event);
    await this.engine.folder.journal.tailOf(id);
    return request;
  }

  async readAttempts(id: string): Promise<AttemptView[] | NotArchived | null> {
    this.engine.assertOpen('readAttempts');
    const event = this.#state.events.get(id);
    if (!event) return null;
    const attempts = shownAttempts(this.#state, event);
    await this.engine.folder.journal.tailOf(id);
    return attempts;
  }

  list(query: ListQuery): Promise<ListResult> {
    return this.#transition('list', () => listEvents(this.#state, query));
  }

  setType(command: SetTypeCommand): Promise<SetTypeResult> {
    return this.#transition('setType', (now) => {
      const result = this.#carryOut(decideSetType(this.#state, command, now));
      if (command.kind === 'resume') this.#wakes.noteResumed(this.#state.types.get(command.type));
      return result;
    });
  }

  readType(type: string): Promise<TypeView | null> {
    return this.#transition('readType', () => {
      const known = this.#state.types.get(type);
      return known ? typeView(known) : null;
    });
  }

  typeStats(type: string): Promise<TypeStats | null> {
    return this.#transition('typeStats', (now) => {
      const known = this.#state.types.get(type);
      return known ? viewStats(known, now) : null;
    });
  }

  listTypes(query: ListTypesQuery): Promise<ListTypesResult> {
    return this.#transition('listTypes', () => listTypes(this.#state, query));
  }

  async readOutbox(
    _partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
    view?: number,
  ): Promise<LogRecord[]> {
    return this.#transition('readOutbox', () => {
      this.engine.assertView('readOutbox', view);
      return this.#state.outbox.read(after, limit);
    });
  }

  markArchived(_partition: number, pos: Position, slot: number, view?: number): Promise<void> {
    return this.#transition('markArchived', (now) => {
      this.engine.assertView('markArchived', view);
      const { archived } = this.#state;
      if (archived && comparePositions(pos, archived.pos) <= 0) return;
      this.#carryOut({ records: [{ op: 'archived', pos, slot }], result: undefined });
      this.#wakes.notePromoted(releaseArchived(this.#state, now, Number.POSITIVE_INFINITY).ready);
    });
  }

  async archivedTo(_partition: number): Promise<{ pos: Position; slot: number } | null> {
    this.engine.assertRunning('archivedTo');
    const { archived } = this.#state;
    await this.engine.folder.journal.tail();
    return archived;
  }

  async holdArchiving(_partition: number, holder: string, ms: number): Promise<boolean> {
    this.engine.assertRunning('holdArchiving');
    const now = this.engine.now();
    const held = this.#archiving;
    if (held && held.holder !== holder && held.until > now && held.until - now <= ms) return false;
    this.#archiving = { holder, until: now + ms };
    return true;
  }

  async hurryArchiving(_partition: number): Promise<void> {
    this.engine.assertRunning('hurryArchiving');
    this.#wakes.noteWanted();
  }

  async standing(_partition: number): Promise<Standing> {
    return this.engine.standing();
  }

  async beginRecovery(_partition: number, epoch: number): Promise<boolean> {
    return this.engine.beginRecovery(epoch);
  }

  empty(_partition: number, epoch: number): Promise<boolean> {
    return this.engine.recover('empty', epoch, () => {
      if (this.#state.last !== null) this.#carryOut({ records: [{ op: 'emptied' }], result: null });
    });
  }

  replay(
    _partition: number,
    epoch: number,
    records: readonly KeptRecord[],
    archived: { pos: Position; slot: number },
    sheet?: Sheet,
  ): Promise<boolean> {
    return this.engine.recover('replay', epoch, () => {
      const { last } = this.#state;
      const lacking = records.filter(({ pos }) => last === null || comparePositions(pos, last) > 0);
      this.engine.takeIn(lacking, lacking.length === records.length ? sheet : undefined);
      this.#carryOut({ records: [{ op: 'archived', ...archived }], result: null });
      // Else the calls of the whole log would be remembered until its end.
      forgetPast(this.#state, this.engine.now());
    });
  }

  finishRecovery(
    _partition: number,
    epoch: number,
    logId: string,
    view: number,
    options = { stayClosed: false },
  ): Promise<boolean> {
    return this.engine.finishRecovery(epoch, logId, view, options);
  }

  doubt(_partition: number): void {
    this.engine.doubt();
  }

  onWake(wake: (wake: Wake) => void): () => void {
    return this.#wakes.on(wake);
  }

  async health(): Promise<StoreHealth> {
    return { kind: 'embedded', ...this.engine.health(), durable: 'fsync' };
  }

  async depths(_partition: number): Promise<Depths> {
    this.engine.assertOpen('depths');
    return depthsOf(this.#state);
  }

  /** What has been called before ends; what is called after is refused. Rejects when the journal has failed. */
  close(): Promise<void> {
    return this.engine.close();
  }

  #transition<Result>(operation: string, act: (now: number) => Result): Promise<Result> {
    return this.engine.transition(operation, act);
  }

  #carryOut<Result>(decision: Decision<Result>): Result {
    return this.engine.carryOut(decision);
  }
}
