/** What clients and listeners ask of the servers of a simulation, as its seed has it. */
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideExpire } from '../../src/event/decide/expire.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { decidePrune, findSettled } from '../../src/event/decide/prune.js';
import { promoteDue } from '../../src/event/schedule.js';
import { Receipts } from './receipts.js';
import type { SimServer } from './sim-server.js';
import type { Turns } from './turns.js';

const BODY = Buffer.from('{}\nbody');

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
    const choice = this.turns.random();
    if (choice < 0.5 || state.events.size === 0) {
      const id = `00000000-0000-7000-8000-${String(++this.#made).padStart(12, '0')}`;
      const type = `t${this.turns.below(2)}`;
      const key = this.turns.chance(0.5) ? { scope: `scope ${this.turns.below(9)}`, fingerprint: 'f' } : null;
      const durability = this.#made % 2 === 0 ? 'archive' : 'store';
      const command = { id, type, envelope: BODY, delayMs: 0, idempotency: key, durability } as const;
      const result = carryOut(decideAccept(state, command, now));
      if ('archive' in result && result.archive !== null) this.receipts.await(result.id, result.archive);
    } else if (choice < 0.58) {
      const events = findSettled(state, 0, 3, now).map(({ event: { id, version } }) => ({ id, version }));
      carryOut(decidePrune(state, { events, index: this.turns.below(20) }, now));
    } else if (choice < 0.9) {
      promoteDue(state, now, 10);
      const call = `call ${++this.#made}`;
      const lease = { types: ['t0', 't1'], listener: 'default', max: 1, bytesMax: 1_000, leaseMs: null };
      const command = { ...lease, worker: null, call, tokens: [`token ${this.#made}`] };
      const result = carryOut(decideLease(state, command, now));
      const [leased] = result.kind === 'leased' ? result.leases : [];
      if (leased === undefined || this.turns.chance(0.3)) return;
      const { attemptId, token } = leased;
      const wish = { outcome: 'success', retry: { kind: 'never' }, result: BODY, fingerprint: 'f' } as const;
      carryOut(decideComplete(state, { attemptId, token, ...wish }, now));
    } else if (choice < 0.95) {
      const ids = [...state.events.keys()];
      carryOut(decideCancel(state, ids[this.turns.below(ids.length)]!, now));
    } else {
      this.now += 60_000;
      carryOut(decideExpire(state, 10, this.now));
    }
  }
}
