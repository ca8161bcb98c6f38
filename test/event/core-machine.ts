/**
 * The core under random operations, watched: a partition's state, all records that it wrote, and beside them a
 * plain account of who holds what and what was answered, by which each answer is judged.
 */
import assert from 'node:assert/strict';
import { apply } from '../../src/event/apply.js';
import { parseAttemptId } from '../../src/event/attempt-id.js';
import type { CompleteResult, Lease } from '../../src/event/command.js';
import { decideAccept } from '../../src/event/decide/accept.js';
import { decideCancel } from '../../src/event/decide/cancel.js';
import { decideComplete } from '../../src/event/decide/complete.js';
import { decideDeadlines } from '../../src/event/decide/deadline.js';
import type { Decision } from '../../src/event/decide/decision.js';
import { decideExpire, forgetPast } from '../../src/event/decide/expire.js';
import { decideExtend } from '../../src/event/decide/extend.js';
import { decideAbandon, decideHandBack } from '../../src/event/decide/hand-back.js';
import { decideLease } from '../../src/event/decide/lease.js';
import { decideDeleteListener, decideSetListener, decideSweep } from '../../src/event/decide/listener.js';
import { decideRelayed, findRelays } from '../../src/event/decide/relay.js';
import { decideSetType } from '../../src/event/decide/set-type.js';
import { makeEventId } from '../../src/event/id.js';
import type { LogRecord, StoreRecord } from '../../src/event/record.js';
import { promoteDue, releaseArchived } from '../../src/event/schedule.js';
import { type Delivery, emptyState, leaseExpired, type PartitionState } from '../../src/event/state.js';
import { isBeyond, NOT_ARCHIVED } from '../../src/event/unarchived.js';
import { shownView } from '../../src/event/view.js';
import { decodePart, encodeState, type SnapshotPart } from '../../src/store/embedded/snapshot.js';
import { dumpState } from '../support/state-dump.js';
import { checkEmitted, checkTrees, type Place } from './core-cascades.js';
import { checkKey, checkKeys, whoIsBehind } from './core-keys.js';
import { LeaseAccount } from './core-leases.js';
import { ListenerAccount } from './core-listeners.js';
import { envelopeOf, type Op } from './core-ops.js';
import { oldest } from './core-order.js';
import { commandOf, PolicyAccount } from './core-policies.js';
import { checkShown, promisedReceipt, promiseOf, promiseOfEmitting, withoutEnds } from './core-shown.js';

export const POLICY = {
  attemptsMax: 2,
  leaseMs: 100,
  backoffFirstMs: 10,
  backoffFactor: 2,
  backoffMsMax: 50,
  backoffJitter: 0.5,
};
export const LIMITS = { leaseMsMax: 1_000, typesMax: 3, bytesMax: 1 << 20 };
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

interface Answer {
  readonly call: string;
  readonly claim: number;
  readonly leases: readonly Lease[];
}

export class CoreMachine {
  state: PartitionState = emptyState(POLICY, LIMITS);
  now = 1_000_000;
  readonly records: StoreRecord[] = [];
  readonly #archived: LogRecord[] = [];
  /** The fold of what is archived: all that may be seen of events with `archive` durability. */
  readonly #log: PartitionState = emptyState(POLICY, LIMITS);
  readonly #out = new LeaseAccount(this, LIMITS.leaseMsMax);
  readonly #listeners = new ListenerAccount();
  readonly #leases: Lease[] = [];
  readonly #answers: Answer[] = [];
  /** By call: what it was last answered with anew, and until when that is remembered. */
  readonly #calls = new Map<string, { readonly leases: readonly Lease[]; readonly until: number }>();
  /** By attempt: the completion that was accepted. */
  readonly #completed = new Map<string, { readonly fingerprint: string; readonly answer: CompleteResult }>();
  /** By event: how it stood when it was first seen complete. */
  readonly #ends = new Map<string, string>();
  readonly #keys = new Map<string, { readonly id: string; readonly fingerprint: string }>();
  readonly #policies = new PolicyAccount(POLICY);
  readonly #ids: string[] = [];
  /** By event: emitted for another partition, and not relayed yet. */
  readonly #onTheWay = new Map<string, Place>();
  #made = 0;
  #clockMax = this.now;

  run(op: Op): void {
    switch (op.do) {
      case 'accept':
        return this.#accept(op);
      case 'lease':
        return this.#lease(op);
      case 'extend':
        return this.#extend(op);
      case 'complete':
        return this.#complete(op);
      case 'handBack':
        return this.#handBack(op);
      case 'abandon':
        return this.#abandon(op);
      case 'cancel':
        return this.#cancel(op);
      case 'relay':
        return this.#relay(op);
      case 'expire':
        return this.#expire(op);
      case 'promote':
        promoteDue(this.state, this.now, op.limit);
        return;
      case 'pass':
        this.now = Math.max(1, this.now + op.ms);
        this.#clockMax = Math.max(this.#clockMax, this.now);
        return;
      case 'setType':
        return this.#setType(op);
      case 'setListener':
        return this.#setListener(op);
      case 'deleteListener':
        return this.#deleteListener(op);
      case 'sweep':
        return this.#sweep(op);
      case 'archive':
        return this.#archive(op);
      case 'restart':
        return this.#restart(op);
    }
  }

  /** Invariants that hold between any two operations. */
  check(): void {
    for (const event of this.state.events.values()) {
      this.#listeners.checkEvent(event);
      for (const delivery of event.deliveries) this.#checkDelivery(delivery);
      if (event.status !== 'complete') continue;
      const { outcome, reason, completedAt, result } = event;
      const end = JSON.stringify({ outcome, reason, completedAt, result });
      assert.equal(this.#ends.get(event.id) ?? end, end, 'S3: a complete event stays as it was');
      this.#ends.set(event.id, end);
    }
    assert.deepEqual([...this.state.events.keys()], this.#ids, 'S1: what was accepted is known');
    this.#out.check();
    this.#listeners.check(this.state);
    checkTrees(this.state, this.#onTheWay);
    checkKeys(this.state);
    checkShown(this.state, this.#log);
  }

  #checkDelivery({ event, state, attempts, attempt, grants }: Delivery): void {
    const live = attempts.filter(({ end }) => end === null);
    assert.equal(live.length, state === 'leased' ? 1 : 0, 'S2: one live lease, while leased');
    const counted = attempts.filter(({ end }) => end !== 'handed_back');
    assert.equal(attempt, counted.length, 'all attempts count but those handed back');
    assert.equal(grants, attempts.length);
    const attemptsMax = this.#policies.attemptsMaxOf(event.type.name) - (state === 'waiting' ? 1 : 0);
    assert.ok(attempt <= attemptsMax, 'attempts run out');
  }

  /** S8: the state is the fold of its records; what of it is logged is the fold of what is logged. */
  checkFold(): void {
    const expected = dumpState(this.state, this.#clockMax);
    const journal = emptyState(POLICY, LIMITS);
    for (const record of this.records) apply(journal, record);
    assert.deepEqual(dumpState(journal, this.#clockMax), expected, 'S8: the fold of the journal');

    const log = emptyState(POLICY, LIMITS);
    const logged = [...this.#archived, ...this.state.outbox];
    for (const record of logged) apply(log, record);
    log.archived = this.state.archived;
    const { events, types, keys, bytes } = withoutEnds(dumpState(log, this.#clockMax));
    const now = withoutEnds(expected);
    assert.deepEqual(
      { events, types, keys, bytes },
      { events: now.events, types, keys: now.keys, bytes: now.bytes },
    );
    this.#checkPositions(logged);
  }

  #checkPositions(logged: readonly LogRecord[]): void {
    for (const [k, { pos }] of logged.entries()) {
      const before = logged[k - 1]?.pos;
      if (!before) continue;
      const follows =
        pos.view === before.view ? pos.n === before.n + 1 : pos.view > before.view && pos.n === 1;
      assert.ok(follows, `S8: ${JSON.stringify(before)} then ${JSON.stringify(pos)}`);
    }
  }

  #carryOut<Result>({ records, result }: Decision<Result>): Result {
    for (const record of records) {
      const wasComplete = 'id' in record && this.state.events.get(record.id)?.status === 'complete';
      apply(this.state, record);
      this.records.push(record);
      this.#out.note(record);
      this.#listeners.note(record, wasComplete, this.state);
    }
    return result;
  }

  /** It was accepted just now. */
  #noteAccepted(id: string, type: string, method: string, deadlineMs?: number): void {
    this.#ids.push(id);
    this.#listeners.accept(id, type, method);
    const ms = deadlineMs ?? this.#policies.deadlineMsOf(type);
    this.#out.accept(id, ms === undefined ? null : this.now + ms);
  }

  #accept(op: Extract<Op, { do: 'accept' }>): void {
    const again = op.again && this.#ids.length > 0;
    const id = again ? this.#ids[op.pick % this.#ids.length]! : makeEventId(this.now, 0);
    const idempotency = op.key === null ? null : { scope: op.key, fingerprint: op.request };
    const command = {
      id,
      type: op.type,
      envelope: envelopeOf(op.method, op.bytes),
      delayMs: op.delayMs,
      ...(op.deadlineMs === undefined ? {} : { deadlineMs: op.deadlineMs }),
      idempotency,
      durability: op.durability,
      ...(op.order === null ? {} : { key: op.order }),
    };
    const decision = decideAccept(this.state, command, this.now);
    const result = this.#carryOut(decision);
    if ('archive' in result)
      assert.deepEqual(result.archive, promisedReceipt(this.state, this.#log, result.id), 'S9: accept');
    if (again) {
      assert.deepEqual([result.kind, decision.records.length], ['accepted', 0], 'the same id again');
      return;
    }
    const first = op.key === null ? undefined : this.#keys.get(op.key);
    if (first) {
      // Days do not end in these runs, so a key is never forgotten.
      const kind = first.fingerprint === op.request ? 'duplicate' : 'conflict';
      assert.deepEqual([result.kind, 'id' in result && result.id], [kind, first.id], 'S7');
      assert.equal(decision.records.length, 0);
      return;
    }
    assert.equal(result.kind, 'accepted');
    this.#noteAccepted(id, op.type, op.method, op.deadlineMs);
    checkKey(this.state.events.get(id), op.order);
    if (op.key !== null) this.#keys.set(op.key, { id, fingerprint: op.request });
  }

  #lease(op: Extract<Op, { do: 'lease' }>): void {
    const { listener } = op;
    const missing = op.types.find((type) => this.#listeners.placeOf(type, listener) === null);
    const overdue = this.#out.deadlinesPassed;
    assert.equal(this.#carryOut(decideDeadlines(this.state, NO_LIMIT, this.now)), overdue);
    promoteDue(this.state, this.now, NO_LIMIT);
    const eligible = this.#eligible(op);
    const call = op.call === null ? `call ${this.#made++}` : op.call;
    const tokens = Array.from({ length: op.max }, () => `token ${this.#made++}`);
    const { types, max, bytesMax, leaseMs } = op;
    const command = { types, listener, max, bytesMax, leaseMs, worker: null, call, tokens };
    const known = this.#calls.get(call);
    const live =
      known && known.until > this.now ? known.leases.filter((lease) => this.#out.holds(lease)) : [];
    const result = this.#carryOut(decideLease(this.state, command, this.now));
    if (missing !== undefined) {
      assert.deepEqual(result, { kind: 'not_subscribed', type: missing, listener });
      return;
    }
    assert.ok(result.kind === 'leased');
    const given = result.leases.map((lease) => lease.attemptId);
    if (live.length > 0) {
      const held = live.map((lease) => lease.attemptId);
      assert.deepEqual(given, held, 'a repeated call gets its leases that live');
    } else {
      const expected = oldest(eligible, max, bytesMax).map((delivery) => delivery.event.id);
      assert.deepEqual(
        result.leases.map((lease) => lease.event.id),
        expected,
        'S6: the oldest that are eligible',
      );
      const until = this.now + (leaseMs ?? this.#policies.leaseMsOf(types));
      for (const { expiresAt } of result.leases) assert.equal(expiresAt, until, 'as long as the types say');
      if (given.length > 0) this.#calls.set(call, { leases: result.leases, until });
    }
    this.#leases.push(...result.leases);
    if (given.length > 0) this.#answers.push({ call, claim: result.claim, leases: result.leases });
  }

  #eligible({ types, listener }: Extract<Op, { do: 'lease' }>): Delivery[] {
    const waiting = [...this.state.history]
      .filter((event) => types.includes(event.type.name))
      .flatMap((event) => event.deliveries)
      .filter((delivery) => delivery.state === 'waiting');
    const isHeld = ({ event }: Delivery) =>
      event.unarchived !== null && isBeyond(event.position, this.state.archived?.pos ?? null);
    const isBehind = whoIsBehind(this.state);
    const late = waiting
      .filter((delivery) => delivery.dueAt <= this.now && delivery.place !== 'ready')
      .filter((delivery) => !isHeld(delivery) && !isBehind(delivery));
    assert.equal(late.length, 0, 'L1: what is due is ready');
    const early = waiting.filter((delivery) => delivery.place === 'ready' && isHeld(delivery));
    assert.equal(early.length, 0, 'S9: nobody may lease what is not archived');
    const passing = waiting.filter((delivery) => delivery.place === 'ready' && isBehind(delivery));
    assert.equal(passing.length, 0, 'S6: nobody passes the head of its key');
    return waiting.filter(({ place, event: { type }, listener: ordinal }) => {
      const isTheirs = ordinal === this.#listeners.placeOf(type.name, listener);
      return isTheirs && place === 'ready' && !this.#policies.isPaused(type.name);
    });
  }

  #pick({ pick, wrong }: { pick: number; wrong: boolean }): Lease | null {
    const lease = this.#leases[pick % Math.max(1, this.#leases.length)];
    return lease ? { ...lease, token: wrong ? 'wrong' : lease.token } : null;
  }

  #extend(op: Extract<Op, { do: 'extend' }>): void {
    const lease = this.#pick(op);
    if (!lease) return;
    const holds = this.#out.holds(lease);
    const result = this.#carryOut(decideExtend(this.state, { ...lease, leaseMs: op.leaseMs }, this.now));
    assert.equal(result.kind, holds ? 'extended' : 'lease_lost', 'S2: extend');
    if (result.kind !== 'extended') return;
    const view = shownView(this.state, this.state.events.get(lease.event.id)!);
    assert.equal(result.cancelRequested, view !== NOT_ARCHIVED && view.cancelRequested, 'S9: extend');
  }

  #complete(op: Extract<Op, { do: 'complete' }>): void {
    const lease = this.#pick(op);
    if (!lease) return;
    const holds = this.#out.holds(lease);
    const { outcome, retry, text } = op;
    const fingerprint = `${outcome} ${text}`;
    const { attemptId, token } = lease;
    const emit = op.emit.map(({ order, ...each }) => ({
      ...each,
      ...(order === null ? {} : { key: order }),
      id: makeEventId(this.now, each.elsewhere ? 1 : 0),
      envelope: envelopeOf(each.method, 0),
    }));
    const result = Buffer.from(`{}\n${text}`);
    const command = { attemptId, token, outcome, retry, result, fingerprint, emit };
    const before = this.state.events.get(lease.event.id)!;
    const [wasComplete, resultBefore] = [before.status === 'complete', before.result];
    const isResponder = this.#listeners.isResponder(before.id, parseAttemptId(attemptId)!.listener);
    const decision = decideComplete(this.state, command, this.now);
    const answer = this.#carryOut(decision);
    const first = this.#completed.get(attemptId);
    if (first) {
      const emitted = first.answer.kind === 'completed' ? first.answer.emitted : [];
      const archive = promiseOfEmitting(this.state, this.#log, lease.event.id, emitted);
      const expected =
        first.fingerprint === fingerprint ? { ...first.answer, archive } : { kind: 'conflict' };
      assert.deepEqual(answer, expected, 'S4: the same completion again, or another');
      assert.equal(decision.records.length, 0, 'S4: a repeat changes nothing');
      return;
    }
    assert.equal(answer.kind, holds ? 'completed' : 'lease_lost', 'S2: complete');
    if (answer.kind !== 'completed') return;
    const emits = outcome === 'success' || retry.kind === 'never';
    assert.deepEqual(
      answer.emitted,
      emits ? emit.map(({ id }) => id) : [],
      'S5: what was emitted, or nothing',
    );
    const { here, onTheWay } = checkEmitted(this.state, lease.event.id, emits ? emit : []);
    for (const { id, type, method } of emit) if (here.includes(id)) this.#noteAccepted(id, type, method);
    for (const [id, place] of onTheWay) this.#onTheWay.set(id, place);
    const promise = promiseOfEmitting(this.state, this.#log, lease.event.id, answer.emitted);
    assert.deepEqual(answer.archive, promise, 'S9: complete');
    this.#completed.set(attemptId, { fingerprint, answer });
    if (!isResponder)
      assert.equal(
        answer.status,
        wasComplete ? 'complete' : 'in_process',
        'another’s end is not the event’s',
      );
    const ends = isResponder && answer.status === 'complete';
    const expected = ends ? command.result : resultBefore;
    assert.deepEqual(this.state.events.get(before.id)!.result, expected, 'the result is the event’s');
  }

  #handBack(op: Extract<Op, { do: 'handBack' }>): void {
    const lease = this.#pick(op);
    if (!lease) return;
    const holds = this.#out.holds(lease);
    const decision = decideHandBack(this.state, lease, this.now);
    const result = this.#carryOut(decision);
    if (holds) assert.equal(result.kind, 'handed_back');
    else assert.equal(decision.records.length, 0, 'S2: a stale token hands nothing back');
  }

  #abandon(op: Extract<Op, { do: 'abandon' }>): void {
    const answer = this.#answers[op.pick % Math.max(1, this.#answers.length)];
    if (!answer) return;
    const newest = this.#answers.findLast((each) => each.call === answer.call)!;
    const remembered = this.#calls.get(answer.call)!.until > this.now;
    const live = answer.leases.filter((lease) => this.#out.holds(lease)).length;
    const { handedBack } = this.#carryOut(decideAbandon(this.state, answer, this.now));
    if (!remembered || newest.claim !== answer.claim)
      assert.equal(handedBack, 0, 'a repeat has taken them over');
    else if (newest === answer) assert.equal(handedBack, live);
  }

  #cancel(op: Extract<Op, { do: 'cancel' }>): void {
    const id = this.#ids[op.pick % Math.max(1, this.#ids.length)];
    if (id === undefined) return;
    const isOpen = this.state.events.get(id)!.status !== 'complete';
    const isHeld = isOpen && this.#out.isHeld(id, this.#listeners.responderOf(id));
    const result = this.#carryOut(decideCancel(this.state, id, this.now));
    const { kind } = result;
    assert.deepEqual('archive' in result && result.archive, promiseOf(this.state, id), 'S9: cancel');
    if (isHeld) assert.equal(kind, 'requested', 'who holds it is asked');
    else assert.match(kind, /^(cancelled|complete)$/);
    const event = this.state.events.get(id)!;
    if (kind === 'cancelled' && isOpen)
      assert.ok(!event.deliveries.some(({ state }) => state === 'waiting'), 'nobody begins');
  }

  #relay({ limit }: Extract<Op, { do: 'relay' }>): void {
    const relays = findRelays(this.state, 0, limit).map(({ id }) => id);
    assert.equal(this.#carryOut(decideRelayed(this.state, relays, this.now)), relays.length);
    assert.equal(this.#carryOut(decideRelayed(this.state, relays, this.now)), 0, 'once');
    for (const id of relays) this.#onTheWay.delete(id);
  }

  #expire(op: Extract<Op, { do: 'expire' }>): void {
    forgetPast(this.state, this.now);
    // What was forgotten once stays so when the clock steps back.
    for (const [call, known] of this.#calls) {
      if (known.until <= this.now) this.#calls.set(call, { ...known, until: Number.NEGATIVE_INFINITY });
    }
    const { deadlinesPassed, timesUp } = this.#out;
    const { expired, deadlines } = this.#carryOut(decideExpire(this.state, op.limit, this.now));
    assert.equal(deadlines, Math.min(op.limit, deadlinesPassed), 'what has passed its deadline ends');
    if (deadlinesPassed > 0) return;
    assert.equal(expired, Math.min(op.limit, timesUp), 'L2: what is over is found');
    if (op.limit < timesUp) return;
    for (const { deliveries } of this.state.history) {
      const stuck = deliveries.some(
        (delivery) => delivery.state === 'leased' && leaseExpired(delivery, this.now, LIMITS),
      );
      assert.ok(!stuck, 'L2: nothing over is kept alive');
    }
  }

  #setType(op: Extract<Op, { do: 'setType' }>): void {
    const known = this.state.types.get(op.type);
    const before = known ? { ...known } : null;
    const decision = decideSetType(this.state, commandOf(op), this.now);
    const { kind } = this.#carryOut(decision);
    const { length } = decision.records;
    if (kind === 'set') this.#policies.note(op, before, this.state.types.get(op.type)!, length);
    else assert.equal(length, 0, 'what is refused changes nothing');
  }

  #setListener({ type, name, responder, method }: Extract<Op, { do: 'setListener' }>): void {
    const filter = method === null ? null : { method: [method] };
    const isNew = this.#listeners.placeOf(type, name) === null || this.#isImplicit(type, name);
    const records = this.#listeners.set(type, { name, responder, method });
    const listener = { name, responder, filter };
    const decision = decideSetListener(this.state, { type, listener }, this.now);
    const ofType = this.state.types.has(type) ? 0 : 1;
    assert.equal(decision.records.length, records + ofType, 'what is so is not recorded again');
    assert.deepEqual(this.#carryOut(decision), { kind: 'set', created: isNew });
  }

  /** It is there by use only. */
  #isImplicit(type: string, name: string): boolean {
    const { listeners } = this.state.types.get(type) ?? { listeners: [] };
    return this.#listeners.placeOf(type, name) === listeners.length;
  }

  #deleteListener({ type, name }: Extract<Op, { do: 'deleteListener' }>): void {
    const { kind } = this.#carryOut(decideDeleteListener(this.state, type, name, this.now));
    assert.equal(kind, this.#listeners.delete(type, name) ? 'deleted' : 'unknown');
  }

  #sweep({ limit }: Extract<Op, { do: 'sweep' }>): void {
    const { ended, more } = this.#carryOut(decideSweep(this.state, limit, this.now));
    assert.ok(ended <= limit);
    if (!more) assert.equal(this.state.leaving, 0, 'there is nothing left to sweep');
  }

  #archive(op: Extract<Op, { do: 'archive' }>): void {
    const records = [...this.state.outbox];
    const upTo = records[op.pick % Math.max(1, records.length)];
    if (!upTo) return;
    const count = records.indexOf(upTo) + 1;
    this.#archived.push(...records.slice(0, count));
    for (const record of records.slice(0, count)) apply(this.#log, record);
    this.#carryOut({ records: [{ op: 'archived', pos: upTo.pos, slot: 1 }], result: null });
    releaseArchived(this.state, this.now, NO_LIMIT);
    assert.equal(this.state.outbox.length, records.length - count);
  }

  /** The store ends and starts: the state is made anew of the journal, or of a snapshot. */
  #restart(op: Extract<Op, { do: 'restart' }>): void {
    const state = emptyState(POLICY, LIMITS);
    if (op.from === 'journal') {
      for (const record of this.records) apply(state, record);
    } else {
      for (const { part, payload } of encodeState(this.state, { logId: 'log', journal: 1, group: 1 })) {
        const read = JSON.parse(JSON.stringify(part)) as SnapshotPart;
        decodePart(state, read, payload && Buffer.concat(payload));
      }
      assert.deepEqual(dumpState(state), dumpState(this.state), 'a snapshot holds everything');
    }
    this.state = state;
    this.#carryOut({ records: [{ op: 'opened', logId: 'log', view: state.view + 1 }], result: null });
  }
}
