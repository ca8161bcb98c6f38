/** Ordering keys with very many events behind one of them, and what a store from before there were keys says. */
import t from 'tap';
import { apply } from '../../src/event/apply.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { makeEventId } from '../../src/event/id.js';
import { turnsAfter } from '../../src/event/keyed.js';
import { promoteDue } from '../../src/event/schedule.js';
import { emptyState, type PartitionState } from '../../src/event/state.js';
import { LIMITS, POLICY } from './core-machine.js';

const NOW = 1_000_000;
const KEYS = 200;
const BEHIND = 100_000;
/** Quick work takes less than a second; a walk over what waits would take minutes. */
const ENOUGH_MS = 30_000;

class Work {
  readonly state: PartitionState = emptyState(POLICY, { ...LIMITS, bytesMax: Number.MAX_SAFE_INTEGER });
  #calls = 0;

  accept(key: string): string {
    const id = makeEventId(NOW, 0);
    const envelope = Buffer.from('{}\n');
    this.#run(decideAccept(this.state, { id, type: 'a', envelope, delayMs: 0, idempotency: null, key }, NOW));
    return id;
  }

  cancel(id: string): void {
    this.#run(decideCancel(this.state, id, NOW));
  }

  /** Leases one and completes it; gives its id. */
  workOne(): string | null {
    promoteDue(this.state, NOW, 1_000);
    this.#calls += 1;
    const command = {
      types: ['a'],
      listener: 'default',
      max: 1,
      bytesMax: 1_000,
      leaseMs: 100,
      worker: null,
      call: `${this.#calls}`,
      tokens: ['token'],
    };
    const result = this.#run(decideLease(this.state, command, NOW));
    const lease = result.kind === 'leased' ? result.leases[0] : undefined;
    if (!lease) return null;
    const { attemptId, token } = lease;
    const done = {
      attemptId,
      token,
      outcome: 'success',
      retry: { kind: 'never' },
      fingerprint: 'f',
    } as const;
    this.#run(decideComplete(this.state, { ...done, result: Buffer.from('{}\n') }, NOW));
    return lease.event.id;
  }

  #run<Result>({ records, result }: Decision<Result>): Result {
    for (const record of records) apply(this.state, record);
    return result;
  }
}

t.test('very many events behind one key cost no more than a few', async (t) => {
  const begun = performance.now();
  const work = new Work();
  const busy = Array.from({ length: BEHIND }, () => work.accept('busy'));
  const others = Array.from({ length: KEYS }, (_, index) => work.accept(`key ${index}`));
  const cancelled = new Set(busy.filter((_, index) => index % 3 === 1));
  for (const id of cancelled) work.cancel(id);
  t.equal(work.state.types.get('a')!.keyed[0]!.size, KEYS + 1);

  const worked: string[] = [];
  for (let id = work.workOne(); id !== null; id = work.workOne()) worked.push(id);
  const ofBusy = busy.filter((id) => !cancelled.has(id));
  const some = new Set(others);
  // Compared as text: to compare so long lists one by one takes longer than all the rest.
  t.ok(
    worked.filter((id) => !some.has(id)).join() === ofBusy.join(),
    'in the order of acceptance, without those that were cancelled',
  );
  t.equal(worked.length, ofBusy.length + KEYS);
  t.equal(work.state.types.get('a')!.keyed[0]!.size, 0, 'nothing is kept of a key of which nothing waits');
  t.ok(performance.now() - begun < ENOUGH_MS);
});

t.test('who waits for work hears of the one whose turn has come, and of no other', async (t) => {
  const work = new Work();
  const [first, second, third] = [work.accept('k'), work.accept('k'), work.accept('k')];
  const record = () => [...work.state.outbox].at(-1)!;
  t.same(turnsAfter(work.state, record()), [], 'it waits behind others');
  work.cancel(second);
  t.same(turnsAfter(work.state, record()), [], 'it was nobody’s turn');
  work.cancel(first);
  t.same(
    turnsAfter(work.state, record()).map(({ event }) => event.id),
    [third],
  );
});
