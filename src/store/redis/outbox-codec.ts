/** Reads and writes records as lua/include/record.lua does: JSON arrays that begin with a letter for the operation. */
import { idempotencyExpiresAt } from '../../event/idempotency.js';
import { type DeclaredPolicy, policyText } from '../../event/policy.js';
import { type KeptRecord, type LogRecord, type Outcome, parsePosition } from '../../event/record.js';
import { outcomeCode, outcomeOf, reasonCode, reasonOf } from './state-codec.js';

export type Entry =
  | readonly [
      'T',
      at: number,
      type: string,
      ordinal: number,
      version?: number,
      /** What is declared, as text. */
      policy?: string | false,
      paused?: 0 | 1,
    ]
  | readonly [
      'A',
      at: number,
      id: string,
      ordinal: number,
      dueAt: number,
      scope?: string | false,
      fingerprint?: string | false,
      /** 1: with `archive` durability. */
      archive?: 0 | 1,
      parent?: string | false,
      root?: string | false,
      deadlineAt?: number,
    ]
  | readonly [
      'G',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      attempt: number,
      token: string,
      worker: string | false,
      expiresAt: number,
      call: string,
      claim: number,
    ]
  | readonly ['H', at: number, id: string, ordinal: number, listener: number, grant: number]
  | readonly [
      'R',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      why: number,
      dueAt: number,
      fingerprint: string | false,
    ]
  | readonly [
      'C',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      outcome: number,
      reason: number,
      fingerprint: string,
      emitted?: readonly string[],
    ]
  | readonly [
      'D',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      why: number,
      fingerprint: string | false,
    ]
  | readonly [
      'L',
      at: number,
      id: string,
      ordinal: number,
      listener: number,
      grant: number,
      fingerprint: string,
    ]
  | readonly ['Q' | 'X' | 'E', at: number, id: string, ordinal: number]
  | readonly ['P', at: number, id: string, ordinal: number, index: number];

const PAUSED = { paused: true } as const;
const WHY = ['expired', 'failed'] as const;

export function parseEntry(text: string): Entry {
  return JSON.parse(text) as Entry;
}

/** `typeName` gives the name of a type's ordinal. */
export function readRecord(
  position: string,
  entry: Entry,
  body: Buffer | null,
  typeName: (ordinal: number) => string,
): LogRecord {
  const pos = parsePosition(position);
  if (!pos) throw new Error(`not a position: ${position}`);
  const at = entry[1];
  if (entry[0] === 'T') {
    const [, , type, ordinal, version = 0, policy = false, paused] = entry;
    const declared = policy === false ? {} : { policy: JSON.parse(policy) as DeclaredPolicy };
    return { op: 'typeSet', pos, at, type, ordinal, version, ...declared, ...(paused === 1 ? PAUSED : {}) };
  }
  const [, , id, ordinal] = entry;
  const of = { pos, at, id, type: typeName(ordinal) };
  switch (entry[0]) {
    case 'A': {
      const [, , , , dueAt, scope, fingerprint, archive, parent, root, deadlineAt] = entry;
      const hasClaim = typeof scope === 'string' && typeof fingerprint === 'string';
      const idempotency = hasClaim ? { scope, fingerprint, expiresAt: idempotencyExpiresAt(at) } : null;
      const durability = archive === 1 ? ({ durability: 'archive' } as const) : {};
      const tree = parent && root ? { parent, root } : {};
      const deadline = deadlineAt === undefined ? {} : { deadlineAt };
      const facts = { dueAt, ...deadline, ...durability, idempotency, ...tree };
      return { op: 'accepted', ...of, ...facts, payload: need(body, position) };
    }
    case 'G': {
      const [, , , , listener, grant, attempt, token, worker, expiresAt, call, claim] = entry;
      const lease = { token, worker: worker === false ? null : worker, expiresAt, call, claim };
      return { op: 'granted', ...of, listener, grant, attempt, ...lease };
    }
    case 'H':
      return { op: 'handedBack', ...of, listener: entry[4], grant: entry[5] };
    case 'R': {
      const [, , , , listener, grant, why, dueAt, print] = entry;
      const ended = { why: WHY[why]!, dueAt, ...completion(print, body, position) };
      return { op: 'retried', ...of, listener, grant, ...ended };
    }
    case 'C': {
      const [, , , , listener, grant, outcome, reason, fingerprint, ids] = entry;
      const emitted = ids === undefined ? {} : { emitted: ids };
      const said = {
        outcome: outcomeOf(outcome) as Outcome,
        reason: reasonOf(reason),
        fingerprint,
        ...emitted,
      };
      return { op: 'completed', ...of, listener, grant, ...said, payload: need(body, position) };
    }
    case 'D': {
      const [, , , , listener, grant, why, print] = entry;
      const ended = { why: WHY[why]!, ...completion(print, body, position) };
      return { op: 'dead', ...of, listener, grant, ...ended };
    }
    case 'L': {
      const [, , , , listener, grant, fingerprint] = entry;
      return { op: 'late', ...of, listener, grant, fingerprint, payload: need(body, position) };
    }
    case 'Q':
      return { op: 'cancelRequested', ...of };
    case 'X':
      return { op: 'cancelled', ...of };
    case 'E':
      return { op: 'deadlinePassed', ...of };
    case 'P':
      return { op: 'pruned', ...of, index: entry[4] };
  }
}

/** What stands in a checkpoint for records that matter no more: for lua/replay.lua only, never in the outbox. */
export type KeptEntry =
  | Entry
  | readonly ['K', at: number, id: string, ordinal: number, scope: string, fingerprint: string]
  | readonly ['I', at: number, index: number];

/** For lua/replay.lua. `ordinal` is that of the record's type. */
export function writeRecord(record: KeptRecord, ordinal: number): { entry: KeptEntry; body: Buffer | null } {
  const bytes = 'payload' in record ? record.payload : null;
  const body = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { entry: entryOf(record, ordinal), body };
}

function entryOf(record: KeptRecord, ordinal: number): KeptEntry {
  if (record.op === 'typeSet') {
    const { type, ordinal, version, policy, paused } = record;
    if (version === 0 && policy === undefined && !paused) return ['T', record.at, type, ordinal];
    const declared = policy === undefined ? false : policyText(policy);
    return ['T', record.at, type, ordinal, version, declared, paused ? 1 : 0];
  }
  if (record.op === 'indexed') return ['I', record.at, record.index];
  const { at, id } = record;
  switch (record.op) {
    case 'accepted': {
      const { dueAt, idempotency, durability, parent, root, deadlineAt } = record;
      const { scope = false, fingerprint = false } = idempotency ?? {};
      const archive = durability === 'archive' ? 1 : 0;
      if (deadlineAt !== undefined) {
        const tree = [parent ?? false, root ?? false] as const;
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, ...tree, deadlineAt];
      }
      if (durability === 'archive' || parent !== undefined) {
        if (parent === undefined || root === undefined)
          return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive];
        return ['A', at, id, ordinal, dueAt, scope, fingerprint, archive, parent, root];
      }
      if (!idempotency) return ['A', at, id, ordinal, dueAt];
      return ['A', at, id, ordinal, dueAt, idempotency.scope, idempotency.fingerprint];
    }
    case 'granted': {
      const { listener, grant, attempt, token, expiresAt, call, claim } = record;
      const worker = record.worker ?? false;
      return ['G', at, id, ordinal, listener, grant, attempt, token, worker, expiresAt, call, claim];
    }
    case 'handedBack':
      return ['H', at, id, ordinal, record.listener, record.grant];
    case 'retried': {
      const { listener, grant, why, dueAt, fingerprint } = record;
      return ['R', at, id, ordinal, listener, grant, WHY.indexOf(why), dueAt, fingerprint ?? false];
    }
    case 'completed': {
      const { listener, grant, outcome, reason, fingerprint, emitted } = record;
      const codes = [outcomeCode(outcome), reasonCode(reason)] as const;
      if (emitted === undefined) return ['C', at, id, ordinal, listener, grant, ...codes, fingerprint];
      return ['C', at, id, ordinal, listener, grant, ...codes, fingerprint, emitted];
    }
    case 'dead': {
      const { listener, grant, why, fingerprint } = record;
      return ['D', at, id, ordinal, listener, grant, WHY.indexOf(why), fingerprint ?? false];
    }
    case 'late':
      return ['L', at, id, ordinal, record.listener, record.grant, record.fingerprint];
    case 'cancelRequested':
      return ['Q', at, id, ordinal];
    case 'cancelled':
      return ['X', at, id, ordinal];
    case 'deadlinePassed':
      return ['E', at, id, ordinal];
    case 'pruned':
      return ['P', at, id, ordinal, record.index];
    case 'keyKept':
      return ['K', at, id, ordinal, record.idempotency.scope, record.idempotency.fingerprint];
  }
}

function completion(print: string | false, body: Buffer | null, position: string) {
  if (print === false) return { fingerprint: null, payload: null };
  return { fingerprint: print, payload: need(body, position) };
}

/** A record without its body must not reach the log, where it would stand for ever. */
function need(body: Buffer | null, position: string): Buffer {
  if (body === null) throw new Error(`the body of record ${position} is gone`);
  return body;
}
