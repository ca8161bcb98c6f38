/** A store on a settable clock, and the words in which the cases are told. */
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { apply } from '../../../src/event/apply.js';
import type {
  AcceptCommand,
  AcceptResult,
  CompleteCommand,
  CompleteResult,
  EventView,
  Lease,
  LeaseCommand,
  LeaseResult,
} from '../../../src/event/command.js';
import { packEnvelope, sha256Hex } from '../../../src/event/envelope.js';
import { makeEventId } from '../../../src/event/id.js';
import type { Policy } from '../../../src/event/policy.js';
import type { LogRecord } from '../../../src/event/record.js';
import { packResult } from '../../../src/event/result.js';
import { emptyState, type Limits, type PartitionState } from '../../../src/event/state.js';
import { NOT_ARCHIVED } from '../../../src/event/unarchived.js';
import { partitionOfType, type Store } from '../../../src/store/store.js';
import type { StoreHarness, StoreOptions } from '../store.js';

export const NOON = Date.UTC(2026, 0, 15, 12);
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

export const POLICY: Policy = {
  attemptsMax: 3,
  leaseMs: 30_000,
  backoffFirstMs: 1_000,
  backoffFactor: 2,
  backoffMsMax: 60_000,
  backoffJitter: 0,
};

export const LIMITS: Limits = { leaseMsMax: 12 * HOUR, typesMax: 10_000, bytesMax: 1 << 30 };

const ALL = { records: 100_000, bytes: 1 << 28 };

export interface SceneOptions {
  readonly policy?: Partial<Policy>;
  readonly limits?: Partial<Limits>;
}

/** Opens a store for one case and closes it when the case has ended. */
export async function scene(t: Test, harness: StoreHarness, options: SceneOptions = {}): Promise<Scene> {
  const full: StoreOptions = {
    policy: { ...POLICY, ...options.policy },
    limits: { ...LIMITS, ...options.limits },
    startsAt: NOON,
  };
  const opened = await harness.open(full);
  t.teardown(() => opened.close());
  return new Scene(full, opened);
}

export class Scene {
  store: Store;
  now: number;
  #made = 0;

  constructor(
    readonly options: StoreOptions,
    private readonly opened: Awaited<ReturnType<StoreHarness['open']>>,
  ) {
    this.store = opened.store;
    this.now = options.startsAt;
  }

  async setClock(ms: number): Promise<void> {
    this.now = ms;
    await this.opened.clock.set(ms);
  }

  /** Moves the clock; negative: back. */
  async pass(ms: number): Promise<void> {
    await this.setClock(this.now + ms);
  }

  async reopen(): Promise<void> {
    this.store = await this.opened.reopen();
  }

  partitionOf(type: string): number {
    return partitionOfType(type, this.store.partitions);
  }

  newId(type: string): string {
    return makeEventId(this.now, this.partitionOf(type));
  }

  /** `count` types that live in one partition, so that one lease may ask for them all. */
  typesTogether(count: number): string[] {
    const types: string[] = [];
    for (let k = 0; types.length < count; k += 1) {
      const type = `type-${k}`;
      if (types.length === 0 || this.partitionOf(type) === this.partitionOf(types[0]!)) types.push(type);
    }
    return types;
  }

  command(type: string, more: Partial<AcceptCommand> = {}): AcceptCommand {
    const envelope = envelopeOf(`body ${this.#made++}`);
    return { id: this.newId(type), type, envelope, delayMs: 0, idempotency: null, ...more };
  }

  async accept(type: string, more: Partial<AcceptCommand> = {}): Promise<string> {
    const result = await this.tryAccept(type, more);
    if (result.kind !== 'accepted') throw new Error(`not accepted: ${result.kind}`);
    return result.id;
  }

  async tryAccept(type: string, more: Partial<AcceptCommand> = {}): Promise<AcceptResult> {
    const [result] = await this.store.accept([this.command(type, more)]);
    return result!;
  }

  /** Accepted by one call, oldest first. */
  async acceptMany(type: string, count: number): Promise<string[]> {
    const results = await this.store.accept(Array.from({ length: count }, () => this.command(type)));
    return results.map((result) => {
      if (result.kind !== 'accepted') throw new Error(`not accepted: ${result.kind}`);
      return result.id;
    });
  }

  tryLease(types: string | readonly string[], more: Partial<LeaseCommand> = {}): Promise<LeaseResult> {
    const max = more.max ?? 1;
    return this.store.lease({
      types: typeof types === 'string' ? [types] : types,
      listener: 'default',
      max,
      bytesMax: 8 << 20,
      leaseMs: null,
      worker: null,
      call: this.#name('call'),
      tokens: Array.from({ length: max }, () => this.#name('token')),
      ...more,
    });
  }

  async leaseAll(types: string | readonly string[], more: Partial<LeaseCommand> = {}): Promise<Lease[]> {
    const result = await this.tryLease(types, { max: 100, ...more });
    if (result.kind !== 'leased') throw new Error(`not leased: ${result.kind}`);
    return [...result.leases];
  }

  async lease(type: string, more: Partial<LeaseCommand> = {}): Promise<Lease> {
    const [lease] = await this.leaseAll(type, { max: 1, ...more });
    if (!lease) throw new Error('nothing to lease');
    return lease;
  }

  async complete(lease: Lease, more: Partial<CompleteCommand> = {}): Promise<CompleteResult> {
    const [result] = await this.store.complete([completionOf(lease, more)]);
    return result!;
  }

  fail(lease: Lease, more: Partial<CompleteCommand> = {}): Promise<CompleteResult> {
    return this.complete(lease, { outcome: 'fail', ...more });
  }

  async event(id: string): Promise<EventView> {
    const event = await this.store.read(id);
    if (!event || event === NOT_ARCHIVED) throw new Error(`not known, or not archived: ${id}`);
    return event;
  }

  /** Ends what has expired, everywhere; how many leases that were. */
  async expire(limit = 1_000): Promise<number> {
    let expired = 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      expired += (await this.store.expire(partition, limit)).expired;
    }
    return expired;
  }

  /** The outbox of the partition of `type`. */
  outbox(type: string): Promise<LogRecord[]> {
    return this.store.readOutbox(this.partitionOf(type), null, ALL);
  }

  /** The ops of the records of one event, oldest first. */
  async opsOf(id: string, type: string): Promise<string[]> {
    const records = await this.outbox(type);
    return records.filter((record) => 'id' in record && record.id === id).map((record) => record.op);
  }

  /** What a partition is when nothing but its outbox is known. */
  async folded(partition: number): Promise<PartitionState> {
    const state = emptyState(this.options.policy, this.options.limits);
    for (const record of await this.store.readOutbox(partition, null, ALL)) apply(state, record);
    return state;
  }

  /** Fresh and the same in each run: a 128-bit token. */
  #name(kind: string): string {
    const text = `${kind} ${this.#made++}`;
    return createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');
  }
}

export function envelopeOf(body: string | Uint8Array): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return packEnvelope(
    {
      method: 'POST',
      path: '/',
      query: '',
      headers: [['content-type', 'text/plain']],
      clientAddress: null,
      contentType: 'text/plain',
      bytes: bytes.byteLength,
      sha256: sha256Hex(bytes),
      bodyEncoding: 'text',
      version: null,
      correlationId: null,
      traceparent: null,
      cloudEvent: null,
    },
    bytes,
  );
}

export function resultOf(text: string, outcome: 'success' | 'fail' = 'success'): Buffer {
  const body = Buffer.from(text);
  const response = {
    status: 200,
    headers: [],
    contentType: 'text/plain',
    bytes: body.byteLength,
    bodyEncoding: 'text' as const,
  };
  return packResult({ outcome, response, errors: [] }, body);
}

/** A completion whose result is `done`, fingerprinted by its outcome and result. */
export function completionOf(lease: Lease, more: Partial<CompleteCommand> = {}): CompleteCommand {
  const outcome = more.outcome ?? 'success';
  const result = more.result ?? resultOf('done', outcome);
  return {
    attemptId: lease.attemptId,
    token: lease.token,
    outcome,
    retry: { kind: 'never' },
    result,
    fingerprint: sha256Hex(Buffer.concat([Buffer.from(`${outcome}\n`), result])),
    ...more,
  };
}

/** A claim of `key` for a request that is told from others by `request`. */
export function keyOf(key: string, request = 'the same'): AcceptCommand['idempotency'] {
  return { scope: `caller\n${key}`, fingerprint: sha256Hex(request) };
}
