/** Time as the SDK uses it: tests bring a clock of their own. */

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  nowMs(): number;
  /** Runs it once after that time, unless the function that it returns is called before. */
  after(ms: number, run: () => void): () => void;
}

/** What timers take; a longer one would end at once. */
const TIMER_MS_MAX = 2_147_483_647;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(ms, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  },
};

/** Resolves after the time, or as soon as the signal aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted || ms <= 0) return resolve();
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener('abort', end);
  });
}
