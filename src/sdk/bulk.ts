/** Many events in few calls: NDJSON, cut into calls that the service takes. */
import { sleep } from './clock.js';
import { encodeBody, jsonText, postedBody } from './content.js';
import { ClockworkError } from './error.js';
import type { Payloads, Receipt } from './payload.js';
import { type Call, jsonOf, type Transport } from './transport.js';
import type { Problem, Receipt as WireReceipt } from './wire.js';

/** One event of many; `type` says which body it has. */
export type SubmitItem<P extends Payloads<P>> = {
  [Type in keyof P & string]: {
    readonly type: Type;
    /** As for `submit`. */
    readonly body?: P[Type]['request'];
    readonly contentType?: string;
    readonly headers?: Readonly<Record<string, string | readonly string[]>>;
    /** The ordering key, see `SubmitOptions`. */
    readonly key?: string;
    readonly delayMs?: number;
    readonly deadlineMs?: number;
    readonly durability?: 'store' | 'archive';
    readonly version?: string;
    readonly correlationId?: string;
  };
}[keyof P & string];

/** What became of one item: one that is refused does not sink the others. */
export type SubmitResult =
  | { readonly ok: true; readonly event: Receipt }
  | { readonly ok: false; readonly error: ClockworkError };

/** Lines of one call, each with its line feed. */
export interface Chunk {
  readonly body: string;
  readonly count: number;
}

/** What the service takes in one call, with room for what headers take: 1,000 items, 16 MiB. */
const ITEMS_MAX = 1_000;
const BYTES_MAX = 8 * 1024 * 1024;

export async function chunksOf<P extends Payloads<P>>(items: readonly SubmitItem<P>[]): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  let lines: string[] = [];
  let bytes = 0;
  const close = () => {
    if (lines.length > 0) chunks.push({ body: lines.join(''), count: lines.length });
    lines = [];
    bytes = 0;
  };
  for (const item of items) {
    const line = `${jsonText(await postedItem(item))}\n`;
    const size = new TextEncoder().encode(line).byteLength;
    if (lines.length === ITEMS_MAX || bytes + size > BYTES_MAX) close();
    lines.push(line);
    bytes += size;
  }
  close();
  return chunks;
}

/** An item as the service takes it. */
export async function postedItem<P extends Payloads<P>>(item: SubmitItem<P>): Promise<object> {
  const { body, ...others } = item;
  const encoded = await encodeBody(body, item.contentType ?? null);
  const contentType = encoded.contentType === null ? {} : { contentType: encoded.contentType };
  return { ...others, ...contentType, ...postedBody(encoded, body) };
}

export interface BulkReply {
  readonly results: readonly ({ readonly event: WireReceipt } | { readonly error: Problem })[];
}

/** Items that the service says may be sent again are sent again, with those around them, which stay the events that they are. */
export async function submitChunk(transport: Transport, call: Call): Promise<BulkReply> {
  for (let tries = 1; ; tries += 1) {
    const reply = jsonOf<BulkReply>(await transport.call('POST', '/v1/events', call));
    const isAgain = reply.results.some((each) => 'error' in each && each.error.status === 503);
    if (!isAgain || tries >= transport.triesMax) return reply;
    await sleep(transport.clock, transport.retryAfterMs(tries), call.signal);
  }
}

export function resultsOf({ results }: BulkReply): SubmitResult[] {
  return results.map((each) =>
    'event' in each
      ? { ok: true, event: each.event }
      : { ok: false, error: ClockworkError.ofProblem(each.error) },
  );
}
