/**
 * A disk that dies at a given operation: that one and all after it fail. What was written and not synced by then is
 * there (the process has died), gone (the machine has), or there in part.
 */
import fs from 'node:fs';
import { type Files, nodeFiles } from '../../../src/store/embedded/files.js';

export type Loss = 'none' | 'all' | 'half';

/** Real files whose syncs return at once: for what only has to be read again in the same life of the machine. */
export const quickFiles: Files = { ...nodeFiles, sync: async () => {}, syncFolder: async () => {} };

interface Unsynced {
  readonly bytes: Buffer;
  readonly position: number;
}

export class SimulatedDisk implements Files {
  operations = 0;
  readonly #unsynced = new Map<number, Unsynced[]>();
  readonly #open = new Set<number>();
  #dead = false;

  constructor(
    private readonly diesAt: number,
    private readonly loss: Loss,
  ) {}

  get dead(): boolean {
    return this.#dead;
  }

  async open(path: string, flags: 'r+' | 'wx+'): Promise<number> {
    this.#operate();
    const fd = await nodeFiles.open(path, flags);
    this.#open.add(fd);
    return fd;
  }

  async write(fd: number, chunks: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(chunks);
    if (this.loss === 'none') {
      this.#operate();
      return nodeFiles.write(fd, [bytes], position);
    }
    const waiting = this.#unsynced.get(fd) ?? [];
    waiting.push({ bytes, position });
    this.#unsynced.set(fd, waiting);
    this.#operate();
  }

  async sync(fd: number): Promise<void> {
    this.#operate();
    for (const { bytes, position } of this.#unsynced.get(fd) ?? []) {
      await nodeFiles.write(fd, [bytes], position);
    }
    this.#unsynced.delete(fd);
  }

  async close(fd: number): Promise<void> {
    // A process that dies has its files closed.
    if (this.#open.delete(fd)) await nodeFiles.close(fd);
    this.#unsynced.delete(fd);
    this.#operate();
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operate();
    await nodeFiles.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.#operate();
    await nodeFiles.remove(path);
  }

  async syncFolder(_path: string): Promise<void> {
    this.#operate();
  }

  #operate(): void {
    if (!this.#dead && this.operations++ < this.diesAt) return;
    if (!this.#dead && this.loss === 'half') this.#leaveHalf();
    this.#dead = true;
    throw new Error('the disk has died');
  }

  #leaveHalf(): void {
    for (const [fd, waiting] of this.#unsynced) {
      const last = waiting.at(-1)!;
      const half = last.bytes.subarray(0, last.bytes.byteLength >> 1);
      fs.writeSync(fd, half, 0, half.byteLength, last.position);
    }
  }
}
