/**
 * CloudEvents 1.0 over HTTP, in its three modes: binary (attributes in `ce-` headers, the body is the data),
 * structured (one JSON document) and batched (an array of those). The type of the CloudEvent is the type of the
 * event; its attributes are kept beside the envelope; its data is the body, byte for byte. Its `partitionkey` (an extension
 * of CloudEvents) is the ordering key, unless a header names one.
 */
import { ClockworkError } from '../errors.js';
import type { EnvelopeHead } from '../event/envelope.js';
import type { Submission } from '../queue/submit.js';
import { type Item, textAt } from './bulk.js';
import { readPostedBody } from './posted.js';
import { type BulkRequest, partitionKeyOf, submissionOfParts } from './submission.js';

type Attributes = NonNullable<EnvelopeHead['cloudEvent']>;

export const STRUCTURED = 'application/cloudevents+json';
export const BATCHED = 'application/cloudevents-batch+json';

const REQUIRED = ['specversion', 'id', 'source', 'type'] as const;
const STRINGS = [...REQUIRED, 'datacontenttype', 'dataschema', 'subject', 'time'];
const NAME = /^[a-z0-9]{1,100}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** The attributes in `ce-` headers, percent-decoded as the HTTP binding says, and the content type. */
export function binaryAttributes(rawHeaders: readonly string[], contentType: string | null): Attributes {
  const attributes: Record<string, string> = {};
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (!name.startsWith('ce-')) continue;
    const attribute = name.slice(3);
    if (attribute in attributes) throw invalid(`The attribute ${attribute} came twice.`);
    attributes[attribute] = decode(attribute, rawHeaders[at + 1]!);
  }
  if (contentType !== null) attributes['datacontenttype'] = contentType;
  return checked(attributes);
}

function decode(attribute: string, value: string): string {
  const bare = /^"(.*)"$/s.exec(value)?.[1]?.replace(/\\(.)/gs, '$1') ?? value;
  try {
    // Bytes above ASCII are UTF-8 that came undecoded; the rest of what is special comes percent-encoded.
    return decodeURIComponent(Buffer.from(bare, 'latin1').toString('utf8'));
  } catch {
    throw invalid(`The attribute ${attribute} is not UTF-8 in percent-encoding.`);
  }
}

export function submissionOfCloudEvent(bulk: BulkRequest, item: Item, index: number): Submission {
  const { data, data_base64: base64, ...rest } = objectOf(item.value);
  if (data !== undefined && base64 !== undefined) throw invalid('It has both `data` and `data_base64`.');
  const attributes = checked(rest);
  const contentType = (attributes['datacontenttype'] as string | undefined) ?? null;
  const { jsonDepthMax, keyBytesMax } = bulk.context.config;
  const encoding = base64 === undefined ? undefined : 'base64';
  const text = textAt(item.text, ['data']);
  const value = base64 ?? data;
  const body =
    value === undefined
      ? { bytes: Buffer.alloc(0), contentType, bodyEncoding: 'text' as const }
      : readPostedBody(value, text, encoding, contentType, jsonDepthMax);
  return submissionOfParts(bulk, index, {
    type: attributes['type'] as string,
    headers: [],
    bytes: body.bytes,
    contentType: body.contentType,
    bodyEncoding: body.bodyEncoding,
    key: bulk.wishes.key ?? partitionKeyOf(attributes, bulk.wishes.delayMs, keyBytesMax),
    delayMs: bulk.wishes.delayMs,
    deadlineMs: bulk.wishes.deadlineMs,
    durability: bulk.wishes.durability,
    version: bulk.wishes.version,
    correlationId: bulk.wishes.correlationId,
    cloudEvent: attributes,
  });
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalid('It is not a JSON object.');
}

function checked(given: Readonly<Record<string, unknown>>): Attributes {
  const attributes: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!NAME.test(name))
      throw invalid(`The name of the attribute ${JSON.stringify(name)} is not of a-z and 0-9.`);
    // The JSON format takes null for an attribute that is not there.
    if (value !== null) attributes[name] = attributeOf(name, value);
  }
  for (const name of REQUIRED) {
    if (attributes[name] === undefined) throw invalid(`The attribute ${name} is missing.`);
  }
  if (attributes['specversion'] !== '1.0') throw invalid('The attribute specversion is not `1.0`.');
  const { time } = attributes;
  if (time !== undefined && !TIME.test(String(time))) throw invalid('The attribute time is not RFC 3339.');
  return attributes;
}

function attributeOf(name: string, value: unknown): string | number | boolean {
  if (typeof value === 'string' && (value !== '' || !STRINGS.includes(name))) return value;
  const mayBe =
    typeof value === 'boolean' || (Number.isInteger(value) && Math.abs(value as number) < 2 ** 31);
  if (mayBe && !STRINGS.includes(name)) return value as number | boolean;
  throw invalid(`The attribute ${name} has a value that it cannot have.`);
}

function invalid(why: string): ClockworkError {
  return new ClockworkError('invalid-cloudevent', `This is no CloudEvent 1.0. ${why}`);
}
