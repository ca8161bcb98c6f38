/** Time for what waits in the background: monotonic, and replaceable so that no test sleeps. */

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** Resolves after `ms`, or as soon as `cut` is aborted. */
  wait(ms: number, cut: AbortSignal): Promise<void>;
}

export const processClock: Clock = {
  nowMs: () => performance.now(),
  wait: (ms, cut) =>
    new Promise((resolve) => {
      if (cut.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        cut.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      cut.addEventListener('abort', end);
    }),
};
