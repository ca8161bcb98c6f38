/**
 * The policy of a type: how often a delivery is tried, how long a lease lasts, how long a retry waits. What is declared
 * of a type holds for it, the service-wide policy for the rest.
 */
import { createHash } from 'node:crypto';

/** Shortest time that settled events stay in a store: whoever repeats something within it still finds its event there. */
export const RETENTION_MS_MIN = 60_000;
export const RETENTION_MS_MAX = 3_650 * 86_400_000;

export interface Policy {
  /** A delivery is dead when this many attempts have failed or expired. */
  readonly attemptsMax: number;
  /** Length of a lease whose caller names none. */
  readonly leaseMs: number;
  readonly backoffFirstMs: number;
  readonly backoffFactor: number;
  readonly backoffMsMax: number;
  /** 0 … 1: how much of the backoff chance may take away. */
  readonly backoffJitter: number;
  /** New events are refused while so many of the type are not complete; left out: any number. */
  readonly maxPending?: number;
  /** How long after its acceptance an event that names none has its deadline; left out: it has none. */
  readonly deadlineMs?: number;
  /** How long a settled event stays in the store. */
  readonly retentionMs?: number;
}

/** What somebody declared of a type: only that, in the words of the interface. */
export interface DeclaredPolicy {
  readonly attemptsMax?: number;
  readonly backoff?: {
    readonly firstMs?: number;
    readonly factor?: number;
    readonly capMs?: number;
    readonly jitter?: number;
  };
  readonly leaseMs?: number;
  readonly maxPending?: number;
  readonly deadlineMs?: number;
  readonly retentionMs?: number;
  /** What follows concerns requests, before there is an event. */
  readonly durability?: 'store' | 'archive';
  /** JSON Schema 2020-12 that bodies must fit. */
  readonly schema?: unknown;
  /** JSON pointers to what is redacted in bodies. */
  readonly redact?: readonly string[];
  /** Request headers, in lower case, that are handed on although they are secret. */
  readonly passHeaders?: readonly string[];
}

export function effectivePolicy(serviceWide: Policy, declared: DeclaredPolicy | null): Policy {
  if (declared === null) return serviceWide;
  const { attemptsMax, backoff = {}, leaseMs, maxPending, deadlineMs } = declared;
  const retentionMs = declared.retentionMs ?? serviceWide.retentionMs;
  return {
    attemptsMax: attemptsMax ?? serviceWide.attemptsMax,
    leaseMs: leaseMs ?? serviceWide.leaseMs,
    backoffFirstMs: backoff.firstMs ?? serviceWide.backoffFirstMs,
    backoffFactor: backoff.factor ?? serviceWide.backoffFactor,
    backoffMsMax: backoff.capMs ?? serviceWide.backoffMsMax,
    backoffJitter: backoff.jitter ?? serviceWide.backoffJitter,
    ...(maxPending === undefined ? {} : { maxPending }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
  };
}

/** As it is kept and compared: the text of the very policy gives the same text again. */
export function policyText(declared: DeclaredPolicy): string {
  return JSON.stringify(declared);
}

/**
 * How long a delivery waits after its attempt number `attempt` (from 1) failed, in whole milliseconds.
 *
 * Chance is drawn from the attempt's id, not from a generator: the same attempt always waits the same time, so a
 * decision can be repeated and compared, while different events still spread out.
 */
export function backoffMs(policy: Policy, attempt: number, attemptId: string): number {
  let full = policy.backoffFirstMs;
  for (let k = 1; k < attempt && full < policy.backoffMsMax; k += 1) full *= policy.backoffFactor;
  full = Math.min(full, policy.backoffMsMax);
  return Math.floor(full * (1 - policy.backoffJitter * chanceOf(attemptId)));
}

/** 0 ≤ x < 1, evenly spread over attempt ids: the first 32 bits of the id's SHA-1. */
export function chanceOf(attemptId: string): number {
  return createHash('sha1').update(attemptId).digest().readUInt32BE(0) / 2 ** 32;
}
