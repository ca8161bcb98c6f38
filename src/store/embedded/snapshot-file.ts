/** Snapshots as files: written beside their name and renamed when they are whole, so never torn. */
import fs from 'node:fs';
import type { PartitionState } from '../../event/state.js';
import type { Files } from './files.js';
import { FolderError, snapshotPath } from './folder.js';
import { decodeFrame, FRAME_HEAD_BYTES, type Frame, frameBytes, frameHead } from './frame.js';
import { type Keep, StoredReader } from './payload.js';
import {
  decodePart,
  encodeState,
  type Origin,
  SNAPSHOT_FORMAT,
  type SnapshotHead,
  type SnapshotPart,
} from './snapshot.js';

const CHUNK_BYTES = 4 << 20;

/** Writes the snapshot of `state`, durably and under its name; how many bytes it has. */
export async function writeSnapshot(
  files: Files,
  dir: string,
  state: PartitionState,
  origin: Origin,
): Promise<number> {
  const path = snapshotPath(dir, origin.journal);
  const staged = `${path}.tmp`;
  await files.remove(staged);
  const fd = await files.open(staged, 'wx+');
  const reader = new StoredReader();
  let written = 0;
  try {
    let chunks: Uint8Array[] = [];
    let bytes = 0;
    const flush = async () => {
      await files.write(fd, chunks, written);
      written += bytes;
      chunks = [];
      bytes = 0;
    };
    for (const { part, payload } of encodeState(state, origin)) {
      const body = payload && Buffer.concat(payload.map((piece) => reader.read(piece)));
      const head = frameHead(JSON.stringify(part), body);
      chunks.push(head);
      if (body && body.byteLength > 0) chunks.push(body);
      bytes += head.byteLength + (body?.byteLength ?? 0);
      if (bytes >= CHUNK_BYTES) await flush();
    }
    if (bytes > 0) await flush();
    await files.sync(fd);
  } finally {
    reader.close();
    await files.close(fd);
  }
  await files.rename(staged, path);
  await files.syncFolder(dir);
  return written;
}

export interface SnapshotRead {
  readonly head: SnapshotHead;
  readonly bytes: number;
}

/** Reads the snapshot into `state`, which is empty. Throws FolderError when anything of it is not as written. */
export function readSnapshot(path: string, logId: string, state: PartitionState, keep: Keep): SnapshotRead {
  let head: SnapshotHead | null = null;
  let frames = 0;
  let ended = false;
  const bytes = readFrames(path, (frame) => {
    const part = JSON.parse(frame.meta) as SnapshotPart;
    if (part.part === 'head') head = checkHead(path, part, logId);
    if (part.part === 'end') ended = part.frames === frames;
    frames += 1;
    decodePart(state, part, keep(frame));
  });
  if (!head || !ended)
    throw new FolderError(path, `damaged at offset ${bytes}: it does not end as it should`);
  return { head, bytes };
}

function checkHead(path: string, head: SnapshotHead, logId: string): SnapshotHead {
  if (head.format !== SNAPSHOT_FORMAT) {
    throw new FolderError(path, `is of format ${head.format}; this version reads format ${SNAPSHOT_FORMAT}`);
  }
  if (head.logId !== logId) throw new FolderError(path, `belongs to log ${head.logId}`);
  return head;
}

/** Calls `onFrame` with each frame; payloads are views of a buffer that is used again. Returns the file's size. */
function readFrames(path: string, onFrame: (frame: Frame) => void): number {
  const fd = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    let window: Buffer = Buffer.alloc(0);
    let windowAt = 0;
    let at = 0;
    while (at < size) {
      const wanted = frameBytes(window, at - windowAt) ?? FRAME_HEAD_BYTES;
      if (at + wanted > windowAt + window.byteLength) {
        if (at + wanted > size)
          throw new FolderError(path, `damaged at offset ${at}: a frame goes beyond its end`);
        window = readWindow(fd, at, Math.min(size - at, Math.max(CHUNK_BYTES, wanted)));
        windowAt = at;
        continue;
      }
      const frame = decodeFrame(window, at - windowAt, window.byteLength);
      if (!frame) throw new FolderError(path, `damaged at offset ${at}: a frame is not sound`);
      onFrame({ ...frame, payloadAt: windowAt + frame.payloadAt, end: windowAt + frame.end });
      at = windowAt + frame.end;
    }
    return size;
  } finally {
    fs.closeSync(fd);
  }
}

function readWindow(fd: number, at: number, bytes: number): Buffer {
  const window = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const got = fs.readSync(fd, window, filled, bytes - filled, at + filled);
    if (got === 0) break;
    filled += got;
  }
  return window.subarray(0, filled);
}
