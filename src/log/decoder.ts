/**
 * Decoding in a thread of its own: who reads a whole log has its own thread for what the records are read for. What comes back
 * has been checked as `decodeSegment` would, as far as its bytes go; what is wrong with one that is not whole it does not say.
 */
import { Worker } from 'node:worker_threads';
import type { KeptRecord } from '../event/record.js';
import { recordsOf, type Sheet } from '../event/sheet.js';
import type { Decoded, DecodeTask } from './decode-thread.js';

/** An object of lines that is whole. */
export interface Lines {
  readonly header: string;
  readonly sha256: string;
  readonly records: readonly KeptRecord[];
  /** The same. */
  readonly sheet: Sheet;
}

/** Null: it is not whole, or it could not be read this way. */
export type QuickRead = (bytes: Uint8Array) => Promise<Lines | null>;

export class Decoder {
  readonly #thread = new Worker(new URL('./decode-thread.js', import.meta.url), {
    // What it throws away is much, and short-lived.
    resourceLimits: { maxYoungGenerationSizeMb: 32 },
  });
  readonly #waiting = new Map<number, (decoded: Decoded | null) => void>();
  #number = 0;
  #ended = false;

  constructor() {
    this.#thread.on('message', ({ number, decoded }: { number: number; decoded: Decoded | null }) => {
      this.#waiting.get(number)?.(decoded);
      this.#waiting.delete(number);
    });
    // Everybody goes on without it; what was wrong they will see for themselves.
    this.#thread.on('error', () => undefined);
    this.#thread.on('exit', () => {
      this.#ended = true;
      for (const answer of this.#waiting.values()) answer(null);
      this.#waiting.clear();
    });
  }

  readonly read: QuickRead = async (bytes) => {
    const decoded = await this.#decode(bytes);
    if (decoded === null) return null;
    const { header, sha256, sheet } = decoded;
    try {
      return { header, sha256, records: recordsOf(sheet), sheet };
    } catch {
      // The fields of a line are no JSON.
      return null;
    }
  };

  async close(): Promise<void> {
    await this.#thread.terminate();
  }

  #decode(bytes: Uint8Array): Promise<Decoded | null> {
    if (this.#ended) return Promise.resolve(null);
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.#thread.postMessage({ number, bytes } satisfies DecodeTask);
    });
  }
}
