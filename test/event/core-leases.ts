/** Who holds what until when, kept beside the core by plain account. */
import assert from 'node:assert/strict';
import { formatAttemptId, parseAttemptId } from '../../src/event/attempt-id.js';
import type { Lease } from '../../src/event/command.js';
import type { StoreRecord } from '../../src/event/record.js';
import type { PartitionState } from '../../src/event/state.js';

interface Holder {
  readonly id: string;
  readonly attemptId: string;
  readonly token: string;
  readonly endsAt: number;
}

/** What the account is kept of: the machine that is watched. */
interface Watched {
  readonly state: PartitionState;
  readonly now: number;
}

export class LeaseAccount {
  /** By event and listener: the lease that is out. */
  readonly #holders = new Map<string, Holder>();
  /** By event: when it ends if it is not complete by then. */
  readonly #deadlines = new Map<string, number>();

  constructor(
    private readonly watched: Watched,
    private readonly leaseMsMax: number,
  ) {}

  /** The record was applied. */
  note(record: StoreRecord): void {
    if (!('grant' in record)) return;
    const name = `${record.id}.${record.listener}`;
    if (record.op === 'granted') {
      const holder = this.#holders.get(name);
      assert.ok(!holder || !this.lives(holder), 'S2: granted while another holds it');
      const { ordinal } = this.watched.state.events.get(record.id)!.type;
      const attemptId = formatAttemptId(record.id, ordinal, record.listener, record.grant);
      const { id, token, expiresAt: endsAt } = record;
      this.#holders.set(name, { id, attemptId, token, endsAt });
    } else if (record.op === 'extended') {
      this.#holders.set(name, { ...this.#holders.get(name)!, endsAt: record.expiresAt });
    } else if (record.op !== 'late') {
      this.#holders.delete(name);
    }
  }

  accept(id: string, deadlineAt: number | null): void {
    if (deadlineAt !== null) this.#deadlines.set(id, deadlineAt);
  }

  lives(holder: Holder): boolean {
    return !this.#isTimeUp(holder) && !this.hasPassed(holder.id);
  }

  /** Its deadline has, and it is not complete. */
  hasPassed(id: string): boolean {
    const at = this.#deadlines.get(id);
    return at !== undefined && at <= this.watched.now && this.#isOpen(id);
  }

  /** Of events that are not complete. */
  get deadlinesPassed(): number {
    return [...this.#deadlines.keys()].filter((id) => this.hasPassed(id)).length;
  }

  get timesUp(): number {
    return [...this.#holders.values()].filter((holder) => this.#isTimeUp(holder)).length;
  }

  isHeld(id: string, listener: number | null): boolean {
    const holder = this.#holders.get(`${id}.${listener}`);
    return holder !== undefined && this.lives(holder);
  }

  /** By the account, not by the core. */
  holds({ attemptId, token, event }: Lease): boolean {
    const holder = this.#holders.get(`${event.id}.${parseAttemptId(attemptId)!.listener}`);
    return holder?.attemptId === attemptId && holder.token === token && this.lives(holder);
  }

  check(): void {
    const { events, leasedCount } = this.watched.state;
    assert.equal(leasedCount, this.#holders.size, 'how many leases are out');
    for (const event of events.values())
      assert.equal(event.deadlineAt, this.#deadlines.get(event.id) ?? null, 'its deadline');
  }

  #isTimeUp({ endsAt }: Holder): boolean {
    const { now } = this.watched;
    return endsAt <= now || endsAt - now > this.leaseMsMax;
  }

  #isOpen(id: string): boolean {
    return this.watched.state.events.get(id)!.status !== 'complete';
  }
}
