/** Reads what the scripts keep about an event: the arrays whose places lua/include/state.lua names, in MessagePack. */
import { decode, Encoder } from '@msgpack/msgpack';
import { formatAttemptId } from '../../event/attempt-id.js';
import type { AttemptView, EventView, PastEnd } from '../../event/command.js';
import { type Mask, maskOf } from '../../event/mask.js';
import {
  type Accepted,
  type Completed,
  type Granted,
  type LogOp,
  type Outcome,
  type Position,
  parsePosition,
  type Reason,
} from '../../event/record.js';
import type { AttemptEnd, Status } from '../../event/state.js';
import { isBeyond, type Unarchived } from '../../event/unarchived.js';

const STATUSES: readonly Status[] = ['pending', 'in_process', 'complete'];
const OUTCOMES: readonly (Outcome | null)[] = [null, 'success', 'fail'];
const REASONS: readonly (Reason | null)[] = [
  null,
  'listener',
  'attempts_exhausted',
  'deadline',
  'cancelled',
  'unmatched',
];
const ENDS: readonly (AttemptEnd | null)[] = [
  null,
  'completed',
  'retried',
  'dead',
  'expired',
  'handed_back',
  'unsubscribed',
];

export const statusOf = (code: number): Status => known(STATUSES[code], 'status', code);
export const outcomeOf = (code: number): Outcome | null => known(OUTCOMES[code], 'outcome', code);
export const reasonOf = (code: number): Reason | null => known(REASONS[code], 'reason', code);
export const reasonCode = (reason: Reason | null): number => REASONS.indexOf(reason);
export const outcomeCode = (outcome: Outcome): number => OUTCOMES.indexOf(outcome);

type PackedAttempt = readonly [
  grant: number,
  attempt: number,
  token: string,
  grantedAt: number,
  worker: string | false,
  endedAt: number,
  end: number,
  outcome: number,
  reason: number,
  retryAt: number,
  fingerprint: string | false,
  lateAt: number,
  emitted?: readonly string[] | false,
  aside?: 1 | 2,
];

type PackedDelivery = readonly [
  state: number,
  expiresAt: number,
  grants: number,
  attempt: number,
  ...attempts: PackedAttempt[],
];

type PackedState = readonly [
  /** `listener.grant` of a listener other than 0. */
  result: number | string,
  type: number,
  sequence: number,
  view: number,
  n: number,
  createdAt: number,
  version?: number,
  status?: number,
  startedAt?: number,
  completedAt?: number,
  outcome?: number,
  reason?: number,
  cancelRequested?: number,
  deliveries?: readonly PackedDelivery[],
  endedView?: number | false,
  endedN?: number | false,
  lastView?: number | false,
  lastN?: number | false,
  unarchived?: string | false,
  tree?: string | false,
  deadlineAt?: number | false,
  /** Ordinals, with blanks between them. */
  receivers?: string | false,
  settledAt?: number | false,
  settledView?: number | false,
  settledN?: number | false,
  /** The ordering key, percent-encoded. */
  key?: string | false,
  redriveOf?: string | false,
  /** Its id, and the position of its acceptance. */
  redrivenBy?: string | false,
];

/** The letters by which the scripts name operations. */
const OPS: Readonly<Record<string, LogOp>> = {
  A: 'accepted',
  G: 'granted',
  H: 'handedBack',
  R: 'retried',
  C: 'completed',
  D: 'dead',
  Q: 'cancelRequested',
  X: 'cancelled',
  E: 'deadlinePassed',
  L: 'late',
  N: 'unsubscribed',
};

export interface EventFacts extends Omit<EventView, 'type' | 'result'> {
  readonly typeOrdinal: number;
  readonly sequence: number;
}

/** `archived`: what is archived, when it is for who must not see of `archive` events what is not; left out: as it is. */
export function readState(id: string, packed: Buffer, archived?: Position | null): EventFacts {
  const state = parse(packed);
  const [, typeOrdinal, sequence, view, n, createdAt, version = 1, status = 0] = state;
  const [startedAt = 0, completedAt = 0, outcome = 0, reason = 0, cancelRequested = 0] = state.slice(
    8,
  ) as number[];
  return {
    id,
    typeOrdinal,
    sequence,
    status: statusOf(status),
    outcome: outcomeOf(outcome),
    reason: reasonOf(reason),
    createdAt,
    startedAt: startedAt || null,
    completedAt: completedAt || null,
    cancelRequested: cancelRequested === 1,
    attempts: state[13]?.[0]?.[3] ?? 0,
    settled: status === COMPLETE && (!state[21] || typeof state[22] === 'number'),
    version,
    position: { view, n },
    ...readTree(state[19]),
    deadlineAt: state[20] || null,
    key: readKey(state[25]),
    ...readRedrive(state, archived),
    behind: false,
  };
}

/**
 * The state of an event that was accepted for listener 0, leased once and completed, as the scripts would have made it;
 * without its beginning, which is for them to write: result, type and sequence.
 */
export function writeCompleted(accepted: Accepted, granted: Granted, completed: Completed): Uint8Array {
  const { view, n } = accepted.pos;
  const { token, worker, at: startedAt, expiresAt } = granted;
  const { at: endedAt, pos: ended, fingerprint } = completed;
  const end = [outcomeCode(completed.outcome), reasonCode(completed.reason)] as const;
  const how = [ENDS.indexOf('completed'), ...end, 0, fingerprint, 0] as const;
  const attempt = [1, 1, token, startedAt, worker ?? false, endedAt, ...how] as const;
  const event = [view, n, accepted.at, 3, COMPLETE, startedAt, endedAt, ...end, 0] as const;
  return encodeRest([...event, [[ENDED, expiresAt, 1, 1, attempt]], ended.view, ended.n]);
}

const encoder = new Encoder();

/** All but the array's own header, of one byte for up to 15 places. */
function encodeRest(places: readonly unknown[]): Uint8Array {
  return encoder.encode(places).subarray(1);
}

function readRedrive(
  state: PackedState,
  archived: Position | null | undefined,
): Pick<EventView, 'redriveOf' | 'redrivenBy'> {
  const redriveOf = state[26] || null;
  if (!state[27]) return { redriveOf, redrivenBy: null };
  const [id, position] = state[27].split(' ') as [string, string];
  const isHidden = archived !== undefined && !!state[18] && isBeyond(parsePosition(position)!, archived);
  return { redriveOf, redrivenBy: isHidden ? null : id };
}

/** How an event ended, for who is to send it again. */
export function readPastEnd(packed: Buffer): PastEnd {
  const state = parse(packed);
  const ended = positionOf([state[14] || null, state[15] || null]);
  const [outcome, reason] = [outcomeOf(state[10] ?? 0), reasonOf(state[11] ?? 0)];
  return { ended, outcome, reason, durability: state[18] ? 'archive' : 'store', key: readKey(state[25]) };
}

function readTree(tree: string | false | undefined): { parent: string | null; root: string | null } {
  if (!tree) return { parent: null, root: null };
  const [parent, root] = tree.split(' ') as [string, string];
  return { parent: parent === '-' ? null : parent, root: root === '-' ? null : root };
}

/** Scripts cut states and names apart by brackets, quotes, blanks and slashes: a key has none of them there. */
export function writeKey(key: string | null | undefined): string {
  return key ? encodeURIComponent(key) : '';
}

export function readKey(written: string | false | undefined): string | null {
  return written ? decodeURIComponent(written) : null;
}

/** What of the event must not be shown, `archived` being what is archived; null: nothing. */
export function readMask(packed: Buffer, archived: Position | null): Mask | null {
  // Most states end before the notes, so there is nothing to be read.
  if (placesIn(packed) < UNARCHIVED) return null;
  const state = parse(packed);
  const notes = state[18];
  if (!notes) return null;
  const ended = positionOf([state[14] || null, state[15] || null]);
  return maskOf(notes.split(',').map(noteOf), archived, {
    deliveries: deliveriesOf(state).map(({ listener, delivery }) => {
      return { listener, grants: delivery[2], attempt: delivery[3] };
    }),
    ended,
    settledBy: state[21] ? positionOf([state[23] || null, state[24] || null]) : ended,
  });
}

const COMPLETE = 2;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** Which place the notes of what is not archived have. */
const UNARCHIVED = 19;

/** Of an array in MessagePack, from its header: one byte for up to 15, three for more. */
function placesIn(packed: Buffer): number {
  return packed[0] === 0xdc ? packed.readUInt16BE(1) : packed[0]! & 0x0f;
}

function deliveriesOf(state: PackedState): { listener: number; delivery: PackedDelivery }[] {
  const receivers = state[21] ? state[21].split(' ').map(Number) : [];
  return (state[13] ?? []).map((delivery, place) => {
    return { listener: receivers[place] ?? 0, delivery };
  });
}

function noteOf(text: string): Unarchived {
  const match = /^(\d+-\d+)([A-Z])(?:(\d+)\.)?(\d+)(R?)$/.exec(text) ?? [];
  const [, position = '', letter = '', listener = '0', grant, mark] = match;
  const op = known(OPS[letter], 'operation', letter);
  const note = { pos: parsePosition(position)!, op, grant: Number(grant), listener: Number(listener) };
  return mark ? { ...note, responder: note.listener } : note;
}

/** View and n as scripts answer with them; null when they do not. */
export function positionOf([view, n]: readonly (Buffer | number | null | undefined)[]): Position | null {
  if (view === null || view === undefined) return null;
  return { view: Number(view), n: Number(n) };
}

/** Gives listeners their names. */
export interface ListenerNames {
  listenerName(typeOrdinal: number, listener: number): string;
}

/** `bodies` holds for each attempt its result and its late result, null for what there is not. */
export function readAttempts(
  names: ListenerNames,
  id: string,
  packed: Buffer,
  bodies: readonly (Buffer | null)[],
): AttemptView[] {
  const state = parse(packed);
  const views: (AttemptView & { readonly ordinal: number })[] = [];
  for (const { listener, delivery } of deliveriesOf(state)) {
    const [, expiresAt, , , ...attempts] = delivery;
    for (const packedAttempt of attempts) {
      const [grant, attempt, , grantedAt, worker, endedAt, end, , , , , lateAt, emitted] = packedAttempt;
      const [result, late] = [bodies[2 * views.length] ?? null, bodies[2 * views.length + 1] ?? null];
      views.push({
        attemptId: formatAttemptId(id, state[1], listener, grant),
        ordinal: listener,
        listener: names.listenerName(state[1], listener),
        attempt,
        worker: worker === false ? null : worker,
        grantedAt,
        expiresAt: end === 0 ? expiresAt : null,
        endedAt: endedAt || null,
        end: known(ENDS[end], 'end of an attempt', end),
        result,
        late: late && { at: lateAt, result: late },
        ...(emitted && { emitted }),
      });
    }
  }
  const byListener = state[21] ? views.sort((a, b) => a.ordinal - b.ordinal) : views;
  return byListener.map(({ ordinal: _, ...view }) => view);
}

/** An event that has ended; `bodies` as for `readAttempts`, without the event's own result. */
export function readSettled(
  names: ListenerNames,
  id: string,
  packed: Buffer,
  bodies: readonly (Buffer | null)[],
) {
  const state = parse(packed);
  const [view, n] = [state[14], state[15]];
  if (typeof view !== 'number' || typeof n !== 'number') throw new Error(`${id} has not ended`);
  const own =
    state[0] === 0 ? null : `${id}.${state[1]}.${typeof state[0] === 'string' ? '' : '0.'}${state[0]}`;
  const attempts = readAttempts(names, id, packed, bodies);
  return {
    facts: readState(id, packed),
    ended: { view, n },
    attempts: attempts.map((attempt) => ({ ...attempt, own: attempt.attemptId === own })),
  };
}

/** A beginning is text, see lua/include/beginning.lua. */
function parse(packed: Buffer): PackedState {
  return (packed[0] === OPEN_BRACKET ? JSON.parse(packed.toString()) : decode(packed)) as PackedState;
}

/** A code that this program does not know was written by a newer one: better to stop than to guess. */
function known<T>(value: T | undefined, what: string, code: number | string): T {
  if (value === undefined) throw new Error(`unknown ${what}: ${code}`);
  return value;
}

/** The envelope, cut from what scripts keep of it, see lua/include/beginning.lua. */
export function envelopeIn(entry: Buffer): Buffer {
  return entry.subarray(entry.indexOf(CLOSE_BRACKET) + 1);
}

/** Whether the event has a delivery for that listener of that type that has not ended. */
export function hasDelivery(packed: Buffer, typeOrdinal: number, listener: number): boolean {
  const state = parse(packed);
  if (state[1] !== typeOrdinal) return false;
  // Nothing has happened to it since it was accepted.
  if (state[13] === undefined) return listener === 0;
  return deliveriesOf(state).some((each) => each.listener === listener && each.delivery[0] !== ENDED);
}

const ENDED = 2;
