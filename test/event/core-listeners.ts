/** Who listens to which type, and who gets which event, kept beside the core by plain account: by it the core is judged. */
import assert from 'node:assert/strict';
import { listenersOf } from '../../src/event/listeners.js';
import type { Outcome, Reason, StoreRecord } from '../../src/event/record.js';
import type { DeliveryCounts, EventState, PartitionState } from '../../src/event/state.js';

interface Declared {
  readonly name: string;
  readonly responder: boolean;
  /** It gets events of this method only; null: all. */
  readonly method: string | null;
  readonly living: boolean;
}

/** Of an event: the listeners that get it, the one whose end is the event's, and how the others ended so far. */
interface Receivers {
  readonly type: string;
  readonly all: readonly number[];
  responder: number | null;
  readonly ends: Map<number, { readonly outcome: Outcome; readonly reason: Reason | null }>;
}

export class ListenerAccount {
  /** By type, those that ever were, in the order in which they came. */
  readonly #declared = new Map<string, Declared[]>();
  /** Types from whose place that comes next somebody has leased. */
  readonly #leased = new Set<string>();
  readonly #receivers = new Map<string, Receivers>();

  /** Where the listener of this name leases from; null: there is none. */
  placeOf(type: string, name: string): number | null {
    const declared = this.#of(type);
    const place = declared.findIndex((each) => each.living && each.name === name);
    if (place >= 0) return place;
    return name === 'default' && !declared.some(({ living }) => living) ? declared.length : null;
  }

  /** How many records that takes. */
  set(type: string, wanted: Omit<Declared, 'living'>): number {
    const declared = this.#of(type);
    const place = declared.findIndex((each) => each.living && each.name === wanted.name);
    if (place >= 0) {
      const { responder, method } = declared[place]!;
      declared[place] = { ...wanted, living: true };
      return responder === wanted.responder && method === wanted.method ? 0 : 1;
    }
    const isItself = !declared.some(({ living }) => living) && this.#leased.has(type);
    const before = declared.length;
    if (isItself && wanted.name !== 'default')
      declared.push({ name: 'default', responder: false, method: null, living: true });
    declared.push({ ...wanted, living: true });
    this.#leased.delete(type);
    return declared.length - before;
  }

  /** Whether there was one. */
  delete(type: string, name: string): boolean {
    const declared = this.#of(type);
    const place = declared.findIndex((each) => each.living && each.name === name);
    if (place >= 0) declared[place] = { ...declared[place]!, living: false };
    return place >= 0;
  }

  accept(id: string, type: string, method: string): void {
    const declared = this.#of(type);
    const matching = declared.flatMap((each, place) =>
      each.living && (each.method === null || each.method === method) ? [place] : [],
    );
    const all = declared.some(({ living }) => living) ? matching : [declared.length];
    const responder = all.find((place) => declared[place]?.responder) ?? all[0] ?? null;
    this.#receivers.set(id, { type, all, responder, ends: new Map() });
  }

  isResponder(id: string, place: number): boolean {
    return this.#receivers.get(id)!.responder === place;
  }

  responderOf(id: string): number | null {
    return this.#receivers.get(id)!.responder;
  }

  /** `record` was applied, and `state` is what came of it. `wasComplete`: before it. */
  note(record: StoreRecord, wasComplete: boolean, state: PartitionState): void {
    if (record.op === 'granted' && record.listener === this.#of(record.type).length)
      this.#leased.add(record.type);
    else if (record.op === 'completed') this.#end(record.id, record.listener, record);
    else if (record.op === 'dead')
      this.#end(record.id, record.listener, { outcome: 'fail', reason: 'attempts_exhausted' });
    else if (record.op === 'unsubscribed') this.#handOver(record, wasComplete, state);
  }

  check(state: PartitionState): void {
    for (const { name, listeners, open, counts } of state.types.values()) {
      const living = this.#of(name).flatMap(({ living, method, ...each }, ordinal) =>
        living ? [{ ordinal, ...each, filter: method === null ? null : { method: [method] } }] : [],
      );
      assert.deepEqual(listenersOf(listeners), living, 'who listens');
      const events = [...state.events.values()].filter(({ type }) => type.name === name);
      assert.equal(open, events.filter(({ status }) => status !== 'complete').length, 'how many are open');
      for (const [place, count] of counts.entries()) if (count) checkCounts(place, count, events);
      for (const [place, listener] of listeners.entries()) {
        if (listener.state !== 'gone') continue;
        const left = events.some((event) =>
          event.deliveries.some((each) => each.listener === place && each.state !== 'ended'),
        );
        assert.ok(!left, 'what is swept leaves nothing behind');
      }
    }
    const leaving = [...state.types.values()].flatMap(({ listeners }) =>
      listeners.filter((each) => each.state === 'leaving'),
    );
    assert.equal(state.leaving, leaving.length, 'how many have deliveries left');
  }

  checkEvent(event: EventState): void {
    const { all, responder } = this.#receivers.get(event.id)!;
    const given = event.deliveries.map(({ listener }) => listener);
    assert.deepEqual([...given].sort(), [...all].sort(), 'those get it whose filters match');
    if (given.length > 0 && responder !== null) assert.equal(given[0], responder, 'the responder first');
    const isOver = given.length === 0 || event.deliveries[0]!.state === 'ended';
    assert.equal(event.status === 'complete', isOver, 'the responder’s end is the event’s');
    const isSettled = isOver && event.deliveries.every(({ state }) => state === 'ended');
    assert.equal(event.settledAt !== null, isSettled, 'settled when all have ended, and not before');
    if (given.length === 0) assert.equal(event.reason, 'unmatched');
  }

  #of(type: string): Declared[] {
    const declared = this.#declared.get(type) ?? [];
    this.#declared.set(type, declared);
    return declared;
  }

  #end(id: string, place: number, { outcome, reason }: { outcome: Outcome; reason: Reason | null }): void {
    this.#receivers.get(id)!.ends.set(place, { outcome, reason });
  }

  /** The next by place of those that are still there takes over what the responder of an open event leaves. */
  #handOver(
    record: Extract<StoreRecord, { op: 'unsubscribed' }>,
    wasComplete: boolean,
    state: PartitionState,
  ): void {
    const receivers = this.#receivers.get(record.id)!;
    if (wasComplete || receivers.responder !== record.listener) {
      assert.equal(record.responder, undefined, 'the responder stays who it was');
      return;
    }
    const declared = this.#of(receivers.type);
    const left = receivers.all.filter(
      (place) => place !== record.listener && declared[place]?.living !== false,
    );
    const next = left.length === 0 ? null : Math.min(...left);
    assert.equal(record.responder, next, 'the next one that is there answers');
    receivers.responder = next;
    const event = state.events.get(record.id)!;
    const { outcome, reason } = event;
    if (next === null) {
      assert.deepEqual({ outcome, reason }, { outcome: 'fail', reason: 'unmatched' });
    } else if (event.status === 'complete') {
      const end = receivers.ends.get(next) ?? { outcome: 'fail', reason: 'cancelled' };
      assert.deepEqual({ outcome, reason }, end, 'the event ends as the one that answers now has ended');
    }
  }
}

function checkCounts(place: number, count: DeliveryCounts, events: readonly EventState[]): void {
  const counted: DeliveryCounts = { ready: 0, delayed: 0, leased: 0 };
  for (const delivery of events.flatMap(({ deliveries }) => deliveries)) {
    if (delivery.listener !== place || delivery.state === 'ended') continue;
    if (delivery.state === 'leased') counted.leased += 1;
    else counted[delivery.place === 'ready' ? 'ready' : 'delayed'] += 1;
  }
  assert.deepEqual(count, counted, 'how many deliveries are where');
}
