/**
 * Where payloads are kept when they are read from files: in memory for the running store, or left where they lie
 * for the worker that folds journals into a snapshot, whose memory then does not grow with the bodies.
 */
import fs from 'node:fs';
import type { Frame } from './frame.js';

/** Keeps a frame's payload beyond the buffer that the frame is a view of. */
export type Keep = (frame: Frame) => Uint8Array | null;

const SLAB_BYTES = 1 << 20;

/** Copies into large slabs: millions of small buffers of their own would weigh more than what is in them. */
export function keepInMemory(): Keep {
  let slab = Buffer.alloc(0);
  let used = 0;
  return ({ payload }) => {
    if (!payload) return null;
    const { byteLength } = payload;
    if (byteLength > SLAB_BYTES / 4) return Buffer.from(payload);
    if (used + byteLength > slab.byteLength) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      used = 0;
    }
    used += byteLength;
    const kept = slab.subarray(used - byteLength, used);
    payload.copy(kept);
    return kept;
  };
}

/**
 * Bytes of a file, not read yet. It stands in for the payload of a record or an event, of which the fold asks the
 * length and nothing else.
 */
export class Stored {
  constructor(
    readonly path: string,
    readonly at: number,
    readonly byteLength: number,
  ) {}

  subarray(start: number, end: number): Stored {
    return new Stored(this.path, this.at + start, end - start);
  }
}

export function keepInFile(path: string): Keep {
  return ({ payload, payloadAt }) =>
    payload && (new Stored(path, payloadAt, payload.byteLength) as unknown as Uint8Array);
}

const WINDOW_BYTES = 1 << 20;

/** Reads what `Stored` stands for. Bodies lie in the files in about the order in which they are asked for. */
export class StoredReader {
  readonly #sources = new Map<string, { fd: number; window: Buffer; at: number }>();

  read(payload: Uint8Array): Uint8Array {
    const stored = payload as unknown;
    if (!(stored instanceof Stored)) return payload;
    const { path, at, byteLength } = stored;
    const source = this.#sourceOf(path);
    if (byteLength > WINDOW_BYTES)
      return readAt(path, source.fd, at, Buffer.allocUnsafe(byteLength), byteLength);
    if (at < source.at || at + byteLength > source.at + source.window.byteLength) {
      source.window = readAt(path, source.fd, at, Buffer.allocUnsafe(WINDOW_BYTES), byteLength);
      source.at = at;
    }
    return source.window.subarray(at - source.at, at - source.at + byteLength);
  }

  close(): void {
    for (const { fd } of this.#sources.values()) fs.closeSync(fd);
    this.#sources.clear();
  }

  #sourceOf(path: string): { fd: number; window: Buffer; at: number } {
    let source = this.#sources.get(path);
    if (!source) {
      source = { fd: fs.openSync(path, 'r'), window: Buffer.alloc(0), at: 0 };
      this.#sources.set(path, source);
    }
    return source;
  }
}

/** Fills `into` from `at` as far as the file goes, at least with `bytesMin`. */
function readAt(path: string, fd: number, at: number, into: Buffer, bytesMin: number): Buffer {
  let filled = 0;
  while (filled < into.byteLength) {
    const got = fs.readSync(fd, into, filled, into.byteLength - filled, at + filled);
    if (got === 0) break;
    filled += got;
  }
  if (filled < bytesMin) throw new Error(`${path}: ends before offset ${at + bytesMin}`);
  return into.subarray(0, filled);
}
