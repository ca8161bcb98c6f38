/** What random work is made of: everything that can be asked of a store, drawn at random. */
import fc from 'fast-check';
import type { RetryWish } from '../../src/event/command.js';
import { leaseListener, listenerStep } from './random-listeners.js';
import { DECLARED } from './random-policies.js';

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
export const TYPES = ['mail', 'bill {0}', 'naïve/🕰️\r\n', 'rare'];

/** A place in a list that has grown by then, from its end; nothing when the list is empty. */
const place = fc.nat({ max: 12 });
const token = fc.constantFrom('own', 'own', 'own', 'own', 'own', 'own', 'wrong', 'other');

/** Ordering keys: few, so that they queue. */
const key = fc.constantFrom(undefined, undefined, undefined, 'k', 'k', 'é/["1"] ~');

const acceptItem = fc.record({
  type: fc.nat({ max: TYPES.length - 1 }),
  delayMs: fc.constantFrom(0, 0, 0, SECOND, 3 * SECOND),
  scope: fc.option(fc.nat({ max: 2 })),
  fingerprint: fc.constantFrom('print 1', 'print 1', 'print 1', 'print 2'),
  resend: fc.option(place, { freq: 6 }),
  size: fc.constantFrom(0, 10, 100),
  durability: fc.constantFrom('store' as const, 'archive' as const),
  deadlineMs: fc.constantFrom(undefined, undefined, undefined, SECOND, 10 * SECOND),
  key,
  /** Emitted in another partition, where it became due so long before or after now. */
  emitted: fc.option(fc.constantFrom(-SECOND, 0, 2 * SECOND), { freq: 4 }),
});

const retry: fc.Arbitrary<RetryWish> = fc.constantFrom(
  { kind: 'never' },
  { kind: 'policy' },
  { kind: 'policy' },
  { kind: 'after', afterMs: 0 },
  { kind: 'after', afterMs: 2 * SECOND },
);

interface EmitItem {
  /** Of a type that lives in another partition. */
  readonly elsewhere: boolean;
  readonly type: number;
  readonly delayMs: number;
  readonly durability: 'store' | 'archive';
  readonly key: string | undefined;
}

const emitItem: fc.Arbitrary<EmitItem> = fc.record({
  elsewhere: fc.boolean(),
  type: fc.nat({ max: TYPES.length - 1 }),
  delayMs: fc.constantFrom(0, 0, SECOND),
  durability: fc.constantFrom('store' as const, 'archive' as const),
  key,
});

const completeItem = fc.record({
  lease: place,
  token,
  outcome: fc.constantFrom('success' as const, 'fail' as const, 'fail' as const),
  retry,
  fingerprint: fc.constantFrom<string[]>('done 1', 'done 1', 'done 2'),
  emit: fc.oneof(fc.constant<EmitItem[]>([]), fc.array(emitItem, { maxLength: 3 })),
});

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('accept' as const),
      items: fc.array(acceptItem, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('lease' as const),
      types: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
      max: fc.integer({ min: 1, max: 4 }),
      bytesMax: fc.constantFrom(1_000_000, 1_000_000, 60),
      leaseMs: fc.constantFrom(null, 2 * SECOND, 10 * SECOND, 60 * SECOND),
      worker: fc.constantFrom<(string | null)[]>(null, 'w "1"'),
      call: fc.nat({ max: 5 }),
      listener: leaseListener,
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('complete' as const),
      items: fc.array(completeItem, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('extend' as const),
      items: fc.array(
        fc.record({ lease: place, token, leaseMs: fc.constantFrom(SECOND, 20 * SECOND, 60 * SECOND) }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('handBack' as const), lease: place, token }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('abandon' as const), answer: place, older: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cancel' as const), event: place }) },
  { weight: 2, arbitrary: listenerStep },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('relay' as const),
      skip: fc.constantFrom(0, 0, 1),
      limit: fc.constantFrom(1, 2, 100),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('expire' as const), limit: fc.constantFrom(1, 2, 100) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('promote' as const), limit: fc.constantFrom(1, 100) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('prune' as const),
      retentionMs: fc.constantFrom(0, SECOND, DAY),
      limit: fc.constantFrom(1, 100),
      /** Something may happen between the look and the prune. */
      stale: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('setType' as const),
      type: fc.nat({ max: TYPES.length - 1 }),
      kind: fc.constantFrom('declare' as const, 'declare' as const, 'reset' as const, 'pause' as const),
      policy: fc.constantFrom(...DECLARED),
      /** How far from the type's own; null: none is named. */
      ifVersion: fc.constantFrom(null, 0, 0, 0, 1, 'any' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('resume' as const) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('archive' as const),
      back: fc.constantFrom(0, 0, 0, 1, 2, 5, 20),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 999, SECOND, 2 * SECOND, 10 * SECOND, 61 * SECOND, DAY, 2 * DAY),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(-1, -SECOND, -45 * SECOND, -HOUR),
    }),
  },
);

export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const SPECIAL: ReadonlySet<Step['do']> = new Set(['listener', 'relay', 'setType', 'resume']);

/** Of events of undeclared types with one listener, which emit nothing: what most are, and what would be rare among all the rest. */
const plainStep = step.filter((each) => !SPECIAL.has(each.do)).map(plainOf);

function plainOf(each: Step): Step {
  switch (each.do) {
    case 'accept':
      return {
        ...each,
        items: each.items.map((item) => ({ ...item, deadlineMs: undefined, emitted: null, key: undefined })),
      };
    case 'lease':
      return { ...each, listener: 'default' };
    case 'complete':
      return { ...each, items: each.items.map((item) => ({ ...item, emit: [] })) };
    default:
      return each;
  }
}

/** Of events that nearly all have the same key, so that they queue for their turn and little else keeps them from it. */
const keyedStep = step
  .filter((each) => !SPECIAL.has(each.do) && each.do !== 'prune' && each.do !== 'abandon')
  .map(keyedOf);

function keyedOf(each: Step): Step {
  const isFirst = <Item extends { readonly type: number }>(item: Item) => ({ ...item, type: item.type % 2 });
  switch (each.do) {
    case 'accept': {
      const free = { delayMs: 0, scope: null, resend: null, emitted: null } as const;
      return {
        ...each,
        items: each.items.map((item) => ({ ...isFirst(item), key: item.key ?? 'k', ...free })),
      };
    }
    case 'lease':
      return { ...each, types: [0, 1], bytesMax: 1_000_000, listener: 'default', call: 5 };
    case 'complete':
      return {
        ...each,
        items: each.items.map((item) => ({
          ...item,
          emit: item.emit.map((child) => ({ ...isFirst(child), key: child.key ?? 'k' })),
        })),
      };
    default:
      return each;
  }
}

/** Sequences of everything, as many of plain work, and some of work in the order of keys. */
export function stepsOf(
  maxLength: number,
  wanted: (each: Step) => boolean = () => true,
): fc.Arbitrary<Step[]> {
  const bounds = { minLength: 1, maxLength, size: 'max' } as const;
  return fc.oneof(
    { weight: 2, arbitrary: fc.array(step.filter(wanted), bounds) },
    { weight: 2, arbitrary: fc.array(plainStep.filter(wanted), bounds) },
    { weight: 1, arbitrary: fc.array(keyedStep.filter(wanted), bounds) },
  );
}

const FIRST_TYPE = 0;

const LISTENERS: readonly Step[] = (['audit', 'copy', 'default'] as const).map((name, index) => ({
  do: 'listener',
  what: 'set',
  type: FIRST_TYPE,
  name,
  responder: index < 2,
  filter: name === 'audit' ? { method: ['PUT'] } : null,
}));

const UNWANTED = {
  listeners: new Set<Step['do']>(['relay', 'setType', 'resume', 'promote', 'prune', 'abandon']),
  cascades: new Set<Step['do']>(['listener', 'resume', 'promote', 'extend', 'abandon']),
};

/** All about one type, and its three listeners. */
function aboutListeners(each: Step): Step {
  switch (each.do) {
    case 'accept':
      return {
        ...each,
        items: each.items.map((item) => ({ ...item, type: FIRST_TYPE, emitted: null, scope: null })),
      };
    case 'lease':
      return { ...each, types: [FIRST_TYPE], call: 5 };
    case 'complete':
      return { ...each, items: each.items.map((item) => ({ ...item, emit: [] })) };
    case 'listener':
      // What a deleted one leaves behind is looked for more often than new ones come.
      return { ...each, type: FIRST_TYPE, what: each.what === 'set' && each.responder ? 'sweep' : each.what };
    default:
      return each;
  }
}

const ENDING = { retry: { kind: 'never' }, token: 'own' } as const;

/** Much comes of events, and each is in some tree. */
function aboutCascades(each: Step): Step {
  switch (each.do) {
    case 'accept':
      return {
        ...each,
        items: each.items.map((item) => ({ ...item, delayMs: 0, deadlineMs: undefined, scope: null })),
      };
    case 'lease':
      return { ...each, types: [0, 1, 2], listener: 'default', call: 5 };
    case 'complete':
      return {
        ...each,
        items: each.items.map((item) => ({ ...item, ...ENDING })),
      };
    case 'prune':
      return { ...each, retentionMs: 0, stale: false };
    default:
      return each;
  }
}

function someOf(unwanted: ReadonlySet<Step['do']>): fc.Arbitrary<Step[]> {
  const wanted = step.filter((each) => !unwanted.has(each.do));
  return fc.array(wanted, { minLength: 5, maxLength: 40, size: 'max' });
}

/** What is rare among everything is looked for by work that is about little else. */
export const LISTENER_STEPS = someOf(UNWANTED.listeners).map((steps) => [
  ...LISTENERS,
  ...steps.map(aboutListeners),
]);
export const CASCADE_STEPS = someOf(UNWANTED.cascades).map((steps) => steps.map(aboutCascades));
