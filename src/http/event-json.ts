/**
 * Events, leases and receipts as JSON text. Written by hand, because a JSON body goes into the reply as the text
 * it came as: to parse it and write it again would change it, and cost more than all the rest.
 */
import type { AttemptView, CompleteResult, EventSummary, EventView, Lease } from '../event/command.js';
import type { BodyEncoding, EnvelopeHead } from '../event/envelope.js';
import { split } from '../event/packed.js';
import { formatPosition } from '../event/record.js';
import type { ResultHead } from '../event/result.js';
import type { Durability } from '../event/unarchived.js';
import type { TreeAnswer } from '../queue/trees.js';
import type { Durable } from '../store/store.js';

/** A body as a JSON value. */
export function bodyText(body: Buffer, encoding: BodyEncoding): string {
  switch (encoding) {
    case 'json':
      return body.toString('utf8');
    case 'text':
      return JSON.stringify(body.toString('utf8'));
    case 'base64':
      return `"${body.toString('base64')}"`;
  }
}

let lastMs = Number.NaN;
let lastText = '';
let otherMs = Number.NaN;
let otherText = '';

/** Under load many times in a row are one of two, as when they begin and end; to write one costs 2 µs. */
export function timeText(ms: number): string {
  if (ms === lastMs) return lastText;
  const text = ms === otherMs ? otherText : new Date(ms).toISOString();
  otherMs = lastMs;
  otherText = lastText;
  lastMs = ms;
  lastText = text;
  return text;
}

function timeJson(ms: number | null): string {
  return ms === null ? 'null' : `"${timeText(ms)}"`;
}

function linksText(id: string): string {
  const self = `/v1/events/${id}`;
  return `{"self":"${self}","request":"${self}/request","response":"${self}/response","attempts":"${self}/attempts","tree":"${self}/tree"}`;
}

export interface Receipt {
  readonly id: string;
  readonly type: string;
  readonly createdAt: number;
  readonly durability: Durability;
}

/** What a client gets for an event that was taken: the same for a repeat with the same idempotency key. */
export function receiptText({ id, type, createdAt, durability }: Receipt, durable: Durable): string {
  const promised = durability === 'archive' ? 'archived' : durable;
  return (
    `{"id":"${id}","type":${JSON.stringify(type)},"status":"pending","outcome":null,` +
    `"createdAt":"${timeText(createdAt)}","durable":"${promised}","links":${linksText(id)}}`
  );
}

/** Everything of an event that does not change with how much of it is shown. */
function eventMembers(event: EventSummary): string {
  const { id, type, status, outcome, reason, createdAt, startedAt, completedAt } = event;
  return (
    `"id":"${id}","type":${JSON.stringify(type)},"status":"${status}","outcome":${JSON.stringify(outcome)},` +
    `"reason":${JSON.stringify(reason)},"createdAt":${timeJson(createdAt)},"startedAt":${timeJson(startedAt)},` +
    `"completedAt":${timeJson(completedAt)},"cancelRequested":${event.cancelRequested},` +
    `"attempts":${event.attempts},"settled":${event.settled},"position":"${formatPosition(event.position)}",${deadlineMember(event)}${treeMembers(event)},` +
    `"key":${keyText(event.key)},${redriveMembers(event)}`
  );
}

/** Most events have none. */
function deadlineMember({ deadlineAt }: EventSummary): string {
  return deadlineAt === null ? '' : `"deadline":"${timeText(deadlineAt)}",`;
}

/** Most events are sent once. */
function redriveMembers({ redriveOf, redrivenBy }: EventSummary): string {
  const text = (id: string | null) => (id === null ? 'null' : `"${id}"`);
  return `"redriveOf":${text(redriveOf)},"redrivenBy":${text(redrivenBy)}`;
}

/** Most events have none. */
function keyText(key: string | null): string {
  return key === null ? 'null' : JSON.stringify(key);
}

/** Most events belong to no cascade. */
function treeMembers({ parent, root }: EventSummary): string {
  return parent ? `"parent":"${parent}","root":"${root}"` : '"parent":null,"root":null';
}

export function eventSummaryText(event: EventSummary): string {
  return `{${eventMembers(event)},"links":${linksText(event.id)}}`;
}

export function eventText(event: EventView): string {
  const { response, errors } = resultTexts(event.result);
  return `{${eventMembers(event)},"response":${response},"errors":${errors},"links":${linksText(event.id)}}`;
}

export function eventTag(event: EventView): string {
  return `"${event.version}"`;
}

function resultTexts(result: Uint8Array | null): { outcome: string; response: string; errors: string } {
  if (result === null) return { outcome: 'null', response: 'null', errors: '[]' };
  const { headText, body } = split(result);
  const head = JSON.parse(headText) as ResultHead;
  return {
    outcome: JSON.stringify(head.outcome),
    response: responseText(head, body),
    errors: JSON.stringify(head.errors),
  };
}

function responseText({ response }: ResultHead, body: Buffer): string {
  if (response === null) return 'null';
  const { status, headers, contentType, bytes, bodyEncoding } = response;
  return (
    `{"status":${status},"headers":${JSON.stringify(headers)},"contentType":${JSON.stringify(contentType)},` +
    `"bytes":${bytes},"bodyEncoding":"${bodyEncoding}","body":${bodyText(body, bodyEncoding)}}`
  );
}

/** A lease as its holder gets it: the envelope's head goes in as the text that it is stored as. */
export function leaseText(lease: Lease): string {
  const { id, type, createdAt, key, envelope } = lease.event;
  return (
    `{"attemptId":"${lease.attemptId}","attempt":${lease.attempt},"token":"${lease.token}",` +
    `"expiresAt":"${timeText(lease.expiresAt)}","deadline":${timeJson(lease.deadlineAt)},"position":"${formatPosition(lease.position)}",` +
    `"event":{"id":"${id}","type":${JSON.stringify(type)},"createdAt":"${timeText(createdAt)}",` +
    `"key":${keyText(key)},${envelopeMembers(envelope)}}}`
  );
}

/** What came: the head's members and the body. */
export function envelopeMembers(envelope: Uint8Array): string {
  const { headText, body } = split(envelope);
  return `${headText.slice(1, -1)},"body":${bodyText(body, encodingIn(headText))}`;
}

/** Read without parsing the head; its strings have their quotes escaped, so nothing else can look like this. */
function encodingIn(headText: string): BodyEncoding {
  if (headText.includes('"bodyEncoding":"json"')) return 'json';
  if (headText.includes('"bodyEncoding":"text"')) return 'text';
  if (headText.includes('"bodyEncoding":"base64"')) return 'base64';
  return (JSON.parse(headText) as EnvelopeHead).bodyEncoding;
}

export function leasesText(leases: readonly Lease[]): string {
  return `[${leases.map(leaseText).join(',')}]`;
}

/** How an event stood when a completion of it had been accepted. */
export function completedText(result: Extract<CompleteResult, { kind: 'completed' }>): string {
  const { id, type, status, outcome, reason, retryAt } = result;
  return (
    `{"id":"${id}","type":${JSON.stringify(type)},"status":"${status}","outcome":${JSON.stringify(outcome)},` +
    `"reason":${JSON.stringify(reason)},"retryAt":${timeJson(retryAt)},"links":${linksText(id)}}`
  );
}

/** An event that a completion has emitted. */
export function emittedText(id: string, type: string): string {
  return `{"id":"${id}","type":${JSON.stringify(type)},"links":${linksText(id)}}`;
}

export function treeText({ root, counts, settled, emitted, children }: TreeAnswer): string {
  const shown = children.map(eventSummaryText).join(',');
  return (
    `{"root":"${root}","counts":${JSON.stringify(counts)},"settled":${settled},` +
    `"emitted":${emitted},"children":[${shown}]}`
  );
}

/** Results are shown whole while they fit; what does not is null with `"omitted":true`. */
export function attemptsText(attempts: readonly AttemptView[], bytesMax: number): string {
  let bytesLeft = bytesMax;
  const shown = (result: Uint8Array | null): string => {
    if (result === null) return 'null';
    bytesLeft -= result.byteLength;
    return bytesLeft < 0 ? '{"omitted":true}' : resultText(result);
  };
  const texts = attempts.map((attempt) => attemptText(attempt, shown));
  return `{"attempts":[${texts.join(',')}]}`;
}

export function resultText(result: Uint8Array): string {
  const { outcome, response, errors } = resultTexts(result);
  return `{"outcome":${outcome},"response":${response},"errors":${errors}}`;
}

function attemptText(attempt: AttemptView, shown: (result: Uint8Array | null) => string): string {
  const { attemptId, listener, worker, end, late } = attempt;
  const lateText = late === null ? 'null' : `{"at":"${timeText(late.at)}","result":${shown(late.result)}}`;
  return (
    `{"attemptId":"${attemptId}","listener":${JSON.stringify(listener)},"attempt":${attempt.attempt},` +
    `"worker":${JSON.stringify(worker)},"grantedAt":${timeJson(attempt.grantedAt)},` +
    `"expiresAt":${timeJson(attempt.expiresAt)},"endedAt":${timeJson(attempt.endedAt)},` +
    `"end":${JSON.stringify(end)},"result":${shown(attempt.result)},"late":${lateText},` +
    `"emitted":${JSON.stringify(attempt.emitted ?? [])}}`
  );
}
