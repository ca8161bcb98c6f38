/**
 * The contract of `Recoverable`: after any history, a store that lost some of it, all of it, or nothing, is brought up to
 * the log, and from then on does what the core does that has the log folded.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogRecord, Position, StoreRecord } from '../../src/event/record.js';
import { type Recoverable, type Store, StoreError } from '../../src/store/store.js';
import {
  Both,
  LIMITS,
  POLICIES,
  STARTS_AT,
  type Step,
  step,
  type WorkOptions,
} from '../store/random-work.js';
import { CoreModel } from '../support/core-model.js';
import type { OpenedStore, StoreHarness, StoreOptions } from './store.js';

export interface RecoverableStore extends OpenedStore {
  readonly store: Store & Recoverable;
  /** Resolves to what puts the store back to how it stands now. */
  copy(): Promise<() => Promise<void>>;
  /** All that it holds is gone, behind its back. */
  forget(): Promise<void>;
}

export interface RecoverableHarness extends StoreHarness {
  open(options: StoreOptions): Promise<RecoverableStore>;
}

const HOUR = 3_600_000;
const LOG_ID = 'log of the test';
/** Of the recovery that goes through, and of one that it supersedes. */
const EPOCH = 7;
const SUPERSEDED = 6;

/** A store forgets what it promoted, so a clock that steps back would tell it from one that was not recovered. */
const forward = step.filter((each) => each.do !== 'pass' || each.ms >= 0);
const steps = fc.array(forward, { minLength: 1, maxLength: 25, size: 'max' });

const history = fc.record({
  policy: fc.constantFrom(...POLICIES),
  before: steps,
  lost: steps,
  after: steps,
  how: fc.constantFrom('tail lost', 'all lost', 'another time line', 'nothing lost'),
  chunk: fc.constantFrom(1, 3, 1_000),
});

type History = typeof history extends fc.Arbitrary<infer H> ? H : never;

/** Rejects when the store and the core differ, with the history that shows it. */
export async function compareRecoveries(harness: RecoverableHarness, options: WorkOptions): Promise<void> {
  const { runs, seed, msMax, shorten = true } = options;
  await fc.assert(
    fc.asyncProperty(history, async (each) => {
      const opened = await harness.open({ policy: each.policy, limits: LIMITS, startsAt: STARTS_AT });
      try {
        await recoverOnce(opened, each);
      } finally {
        await opened.close();
      }
    }),
    {
      numRuns: runs,
      seed,
      endOnFailure: !shorten,
      ...(msMax === undefined ? {} : { interruptAfterTimeLimit: msMax, markInterruptAsFailure: false }),
    },
  );
}

async function recoverOnce(opened: RecoverableStore, { policy, before, lost, after, how, chunk }: History) {
  const { store, clock } = opened;
  const core = new CoreModel(policy, LIMITS, STARTS_AT);
  const both = new Both(store, core, clock);
  for (const each of before) await both.do(each);
  const kept = core.journal.length;
  const putBack = await opened.copy();
  // A call remembered from a lost time line only counts its answers on from there, which nobody but a test can see.
  both.calls = 'lost call';
  for (const each of lost) await both.do(each);
  both.calls = 'call';

  // In another time line, what came last never was.
  const log = core.journal.slice(0, how === 'another time line' ? kept : undefined).filter(isLogged);
  const survived = how === 'nothing lost' ? core.journal.length : how === 'tail lost' ? kept : 0;
  if (how === 'tail lost') await putBack();
  if (how === 'all lost') {
    await opened.forget();
    assert.equal((await store.standing(0)).logId, null);
    await assertClosed(store);
  }
  // The log ends somewhere; what the store has beyond that stays in its outbox.
  const end = how === 'nothing lost' ? Math.ceil(log.length / 2) : log.length;
  const archived = log[end - 1] ? { pos: log[end - 1]!.pos, slot: 100 } : null;
  await recover(store, how, log.slice(0, end), archived, chunk);

  both.core = folded(core, core.journal.slice(0, survived), log, archived);
  assert.deepEqual(await store.standing(0), {
    open: true,
    logId: LOG_ID,
    view: 2,
    last: log.at(-1)?.pos ?? null,
    archived: both.core.state.archived,
    recovering: EPOCH,
  });
  await both.compareAll();
  // What had been promoted may be so still, or wait to be promoted again.
  await store.promote(0, 1_000);
  both.core.promote(1_000);
  for (const each of [...after, ...EVERYTHING_LEASED]) await both.do(each);
  await both.compareAll();
}

async function recover(
  store: Store & Recoverable,
  how: History['how'],
  records: readonly LogRecord[],
  archived: { pos: Position; slot: number } | null,
  chunk: number,
): Promise<void> {
  const none = archived ?? { pos: { view: 1, n: 0 }, slot: 0 };
  assert.equal(await store.beginRecovery(0, SUPERSEDED), true);
  await assertClosed(store);
  if (how === 'another time line') assert.equal(await store.empty(0, SUPERSEDED), true);

  assert.equal(await store.beginRecovery(0, EPOCH), true);
  assert.equal(await store.beginRecovery(0, SUPERSEDED), false);
  const isRefused = async () => {
    assert.equal(await store.empty(0, SUPERSEDED), false);
    assert.equal(await store.replay(0, SUPERSEDED, records, none), false);
    assert.equal(await store.finishRecovery(0, SUPERSEDED, 'another log', 9), false);
  };
  await isRefused();
  if (how === 'another time line' || how === 'all lost') {
    assert.equal(await store.empty(0, EPOCH), true);
    const emptied = { logId: null, view: 0, last: null, archived: null };
    assert.deepEqual(await store.standing(0), { open: false, recovering: EPOCH, ...emptied });
  }
  for (let from = 0; from < records.length; from += chunk) {
    const some = records.slice(from, from + chunk);
    const upTo = { pos: some.at(-1)!.pos, slot: archived!.slot };
    assert.equal(await store.replay(0, EPOCH, some, upTo), true);
    // As after an answer that was lost.
    assert.equal(await store.replay(0, EPOCH, some, upTo), true);
    await isRefused();
  }
  await assertClosed(store);
  assert.equal(await store.finishRecovery(0, EPOCH, LOG_ID, 2), true);
  assert.equal(await store.finishRecovery(0, EPOCH, LOG_ID, 2), true);
  await isRefused();
  assert.equal(await store.empty(0, EPOCH), false);
  assert.equal(await store.replay(0, EPOCH, records, none), false);
}

/** The core that has what survived, then the log. */
function folded(
  from: CoreModel,
  survived: readonly StoreRecord[],
  log: readonly LogRecord[],
  archived: { pos: Position; slot: number } | null,
): CoreModel {
  const core = new CoreModel(from.state.policy, from.state.limits, from.now);
  for (const record of survived) core.apply(record);
  for (const record of log.slice(survived.filter(isLogged).length)) core.apply(record);
  if (archived) core.markArchived(archived.pos, archived.slot);
  core.state.view = 2;
  core.state.n = 0;
  return core;
}

function isLogged(record: StoreRecord): record is LogRecord {
  return 'pos' in record && record.op !== 'archived';
}

async function assertClosed(store: Store): Promise<void> {
  const closed = (error: unknown) => error instanceof StoreError && error.failure === 'recovering';
  const query = { type: null, status: null, outcome: null, cursor: null, limit: 1, scanMax: 1 };
  await assert.rejects(store.list(query), closed);
  await assert.rejects(store.expire(0, 1), closed);
  await assert.rejects(store.readOutbox(0, null, { records: 1, bytes: 1 }), closed);
}

/** Shows the order of all that waits. */
const EVERYTHING_LEASED: readonly Step[] = [
  { do: 'pass', ms: HOUR },
  { do: 'expire', limit: 100 },
  { do: 'pass', ms: HOUR },
  ...Array.from(
    { length: 12 },
    (): Step => ({
      do: 'lease',
      types: [0, 1, 2, 3],
      max: 4,
      bytesMax: 1_000_000,
      leaseMs: null,
      worker: null,
      call: 5,
    }),
  ),
];
