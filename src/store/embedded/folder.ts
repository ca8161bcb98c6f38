/**
 * What lies in a data folder, by name:
 *
 *   store.json             format and log id, written once
 *   journal-{number}       records, in files that follow each other
 *   snapshot-{number}      the fold of everything before the journal of that number
 *   *.tmp                  on its way to one of these names; of no worth after a crash
 *   lock.*.sock            see lock.ts
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import type { Files } from './files.js';

const FORMAT = 2;
const IDENTITY = 'store.json';
const NUMBERED = /^(journal|snapshot)-(\d{16})$/;

/** The folder does not hold what it should, and nothing but a person can say why. The store does not start. */
export class FolderError extends Error {
  constructor(path: string, message: string, cause?: unknown) {
    super(`${path}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = 'FolderError';
  }
}

export function journalPath(dir: string, number: number): string {
  return join(dir, `journal-${digits(number)}`);
}

export function snapshotPath(dir: string, number: number): string {
  return join(dir, `snapshot-${digits(number)}`);
}

function digits(number: number): string {
  return String(number).padStart(16, '0');
}

export interface Contents {
  /** Numbers, ascending. */
  readonly journals: readonly number[];
  readonly snapshots: readonly number[];
  /** Paths of what was left half made. */
  readonly unfinished: readonly string[];
}

export function readContents(dir: string): Contents {
  const journals: number[] = [];
  const snapshots: number[] = [];
  const unfinished: string[] = [];
  for (const name of fs.readdirSync(dir).sort()) {
    if (name.endsWith('.tmp')) unfinished.push(join(dir, name));
    const match = NUMBERED.exec(name);
    if (match) (match[1] === 'journal' ? journals : snapshots).push(Number(match[2]));
  }
  return { journals, snapshots, unfinished };
}

/**
 * The id that was made when the folder was founded, or null when it was not. Its files name it, and a new log takes
 * it; a store that is rebuilt from a log has that log's id beside it, in its state.
 */
export function readIdentity(dir: string): string | null {
  const path = join(dir, IDENTITY);
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new FolderError(path, 'cannot be read', error);
  }
  let identity: { format?: unknown; logId?: unknown };
  try {
    identity = JSON.parse(text);
  } catch (error) {
    throw new FolderError(path, 'is not JSON', error);
  }
  if (identity.format !== FORMAT) {
    throw new FolderError(path, `is of format ${identity.format}; this version reads format ${FORMAT}`);
  }
  if (typeof identity.logId !== 'string') throw new FolderError(path, 'names no log id');
  return identity.logId;
}

/** Its presence says that the first journal had been made: it is written after that. */
export async function writeIdentity(files: Files, dir: string, logId: string): Promise<void> {
  const text = `${JSON.stringify({ format: FORMAT, logId })}\n`;
  await writeWhole(files, dir, join(dir, IDENTITY), [Buffer.from(text)]);
}

export function newLogId(): string {
  return randomUUID();
}

/** A file that is there whole or not at all, also after a crash of the machine. */
export async function writeWhole(
  files: Files,
  dir: string,
  path: string,
  chunks: readonly Uint8Array[],
): Promise<void> {
  const staged = `${path}.tmp`;
  await files.remove(staged);
  const fd = await files.open(staged, 'wx+');
  try {
    await files.write(fd, chunks, 0);
    await files.sync(fd);
  } finally {
    await files.close(fd);
  }
  await files.rename(staged, path);
  await files.syncFolder(dir);
}
