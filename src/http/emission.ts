/** The events that a completion emits, as they are posted. */
import { ClockworkError } from '../errors.js';
import { sha256Hex } from '../event/envelope.js';
import type { Emission } from '../queue/emission.js';
import { classifyBody } from './body.js';
import { textAt } from './bulk.js';
import type { HttpContext } from './context.js';
import { redactHeaders } from './head.js';
import { elementsOf, membersOf, rootSpan } from './json-scan.js';
import { checkTypeName } from './names.js';
import { checkOrderingKey } from './ordering-key.js';
import { headerIn, readPostedBody, readPostedHeaders } from './posted.js';
import type { EventItem } from './schemas/input.js';
import { isTraceparent } from './submit-headers.js';
import { type RulesByType, underRules } from './type-rules.js';

/** What stands as the path of an emitted event: where events of its form are submitted. */
const PATH = '/v1/events';

interface Surroundings {
  /** The JSON of the completion that the items were parsed from. */
  readonly text: string;
  /** What the completion's result weighs. */
  readonly resultBytes: number;
  /** Of the types of the items. */
  readonly rules: RulesByType;
}

/** With `said`, which tells them from others as they came: what is declared of their types may change between two tries. */
export function readEmissions(
  { config, secretHeaders }: HttpContext,
  items: readonly EventItem[],
  { text, resultBytes, rules }: Surroundings,
): { readonly emit: Emission[]; readonly said: string } {
  const { emitsMax, emitBytesMax } = config;
  if (items.length > emitsMax)
    throw new ClockworkError('too-many-items', `The completion emits more than ${emitsMax} events.`, {
      members: { pointer: '/emit' },
    });
  const emitSpan = membersOf(text, rootSpan(text)).get('emit')!;
  const spans = elementsOf(text, emitSpan);
  let bytesLeft = emitBytesMax - resultBytes;
  const posted = items.map((item, index) =>
    placed(`/emit/${index}`, () => {
      const span = spans[index]!;
      const emission = emissionOf(item, text.slice(span.start, span.end));
      bytesLeft -= emission.body.byteLength + Buffer.byteLength(JSON.stringify(emission.head));
      if (bytesLeft >= 0) return emission;
      throw new ClockworkError(
        'body-too-large',
        `The events that the completion emits, with its response, have more than ${emitBytesMax} bytes.`,
      );
    }),
  );
  const emit = posted.map((emission, index) =>
    placed(`/emit/${index}/body`, () => underRules(emission, rules.get(emission.type) ?? null)),
  );
  return { emit, said: emissionsText(posted) };

  function emissionOf(item: EventItem, itemText: string): Emission {
    const { type, delayMs = 0, durability = 'store', version = null, correlationId = null } = item;
    checkTypeName(type, config.nameBytesMax);
    checkOrderingKey(item.key ?? null, delayMs, config.keyBytesMax, 'invalid-request');
    const posted = readPostedHeaders(item.headers, config);
    const given = item.contentType ?? headerIn(posted, 'content-type');
    const { bytes, contentType, bodyEncoding } =
      item.body === undefined
        ? { bytes: Buffer.alloc(0), contentType: given, bodyEncoding: 'text' as const }
        : readPostedBody(
            item.body,
            textAt(itemText, ['body']),
            item.bodyEncoding,
            given,
            config.jsonDepthMax,
          );
    if (bytes.byteLength > config.bodyBytesMax)
      throw new ClockworkError('body-too-large', `The body has more than ${config.bodyBytesMax} bytes.`);
    const packed = headerIn(posted, 'content-encoding') ?? undefined;
    const traceparent = headerIn(posted, 'traceparent');
    return {
      type,
      head: {
        method: 'POST',
        path: PATH,
        query: '',
        headers: redactHeaders(posted, secretHeaders),
        clientAddress: null,
        contentType,
        bytes: bytes.byteLength,
        sha256: sha256Hex(bytes),
        bodyEncoding: bodyEncoding ?? classifyBody(bytes, contentType, packed, config.jsonDepthMax),
        version,
        correlationId,
        traceparent: traceparent !== null && isTraceparent(traceparent) ? traceparent : null,
        cloudEvent: null,
      },
      body: bytes,
      delayMs,
      durability,
      ...(item.key === undefined ? {} : { key: item.key }),
    };
  }
}

/** What tells emissions apart: all of it, the body by its hash. */
function emissionsText(emissions: readonly Emission[]): string {
  return JSON.stringify(emissions.map(({ body: _, ...rest }) => rest));
}

/** What `make` throws names its place, within the item that it speaks of. */
function placed<Result>(pointer: string, make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ClockworkError)) throw error;
    const members = { ...error.members, pointer: `${pointer}${error.members['pointer'] ?? ''}` };
    throw new ClockworkError(error.code, error.detail, {
      members,
      ...(error.hint ? { hint: error.hint } : {}),
    });
  }
}
