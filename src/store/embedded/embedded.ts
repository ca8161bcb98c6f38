/**
 * The embedded store: the pure core in memory, over a journal in a folder of its own. One process, one partition,
 * no server.
 *
 * Every operation is the same: decide, apply, append to the journal, and answer when the journal has synced what
 * the answer reveals. Calls that come meanwhile see the state as it is, and wait for the same sync or the next.
 */
import fs from 'node:fs';
import { apply } from '../../event/apply.js';
import type {
  AbandonCommand,
  AbandonResult,
  AcceptCommand,
  AcceptResult,
  AttemptView,
  CancelResult,
  CompleteCommand,
  CompleteResult,
  EventView,
  ExpireResult,
  ExtendCommand,
  ExtendResult,
  HandBackCommand,
  HandBackResult,
  LeaseCommand,
  LeaseResult,
  ListQuery,
  ListResult,
  PruneCommand,
  SettledEvent,
} from '../../event/command.js';
import { decideAccept } from '../../event/decide/accept.js';
import { decideCancel } from '../../event/decide/cancel.js';
import { decideComplete } from '../../event/decide/complete.js';
import type { Decision } from '../../event/decide/decision.js';
import { decideExpire, forgetPast } from '../../event/decide/expire.js';
import { decideExtend } from '../../event/decide/extend.js';
import { decideAbandon, decideHandBack } from '../../event/decide/hand-back.js';
import { decideLease } from '../../event/decide/lease.js';
import { decidePrune, findSettled } from '../../event/decide/prune.js';
import type { Policy } from '../../event/policy.js';
import { comparePositions, type LogRecord, type Position } from '../../event/record.js';
import { promoteDue } from '../../event/schedule.js';
import type { Limits, PartitionState, TypeState } from '../../event/state.js';
import { attemptsOf, viewOf } from '../../event/view.js';
import {
  DEPTHS_TYPES_MAX,
  type Depths,
  type Store,
  StoreError,
  type StoreHealth,
  type Wake,
} from '../store.js';
import { type Files, nodeFiles } from './files.js';
import { listEvents } from './list.js';
import { type FolderLock, lockFolder } from './lock.js';
import { type OpenedFolder, openFolder } from './open.js';
import { Wakes } from './wakes.js';

export interface EmbeddedOptions {
  /** Made when it is not there. */
  readonly dir: string;
  readonly policy: Policy;
  readonly limits: Limits;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly journalFileBytes?: number;
  readonly compactBytesMin?: number;
  readonly files?: Files;
}

const JOURNAL_FILE_BYTES = 16 << 20;
const COMPACT_BYTES_MIN = 64 << 20;
/** Deliveries whose wait is over that one lease moves to their queues at most, so that a great many cannot stop the loop. */
const PROMOTED_BY_LEASE_MAX = 10_000;

export class EmbeddedStore implements Store {
  readonly partitions = 1;
  readonly logId: string;
  readonly #state: PartitionState;
  readonly #wakes: Wakes;
  #archiving: { readonly holder: string; readonly until: number } | null = null;
  #closing: Promise<void> | null = null;

  private constructor(
    private readonly folder: OpenedFolder,
    private readonly lock: FolderLock,
    private readonly now: () => number,
  ) {
    this.logId = folder.logId;
    this.#state = folder.state;
    this.#wakes = new Wakes();
  }

  /** Throws FolderError when the folder is another's, or damaged. */
  static async open(options: EmbeddedOptions): Promise<EmbeddedStore> {
    const { dir, policy, limits, now = Date.now } = options;
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const lock = await lockFolder(dir);
    try {
      const folder = await openFolder({
        dir,
        policy,
        limits,
        now,
        files: options.files ?? nodeFiles,
        journalFileBytes: options.journalFileBytes ?? JOURNAL_FILE_BYTES,
        compactBytesMin: options.compactBytesMin ?? COMPACT_BYTES_MIN,
      });
      return new EmbeddedStore(folder, lock, now);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  accept(commands: readonly AcceptCommand[]): Promise<AcceptResult[]> {
    return this.#transition('accept', (now) =>
      commands.map((command) => this.#carryOut(decideAccept(this.#state, command, now))),
    );
  }

  lease(command: LeaseCommand): Promise<LeaseResult> {
    return this.#transition('lease', (now) => {
      this.#wakes.notePromoted(promoteDue(this.#state, now, PROMOTED_BY_LEASE_MAX));
      return this.#carryOut(decideLease(this.#state, command, now));
    });
  }

  extend(command: ExtendCommand): Promise<ExtendResult> {
    return this.#transition('extend', (now) => this.#carryOut(decideExtend(this.#state, command, now)));
  }

  complete(commands: readonly CompleteCommand[]): Promise<CompleteResult[]> {
    return this.#transition('complete', (now) =>
      commands.map((command) => this.#carryOut(decideComplete(this.#state, command, now))),
    );
  }

  handBack(command: HandBackCommand): Promise<HandBackResult> {
    return this.#transition('handBack', (now) => this.#carryOut(decideHandBack(this.#state, command, now)));
  }

  abandon(command: AbandonCommand): Promise<AbandonResult> {
    return this.#transition('abandon', (now) => this.#carryOut(decideAbandon(this.#state, command, now)));
  }

  cancel(id: string): Promise<CancelResult> {
    return this.#transition('cancel', (now) => this.#carryOut(decideCancel(this.#state, id, now)));
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

  async settled(_partition: number, retentionMs: number, limit: number): Promise<SettledEvent[]> {
    this.#assertOpen('settled');
    const events = findSettled(this.#state, retentionMs, limit, this.now());
    await this.folder.journal.tail();
    return events;
  }

  prune(_partition: number, command: PruneCommand): Promise<number> {
    return this.#transition('prune', (now) => this.#carryOut(decidePrune(this.#state, command, now)));
  }

  async indexedTo(_partition: number): Promise<number> {
    this.#assertOpen('indexedTo');
    const { indexed } = this.#state;
    await this.folder.journal.tail();
    return indexed;
  }

  async read(id: string): Promise<EventView | null> {
    this.#assertOpen('read');
    const event = this.#state.events.get(id);
    if (!event) return null;
    // As it is now, and shown when that is durable; what comes after belongs to another read.
    const view = viewOf(event);
    await this.folder.journal.tailOf(id);
    return view;
  }

  async readRequest(id: string): Promise<Uint8Array | null> {
    this.#assertOpen('readRequest');
    const event = this.#state.events.get(id);
    if (!event) return null;
    await this.folder.journal.tailOf(id);
    return event.envelope;
  }

  async readAttempts(id: string): Promise<AttemptView[] | null> {
    this.#assertOpen('readAttempts');
    const event = this.#state.events.get(id);
    if (!event) return null;
    const attempts = attemptsOf(event);
    await this.folder.journal.tailOf(id);
    return attempts;
  }

  async list(query: ListQuery): Promise<ListResult> {
    this.#assertOpen('list');
    const result = listEvents(this.#state, query);
    await this.folder.journal.tail();
    return result;
  }

  async readOutbox(
    _partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
  ): Promise<LogRecord[]> {
    this.#assertOpen('readOutbox');
    const records = this.#state.outbox.read(after, limit);
    await this.folder.journal.tail();
    return records;
  }

  markArchived(_partition: number, pos: Position, slot: number): Promise<void> {
    return this.#transition('markArchived', () => {
      const { archived } = this.#state;
      if (archived && comparePositions(pos, archived.pos) <= 0) return;
      this.#carryOut({ records: [{ op: 'archived', pos, slot }], result: undefined });
    });
  }

  async archivedTo(_partition: number): Promise<{ pos: Position; slot: number } | null> {
    this.#assertOpen('archivedTo');
    const { archived } = this.#state;
    await this.folder.journal.tail();
    return archived;
  }

  async holdArchiving(_partition: number, holder: string, ms: number): Promise<boolean> {
    this.#assertOpen('holdArchiving');
    const now = this.now();
    const held = this.#archiving;
    if (held && held.holder !== holder && held.until > now && held.until - now <= ms) return false;
    this.#archiving = { holder, until: now + ms };
    return true;
  }

  onWake(wake: (wake: Wake) => void): () => void {
    return this.#wakes.on(wake);
  }

  async health(): Promise<StoreHealth> {
    const { journal, compactor } = this.folder;
    const notes = [journal.failure?.message, compactor.problem].filter((note) => typeof note === 'string');
    const ready = !journal.failure && !this.#closing;
    return { kind: 'embedded', ready, notes, durable: 'fsync' };
  }

  async depths(_partition: number): Promise<Depths> {
    this.#assertOpen('depths');
    const { events, typesByOrdinal, delayed, leasedCount: leased, outbox } = this.#state;
    const few = typesByOrdinal.length <= DEPTHS_TYPES_MAX;
    const ready = few ? typesByOrdinal.reduce((sum, type) => sum + readyIn(type), 0) : null;
    return { events: events.size, ready, delayed: delayed.size, leased, outbox: outbox.length };
  }

  /** What has been called before ends; what is called after is refused. Rejects when the journal has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#wakes.stop();
    try {
      await this.folder.compactor.stop();
      await this.folder.journal.close();
    } finally {
      await this.lock.release();
    }
  }

  /** Does `act` at one time, and answers when all that it did and saw is durable. */
  async #transition<Result>(operation: string, act: (now: number) => Result): Promise<Result> {
    this.#assertOpen(operation);
    const result = act(this.now());
    await this.folder.journal.tail();
    return result;
  }

  #carryOut<Result>({ records, result }: Decision<Result>): Result {
    for (const record of records) {
      apply(this.#state, record);
      this.folder.journal.append(record);
      this.#wakes.note(record);
    }
    return result;
  }

  #assertOpen(operation: string): void {
    const { failure } = this.folder.journal;
    if (failure) throw failure;
    if (this.#closing) throw new StoreError('unavailable', operation, new Error('the store is closed'));
  }
}

function readyIn(type: TypeState): number {
  return type.ready.reduce((sum, queue) => sum + queue.size, 0);
}
