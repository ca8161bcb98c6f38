/**
 * Plain events whose whole life lies among the records in hand: accepted, leased once, completed. Most of a log is such, and
 * what comes of one is known without asking the store, so it is written once instead of changed three times.
 */

import type { Accepted, Completed, Granted, KeptRecord, Position } from '../../event/record.js';
import { comparePositions } from '../../event/record.js';

export interface WholeEvent {
  readonly accepted: Accepted;
  readonly granted: Granted;
  readonly completed: Completed;
}

/** What must be known of the store that the records are for. */
export interface Known {
  /** By the server's clock, or a little before. */
  readonly now: number;
  /** The last record that it has. */
  readonly last: Position | null;
}

/** True where a plain event may have the field; whoever adds one to a record says here which it is. */
const OF_ACCEPTED: Readonly<Record<keyof Accepted, boolean>> = {
  op: true,
  pos: true,
  at: true,
  id: true,
  type: true,
  dueAt: true,
  idempotency: true,
  payload: true,
  listeners: false,
  key: false,
  deadlineAt: false,
  durability: false,
  parent: false,
  root: false,
  redriveOf: false,
};

const OF_GRANTED: Readonly<Record<keyof Granted, boolean>> = {
  op: true,
  pos: true,
  at: true,
  id: true,
  type: true,
  listener: true,
  grant: true,
  attempt: true,
  token: true,
  worker: true,
  expiresAt: true,
  call: true,
  claim: true,
};

const OF_COMPLETED: Readonly<Record<keyof Completed, boolean>> = {
  op: true,
  pos: true,
  at: true,
  id: true,
  type: true,
  listener: true,
  grant: true,
  outcome: true,
  reason: true,
  fingerprint: true,
  payload: true,
  emitted: false,
};

interface Life {
  readonly accepted: Accepted;
  granted: Granted | null;
  completed: Completed | null;
  isPlain: boolean;
}

/** For each of the records, the event that it belongs to if that is plain and all of it is there; else null. */
export function wholeEventsOf(records: readonly KeptRecord[], known: Known): (WholeEvent | null)[] {
  const lives = new Map<string, Life>();
  const types = new Set<string>();
  const lifeOf = records.map((record) => {
    // Which listener is the vacant one depends on where among the others such a record stands.
    if (record.op === 'listenerSet' || record.op === 'listenerGone' || record.op === 'listenerSwept')
      types.add(record.type);
    if (!('id' in record)) return null;
    if (record.op === 'accepted') return begin(lives, record, known);
    const life = lives.get(record.id);
    if (life === undefined) return null;
    if (!goesOn(life, record, known)) life.isPlain = false;
    return life;
  });
  return lifeOf.map((life) =>
    life !== null && isWhole(life) && !types.has(life.accepted.type) ? life : null,
  );
}

function begin(lives: Map<string, Life>, accepted: Accepted, { last }: Known): Life | null {
  const isNew = last === null || comparePositions(last, accepted.pos) < 0;
  if (!isNew || !hasOnly(accepted, OF_ACCEPTED)) return null;
  const life = { accepted, granted: null, completed: null, isPlain: true };
  lives.set(accepted.id, life);
  return life;
}

/** Whether it is still plain with this record. */
function goesOn(life: Life, record: KeptRecord, { now }: Known): boolean {
  if (life.completed !== null) return false;
  if (record.op === 'granted') {
    life.granted = record;
    // A call is remembered for as long as its leases may last.
    return (
      record.grant === 1 && record.listener === 0 && record.expiresAt <= now && hasOnly(record, OF_GRANTED)
    );
  }
  if (record.op !== 'completed' || life.granted === null) return false;
  life.completed = record;
  return record.grant === 1 && record.listener === 0 && hasOnly(record, OF_COMPLETED);
}

function isWhole(life: Life): life is Life & WholeEvent {
  return life.isPlain && life.completed !== null;
}

function hasOnly(record: object, fields: Readonly<Record<string, boolean>>): boolean {
  for (const field in record) if (fields[field] !== true) return false;
  return true;
}
