/** Records for tests: plain ones by hand, and arbitrary ones of every operation. */
import fc from 'fast-check';
import { pack } from '../../src/event/packed.js';
import type { Accepted, LogRecord, Position } from '../../src/event/record.js';

export const LOG_ID = '0193f1d2-7c3a-7000-8000-00000000c10c';

export function acceptedRecord(pos: Position, body: Uint8Array = Buffer.from('{"a":1}')): Accepted {
  return {
    op: 'accepted',
    pos,
    at: 1_763_884_800_000 + pos.n,
    id: `event-${pos.view}-${pos.n}`,
    type: 'mail',
    dueAt: 1_763_884_800_000 + pos.n,
    idempotency: null,
    payload: pack(
      { method: 'POST', path: '/', headers: [['content-type', 'application/json']], bodyEncoding: 'text' },
      body,
    ),
  };
}

/** `count` records of one view, numbered from `first` on. */
export function acceptedRecords(view: number, first: number, count: number): Accepted[] {
  return Array.from({ length: count }, (_, i) => acceptedRecord({ view, n: first + i }));
}

/** A completion at `n` in view 1, and behind it the events that it emits. */
export function emittingRecords(n: number, count: number): LogRecord[] {
  const { id, payload } = acceptedRecord({ view: 1, n: 1 });
  const children = acceptedRecords(1, n + 1, count).map((record) => ({ ...record, parent: id, root: id }));
  const completed: LogRecord = {
    op: 'completed',
    pos: { view: 1, n },
    at: 1_763_884_800_000 + n,
    id,
    type: 'mail',
    listener: 0,
    grant: 1,
    outcome: 'success',
    reason: null,
    fingerprint: 'print',
    emitted: children.map((child) => child.id),
    payload,
  };
  return [completed, ...children];
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '"', '\\', '\u2028', '{}'),
);
const count = fc.nat();
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  text.map((value) => Buffer.from(value)),
  fc.json().map((value) => Buffer.from(value)),
  fc.constantFrom(
    Buffer.alloc(300),
    Buffer.from('\ufeffbom'),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from('\n\n'),
  ),
);

/** Heads as JSON.stringify writes them, with anything in them that JSON can say. */
const payload = fc
  .tuple(
    fc.record({
      method: text,
      path: text,
      headers: fc.array(fc.tuple(text, text), { maxLength: 3 }),
      bytes: count,
      errors: fc.array(fc.jsonValue(), { maxLength: 3 }),
      cloudEvent: fc.option(fc.dictionary(text, fc.oneof(text, fc.double(), fc.boolean()))),
    }),
    body,
  )
  .map(([head, bytes]): Uint8Array => pack(head, bytes));

const ofEvent = { id: text, type: text };
const delivery = { ...ofEvent, listener: count, grant: count };
const maybeResult = { fingerprint: fc.option(text), payload: fc.option(payload) };
const why = fc.constantFrom('expired' as const, 'failed' as const);

/** A record of these fields. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true });
}

const claim = plain({ scope: text, fingerprint: text, expiresAt: count });

/** A record without its place. */
const unplaced: fc.Arbitrary<Omit<LogRecord, 'pos'>> = fc.oneof(
  plain({ op: fc.constant('typeSet' as const), at: count, type: text, ordinal: count, version: count }),
  plain({
    op: fc.constant('typeSet' as const),
    at: count,
    type: text,
    ordinal: count,
    version: count,
    policy: fc.constantFrom(
      {},
      { attemptsMax: 3, leaseMs: 1_000 },
      { backoff: { firstMs: 1, factor: 1.5, jitter: 0 } },
    ),
    paused: fc.constant(true as const),
  }),
  plain({
    op: fc.constant('accepted' as const),
    at: count,
    id: text,
    type: text,
    dueAt: count,
    idempotency: fc.option(claim),
    payload,
  }),
  plain({
    op: fc.constant('accepted' as const),
    at: count,
    id: text,
    type: text,
    dueAt: count,
    deadlineAt: count,
    durability: fc.constant('archive' as const),
    idempotency: fc.option(claim),
    payload,
  }),
  plain({
    op: fc.constant('accepted' as const),
    at: count,
    id: text,
    type: text,
    dueAt: count,
    idempotency: fc.option(claim),
    parent: text,
    root: text,
    payload,
  }),
  plain({
    op: fc.constant('completed' as const),
    at: count,
    ...delivery,
    outcome: fc.constantFrom('success' as const, 'fail' as const),
    reason: fc.option(fc.constantFrom('listener' as const, 'cancelled' as const)),
    fingerprint: text,
    emitted: fc.array(text, { minLength: 1, maxLength: 3 }),
    payload,
  }),
  plain({
    op: fc.constant('granted' as const),
    at: count,
    ...delivery,
    attempt: count,
    token: text,
    worker: fc.option(text),
    expiresAt: count,
    call: text,
    claim: count,
  }),
  plain({ op: fc.constant('handedBack' as const), at: count, ...delivery }),
  plain({
    op: fc.constant('retried' as const),
    at: count,
    ...delivery,
    why,
    dueAt: count,
    ...maybeResult,
  }),
  plain({
    op: fc.constant('completed' as const),
    at: count,
    ...delivery,
    outcome: fc.constantFrom('success' as const, 'fail' as const),
    reason: fc.option(fc.constantFrom('listener' as const, 'cancelled' as const)),
    fingerprint: text,
    payload,
  }),
  plain({
    op: fc.constant('emitted' as const),
    at: count,
    ...ofEvent,
    child: text,
    childType: text,
    root: text,
    dueAt: count,
    payload,
  }),
  plain({ op: fc.constant('relayed' as const), at: count, ...ofEvent, child: text }),
  plain({ op: fc.constant('dead' as const), at: count, ...delivery, why, ...maybeResult }),
  plain({ op: fc.constant('cancelRequested' as const), at: count, ...ofEvent }),
  plain({ op: fc.constant('cancelled' as const), at: count, ...ofEvent }),
  plain({ op: fc.constant('deadlinePassed' as const), at: count, ...ofEvent }),
  plain({ op: fc.constant('pruned' as const), at: count, ...ofEvent, index: count }),
  plain({ op: fc.constant('late' as const), at: count, ...delivery, fingerprint: text, payload }),
);

/** A run of records of every operation, with positions that go up, over one view or two. */
export const arbitraryRecords: fc.Arbitrary<LogRecord[]> = fc
  .tuple(fc.array(unplaced, { minLength: 1, maxLength: 30 }), fc.nat({ max: 30 }))
  .map(([records, turn]) =>
    records.map((record, i) => {
      const pos = i < turn ? { view: 1, n: i + 1 } : { view: 2, n: i - turn + 1 };
      return { ...record, pos } as LogRecord;
    }),
  );
