/**
 * Records as JSON text without the bytes that they carry: whole, for the journal and for other threads, and their fields
 * without `pos`, `at` and `op`, which a line of the log writes in its own way.
 *
 * What there are three of for each event is put together by hand: to copy the record without its bytes and to stringify
 * the copy took three times as long.
 */
import type { Accepted, Completed, Granted, KeptRecord } from './record.js';

/** The record as it is, but for its payload. */
export function recordText(record: KeptRecord): string {
  const { pos, at, op } = record;
  return `{"op":"${op}","pos":{"view":${pos.view},"n":${pos.n}},"at":${at}${fieldsText(record)}}`;
}

/** Each field with a comma before it. */
export function fieldsText(record: KeptRecord): string {
  switch (record.op) {
    case 'accepted':
      return acceptedText(record);
    case 'granted':
      return grantedText(record);
    case 'completed':
      return completedText(record);
    default:
      return othersText(record);
  }
}

function acceptedText(record: Accepted): string {
  const { deadlineAt, listeners, durability, key, idempotency, parent, root, redriveOf } = record;
  return (
    `${eventText(record)},"dueAt":${record.dueAt}` +
    optional('deadlineAt', deadlineAt) +
    optional('listeners', listeners) +
    optional('durability', durability) +
    optional('key', key) +
    `,"idempotency":${idempotency === null ? 'null' : JSON.stringify(idempotency)}` +
    optional('parent', parent) +
    optional('root', root) +
    optional('redriveOf', redriveOf)
  );
}

function grantedText(record: Granted): string {
  const { attempt, token, worker, expiresAt, call, claim } = record;
  return (
    `${deliveryText(record)},"attempt":${attempt},"token":${JSON.stringify(token)},` +
    `"worker":${worker === null ? 'null' : JSON.stringify(worker)},"expiresAt":${expiresAt},` +
    `"call":${JSON.stringify(call)},"claim":${claim}`
  );
}

function completedText(record: Completed): string {
  const { fingerprint, outcome, reason, emitted } = record;
  return (
    `${deliveryText(record)},"outcome":"${outcome}","reason":${reason === null ? 'null' : `"${reason}"`},` +
    `"fingerprint":${JSON.stringify(fingerprint)}${optional('emitted', emitted)}`
  );
}

function eventText({ id, type }: { readonly id: string; readonly type: string }): string {
  return `,"id":${JSON.stringify(id)},"type":${JSON.stringify(type)}`;
}

function deliveryText(record: Granted | Completed): string {
  return `${eventText(record)},"listener":${record.listener},"grant":${record.grant}`;
}

function optional(name: string, value: unknown): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`;
}

function othersText(record: KeptRecord): string {
  const { pos, at, op, ...fields } = record;
  const text = JSON.stringify('payload' in fields ? { ...fields, payload: undefined } : fields);
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}
