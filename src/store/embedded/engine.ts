/**
 * What runs under the embedded store: the partition's state, the journal that it is written to, the folder's lock,
 * and the gate. Whatever the store does is a transition here: it decides, applies, appends to the journal, and
 * answers when the journal has synced what the answer reveals.
 */
import fs from 'node:fs';
import { apply } from '../../event/apply.js';
import type { Decision } from '../../event/decide/decision.js';
import type { Policy } from '../../event/policy.js';
import type { KeptRecord, StoreRecord } from '../../event/record.js';
import { releaseArchived, tidy } from '../../event/schedule.js';
import type { Sheet } from '../../event/sheet.js';
import type { Limits, PartitionState } from '../../event/state.js';
import { stilledBy } from '../../event/tree.js';
import { type Standing, StoreError, type StoreHealth } from '../store.js';
import { type Files, nodeFiles } from './files.js';
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

export class Engine {
  readonly state: PartitionState;
  readonly wakes: Wakes;
  /** Every run begins with a closed gate: the log may have more than the folder. */
  #open = false;
  /** Open, and yet nothing goes through: the log has gone on with another store. */
  #doubted = false;
  /** The epoch of the recovery that has begun in this run. */
  #recovering = 0;
  /** What went wrong in it: the records do not follow from each other. */
  #misfit: unknown = null;
  #closing: Promise<void> | null = null;

  private constructor(
    readonly folder: OpenedFolder,
    private readonly lock: FolderLock,
    readonly now: () => number,
  ) {
    this.state = folder.state;
    this.wakes = new Wakes(folder.state);
  }

  /** Throws FolderError when the folder is another's, or damaged. */
  static async open(options: EmbeddedOptions): Promise<Engine> {
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
      return new Engine(folder, lock, now);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async standing(): Promise<Standing> {
    this.assertRunning('standing');
    const { logId, view, last, archived } = this.state;
    const recovering = this.#recovering;
    const open = this.#open;
    await this.folder.journal.tail();
    if (logId === null) return { open: false, logId, view: 0, last: null, archived: null, recovering };
    return { open, logId, view, last, archived, recovering };
  }

  beginRecovery(epoch: number): boolean {
    this.assertRunning('beginRecovery');
    if (epoch < this.#recovering) return false;
    this.#recovering = epoch;
    this.#misfit = null;
    this.#open = false;
    this.folder.compactor.pause();
    return true;
  }

  async finishRecovery(
    epoch: number,
    logId: string,
    view: number,
    { stayClosed }: { readonly stayClosed: boolean },
  ): Promise<boolean> {
    if (this.#open && epoch === this.#recovering) return true;
    const opened = await this.recover('finishRecovery', epoch, () => {
      tidy(this.state);
      this.carryOut({ records: [{ op: 'opened', logId, view }], result: null });
      // What was replayed is archived, however much that is: the first leases need not look for it.
      this.wakes.notePromoted(releaseArchived(this.state, this.now(), Number.POSITIVE_INFINITY).ready);
    });
    if (!opened || epoch !== this.#recovering) return false;
    this.#open = !stayClosed;
    this.#doubted = false;
    this.folder.compactor.resume();
    return true;
  }

  doubt(): void {
    this.#doubted = true;
  }

  health(): Pick<StoreHealth, 'ready' | 'notes'> {
    const { journal, compactor } = this.folder;
    const closed = this.#closedBecause;
    const notes = [journal.failure?.message, closed, compactor.problem].filter(
      (note) => typeof note === 'string',
    );
    return { ready: closed === null && !journal.failure && !this.#closing, notes };
  }

  /** What has been called before ends; what is called after is refused. Rejects when the journal has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.wakes.stop();
    try {
      await this.folder.compactor.stop();
      await this.folder.journal.close();
    } finally {
      await this.lock.release();
    }
  }

  /** Does `act`, or looks, at one time, and answers when all that it did and saw is durable. */
  async transition<Result>(operation: string, act: (now: number) => Result): Promise<Result> {
    this.assertOpen(operation);
    const result = act(this.now());
    await this.folder.journal.tail();
    return result;
  }

  /** False when `epoch` is not that of the recovery under way. Once something did not fit, only a new one goes on. */
  async recover(operation: string, epoch: number, act: () => void): Promise<boolean> {
    this.assertRunning(operation);
    if (this.#open || epoch !== this.#recovering) return false;
    if (this.#misfit !== null) throw this.#misfit;
    try {
      act();
    } catch (error) {
      this.#misfit = error;
      throw error;
    }
    await this.folder.journal.tail();
    return true;
  }

  carryOut<Result>({ records, result }: Decision<Result>): Result {
    for (const record of records) {
      this.#apply(record);
      this.folder.journal.append(record);
    }
    return result;
  }

  /** What happened elsewhere; with `sheet`, which is the same records, they are written down in one piece. */
  takeIn(records: readonly KeptRecord[], sheet?: Sheet): void {
    let taken = 0;
    try {
      for (; taken < records.length; taken += 1) this.#apply(records[taken]!);
    } finally {
      // The journal has what the state has, also when one does not fit.
      if (sheet !== undefined && taken === records.length) this.folder.journal.appendSheet(sheet);
      else for (const record of records.slice(0, taken)) this.folder.journal.append(record);
    }
  }

  #apply(record: StoreRecord): void {
    apply(this.state, record);
    this.wakes.note(record);
    this.wakes.noteChanged(stilledBy(this.state, record));
  }

  /** Whoever archives hears of it when somebody waits for that. */
  wantArchived<Result extends object>(results: Result[]): Result[] {
    if (results.some((result) => 'archive' in result && result.archive !== null)) this.wakes.noteWanted();
    return results;
  }

  assertView(operation: string, view: number | undefined): void {
    if (view === undefined || view === this.state.view) return;
    throw new StoreError('recovering', operation, new Error(`the store has view ${this.state.view}`));
  }

  assertOpen(operation: string): void {
    this.assertRunning(operation);
    const closed = this.#closedBecause;
    if (closed !== null) throw new StoreError('recovering', operation, new Error(closed));
  }

  get #closedBecause(): string | null {
    if (!this.#open) return 'the store waits until it has caught up with the log';
    return this.#doubted ? 'the log has gone on with another store' : null;
  }

  assertRunning(operation: string): void {
    const { failure } = this.folder.journal;
    if (failure) throw failure;
    if (this.#closing) throw new StoreError('unavailable', operation, new Error('the store is closed'));
  }
}
