/**
 * The few things that the embedded store does to files while it runs, so that tests can make each of them fail.
 * Reading happens at start-up only and goes straight to `node:fs`.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';

export interface Files {
  open(path: string, flags: 'r+' | 'wx+'): Promise<number>;
  /** All of it, at `position`. */
  write(fd: number, chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** What was written to `fd`, and the size it has, survive a crash of the machine. */
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file that is not there counts as removed. */
  remove(path: string): Promise<void>;
  /** Names that were made, changed or removed in the folder survive a crash of the machine. */
  syncFolder(path: string): Promise<void>;
}

const open = promisify(fs.open);
const writev = promisify(fs.writev);
const fdatasync = promisify(fs.fdatasync);
const close = promisify(fs.close);

export const nodeFiles: Files = {
  open: (path, flags) => open(path, flags, 0o600),

  async write(fd, chunks, position) {
    let left = chunks;
    let at = position;
    while (left.length > 0) {
      const { bytesWritten } = await writev(fd, left, at);
      if (bytesWritten === 0) throw new Error('nothing could be written');
      if (bytesWritten === bytesOf(left)) return;
      at += bytesWritten;
      left = remaining(left, bytesWritten);
    }
  },

  sync: (fd) => fdatasync(fd),
  close: (fd) => close(fd),
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.rm(path, { force: true }),

  async syncFolder(path) {
    const folder = await fs.promises.open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};

function bytesOf(chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.byteLength;
  return bytes;
}

/** What of `chunks` comes after their first `written` bytes. */
function remaining(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  let index = 0;
  while (index < chunks.length && skip >= chunks[index]!.byteLength) {
    skip -= chunks[index]!.byteLength;
    index += 1;
  }
  const rest = chunks.slice(index);
  if (skip > 0) rest[0] = rest[0]!.subarray(skip);
  return rest;
}
