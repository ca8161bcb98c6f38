/**
 * The packed form in which bytes travel from the socket to the store, the log and back: a head as one line of
 * JSON, a line feed, and the body exactly as it came. JSON.stringify never writes a raw line feed, so the first
 * one ends the head.
 */

export interface Unpacked<Head> {
  readonly head: Head;
  readonly body: Buffer;
}

export function pack(head: object, body: Uint8Array): Buffer {
  return join(JSON.stringify(head), body);
}

/** What `split` took apart; the body may be text. */
export function join(headText: string, body: Uint8Array | string): Buffer {
  const text = `${headText}\n`;
  const headBytes = Buffer.byteLength(text);
  const packed = Buffer.allocUnsafe(headBytes + Buffer.byteLength(body));
  packed.write(text, 0, 'utf8');
  if (typeof body === 'string') packed.write(body, headBytes, 'utf8');
  else packed.set(body, headBytes);
  return packed;
}

/** Splits without parsing: the head's text and the body as a view of `packed`, not a copy. */
export function split(packed: Uint8Array): { headText: string; body: Buffer } {
  const buffer = asBuffer(packed);
  const end = buffer.indexOf(10);
  if (end < 0) throw new Error('packed bytes without a head');
  return { headText: buffer.toString('utf8', 0, end), body: buffer.subarray(end + 1) };
}

export function unpack<Head>(packed: Uint8Array): Unpacked<Head> {
  const { headText, body } = split(packed);
  return { head: JSON.parse(headText) as Head, body };
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
