/**
 * A journal file: a header, then groups of frames, then zeros up to its size.
 *
 * A group is what one write and one sync made durable: a header with its sequence number, its length and the
 * number of its frames, and the frames. The next group is written only after the sync of the one before, hence
 * the rules by which a start tells a torn tail, which a crash leaves and which nobody was ever promised, from
 * damage to what was promised:
 *
 * - A file has its full size, of zeros and synced, before it gets its name. A file of another size is damaged; a
 *   crash cannot do that.
 * - What does not decode is a torn tail only at the end of the last file, and only if no sound group header stands
 *   anywhere from there on: a later group proves that the one before had been synced. So that the last group has such a
 *   proof too, a *mark*, a group without frames, is written behind it when nothing else is to be written at once,
 *   and at close. The next group is written over the mark with the mark's sequence number: a mark is not synced by
 *   itself, and must not be missed when the crash has taken it but not what came behind.
 * - In an earlier file nothing may be torn: a file gets its name after all groups of the one before were synced.
 *
 * What stays open is a group whose bits rot between its sync and its mark, without anybody writing on; a few
 * microseconds, and a crash of the machine just then.
 *
 * A header's CRC starts from the file's salt, random and in no reply, so that no payload can pose as a header.
 * Numbers are little-endian.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Files } from './files.js';
import { FolderError } from './folder.js';
import { decodeFrame, type Frame } from './frame.js';

const MAGIC = Buffer.from('clockwork.journal');
export const FILE_HEADER_BYTES = 128;
/** Since 2 a frame may hold many records. */
const FORMAT = 2;
const OLDEST_FORMAT = 1;
const GROUP_MAGIC = Buffer.from('cwkg');
export const GROUP_HEADER_BYTES = 32;
const ZEROS = Buffer.alloc(1 << 20);

export interface JournalHeader {
  readonly number: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly logId: string;
  readonly salt: number;
}

/** Where the next group goes. */
export interface JournalEnd {
  readonly header: JournalHeader;
  readonly offset: number;
  readonly sequence: number;
  /** Behind `offset` lies what a crash has left of a group; it must be cleared before anything is written. */
  readonly torn: boolean;
}

export function newJournalHeader(number: number, bytes: number, logId: string): JournalHeader {
  return { number, bytes, logId, salt: randomBytes(4).readUInt32LE() };
}

function encodeHeader({ number, bytes, logId, salt }: JournalHeader): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT, 24);
  header.writeUInt32LE(salt, 28);
  header.writeUIntLE(number, 32, 6);
  header.writeUIntLE(bytes, 40, 6);
  header.write(logId, 48, 36, 'latin1');
  header.writeUInt32LE(crc32(header.subarray(0, -4)), FILE_HEADER_BYTES - 4);
  return header;
}

function decodeHeader(path: string, file: Buffer): JournalHeader {
  const header = file.subarray(0, FILE_HEADER_BYTES);
  const sound =
    header.byteLength === FILE_HEADER_BYTES &&
    header.subarray(0, MAGIC.length).equals(MAGIC) &&
    crc32(header.subarray(0, -4)) === header.readUInt32LE(FILE_HEADER_BYTES - 4);
  if (!sound) throw new FolderError(path, 'damaged at offset 0: its header is not sound');
  const format = header.readUInt32LE(24);
  if (format < OLDEST_FORMAT || format > FORMAT) {
    throw new FolderError(path, `is of format ${format}; this version reads format ${FORMAT}`);
  }
  return {
    salt: header.readUInt32LE(28),
    number: header.readUIntLE(32, 6),
    bytes: header.readUIntLE(40, 6),
    logId: header.toString('latin1', 48, 84),
  };
}

/** Makes the file at `path`, of its full size and synced. It still has to be given its name. */
export async function createJournalFile(files: Files, path: string, header: JournalHeader): Promise<number> {
  await files.remove(path);
  const fd = await files.open(path, 'wx+');
  await files.write(fd, [encodeHeader(header)], 0);
  await clear(files, fd, FILE_HEADER_BYTES, header.bytes);
  await files.sync(fd);
  return fd;
}

/** Writes zeros from `start` up to `end`. */
export async function clear(files: Files, fd: number, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += ZEROS.byteLength) {
    await files.write(fd, [ZEROS.subarray(0, Math.min(ZEROS.byteLength, end - at))], at);
  }
}

interface GroupHeader {
  readonly sequence: number;
  /** Of its frames together. */
  readonly bytes: number;
  readonly frames: number;
}

export function encodeGroupHeader(journal: JournalHeader, group: GroupHeader): Buffer {
  const header = Buffer.alloc(GROUP_HEADER_BYTES);
  GROUP_MAGIC.copy(header);
  header.writeUInt32LE(journal.number % 2 ** 32, 4);
  header.writeUIntLE(group.sequence, 8, 6);
  header.writeUInt32LE(group.bytes, 16);
  header.writeUInt32LE(group.frames, 20);
  header.writeUInt32LE(crc32(header.subarray(0, 28), journal.salt), 28);
  return header;
}

function decodeGroupHeader(journal: JournalHeader, file: Buffer, at: number): GroupHeader | null {
  if (at + GROUP_HEADER_BYTES > file.byteLength) return null;
  const header = file.subarray(at, at + GROUP_HEADER_BYTES);
  if (!header.subarray(0, 4).equals(GROUP_MAGIC)) return null;
  if (header.readUInt32LE(28) !== crc32(header.subarray(0, 28), journal.salt)) return null;
  if (header.readUInt32LE(4) !== journal.number % 2 ** 32) return null;
  return {
    sequence: header.readUIntLE(8, 6),
    bytes: header.readUInt32LE(16),
    frames: header.readUInt32LE(20),
  };
}

export interface Expected {
  readonly number: number;
  readonly logId: string;
  /** Sequence number of its first group. */
  readonly sequence: number;
  /** It is the last file, whose tail may be torn. */
  readonly last: boolean;
}

/** Reads a journal through. Throws FolderError with the file and the offset when it is damaged. */
export function readJournalFile(
  path: string,
  expected: Expected,
  onFrame: (frame: Frame) => void,
): JournalEnd {
  return readJournal(path, fs.readFileSync(path), expected, onFrame);
}

/** The same with the file's bytes at hand. */
export function readJournal(
  path: string,
  file: Buffer,
  expected: Expected,
  onFrame: (frame: Frame) => void,
): JournalEnd {
  const header = decodeHeader(path, file);
  if (file.byteLength !== header.bytes) {
    throw new FolderError(
      path,
      `damaged at offset ${file.byteLength}: it has ${file.byteLength} bytes and was made with ${header.bytes}`,
    );
  }
  if (header.number !== expected.number) throw new FolderError(path, `is journal ${header.number}, misnamed`);
  if (header.logId !== expected.logId) throw new FolderError(path, `belongs to log ${header.logId}`);

  let offset = FILE_HEADER_BYTES;
  let { sequence } = expected;
  for (;;) {
    const frames = decodeGroup(header, file, offset, sequence);
    if (!frames || frames.length === 0) break;
    for (const frame of frames) onFrame(frame);
    offset = frames.at(-1)!.end;
    sequence += 1;
  }
  const torn = !isZero(file, isMark(header, file, offset, sequence) ? offset + GROUP_HEADER_BYTES : offset);
  if (torn) refuseDamage(path, { header, file, offset, sequence, last: expected.last });
  return { header, offset, sequence, torn };
}

/** The frames of the group at `offset`; null when there is none that is whole. A mark has no frames. */
function decodeGroup(journal: JournalHeader, file: Buffer, offset: number, sequence: number): Frame[] | null {
  const group = decodeGroupHeader(journal, file, offset);
  if (!group || group.sequence !== sequence) return null;
  const end = offset + GROUP_HEADER_BYTES + group.bytes;
  if (end > file.byteLength) return null;
  const frames: Frame[] = [];
  let at = offset + GROUP_HEADER_BYTES;
  for (let k = 0; k < group.frames; k += 1) {
    const frame = decodeFrame(file, at, end);
    if (!frame) return null;
    frames.push(frame);
    at = frame.end;
  }
  return at === end ? frames : null;
}

function isMark(journal: JournalHeader, file: Buffer, offset: number, sequence: number): boolean {
  const group = decodeGroupHeader(journal, file, offset);
  return group !== null && group.frames === 0 && group.sequence === sequence;
}

/** Returns when what lies at `offset` can only be the torn tail of a crash. */
function refuseDamage(
  path: string,
  at: { header: JournalHeader; file: Buffer; offset: number; sequence: number; last: boolean },
): void {
  const { header, file, offset, sequence, last } = at;
  if (!last) {
    throw new FolderError(
      path,
      `damaged at offset ${offset}: a later journal shows that it had been complete`,
    );
  }
  for (
    let next = file.indexOf(GROUP_MAGIC, offset + 1);
    next >= 0;
    next = file.indexOf(GROUP_MAGIC, next + 1)
  ) {
    const later = decodeGroupHeader(header, file, next);
    if (!later || later.sequence <= sequence) continue;
    throw new FolderError(
      path,
      `damaged at offset ${offset}: the group at offset ${next} shows that what stood there had been synced`,
    );
  }
}

function isZero(file: Buffer, from: number): boolean {
  for (let at = from; at < file.byteLength; at += ZEROS.byteLength) {
    const part = file.subarray(at, at + ZEROS.byteLength);
    if (!part.equals(ZEROS.subarray(0, part.byteLength))) return false;
  }
  return true;
}
