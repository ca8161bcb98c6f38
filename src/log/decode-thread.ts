/** The thread that unpacks objects of lines, checks them and makes sheets of them, see `decoder.ts`. */
import { parentPort } from 'node:worker_threads';
import type { Sheet } from '../event/sheet.js';
import { unpackLines } from './lines.js';
import { sheetOf } from './sheet.js';

export interface DecodeTask {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export interface Decoded {
  /** The first line. */
  readonly header: string;
  /** Of everything before the last line. */
  readonly sha256: string;
  readonly sheet: Sheet;
}

const port = parentPort!;
// One at a time: what comes meanwhile waits in the port.
let running: Promise<void> = Promise.resolve();
port.on('message', (task: DecodeTask) => {
  running = running.then(() => answer(task));
});

async function answer({ number, bytes }: DecodeTask): Promise<void> {
  const decoded = await decode(bytes);
  const { fields, payloads, ends } = decoded?.sheet ?? {};
  const moved = [fields, payloads, ends].flatMap((part) => (part ? [part.buffer as ArrayBuffer] : []));
  port.postMessage({ number, decoded }, moved);
}

/** Null: it is not whole. Who asked looks for itself what is wrong with it. */
async function decode(bytes: Uint8Array): Promise<Decoded | null> {
  try {
    const { header, rest, sha256, count } = await unpackLines('', bytes);
    return { header, sha256, sheet: sheetOf(rest, count) };
  } catch {
    return null;
  }
}
