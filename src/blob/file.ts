/**
 * Blobs as files in a folder. An object is written beside its place, synced, and linked to its name: `link(2)`
 * fails when the name exists, so creation is exclusive and no reader ever sees half an object.
 *
 * As with any file system, a key cannot be both an object and the folder of others (`a` and `a/b`).
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, opendir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BlobError, type BlobFailure, type BlobInfo, type BlobProbe, type BlobStore } from './blob.js';
import { assertKey, assertPerCall, assertPrefix, assertRange, isKey } from './key.js';
import { probeConditionalPut } from './probe.js';

/** No key begins with `~`, so what lies in here is never listed. */
const STAGING = '~staging';

/** A staged file this old belongs to a process that died: a put takes far less. */
const STAGED_MS_MAX = 60 * 60 * 1000;

/** Somebody has to change something before these go away; everything else may pass by itself. */
const REFUSED = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'ENAMETOOLONG',
  'ELOOP',
  'EXDEV',
  'ENOTSUP',
  // Of a folder that is to be made where a file is.
  'EEXIST',
]);

export class FileBlobStore implements BlobStore {
  readonly description: string;
  readonly #root: string;
  /** Folders that are known to exist durably, each with the one promise that made sure of it. */
  readonly #folders = new Map<string, Promise<void>>();
  #staging: Promise<string> | null = null;

  constructor(folder: string) {
    this.#root = resolve(folder);
    this.description = `file:${this.#root}`;
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const path = this.#path(key);
    const folder = dirname(path);
    return this.#guard('put', key, async () => {
      const staged = await this.#stage(body);
      try {
        await this.#ensureFolder(folder);
        const result = await linkIfAbsent(staged, path);
        // Also when it exists: whoever linked it may have died before this, and `exists` may be our own earlier try.
        await syncFolder(folder);
        return result;
      } catch (error) {
        this.#forgetFolders();
        throw error;
      } finally {
        await unlink(staged).catch(ignoreMissing);
      }
    });
  }

  async get(key: string): Promise<Buffer | null> {
    const path = this.#path(key);
    return this.#guard('get', key, () => unlessMissing(() => readFile(path)));
  }

  async getRange(key: string, start: number, end: number): Promise<Buffer | null> {
    const path = this.#path(key);
    assertRange(start, end);
    return this.#guard('get', key, () =>
      unlessMissing(async () => {
        const file = await open(path, 'r');
        try {
          const { size } = await file.stat();
          return await readFully(file, start, Math.max(0, Math.min(end, size) - start));
        } finally {
          await file.close();
        }
      }),
    );
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]> {
    assertPrefix(prefix);
    if (options.after !== undefined) assertPrefix(options.after);
    assertPerCall('limit', options.limit);
    const found: BlobInfo[] = [];
    return this.#guard('list', prefix, async () => {
      for await (const key of this.#walk('', prefix, options.after ?? '', options.limit)) {
        const about = await unlessMissing(() => stat(join(this.#root, key)));
        if (about === null) continue;
        found.push({ key, bytes: about.size, modifiedAt: Math.floor(about.mtimeMs) });
        if (found.length === options.limit) break;
      }
      return found;
    });
  }

  async delete(
    keys: readonly string[],
  ): Promise<{ key: string; deleted: boolean; message: string | null }[]> {
    assertPerCall('keys', keys.length);
    const paths = keys.map((key) => ({ key, path: this.#path(key) }));
    const results: { key: string; deleted: boolean; message: string | null }[] = [];
    for (const { key, path } of paths) {
      try {
        await unlink(path).catch(ignoreMissing);
        results.push({ key, deleted: true, message: null });
      } catch (error) {
        results.push({
          key,
          deleted: false,
          message: error instanceof Error ? error.message : String(error),
        });
      }
    }
    return results;
  }

  probe(): Promise<BlobProbe> {
    return probeConditionalPut(this);
  }

  async close(): Promise<void> {
    this.#forgetFolders();
  }

  #path(key: string): string {
    assertKey(key);
    return join(this.#root, key);
  }

  /** Writes `body` to a file of its own that is on the disk before anybody can see it under a key. */
  async #stage(body: Uint8Array): Promise<string> {
    this.#staging ??= this.#openStaging();
    const staged = join(await this.#staging, randomUUID());
    const file = await open(staged, 'wx', 0o640);
    try {
      await file.writeFile(body);
      await file.datasync();
    } catch (error) {
      await unlink(staged).catch(ignoreMissing);
      throw error;
    } finally {
      await file.close();
    }
    return staged;
  }

  /** The staging folder, cleared of what processes that died have left in it. */
  async #openStaging(): Promise<string> {
    const folder = join(this.#root, STAGING);
    await this.#ensureFolder(folder);
    const staleBefore = Date.now() - STAGED_MS_MAX;
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name);
      const about = await unlessMissing(() => stat(path));
      if (about?.isFile() && about.mtimeMs < staleBefore) await unlink(path).catch(ignoreMissing);
    }
    return folder;
  }

  /** Makes `folder` and what it lies in, and syncs the name of each of them into its parent, once a process. */
  #ensureFolder(folder: string): Promise<void> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const made = (async () => {
      const first = await mkdir(folder, { recursive: true });
      // Also up to the root when all were there: who made them may have died before syncing.
      const top = dirname(first !== undefined && first.length < this.#root.length ? first : this.#root);
      for (let at = dirname(folder); at.length >= top.length; at = dirname(at)) {
        await syncFolder(at).catch((error: unknown) => {
          // What lies above may be closed to us: then it is not ours to make durable.
          if (at.length >= this.#root.length || codeOf(error) !== 'EACCES') throw error;
        });
        if (at === top) break;
      }
    })();
    this.#folders.set(folder, made);
    return made;
  }

  /** After a failure: a folder may have been taken away, or never made. The next put looks again. */
  #forgetFolders(): void {
    this.#folders.clear();
    this.#staging = null;
  }

  /** Keys under `base` in order. A page at a time, so that a folder of millions costs no memory. */
  async *#walk(base: string, prefix: string, after: string, pageSize: number): AsyncGenerator<string> {
    let done = '';
    for (;;) {
      const page = await this.#page(base, prefix, after, done, pageSize);
      for (const name of page) {
        if (name.endsWith('/')) yield* this.#walk(name, prefix, after, pageSize);
        else yield name;
      }
      if (page.length < pageSize) return;
      done = page.at(-1) ?? done;
    }
  }

  /** The first names of one folder, past `done`, that can be or hold keys after `after`; a folder's ends with `/` and sorts so. */
  async #page(
    base: string,
    prefix: string,
    after: string,
    done: string,
    pageSize: number,
  ): Promise<string[]> {
    const folder = await unlessMissing(() => opendir(join(this.#root, base)));
    if (folder === null) return [];
    let names: string[] = [];
    for await (const entry of folder) {
      if (!isKey(entry.name)) continue;
      const isFolder = entry.isDirectory();
      if (!isFolder && !entry.isFile()) continue;
      const name = isFolder ? `${base}${entry.name}/` : `${base}${entry.name}`;
      if (!name.startsWith(prefix) && !(isFolder && prefix.startsWith(name))) continue;
      if (name <= done || (name <= after && !(isFolder && after.startsWith(name)))) continue;
      names.push(name);
      if (names.length >= 4 * pageSize) names = names.sort().slice(0, pageSize);
    }
    return names.sort().slice(0, pageSize);
  }

  async #guard<T>(operation: string, key: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof BlobError || codeOf(error) === null) throw error;
      // Not even the staging folder's promise may be kept: it would fail for ever.
      this.#forgetFolders();
      throw new BlobError(failureOf(error), operation, key, error);
    }
  }
}

function failureOf(error: unknown): BlobFailure {
  return REFUSED.has(codeOf(error) ?? '') ? 'refused' : 'unavailable';
}

async function linkIfAbsent(staged: string, path: string): Promise<'created' | 'exists'> {
  try {
    await link(staged, path);
    return 'created';
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return 'exists';
    throw error;
  }
}

/** Makes the names in a folder durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readFully(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** Null when there is nothing at that name, also when it or what it lies in is of another kind. */
async function unlessMissing<T>(action: () => Promise<T>): Promise<T | null> {
  try {
    return await action();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return null;
    throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** The system's word for what went wrong, or null when the error is none of the system's. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
