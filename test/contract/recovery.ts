/**
 * The contract of `Recoverable`: after any history, a store that lost some of it, all of it, or nothing, is brought up to
 * the log, and from then on does what the core does that has the log folded.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KeptRecord, LogRecord, Position, StoreRecord } from '../../src/event/record.js';
import { type Recoverable, type Store, StoreError } from '../../src/store/store.js';
import { POLICIES } from '../store/random-policies.js';
import { type Step, stepsOf } from '../store/random-steps.js';
import { Both, LIMITS, STARTS_AT, type WorkOptions } from '../store/random-work.js';
import { CoreModel } from '../support/core-model.js';
import { keptOf } from '../support/kept-records.js';
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
const steps = stepsOf(25, (each) => each.do !== 'pass' || each.ms >= 0);

const history = fc.record({
  policy: fc.constantFrom(...POLICIES),
  before: steps,
  lost: steps,
  after: steps,
  how: fc.constantFrom('tail lost', 'all lost', 'another time line', 'nothing lost', 'nothing new'),
  chunk: fc.constantFrom(1, 3, 1_000),
  /** How much of the log is in a checkpoint, of eight parts; only for a store that is rebuilt. */
  inCheckpoint: fc.constantFrom(0, 0, 5, 8),
});

/** Of what chance seldom comes to: two events that were pruned, the last record being of no account, and a key of theirs. */
const item = {
  type: 0,
  delayMs: 0,
  scope: 0,
  fingerprint: 'print 1',
  resend: null,
  size: 0,
  durability: 'store',
  deadlineMs: undefined,
  key: undefined,
  emitted: null,
} as const;
const PRUNED: History = {
  policy: POLICIES[0]!,
  before: [
    { do: 'accept', items: [item, { ...item, scope: 1 }] },
    {
      do: 'lease',
      types: [0],
      max: 2,
      bytesMax: 1_000_000,
      leaseMs: null,
      worker: null,
      listener: 'default',
      call: 0,
    },
    {
      do: 'complete',
      items: [0, 1].map((lease) => ({
        lease,
        token: 'own',
        outcome: 'success',
        retry: { kind: 'never' },
        fingerprint: 'done 1',
        emit: [],
      })),
    },
    { do: 'archive', back: 0 },
    { do: 'prune', retentionMs: 0, limit: 100, stale: false },
  ],
  lost: [{ do: 'pass', ms: 1 }],
  after: [
    { do: 'accept', items: [item] },
    { do: 'accept', items: [{ ...item, fingerprint: 'print 2' }] },
  ],
  how: 'all lost',
  chunk: 1_000,
  inCheckpoint: 8,
};

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
      examples: [[PRUNED]],
      ...(msMax === undefined ? {} : { interruptAfterTimeLimit: msMax, markInterruptAsFailure: false }),
    },
  );
}

async function recoverOnce(opened: RecoverableStore, each: History) {
  const { policy, before, lost, after, how, chunk, inCheckpoint } = each;
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
  const isWhole = how === 'nothing lost' || how === 'nothing new';
  const survived = isWhole ? core.journal.length : how === 'tail lost' ? kept : 0;
  if (how === 'tail lost') await putBack();
  if (how === 'all lost') {
    await opened.forget();
    assert.equal((await store.standing(0)).logId, null);
    await assertClosed(store);
  }
  // The log ends somewhere; what the store has beyond that stays in its outbox.
  const ends = { 'nothing lost': Math.ceil(log.length / 2), 'nothing new': 0 };
  const end = how === 'nothing lost' || how === 'nothing new' ? ends[how] : log.length;
  const replays = await replaysOf(log.slice(0, end), survived === 0 ? inCheckpoint : 0, chunk);
  await recover(store, how, replays);

  const survivors = core.journal.slice(0, survived);
  both.core = folded(core, survivors, [...replays, { records: log.slice(end), archived: null }]);
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

/** What one call of `replay` is given. */
interface Replay {
  readonly records: readonly KeptRecord[];
  readonly archived: { readonly pos: Position; readonly slot: number } | null;
}

/** The log in chunks, its beginning as a checkpoint. */
async function replaysOf(log: readonly LogRecord[], eighths: number, chunk: number): Promise<Replay[]> {
  const covered = Math.floor((log.length * eighths) / 8);
  const { records, manifest } = covered === 0 ? NO_CHECKPOINT : await keptOf(log.slice(0, covered));
  const inChunks = (all: readonly KeptRecord[], slot: number): Replay[] => {
    const count = Math.ceil(all.length / chunk);
    return Array.from({ length: count }, (_, k) => {
      const some = all.slice(k * chunk, (k + 1) * chunk);
      return { records: some, archived: { pos: some.at(-1)!.pos, slot } };
    });
  };
  const end = manifest === null ? [] : [{ records: [], archived: { pos: manifest.to, slot: 50 } }];
  return [...inChunks(records, 50), ...end, ...inChunks(log.slice(covered), 100)];
}

const NO_CHECKPOINT = { records: [], manifest: null };

async function recover(
  store: Store & Recoverable,
  how: History['how'],
  replays: readonly Replay[],
): Promise<void> {
  const none = { records: [], archived: { pos: { view: 1, n: 0 }, slot: 0 } };
  const all = replays.flatMap(({ records }) => records);
  assert.equal(await store.beginRecovery(0, SUPERSEDED), true);
  await assertClosed(store);
  if (how === 'another time line') assert.equal(await store.empty(0, SUPERSEDED), true);

  assert.equal(await store.beginRecovery(0, EPOCH), true);
  assert.equal(await store.beginRecovery(0, SUPERSEDED), false);
  const isRefused = async () => {
    assert.equal(await store.empty(0, SUPERSEDED), false);
    assert.equal(await store.replay(0, SUPERSEDED, all, none.archived), false);
    assert.equal(await store.finishRecovery(0, SUPERSEDED, 'another log', 9), false);
  };
  await isRefused();
  if (how === 'another time line' || how === 'all lost') {
    assert.equal(await store.empty(0, EPOCH), true);
    const emptied = { logId: null, view: 0, last: null, archived: null };
    assert.deepEqual(await store.standing(0), { open: false, recovering: EPOCH, ...emptied });
  }
  // Those that are made at one time are applied in their order too.
  if (replays.length % 2 === 1) {
    const running = replays.map(({ records, archived }) => store.replay(0, EPOCH, records, archived!));
    for (const replayed of await Promise.all(running)) assert.equal(replayed, true);
  }
  for (const { records, archived } of replays) {
    assert.equal(await store.replay(0, EPOCH, records, archived!), true);
    // As after an answer that was lost.
    assert.equal(await store.replay(0, EPOCH, records, archived!), true);
    await isRefused();
  }
  await assertClosed(store);
  assert.equal(await store.finishRecovery(0, EPOCH, LOG_ID, 2), true);
  assert.equal(await store.finishRecovery(0, EPOCH, LOG_ID, 2), true);
  await isRefused();
  assert.equal(await store.empty(0, EPOCH), false);
  assert.equal(await store.replay(0, EPOCH, none.records, none.archived), false);
}

/** The core that has what survived, then what was replayed and what is in the outbox behind it. */
function folded(from: CoreModel, survived: readonly StoreRecord[], replays: readonly Replay[]): CoreModel {
  const core = new CoreModel(from.state.policy, from.state.limits, from.now);
  for (const record of survived) core.apply(record);
  let left = survived.filter(isLogged).length;
  for (const { records } of replays) {
    for (const record of records.slice(left)) core.apply(record);
    left = Math.max(0, left - records.length);
  }
  for (const { archived } of replays) if (archived) core.markArchived(archived.pos, archived.slot);
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
      listener: 'default',
      call: 5,
    }),
  ),
];
