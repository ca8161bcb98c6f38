/** The one error of the SDK: a problem that the service answered with (RFC 9457), or that there was no answer. */
import type { Problem } from './wire.js';

/**
 * Codes of the SDK's own: the service could not be reached; its reply is none of Clockwork's (a proxy's, say); the time that the
 * caller gave is over; a handler's work is not wanted any more, because somebody asked to cancel the event or the listener stops.
 */
export type OwnCode = 'unreachable' | 'unexpected-reply' | 'timed-out' | 'cancel-requested' | 'stopped';

export interface ErrorMembers {
  /** Of the HTTP reply; null when there was none. */
  readonly status?: number | null;
  readonly hint?: string | null;
  /** Of the event that it is about. */
  readonly id?: string | null;
  readonly retryAfterMs?: number | null;
  readonly problem?: Problem | null;
  readonly cause?: unknown;
}

export class ClockworkError extends Error {
  override readonly name = 'ClockworkError';
  readonly status: number | null;
  readonly hint: string | null;
  /** Of the event that it is about. After a submit that failed it says that the event was taken none the less. */
  readonly id: string | null;
  /** When the service would be asked again. */
  readonly retryAfterMs: number | null;
  /** The whole problem, with its further members. */
  readonly problem: Problem | null;

  constructor(
    readonly code: Problem['code'] | OwnCode,
    /** What is wrong, for people. */
    readonly detail: string,
    members: ErrorMembers = {},
  ) {
    super(`${code}: ${detail}`, members.cause === undefined ? undefined : { cause: members.cause });
    this.status = members.status ?? null;
    this.hint = members.hint ?? null;
    this.id = members.id ?? null;
    this.retryAfterMs = members.retryAfterMs ?? null;
    this.problem = members.problem ?? null;
  }

  static ofProblem(problem: Problem, retryAfterMs: number | null = null): ClockworkError {
    const { code, detail, status, hint = null } = problem;
    const id = textIn(problem, 'id') ?? textIn(problem, 'eventId');
    return new ClockworkError(code, detail, { status, hint, id, retryAfterMs, problem });
  }
}

function textIn(problem: Problem, name: string): string | null {
  const value = problem[name];
  return typeof value === 'string' ? value : null;
}
