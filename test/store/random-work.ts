/**
 * Random sequences of everything that can be asked of a store, done on a store and on the core side by side: the same
 * answers, the same records, and in the end the same of all that can be read.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CompleteCommand, Lease, LeaseCommand, SetTypeCommand } from '../../src/event/command.js';
import { partitionOfId } from '../../src/event/id.js';
import type { Position } from '../../src/event/record.js';
import type { Limits } from '../../src/event/state.js';
import { NOT_ARCHIVED } from '../../src/event/unarchived.js';
import { summaryOf } from '../../src/event/view.js';
import type { Store } from '../../src/store/store.js';
import type { StoreHarness } from '../contract/store.js';
import { CoreModel } from '../support/core-model.js';
import { doListenerStep, envelopeOf } from './random-listeners.js';
import { POLICIES } from './random-policies.js';
import { type Step, stepsOf, TYPES } from './random-steps.js';

const SECOND = 1_000;
export const STARTS_AT = Date.UTC(2026, 0, 15, 23, 59, 50);

export const LIMITS: Limits = { leaseMsMax: 60 * SECOND, typesMax: 3, bytesMax: Number.MAX_SAFE_INTEGER };

export interface WorkOptions {
  readonly runs: number;
  readonly seed: number;
  /** Enough after this long, however many runs that were. */
  readonly msMax?: number;
  /** What is done; everything, unless said. */
  readonly steps?: fc.Arbitrary<Step[]>;
  /** Whether to look for a shorter sequence that shows the same; true by default. */
  readonly shorten?: boolean;
}

/** Rejects when store and core differ, with the steps that show it, shortened. */
export async function compareWithCore(harness: StoreHarness, options: WorkOptions): Promise<void> {
  const { runs, seed, shorten = true, msMax, steps = stepsOf(40) } = options;
  const work = fc.record({
    policy: fc.constantFrom(...POLICIES),
    steps,
  });
  await fc.assert(
    fc.asyncProperty(work, async ({ policy, steps }) => {
      const opened = await harness.open({ policy, limits: LIMITS, startsAt: STARTS_AT });
      try {
        const both = new Both(opened.store, new CoreModel(policy, LIMITS, STARTS_AT), opened.clock);
        for (const each of steps) await both.do(each);
        await both.compareAll();
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

interface LeaseAnswer {
  readonly call: string;
  readonly claim: number;
  readonly leases: readonly Lease[];
}

/** A store and the core, which do the same. */
export class Both {
  /** What the calls for leases that are repeated are named after. */
  calls = 'call';
  readonly #ids: string[] = [];
  readonly #leases: Lease[] = [];
  readonly #answers: LeaseAnswer[] = [];
  #made = 0;
  #steppedBack = false;

  constructor(
    private readonly store: Store,
    public core: CoreModel,
    private readonly clock: { set(ms: number): void | Promise<void> },
  ) {}

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'accept':
        return this.#accept(step.items);
      case 'lease':
        return this.#lease(step);
      case 'complete':
        return this.#complete(step.items);
      case 'extend':
        return this.#extend(step.items);
      case 'handBack': {
        const command = this.#holder(step);
        if (command) this.#same(await this.store.handBack(command), this.core.handBack(command), step);
        return;
      }
      case 'abandon':
        return this.#abandon(step);
      case 'cancel': {
        const id = fromEnd(this.#ids, step.event) ?? this.#newId();
        this.#same(await this.store.cancel(id), this.core.cancel(id), step);
        return;
      }
      case 'relay':
        return this.#relay(step);
      case 'expire': {
        // What the clock left behind at the far end is brought forward all at once in the core, piece by piece elsewhere.
        const limit = this.#steppedBack ? 100 : step.limit;
        this.#same(await this.store.expire(0, limit), this.core.expire(limit), step);
        return;
      }
      case 'promote':
        this.#same(await this.store.promote(0, step.limit), this.core.promote(step.limit), step);
        return;
      case 'prune':
        return this.#prune(step);
      case 'listener': {
        const [found, expected] = await doListenerStep(this.store, this.core, TYPES[step.type]!, step);
        this.#same(found, expected, step);
        return;
      }
      case 'setType':
        return this.#setType(step);
      case 'resume':
        for (const { name: type, paused } of this.core.state.typesByOrdinal)
          if (paused) await this.#sameType({ kind: 'resume', type });
        return;
      case 'archive':
        return this.#archive(step.back);
      case 'pass':
        this.core.now += step.ms;
        if (step.ms < 0) this.#steppedBack = true;
        await this.clock.set(this.core.now);
        return;
    }
  }

  async compareAll(): Promise<void> {
    const { store, core } = this;
    for (const id of [...this.#ids, this.#newId()]) {
      this.#same(await store.read(id), core.read(id), id);
      this.#same(await store.readRequest(id), core.readRequest(id), id);
      this.#same(await store.readAttempts(id), core.readAttempts(id), id);
      this.#same(await store.readTree(0, id), core.readTree(id), id);
    }
    this.#same(await store.relays(0, 0, 1_000), core.relays(0, 1_000), 'relays');
    this.#same(await readAllOf(store), core.outbox(), 'outbox');
    this.#same(await store.archivedTo(0), core.state.archived, 'archived');
    await this.#compareLists();
  }

  async #accept(items: Extract<Step, { do: 'accept' }>['items']): Promise<void> {
    // Nobody sends a request again when its event has been pruned: that is days later.
    const ids = this.#ids.filter((id) => this.core.state.events.has(id));
    const commands = items.map(
      ({ type, delayMs, scope, fingerprint, resend, size, durability, deadlineMs, emitted, key }) => {
        const id = (resend === null ? undefined : fromEnd(ids, resend)) ?? this.#newId();
        ids.push(id);
        return {
          id,
          type: TYPES[type]!,
          envelope: envelopeOf(size, this.#made),
          delayMs,
          durability,
          ...(deadlineMs === undefined ? {} : { deadlineMs }),
          ...(key === undefined ? {} : { key }),
          idempotency: scope === null || emitted !== null ? null : { scope: `scope ${scope}`, fingerprint },
          ...(emitted === null ? {} : { emitted: this.#emittedElsewhere(emitted) }),
        };
      },
    );
    const results = await this.store.accept(commands);
    this.#same(results, this.core.accept(commands), commands);
    for (const [index, result] of results.entries()) {
      const { id } = commands[index]!;
      if (result.kind === 'accepted' && !this.#ids.includes(id)) this.#ids.push(id);
    }
  }

  #emittedElsewhere(dueMs: number) {
    const [parent, root] = [this.#newId(1), fromEnd(this.#ids, dueMs === 0 ? 0 : 1) ?? this.#newId(1)];
    return { parent, root, dueAt: this.core.now + dueMs };
  }

  async #relay({ skip, limit }: Extract<Step, { do: 'relay' }>): Promise<void> {
    const relays = await this.store.relays(0, skip, limit);
    this.#same(relays, this.core.relays(skip, limit), 'relays');
    const ids = [...relays.map(({ id }) => id), this.#newId(1)];
    this.#same(await this.store.noteRelayed(0, ids), this.core.noteRelayed(ids), ids);
    this.#same(await this.store.noteRelayed(0, ids), this.core.noteRelayed(ids), 'again');
  }

  async #lease({ types, max, call, listener, ...more }: Extract<Step, { do: 'lease' }>): Promise<void> {
    const { bytesMax, leaseMs, worker } = more;
    const command: LeaseCommand = {
      types: types.map((type) => TYPES[type]!),
      listener,
      max,
      bytesMax,
      leaseMs,
      worker,
      call: `${this.calls} ${call < 3 ? call : this.#made}`,
      tokens: Array.from({ length: max }, () => `token ${this.#next()}`),
    };
    const result = await this.store.lease(command);
    this.#same(result, this.core.lease(command), command);
    if (result.kind !== 'leased') return;
    this.#leases.push(...result.leases);
    this.#answers.push({ call: command.call, claim: result.claim, leases: result.leases });
  }

  async #complete(items: Extract<Step, { do: 'complete' }>['items']): Promise<void> {
    const commands = items.flatMap(({ outcome, retry, fingerprint, emit: items, ...which }) => {
      const holder = this.#holder(which);
      if (!holder) return [];
      const result = Buffer.from(`result ${this.#next()}`);
      const emit = items.map(({ elsewhere, key, ...item }) => ({
        ...item,
        ...(key === undefined ? {} : { key }),
        type: TYPES[item.type]!,
        id: this.#newId(elsewhere ? 1 : 0),
        envelope: envelopeOf(0, this.#made),
      }));
      return [{ ...holder, outcome, retry, fingerprint, result, emit } satisfies CompleteCommand];
    });
    const results = await this.store.complete(commands);
    this.#same(results, this.core.complete(commands), commands);
    for (const result of results) {
      if (result.kind !== 'completed') continue;
      const here = result.emitted.filter((id) => partitionOfId(id) === 0 && !this.#ids.includes(id));
      this.#ids.push(...here);
    }
  }

  async #extend(items: Extract<Step, { do: 'extend' }>['items']): Promise<void> {
    const commands = items.flatMap(({ leaseMs, ...which }) => {
      const holder = this.#holder(which);
      return holder ? [{ ...holder, leaseMs }] : [];
    });
    const results = await Promise.all(commands.map((command) => this.store.extend(command)));
    const expected = commands.map((command) => this.core.extend(command));
    this.#same(results, expected, commands);
  }

  async #abandon({ answer, older }: Extract<Step, { do: 'abandon' }>): Promise<void> {
    const abandoned = fromEnd(this.#answers, answer);
    if (!abandoned) return;
    const command = { ...abandoned, claim: abandoned.claim - (older ? 1 : 0) };
    this.#same(await this.store.abandon(command), this.core.abandon(command), command);
  }

  async #prune({ retentionMs, limit, stale }: Extract<Step, { do: 'prune' }>): Promise<void> {
    const settled = await this.store.settled(0, retentionMs, limit);
    this.#same(settled, this.core.settled(retentionMs, limit), 'settled');
    const events = settled.map(({ event: { id, version } }) => ({ id, version: version - (stale ? 1 : 0) }));
    const command = { events, index: this.#made };
    this.#same(await this.store.prune(0, command), this.core.prune(command), command);
    this.#same(await this.store.indexedTo(0), this.core.state.indexed, 'indexed');
  }

  /** All but so many of the newest records; it may have been noted before. */
  async #archive(back: number): Promise<void> {
    const { view, n } = this.core.state;
    if (n - back < 1) return;
    const pos: Position = { view, n: n - back };
    await this.store.markArchived(0, pos, pos.n);
    this.core.markArchived(pos, pos.n);
    this.#same(await readAllOf(this.store), this.core.outbox(), 'outbox after archiving');
  }

  async #setType({ kind, policy, ...step }: Extract<Step, { do: 'setType' }>): Promise<void> {
    const type = TYPES[step.type]!;
    if (kind === 'pause') return this.#sameType({ kind, type });
    const version = this.core.state.types.get(type)?.version ?? 0;
    const ifVersion = typeof step.ifVersion === 'number' ? version + step.ifVersion : step.ifVersion;
    return this.#sameType(kind === 'declare' ? { kind, type, policy, ifVersion } : { kind, type, ifVersion });
  }

  async #sameType(command: SetTypeCommand): Promise<void> {
    this.#same(await this.store.setType(command), this.core.setType(command), command);
  }

  async #compareLists(): Promise<void> {
    const { types } = { types: [], ...(await this.store.listTypes({ cursor: null, limit: 100 })) };
    this.#same(types, this.core.types(), 'types');
    for (const type of TYPES)
      this.#same(await this.store.listListeners(type), this.core.listListeners(type), `listeners of ${type}`);

    // A wait that is over while nobody looks ends when somebody does, which need not be at one time.
    await this.store.promote(0, 1_000);
    this.core.promote(1_000);
    for (const type of TYPES)
      this.#same(await statsOf(this.store, type), this.core.typeStats(type), `stats of ${type}`);

    const newestFirst = [...this.core.state.history].reverse();
    for (const [type, status, limit, scanMax] of [
      [null, null, 3, 1_000],
      [TYPES[0]!, null, 100, 4],
      [null, 'complete', 2, 5],
    ] as const) {
      const expected = newestFirst
        .map((event) => this.core.read(event.id)!)
        .filter((event) => event !== NOT_ARCHIVED)
        .filter(
          (event) => (type === null || event.type === type) && (status === null || event.status === status),
        )
        .map(summaryOf);
      const listed: unknown[] = [];
      let cursor: string | null = null;
      do {
        const page = await this.store.list({ type, status, outcome: null, cursor, limit, scanMax });
        assert.equal(page.kind, 'page');
        if (page.kind !== 'page') return;
        listed.push(...page.events);
        cursor = page.cursor;
      } while (cursor !== null);
      this.#same(listed, expected, { type, status, limit, scanMax });
    }
  }

  /** An attempt and a token for it, its own or not. Without a lease so far: an attempt that never was. */
  #holder({ lease, token }: { lease: number; token: string }) {
    const found = fromEnd(this.#leases, lease);
    if (!found) return this.#ids[0] ? { attemptId: `${this.#ids[0]}.0.0.1`, token: 'none' } : null;
    const other = fromEnd(this.#leases, lease + 1) ?? found;
    const tokens: Record<string, string> = { own: found.token, other: other.token, wrong: 'wrong' };
    return { attemptId: found.attemptId, token: tokens[token]! };
  }

  #same(actual: unknown, expected: unknown, step: unknown): void {
    assert.deepEqual(plain(actual), plain(expected), JSON.stringify(plain(step)));
  }

  #next(): number {
    this.#made += 1;
    return this.#made;
  }

  /** Ids sort as they are made, so that an order by id and an order by acceptance are one. */
  #newId(partition = 0): string {
    const time = (0x0198_0000_0000 + this.#next()).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7000-80${partition}0-000000000000`;
  }
}

/** Without when listeners asked: the core has no clock by which to be frugal with that. */
async function statsOf(store: Store, type: string) {
  const stats = await store.typeStats(type);
  return stats && { ...stats, listeners: stats.listeners.map((each) => ({ ...each, askedAt: null })) };
}

function fromEnd<T>(list: readonly T[], place: number): T | undefined {
  return list.length === 0 ? undefined : list[list.length - 1 - (place % list.length)];
}

async function readAllOf(store: Store) {
  const records = [];
  for (let after: Position | null = null; ; ) {
    const some = await store.readOutbox(0, after, { records: 7, bytes: 400 });
    if (some.length === 0) return records;
    records.push(...some);
    after = some.at(-1)!.pos;
  }
}

/** Bytes as text, whatever kind of bytes they are. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('latin1')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
