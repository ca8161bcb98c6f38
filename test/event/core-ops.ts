/** Operations on the core, drawn at random. Numbers named `pick` choose among what there is by then. */
import fc from 'fast-check';
import type { RetryWish } from '../../src/event/command.js';
import type { DeclaredPolicy } from '../../src/event/policy.js';

export type Op =
  | {
      readonly do: 'accept';
      readonly type: string;
      readonly bytes: number;
      readonly delayMs: number;
      readonly deadlineMs: number | undefined;
      readonly method: string;
      readonly durability: 'store' | 'archive';
      readonly key: string | null;
      /** The ordering key. */
      readonly order: string | null;
      readonly request: string;
      readonly again: boolean;
      readonly pick: number;
    }
  | {
      readonly do: 'lease';
      readonly types: readonly string[];
      readonly listener: string;
      readonly max: number;
      readonly bytesMax: number;
      readonly leaseMs: number | null;
      readonly call: string | null;
    }
  | { readonly do: 'extend'; readonly pick: number; readonly wrong: boolean; readonly leaseMs: number }
  | {
      readonly do: 'complete';
      readonly pick: number;
      readonly wrong: boolean;
      readonly outcome: 'success' | 'fail';
      readonly retry: RetryWish;
      readonly text: string;
      readonly emit: readonly {
        readonly elsewhere: boolean;
        readonly type: string;
        readonly delayMs: number;
        readonly method: string;
        readonly durability: 'store' | 'archive';
        readonly order: string | null;
      }[];
    }
  | { readonly do: 'handBack'; readonly pick: number; readonly wrong: boolean }
  | { readonly do: 'abandon'; readonly pick: number }
  | { readonly do: 'cancel'; readonly pick: number }
  | { readonly do: 'relay'; readonly limit: number }
  | { readonly do: 'expire'; readonly limit: number }
  | { readonly do: 'promote'; readonly limit: number }
  | { readonly do: 'pass'; readonly ms: number }
  | {
      readonly do: 'setType';
      readonly type: string;
      readonly kind: 'declare' | 'reset' | 'pause' | 'resume';
      readonly policy: DeclaredPolicy;
      readonly ifVersion: number | 'any' | null;
    }
  | {
      readonly do: 'setListener';
      readonly type: string;
      readonly name: string;
      readonly responder: boolean;
      /** It gets events of this method only; null: all. */
      readonly method: string | null;
    }
  | { readonly do: 'deleteListener'; readonly type: string; readonly name: string }
  | { readonly do: 'sweep'; readonly limit: number }
  | { readonly do: 'archive'; readonly pick: number }
  | { readonly do: 'restart'; readonly from: 'journal' | 'snapshot' };

const pick = fc.nat({ max: 99 });
const rarely = fc.integer({ min: 0, max: 5 }).map((n) => n === 0);
const leaseMs = fc.constantFrom(1, 20, 100, 1_000);

/** What filters look at. */
const method = fc.constantFrom('PUT', 'POST');
/** Listeners are rare on most types, so that what most types are is not. */
const listenedTo = fc.constantFrom('b', 'b', 'b', 'a');
const name = fc.constantFrom('default', 'audit', 'copy');

const retry: fc.Arbitrary<RetryWish> = fc.oneof(
  fc.constant<RetryWish>({ kind: 'never' }),
  fc.constant<RetryWish>({ kind: 'policy' }),
  fc.constantFrom(0, 30).map((afterMs): RetryWish => ({ kind: 'after', afterMs })),
);

const order = fc.constantFrom(null, null, 'o1', 'o1', 'o2');

const accept = fc.record({
  do: fc.constant('accept' as const),
  type: fc.constantFrom('a', 'b', '{}'),
  bytes: fc.constantFrom(0, 10, 100),
  delayMs: fc.constantFrom(0, 0, 0, 25, 400),
  deadlineMs: fc.constantFrom(undefined, undefined, undefined, undefined, 50, 500),
  method,
  durability: fc.constantFrom('store' as const, 'archive' as const),
  key: fc.constantFrom(null, null, 'k1', 'k2'),
  order,
  request: fc.constantFrom('one', 'two'),
  again: rarely,
  pick,
});

const lease = fc.record({
  do: fc.constant('lease' as const),
  types: fc.constantFrom(['a'], ['b'], ['b', 'a'], ['a', 'b', '{}']),
  listener: fc.constantFrom('default', 'default', 'default', 'audit', 'copy'),
  max: fc.integer({ min: 1, max: 4 }),
  bytesMax: fc.constantFrom(1, 50, 10_000),
  leaseMs: fc.option(leaseMs),
  call: fc.constantFrom(null, null, 'c1', 'c2'),
});

const complete = fc.record({
  do: fc.constant('complete' as const),
  pick,
  wrong: rarely,
  outcome: fc.constantFrom('success' as const, 'fail' as const),
  retry,
  text: fc.constantFrom('x', 'x', 'y'),
  emit: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(
        fc.record({
          elsewhere: fc.boolean(),
          type: fc.constantFrom('a', 'b', '{}'),
          delayMs: fc.constantFrom(0, 0, 25),
          method,
          durability: fc.constantFrom('store' as const, 'archive' as const),
          order,
        }),
        { minLength: 1, maxLength: 3 },
      ),
    },
  ),
});

/** What is declared says less than may be, so that what holds is told from what does not. */
const setType = fc.record({
  do: fc.constant('setType' as const),
  type: fc.constantFrom('a', 'a', 'b'),
  kind: fc.constantFrom('declare' as const, 'reset' as const, 'pause' as const, 'resume' as const),
  policy: fc.constantFrom<DeclaredPolicy>(
    {},
    { leaseMs: 40, attemptsMax: 3 },
    { backoff: { firstMs: 0 } },
    { deadlineMs: 100 },
  ),
  ifVersion: fc.constantFrom(null, 0, 1, 'any' as const, 'any' as const),
});

const pass = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(1, 15, 60, 300) },
  { weight: 1, arbitrary: fc.constantFrom(-1, -60, -2_000) },
);

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: accept },
  { weight: 6, arbitrary: lease },
  { weight: 6, arbitrary: complete },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), pick, wrong: rarely, leaseMs }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('handBack' as const), pick, wrong: rarely }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abandon' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('relay' as const), limit: fc.constantFrom(1, 100) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('expire' as const), limit: fc.constantFrom(1, 1_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('promote' as const), limit: fc.constantFrom(1, 1_000) }),
  },
  { weight: 6, arbitrary: pass.map((ms) => ({ do: 'pass' as const, ms })) },
  { weight: 2, arbitrary: setType },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('setListener' as const),
      type: listenedTo,
      name,
      responder: fc.boolean(),
      method: fc.constantFrom(null, null, 'PUT'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('deleteListener' as const), type: listenedTo, name }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('sweep' as const), limit: fc.constantFrom(1, 3, 1_000) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('archive' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      from: fc.constantFrom('journal' as const, 'snapshot' as const),
    }),
  },
);

/** Listeners of one type, which then gets all the work: deliveries of one event are rare where there is much else. */
const LISTENERS: readonly Op[] = [
  { do: 'setListener', type: 'b', name: 'default', responder: false, method: null },
  { do: 'setListener', type: 'b', name: 'audit', responder: true, method: 'PUT' },
  { do: 'setListener', type: 'b', name: 'copy', responder: true, method: null },
];
const SCARCE: ReadonlySet<Op['do']> = new Set(['setType', 'relay', 'promote']);
const listenedToOp = op.filter((each) => !SCARCE.has(each.do)).map(ofOneType);

function ofOneType(each: Op): Op {
  switch (each.do) {
    case 'accept':
      return { ...each, type: 'b', delayMs: 0, key: null };
    case 'lease':
      return { ...each, types: ['b'], call: null };
    case 'complete':
      return { ...each, emit: [] };
    case 'setListener':
    case 'deleteListener':
      return { ...each, type: 'b' };
    default:
      return each;
  }
}

/** Sequences of everything, and as many about the listeners of one type. */
export const ops: fc.Arbitrary<Op[]> = fc.oneof(
  fc.array(op, { maxLength: 80, size: 'max' }),
  fc.array(listenedToOp, { maxLength: 60, size: 'max' }).map((some) => [...LISTENERS, ...some]),
);

/** A packed envelope whose body weighs so much. */
export function envelopeOf(method: string, bytes: number): Buffer {
  return Buffer.from(`{"method":"${method}"}\n${'x'.repeat(bytes)}`);
}
