/** A rate, kept by tokens that come with time: what was not used is lost but for a little. */
export class TokenBucket {
  #tokens = 1;
  #filledMs: number;

  constructor(
    private readonly perSecond: number,
    private readonly nowMs: () => number,
  ) {
    this.#filledMs = nowMs();
  }

  /** Whole tokens that there are now. */
  get tokens(): number {
    const nowMs = this.nowMs();
    const more = (Math.max(0, nowMs - this.#filledMs) * this.perSecond) / 1_000;
    this.#tokens = Math.min(this.#tokens + more, Math.max(1, this.perSecond * BURST_SECONDS));
    this.#filledMs = nowMs;
    return Math.floor(this.#tokens + ROUNDING);
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}

const BURST_SECONDS = 0.25;
/** Sums of parts of a token may lack a little of a whole. */
const ROUNDING = 1e-6;
