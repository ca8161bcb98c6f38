/** How much of each type went through this process in the last minute, by the second. */

export type RateKind = (typeof KINDS)[number];

/** Per second, over the last minute. */
export type TypeRates = Readonly<Record<RateKind, number>>;

/** Events that were accepted; attempts that ended with success; attempts that failed, whether or not they are tried again. */
const KINDS = ['accepted', 'completed', 'failed'] as const;

export const RATE_WINDOW_MS = 60_000;
const SECOND_MS = 1_000;
const SECONDS = RATE_WINDOW_MS / SECOND_MS;
/** Types that are counted; beyond, those go that have been still for a minute, or else all. */
const TYPES_MAX = 10_000;

interface Counts {
  /** The last second in which something was counted. */
  second: number;
  /** For each second of a minute, those of each kind. */
  readonly ring: Uint32Array;
}

export class Rates {
  readonly #types = new Map<string, Counts>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  note(type: string, kind: RateKind, times = 1): void {
    const second = this.#second();
    const counts = this.#types.get(type) ?? this.#begin(type, second);
    pass(counts, second);
    const place = (second % SECONDS) * KINDS.length + KINDS.indexOf(kind);
    counts.ring[place]! += times;
  }

  of(type: string): TypeRates {
    const counts = this.#types.get(type);
    if (counts) pass(counts, this.#second());
    const rateOf = (kind: RateKind) => {
      const place = KINDS.indexOf(kind);
      const sum = counts?.ring.reduce((all, count, at) => all + (at % KINDS.length === place ? count : 0), 0);
      return (sum ?? 0) / SECONDS;
    };
    return { accepted: rateOf('accepted'), completed: rateOf('completed'), failed: rateOf('failed') };
  }

  #second(): number {
    return Math.floor(this.now() / SECOND_MS);
  }

  #begin(type: string, second: number): Counts {
    if (this.#types.size >= TYPES_MAX) this.#makeRoom(second);
    const counts = { second, ring: new Uint32Array(SECONDS * KINDS.length) };
    this.#types.set(type, counts);
    return counts;
  }

  #makeRoom(second: number): void {
    for (const [type, counts] of this.#types) if (second - counts.second >= SECONDS) this.#types.delete(type);
    if (this.#types.size >= TYPES_MAX) this.#types.clear();
  }
}

/** Seconds that have passed since begin with nothing. */
function pass(counts: Counts, second: number): void {
  for (let at = Math.max(counts.second + 1, second - SECONDS + 1); at <= second; at += 1)
    counts.ring.fill(0, (at % SECONDS) * KINDS.length, (at % SECONDS) * KINDS.length + KINDS.length);
  counts.second = Math.max(counts.second, second);
}
