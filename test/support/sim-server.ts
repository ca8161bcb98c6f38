/**
 * A simulated store server in the manner of Redis: the core over a history of transitions, of which a failover keeps
 * any prefix. Its gate is open for the run that was opened and for no other.
 */
import { apply } from '../../src/event/apply.js';
import type { Decision } from '../../src/event/decide/decision.js';
import {
  comparePositions,
  formatPosition,
  type KeptRecord,
  type LogRecord,
  type Position,
} from '../../src/event/record.js';
import { emptyState, type PartitionState } from '../../src/event/state.js';
import { type Standing, StoreError } from '../../src/store/store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';

type Transition =
  | { readonly kind: 'decided'; readonly records: Decision<unknown>['records'] }
  | { readonly kind: 'archived'; readonly pos: Position; readonly slot: number }
  | { readonly kind: 'begun'; readonly epoch: number; readonly run: number }
  | { readonly kind: 'emptied' }
  | {
      readonly kind: 'replayed';
      readonly records: readonly KeptRecord[];
      readonly archived: { readonly pos: Position; readonly slot: number };
    }
  | { readonly kind: 'finished'; readonly logId: string; readonly view: number; readonly run: number };

/** What a server leaves out, for tests of the tests. */
export interface ServerMistakes {
  readonly noGate?: boolean;
  readonly noRunBinding?: boolean;
  readonly noViewOfCaller?: boolean;
}

let runs = 0;

export class SimServer {
  readonly run = ++runs;
  readonly history: Transition[] = [];
  state: PartitionState = emptyState(POLICY, LIMITS);
  /** Positions of the records that the state has. */
  readonly has = new Set<string>();
  /** Up to there it was compared with the log when it was opened: what it lacks has been left out of a checkpoint. */
  coveredTo: Position | null = null;
  /** Recovered, and not yet compared. */
  isFresh = false;
  alive = true;
  /** Records that left the outbox as archived. */
  readonly trimmed: LogRecord[] = [];
  #recovering = 0;
  #recoveringRun: number | null = null;
  #openRun: number | null = null;

  constructor(
    private readonly mistakes: ServerMistakes,
    past: readonly Transition[] = [],
  ) {
    for (const transition of past) this.#do(transition);
    this.isFresh = false;
    this.trimmed.length = 0;
  }

  get open(): boolean {
    return this.mistakes.noGate ? this.#openRun !== null : this.#openRun === this.run;
  }

  /** A server that has the first `kept` transitions, in a run of its own. */
  successor(kept: number): SimServer {
    return new SimServer(this.mistakes, this.history.slice(0, kept));
  }

  /** Everything is gone, and the server runs on. */
  flush(): void {
    this.history.length = 0;
    this.#recovering = 0;
    this.#recoveringRun = null;
    this.#openRun = null;
    this.#forget();
  }

  carryOut<Result>({ records, result }: Decision<Result>): Result {
    if (records.length > 0) this.#do({ kind: 'decided', records });
    return result;
  }

  standing(): Standing {
    const { logId, view, last, archived } = this.state;
    const recovering = this.#recovering;
    if (logId === null) return { open: false, logId, view: 0, last: null, archived: null, recovering };
    return { open: this.open, logId, view, last, archived, recovering };
  }

  begin(epoch: number): boolean {
    if (epoch < this.#recovering) return false;
    this.#do({ kind: 'begun', epoch, run: this.run });
    return true;
  }

  empty(epoch: number): boolean {
    if (!this.#mayRecover(epoch)) return false;
    this.#do({ kind: 'emptied' });
    return true;
  }

  replay(epoch: number, records: readonly KeptRecord[], archived: { pos: Position; slot: number }): boolean {
    if (!this.#mayRecover(epoch)) return false;
    this.#do({ kind: 'replayed', records, archived });
    return true;
  }

  finish(epoch: number, logId: string, view: number): boolean {
    if (!this.#mayRecover(epoch)) return false;
    if (this.open) return true;
    this.#do({ kind: 'finished', logId, view, run: this.run });
    return true;
  }

  readOutbox(after: Position | null, count: number, view: number | undefined): LogRecord[] {
    this.#check('readOutbox', view);
    return this.state.outbox.read(after, { records: count, bytes: 1 << 20 });
  }

  markArchived(pos: Position, slot: number, view: number | undefined): void {
    this.#check('markArchived', view);
    const { archived } = this.state;
    if (archived && comparePositions(pos, archived.pos) <= 0) return;
    this.#do({ kind: 'archived', pos, slot });
  }

  #check(operation: string, view: number | undefined): void {
    const other = view !== undefined && view !== this.state.view && !this.mistakes.noViewOfCaller;
    if (!this.open || other) throw new StoreError('recovering', operation, new Error('the gate is closed'));
  }

  #mayRecover(epoch: number): boolean {
    const sameRun = this.#recoveringRun === this.run || this.mistakes.noRunBinding === true;
    return epoch === this.#recovering && sameRun;
  }

  #do(transition: Transition): void {
    this.history.push(transition);
    const { state } = this;
    switch (transition.kind) {
      case 'decided':
        for (const record of transition.records) {
          apply(state, record);
          if ('pos' in record && record.op !== 'archived') this.has.add(formatPosition(record.pos));
        }
        return;
      case 'archived':
        return this.#archive(transition);
      case 'begun':
        this.#recovering = transition.epoch;
        this.#recoveringRun = transition.run;
        this.#openRun = null;
        return;
      case 'emptied':
        return this.#forget();
      case 'replayed':
        for (const record of transition.records) {
          if (state.last && comparePositions(record.pos, state.last) <= 0) continue;
          apply(state, record);
          this.has.add(formatPosition(record.pos));
        }
        return this.#archive(transition.archived);
      case 'finished':
        apply(state, { op: 'opened', logId: transition.logId, view: transition.view });
        this.#openRun = transition.run;
        this.coveredTo = state.archived?.pos ?? null;
        this.isFresh = true;
        return;
    }
  }

  #archive({ pos, slot }: { pos: Position; slot: number }): void {
    for (const record of this.state.outbox)
      if (comparePositions(record.pos, pos) <= 0) this.trimmed.push(record);
    apply(this.state, { op: 'archived', pos, slot });
  }

  #forget(): void {
    this.state = emptyState(POLICY, LIMITS);
    this.has.clear();
    this.coveredTo = null;
  }
}
