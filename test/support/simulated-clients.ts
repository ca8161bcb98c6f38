/** What clients and listeners ask of the servers of a simulation, as its seed has it. */

import type { EmitCommand } from '../../src/event/command.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import { decideDeadlines } from '../../src/event/decide/deadline.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideExpire } from '../../src/event/decide/expire.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { decidePrune, findSettled } from '../../src/event/decide/prune.js';
import { decideRelayed, findRelays } from '../../src/event/decide/relay.js';
import { ordinalFor } from '../../src/event/listeners.js';
import { promoteDue } from '../../src/event/schedule.js';
import type { PartitionState } from '../../src/event/state.js';
import { Receipts } from './receipts.js';
import type { SimServer } from './sim-server.js';
import { declareSomething, LISTENED_TO, LISTENERS, METHODS } from './simulated-operators.js';
import type { Turns } from './turns.js';

const BODY = Buffer.from('{}\nbody');
const ENVELOPES = METHODS.map((method) => Buffer.from(`{"method":"${method}"}\nbody`));

export class Clients {
  readonly receipts = new Receipts();
  /** What the servers' clock shows, ms since the epoch. */
  now = Date.UTC(2026, 0, 1);
  #made = 0;

  constructor(private readonly turns: Turns) {}

  /** A client calls one of the servers that is open. */
  callSomebody(servers: readonly SimServer[]): void {
    const open = servers.filter((server) => server.open);
    const server = open[this.turns.below(open.length)];
    if (server === undefined) return;
    const { state } = server;
    this.now += this.turns.below(2_000);
    const now = this.now;
    const carryOut = <Result>(decision: Decision<Result>) => server.carryOut(decision);
    if (this.turns.chance(0.06)) {
      carryOut(declareSomething(this.turns, state, now));
      return;
    }
    const choice = this.turns.random();
    if (choice < 0.5 || state.events.size === 0) {
      const id = `00000000-0000-7000-8000-${String(++this.#made).padStart(12, '0')}`;
      const type = `t${this.turns.below(2)}`;
      const key = this.turns.chance(0.5) ? { scope: `scope ${this.turns.below(9)}`, fingerprint: 'f' } : null;
      const durability = this.#made % 2 === 0 ? 'archive' : 'store';
      const envelope = ENVELOPES[this.turns.below(ENVELOPES.length)]!;
      const deadline = this.turns.chance(0.05) ? { deadlineMs: 3_000 } : {};
      // Few ordering keys, so that there is a queue for them.
      const order = this.#made % 5 === 0 ? { key: `k${this.#made % 2}` } : {};
      const more = { ...deadline, ...order };
      const command = { id, type, envelope, delayMs: 0, idempotency: key, durability, ...more } as const;
      const result = carryOut(decideAccept(state, command, now));
      if ('archive' in result && result.archive !== null) this.receipts.await(result.id, result.archive);
    } else if (choice < 0.58) {
      const events = findSettled(state, 0, 3, now).map(({ event: { id, version } }) => ({ id, version }));
      carryOut(decidePrune(state, { events, index: this.turns.below(20) }, now));
    } else if (choice < 0.9) {
      carryOut(decideDeadlines(state, Number.POSITIVE_INFINITY, now));
      promoteDue(state, now, 10);
      const call = `call ${++this.#made}`;
      const besides = this.turns.chance(0.25) ? LISTENERS[this.turns.below(LISTENERS.length)] : undefined;
      const from = besides ? { types: [LISTENED_TO], listener: besides } : this.#asDefault(state);
      const lease = { ...from, max: 1, bytesMax: 1_000, leaseMs: null };
      const command = { ...lease, worker: null, call, tokens: [`token ${this.#made}`] };
      const result = carryOut(decideLease(state, command, now));
      const [leased] = result.kind === 'leased' ? result.leases : [];
      if (leased === undefined || this.turns.chance(0.3)) return;
      const { attemptId, token } = leased;
      const wish = { outcome: 'success', retry: { kind: 'never' }, result: BODY, fingerprint: 'f' } as const;
      carryOut(decideComplete(state, { attemptId, token, ...wish, emit: this.#emission() }, now));
    } else if (choice < 0.95) {
      const ids = [...state.events.keys()];
      carryOut(decideCancel(state, ids[this.turns.below(ids.length)]!, now));
    } else {
      this.now += 60_000;
      carryOut(decideExpire(state, 10, this.now));
      const relays = findRelays(state, 0, 2).map(({ id }) => id);
      carryOut(decideRelayed(state, relays, this.now));
    }
  }

  /** Of the types that have a listener of that name; where others were declared there may be none. */
  #asDefault({ types }: PartitionState) {
    const has = ordinalFor(types.get(LISTENED_TO)?.listeners ?? [], 'default') !== null;
    return { types: has ? ['t0', LISTENED_TO] : ['t0'], listener: 'default' };
  }

  /** Mostly nothing; else an event here, or one for another partition. */
  #emission(): EmitCommand[] {
    if (!this.turns.chance(0.1)) return [];
    const partition = this.turns.below(2);
    const id = `00000000-0000-7000-80${partition}0-${String(++this.#made).padStart(12, '0')}`;
    const order = this.#made % 3 === 0 ? { key: 'k0' } : {};
    return [{ id, type: 't0', envelope: ENVELOPES[0]!, delayMs: 0, durability: 'store', ...order }];
  }
}
