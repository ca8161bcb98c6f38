/**
 * A group: records that become durable together, gathered as the bytes that are written, with room for the group's
 * header before them. Payloads are copied to their frames: one piece to write costs less than two a record do.
 */
import type { StoreRecord } from '../../event/record.js';
import type { Sheet } from '../../event/sheet.js';
import { FRAME_HEAD_BYTES, frameBytesMax, writeFrame, writeFrameOf } from './frame.js';
import { GROUP_HEADER_BYTES } from './journal-file.js';
import { metaOf, metaOfSheet, payloadOf } from './record-frame.js';

const GROUP_BUFFER_BYTES = 256 * 1024;

export class Group {
  readonly ids = new Set<string>();
  frames = 0;
  resolve!: () => void;
  reject!: (error: Error) => void;
  readonly done = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
  #end = GROUP_HEADER_BYTES;

  /** `buffer` is the group's from now on; it takes a larger one when it must. */
  constructor(private buffer: Buffer = Buffer.allocUnsafeSlow(GROUP_BUFFER_BYTES)) {
    // That nobody waits for a group is no reason to end the process when it fails.
    this.done.catch(() => {});
  }

  add(record: StoreRecord): void {
    const meta = metaOf(record);
    const payload = payloadOf(record);
    this.#makeRoom(frameBytesMax(meta, payload));
    this.#end = writeFrame(this.buffer, this.#end, meta, payload);
    this.frames += 1;
    if ('id' in record) this.ids.add(record.id);
  }

  /** Whoever reads of them does so after the store was opened, and that waits for all that there is. */
  addSheet(sheet: Sheet): void {
    const meta = metaOfSheet(sheet);
    const metaBytes = meta.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#makeRoom(FRAME_HEAD_BYTES + metaBytes + sheet.payloads.byteLength);
    this.#end = writeFrameOf(this.buffer, this.#end, meta, sheet.payloads);
    this.frames += 1;
  }

  /** Of its frames. */
  get bytes(): number {
    return this.#end - GROUP_HEADER_BYTES;
  }

  /** What is to be written. */
  seal(header: Buffer): Buffer {
    header.copy(this.buffer);
    return this.buffer.subarray(0, this.#end);
  }

  /** For another group, once this one is written; one that had to grow is let go. */
  get spareBuffer(): Buffer | null {
    return this.buffer.byteLength === GROUP_BUFFER_BYTES ? this.buffer : null;
  }

  #makeRoom(bytes: number): void {
    const wanted = this.#end + bytes;
    if (wanted <= this.buffer.byteLength) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.buffer.byteLength));
    this.buffer.copy(larger, 0, 0, this.#end);
    this.buffer = larger;
  }
}
