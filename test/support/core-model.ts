/** The core with a clock of its own, call by call like a store: what a store's answers are compared with. */
import { apply } from '../../src/event/apply.js';
import type {
  AbandonCommand,
  AcceptCommand,
  CompleteCommand,
  ExtendCommand,
  HandBackCommand,
  LeaseCommand,
  PruneCommand,
  SetListenerCommand,
  SetTypeCommand,
} from '../../src/event/command.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import { decideDeadlines } from '../../src/event/decide/deadline.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideExpire } from '../../src/event/decide/expire.js';
import { decideExtend } from '../../src/event/decide/extend.js';
import { decideAbandon, decideHandBack } from '../../src/event/decide/hand-back.js';
import { decideLease, unsubscribedIn } from '../../src/event/decide/lease.js';
import { decideDeleteListener, decideSetListener, decideSweep } from '../../src/event/decide/listener.js';
import { decidePrune, findSettled } from '../../src/event/decide/prune.js';
import { decideRelayed, findRelays } from '../../src/event/decide/relay.js';
import { decideSetType, typeView } from '../../src/event/decide/set-type.js';
import { listenersOf } from '../../src/event/listeners.js';
import type { Policy } from '../../src/event/policy.js';
import { comparePositions, type LogRecord, type Position, type StoreRecord } from '../../src/event/record.js';
import { promoteDue, releaseArchived } from '../../src/event/schedule.js';
import { emptyState, type Limits, type PartitionState } from '../../src/event/state.js';
import { viewStats } from '../../src/event/stats.js';
import { viewTree } from '../../src/event/tree.js';
import { shownAttempts, shownRequest, shownView } from '../../src/event/view.js';

export class CoreModel {
  readonly state: PartitionState;
  /** All that was ever applied. */
  readonly journal: StoreRecord[] = [];

  constructor(
    policy: Policy,
    limits: Limits,
    public now: number,
  ) {
    this.state = emptyState(policy, limits);
  }

  accept(commands: readonly AcceptCommand[]) {
    return commands.map((command) => this.#run(decideAccept(this.state, command, this.now)));
  }

  lease(command: LeaseCommand) {
    const missing = unsubscribedIn(this.state, command);
    if (missing !== null) return missing;
    this.#run(decideDeadlines(this.state, Number.POSITIVE_INFINITY, this.now));
    promoteDue(this.state, this.now, Number.POSITIVE_INFINITY);
    return this.#run(decideLease(this.state, command, this.now));
  }

  extend(command: ExtendCommand) {
    return this.#run(decideExtend(this.state, command, this.now));
  }

  complete(commands: readonly CompleteCommand[]) {
    return commands.map((command) => this.#run(decideComplete(this.state, command, this.now)));
  }

  handBack(command: HandBackCommand) {
    return this.#run(decideHandBack(this.state, command, this.now));
  }

  abandon(command: AbandonCommand) {
    return this.#run(decideAbandon(this.state, command, this.now));
  }

  cancel(id: string) {
    return this.#run(decideCancel(this.state, id, this.now));
  }

  setListener(command: SetListenerCommand) {
    return this.#run(decideSetListener(this.state, command, this.now));
  }

  deleteListener(type: string, name: string) {
    return this.#run(decideDeleteListener(this.state, type, name, this.now));
  }

  listListeners(type: string) {
    const known = this.state.types.get(type);
    return known ? listenersOf(known.listeners) : null;
  }

  sweep(limit: number) {
    return this.#run(decideSweep(this.state, limit, this.now));
  }

  expire(limit: number) {
    return this.#run(decideExpire(this.state, limit, this.now));
  }

  promote(limit: number) {
    return promoteDue(this.state, this.now, limit).length;
  }

  settled(retentionMs: number, limit: number) {
    return findSettled(this.state, retentionMs, limit, this.now);
  }

  prune(command: PruneCommand) {
    return this.#run(decidePrune(this.state, command, this.now));
  }

  setType(command: SetTypeCommand) {
    return this.#run(decideSetType(this.state, command, this.now));
  }

  typeStats(type: string) {
    const known = this.state.types.get(type);
    return known ? viewStats(known, this.now) : null;
  }

  types() {
    return this.state.typesByOrdinal.map(typeView);
  }

  markArchived(pos: Position, slot: number) {
    const noted = this.state.archived;
    if (noted && comparePositions(noted.pos, pos) >= 0) return;
    this.apply({ op: 'archived', pos, slot });
    releaseArchived(this.state, this.now, Number.POSITIVE_INFINITY);
  }

  relays(skip: number, limit: number) {
    return findRelays(this.state, skip, limit);
  }

  noteRelayed(children: readonly string[]) {
    return this.#run(decideRelayed(this.state, children, this.now));
  }

  readTree(root: string) {
    return viewTree(this.state, root);
  }

  outbox(): LogRecord[] {
    return [...this.state.outbox];
  }

  read(id: string) {
    const event = this.state.events.get(id);
    return event ? shownView(this.state, event) : null;
  }

  readRequest(id: string) {
    const event = this.state.events.get(id);
    return event ? shownRequest(this.state, event) : null;
  }

  readAttempts(id: string) {
    const event = this.state.events.get(id);
    return event ? shownAttempts(this.state, event) : null;
  }

  apply(record: StoreRecord): void {
    this.journal.push(record);
    apply(this.state, record);
  }

  #run<Result>({ records, result }: Decision<Result>): Result {
    for (const record of records) this.apply(record);
    return result;
  }
}
