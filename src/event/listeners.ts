/**
 * The listeners of a type, by their ordinals, which name them in queues and attempt ids and are never given twice.
 *
 * A type of which nobody has declared a listener has one all the same: `default`, which subscribes itself by leasing. It
 * has the ordinal that comes next, the vacant one, and nothing is recorded of it. When the first listener is declared, it
 * takes the vacant ordinal over, and with it what has waited there; unless somebody has leased as `default` by then, who
 * is then a listener like others, and keeps what is his.
 */
import { type Filter, Matcher } from './filter.js';

/** The one listener that subscribes itself. */
export const DEFAULT_LISTENER = 'default';

/** Living listeners of a type. */
export const LISTENERS_MAX = 64;
/** Listeners that a type may ever have had: attempt ids have four digits for their ordinals. */
const ORDINALS_MAX = 9_999;

export interface Listener {
  readonly name: string;
  /** Its deliveries are the events' ends, unless a responder with a lower ordinal gets the event too. */
  readonly responder: boolean;
  /** Null: it gets everything. */
  readonly filter: Filter | null;
  /** `leaving`: it was deleted, and has deliveries that have not been ended yet. */
  readonly state: 'living' | 'leaving' | 'gone';
}

/** By ordinal. */
export type Listeners = readonly Listener[];

export function isLiving({ state }: Listener): boolean {
  return state === 'living';
}

/** The ordinal that the listener of this name leases from; null: the type has no such listener. */
export function ordinalFor(listeners: Listeners, name: string): number | null {
  if (listeners.length === 0) return name === DEFAULT_LISTENER ? 0 : null;
  const ordinal = listeners.findIndex((each) => each.name === name && isLiving(each));
  if (ordinal >= 0) return ordinal;
  return name === DEFAULT_LISTENER && !listeners.some(isLiving) ? listeners.length : null;
}

/** Also of one that is gone. */
export function listenerName(listeners: Listeners, ordinal: number): string {
  return listeners[ordinal]?.name ?? DEFAULT_LISTENER;
}

/**
 * Ordinals of the listeners that get the event, the responder first: the first that is flagged as one, else the first of
 * all. Empty: none matches.
 */
export function receiversOf(listeners: Listeners, envelope: Uint8Array): readonly number[] {
  if (listeners.length === 0) return FIRST_ONLY;
  if (!listeners.some(isLiving)) return [listeners.length];
  const matcher = new Matcher(envelope);
  const found = [...listeners.keys()].filter((ordinal) => {
    const listener = listeners[ordinal]!;
    return isLiving(listener) && matcher.matches(listener.filter);
  });
  const responder = found.find((ordinal) => listeners[ordinal]!.responder) ?? found[0];
  return responder === undefined ? found : [responder, ...found.filter((ordinal) => ordinal !== responder)];
}

const FIRST_ONLY: readonly number[] = Object.freeze([0]);

/** As in a record of acceptance, where it is left out when it is but the first. */
export function isFirstOnly(receivers: readonly number[]): boolean {
  return receivers.length === 1 && receivers[0] === 0;
}

/** Those that are living, by ordinal. */
export function listenersOf(listeners: Listeners): (WantedListener & { readonly ordinal: number })[] {
  return listeners.flatMap((listener, ordinal) => {
    const { name, responder, filter } = listener;
    return isLiving(listener) ? [{ ordinal, name, responder, filter }] : [];
  });
}

/** Who can lease from the type: those that are living, else the one that subscribes itself. */
export function consumersOf(
  listeners: Listeners,
): readonly { readonly name: string; readonly ordinal: number }[] {
  const living = listenersOf(listeners);
  return living.length > 0 ? living : [{ name: DEFAULT_LISTENER, ordinal: listeners.length }];
}

export interface WantedListener {
  readonly name: string;
  readonly responder: boolean;
  readonly filter: Filter | null;
}

export type ListenerPlan =
  /** What must be recorded, in this order; nothing when it is all as wanted. */
  | {
      readonly kind: 'plan';
      readonly sets: readonly (WantedListener & { readonly ordinal: number })[];
      readonly ordinal: number;
      readonly created: boolean;
    }
  | { readonly kind: 'too_many_listeners' };

/** How the listeners come to have the one that is wanted. `leased`: somebody has leased from the vacant ordinal. */
export function planListener(listeners: Listeners, leased: boolean, wanted: WantedListener): ListenerPlan {
  const known = listeners.findIndex((each) => each.name === wanted.name && isLiving(each));
  if (known >= 0) {
    const same = isSame(listeners[known]!, wanted);
    const sets = same ? [] : [{ ...wanted, ordinal: known }];
    return { kind: 'plan', sets, ordinal: known, created: false };
  }
  const living = listeners.filter(isLiving).length;
  const vacant = listeners.length;
  const isImplicit = living === 0 && leased && wanted.name !== DEFAULT_LISTENER;
  if (living >= LISTENERS_MAX || vacant >= ORDINALS_MAX) return { kind: 'too_many_listeners' };
  if (!isImplicit)
    return { kind: 'plan', sets: [{ ...wanted, ordinal: vacant }], ordinal: vacant, created: true };
  const itself = { name: DEFAULT_LISTENER, responder: false, filter: null, ordinal: vacant };
  const ordinal = vacant + 1;
  return { kind: 'plan', sets: [itself, { ...wanted, ordinal }], ordinal, created: true };
}

function isSame(listener: Listener, { responder, filter }: WantedListener): boolean {
  return listener.responder === responder && JSON.stringify(listener.filter) === JSON.stringify(filter);
}
