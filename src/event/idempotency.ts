/**
 * How long an idempotency key is remembered: to the end of the UTC day after the one it was first used in, hence
 * 24 to 48 hours. Whole days of keys end together, so that forgetting them costs nothing a key.
 */
import type { IdempotencyEntry, PartitionState } from './state.js';

export const DAY_MS = 86_400_000;

export function idempotencyExpiresAt(at: number): number {
  return (Math.floor(at / DAY_MS) + 2) * DAY_MS;
}

/** What was accepted under `scope` and is still remembered at `now`. */
export function findIdempotent(state: PartitionState, scope: string, now: number): IdempotencyEntry | null {
  for (const [expiresAt, entries] of state.idempotency) {
    const entry = expiresAt > now ? entries.get(scope) : undefined;
    if (entry) return entry;
  }
  return null;
}

export function forgetIdempotent(state: PartitionState, now: number): void {
  for (const expiresAt of state.idempotency.keys()) {
    if (expiresAt <= now) state.idempotency.delete(expiresAt);
  }
}
