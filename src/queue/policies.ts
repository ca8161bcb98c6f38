/**
 * What is declared of types, at hand: whoever takes a request must know it before there is an event. What this process
 * declares holds here at once; what others do, within a second.
 */
import type { TypeView } from '../event/command.js';
import type { DeclaredPolicy } from '../event/policy.js';

/** How long what was read is taken to be so; and when it is read again while it is in use. */
const HOLDS_MS_MAX = 1_000;
const LOOK_AGAIN_MS = 500;
/** Types that are remembered; beyond, all are forgotten. */
const KNOWN_MAX = 10_000;

interface Known {
  readonly view: TypeView | null;
  /** When its reading began. */
  readonly at: number;
}

export class Policies {
  readonly #known = new Map<string, Known>();
  readonly #reading = new Map<string, Promise<DeclaredPolicy | null>>();

  constructor(
    private readonly read: (type: string) => Promise<TypeView | null>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Null: nothing is declared. No promise where it is known: most requests need not wait. Rejects as the store does. */
  of(type: string): DeclaredPolicy | null | Promise<DeclaredPolicy | null> {
    const known = this.#known.get(type);
    const ageMs = known ? this.now() - known.at : Number.POSITIVE_INFINITY;
    if (!known || ageMs >= HOLDS_MS_MAX) return this.#look(type);
    // What goes wrong with it is met by whoever has to wait for it.
    if (ageMs >= LOOK_AGAIN_MS) this.#look(type).catch(() => undefined);
    return known.view?.declared ?? null;
  }

  /** It has been changed; what is under way was asked for before. */
  forget(type: string): void {
    this.#known.delete(type);
    this.#reading.delete(type);
  }

  #look(type: string): Promise<DeclaredPolicy | null> {
    const under = this.#reading.get(type);
    if (under) return under;
    const at = this.now();
    const reading = this.read(type)
      .then((view) => {
        const before = this.#known.get(type)?.view ?? null;
        // The same version is the same object, so that what was made of it is not made again.
        const same = view !== null && before?.version === view.version ? before : view;
        if (this.#reading.get(type) === reading) this.#keep(type, { view: same, at });
        return same?.declared ?? null;
      })
      .finally(() => {
        if (this.#reading.get(type) === reading) this.#reading.delete(type);
      });
    this.#reading.set(type, reading);
    return reading;
  }

  #keep(type: string, known: Known): void {
    if (this.#known.size >= KNOWN_MAX && !this.#known.has(type)) this.#known.clear();
    this.#known.set(type, known);
  }
}
