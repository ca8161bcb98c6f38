/** What every store must do, run on each adapter. A harness gives stores that begin empty, on a clock that tests set. */
import type { Test } from 'tap';
import type { Policy } from '../../src/event/policy.js';
import type { Limits } from '../../src/event/state.js';
import type { Store } from '../../src/store/store.js';
import { acceptContract } from './store/accept.js';
import { archiveContract } from './store/archive.js';
import { cancelContract } from './store/cancel.js';
import { completeContract } from './store/complete.js';
import { deadlineContract } from './store/deadline.js';
import { depthsContract } from './store/depths.js';
import { emitContract } from './store/emit.js';
import { expireContract } from './store/expire.js';
import { fanOutContract } from './store/fan-out.js';
import { handBackContract } from './store/hand-back.js';
import { leaseContract } from './store/lease.js';
import { orderingKeyContract } from './store/ordering-key.js';
import { outboxContract } from './store/outbox.js';
import { typesContract } from './store/policies.js';
import { pruneContract } from './store/prune.js';
import { readContract } from './store/read.js';
import { redriveContract } from './store/redrive.js';
import { timesContract } from './store/times.js';
import { typeStatsContract } from './store/type-stats.js';
import { wakeContract } from './store/wake.js';

export interface StoreOptions {
  readonly policy: Policy;
  readonly limits: Limits;
  /** What the clock shows first, ms since the epoch. */
  readonly startsAt: number;
}

export interface OpenedStore {
  readonly store: Store;
  /** The clock that the store reads; it stands still between two calls and may be set back. */
  readonly clock: { set(ms: number): void | Promise<void> };
  /** Closes the store and opens another on what it kept, on the same clock. The one before is of no use any more. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

export interface StoreHarness {
  /** Of the adapter. */
  readonly name: string;
  /** A new, empty store. */
  open(options: StoreOptions): Promise<OpenedStore>;
}

export async function storeContract(t: Test, harness: StoreHarness): Promise<void> {
  await t.test('accept', (t) => acceptContract(t, harness));
  await t.test('lease', (t) => leaseContract(t, harness));
  await t.test('complete', (t) => completeContract(t, harness));
  await t.test('emit', (t) => emitContract(t, harness));
  await t.test('hand back', (t) => handBackContract(t, harness));
  await t.test('cancel', (t) => cancelContract(t, harness));
  await t.test('expire', (t) => expireContract(t, harness));
  await t.test('deadline', (t) => deadlineContract(t, harness));
  await t.test('several listeners', (t) => fanOutContract(t, harness));
  await t.test('ordering keys', (t) => orderingKeyContract(t, harness));
  await t.test('prune', (t) => pruneContract(t, harness));
  await t.test('read', (t) => readContract(t, harness));
  await t.test('outbox', (t) => outboxContract(t, harness));
  await t.test('archive durability', (t) => archiveContract(t, harness));
  await t.test('depths', (t) => depthsContract(t, harness));
  await t.test('redrive', (t) => redriveContract(t, harness));
  await t.test('types', (t) => typesContract(t, harness));
  await t.test('exact times', (t) => timesContract(t, harness));
  await t.test('type stats', (t) => typeStatsContract(t, harness));
  await t.test('wake', (t) => wakeContract(t, harness));
}
