/**
 * The journal as it is written: group commit over files that follow each other.
 *
 * Records that are appended while a group is on its way to the disk gather for the next one; each group is one
 * write and one sync, both off the event loop, and whoever waits for a record waits for its group.
 *
 *   idle ── append ──► gathering ── end of the loop's turn ──► writing, syncing ── nothing gathered ──► marking ──► idle
 *                                                               ▲                └─ gathered ─┐
 *                                                               └─────────────────────────────┘
 *
 * When a write or a sync fails, nobody can tell what the disk holds, and a second sync that succeeds would prove
 * nothing. So the journal fails for good: who waits is told, and so is everybody who comes after. Only a start,
 * which reads what is really there, can go on.
 */

import type { StoreRecord } from '../../event/record.js';
import type { Sheet } from '../../event/sheet.js';
import { StoreError } from '../store.js';
import type { Files } from './files.js';
import { journalPath } from './folder.js';
import { Group } from './group.js';
import {
  createJournalFile,
  encodeGroupHeader,
  FILE_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  type JournalEnd,
  type JournalHeader,
  newJournalHeader,
} from './journal-file.js';

export interface JournalOptions {
  readonly dir: string;
  readonly files: Files;
  /** Size of a journal file. */
  readonly fileBytes: number;
  /** A file is full; records go on in the one after it. */
  readonly onRolled: (closed: JournalHeader) => void;
}

interface Prepared {
  readonly header: JournalHeader;
  readonly fd: number;
}

export class Journal {
  #header: JournalHeader;
  #offset: number;
  #sequence: number;
  #gathering: Group | null = null;
  #writing: Group | null = null;
  /** A buffer for the next group. */
  #spare: Buffer | null = null;
  #failure: StoreError | null = null;
  #running: Promise<void> | null = null;
  /** The file to go on in, made ahead so that no group waits for it. */
  #next: Promise<Prepared> | null = null;
  #closed = false;

  /** `fd` is the open file of which `end` tells; behind its offset there are zeros. */
  constructor(
    private readonly options: JournalOptions,
    end: Omit<JournalEnd, 'torn'>,
    private fd: number,
  ) {
    this.#header = end.header;
    this.#offset = end.offset;
    this.#sequence = end.sequence;
  }

  /** Why nothing can be written any more. */
  get failure(): StoreError | null {
    return this.#failure;
  }

  get number(): number {
    return this.#header.number;
  }

  append(record: StoreRecord): void {
    this.#gather().add(record);
  }

  /** Of the records of a recovery. */
  appendSheet(sheet: Sheet): void {
    this.#gather().addSheet(sheet);
  }

  #gather(): Group {
    if (this.#failure) throw this.#failure;
    if (!this.#gathering) {
      this.#gathering = new Group(this.#spare ?? undefined);
      this.#spare = null;
    }
    this.#running ??= this.#run();
    return this.#gathering;
  }

  /** Resolves when everything appended so far is durable. */
  tail(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return (this.#gathering ?? this.#writing)?.done ?? DONE;
  }

  /** Resolves when everything appended so far about an event is durable. */
  tailOf(id: string): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#gathering?.ids.has(id)) return this.#gathering.done;
    if (this.#writing?.ids.has(id)) return this.#writing.done;
    return DONE;
  }

  /** Nothing may be appended any more. Resolves when everything is on the disk, with a mark behind it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#running) await this.#running;
    if (!this.#failure) {
      try {
        await this.options.files.sync(this.fd);
      } catch (error) {
        this.#fail(error);
      }
    }
    const prepared = await this.#next?.catch(() => null);
    if (prepared) {
      await this.options.files.close(prepared.fd);
      await this.options.files.remove(this.#nextPath());
    }
    await this.options.files.close(this.fd);
    if (this.#failure) throw this.#failure;
  }

  async #run(): Promise<void> {
    // All calls of this turn of the loop go into one group.
    await endOfTurn();
    try {
      while (this.#gathering) {
        this.#writing = this.#gathering;
        this.#gathering = null;
        await this.#write(this.#writing);
        this.#writing.resolve();
        this.#spare = this.#writing.spareBuffer;
        this.#writing = null;
        if (!this.#gathering) await this.#mark();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#running = null;
  }

  async #write(group: Group): Promise<void> {
    const { files } = this.options;
    const bytes = GROUP_HEADER_BYTES + group.bytes;
    if (this.#offset + bytes > this.#header.bytes) await this.#roll(bytes);
    const header = encodeGroupHeader(this.#header, {
      sequence: this.#sequence,
      bytes: group.bytes,
      frames: group.frames,
    });
    await files.write(this.fd, [group.seal(header)], this.#offset);
    await files.sync(this.fd);
    this.#offset += bytes;
    this.#sequence += 1;
    this.#prepareAhead();
  }

  /** Proves to a later start that the last group was synced. The next group is written over it. */
  async #mark(): Promise<void> {
    if (this.#offset + GROUP_HEADER_BYTES > this.#header.bytes) return;
    const mark = encodeGroupHeader(this.#header, { sequence: this.#sequence, bytes: 0, frames: 0 });
    await this.options.files.write(this.fd, [mark], this.#offset);
  }

  /** Goes on in a new file with room for a group of `bytes`. */
  async #roll(bytes: number): Promise<void> {
    const { dir, files } = this.options;
    const number = this.#header.number + 1;
    const fileBytes = Math.max(this.options.fileBytes, FILE_HEADER_BYTES + bytes);
    let next = await (this.#next ?? this.#prepare(number, fileBytes));
    this.#next = null;
    if (next.header.bytes < fileBytes) {
      await files.close(next.fd);
      next = await this.#prepare(number, fileBytes);
    }
    // The mark at its end is not synced yet, and in a file that another comes after nothing may be torn.
    await files.sync(this.fd);
    await files.rename(this.#nextPath(), journalPath(dir, number));
    await files.syncFolder(dir);
    const closed = this.#header;
    await files.close(this.fd);
    this.fd = next.fd;
    this.#header = next.header;
    this.#offset = FILE_HEADER_BYTES;
    this.options.onRolled(closed);
  }

  #prepareAhead(): void {
    if (this.#next) return;
    this.#next = this.#prepare(this.#header.number + 1, this.options.fileBytes);
    // A failure is met by the group that needs the file.
    this.#next.catch(() => {});
  }

  async #prepare(number: number, bytes: number): Promise<Prepared> {
    const header = newJournalHeader(number, bytes, this.#header.logId);
    return { header, fd: await createJournalFile(this.options.files, this.#nextPath(), header) };
  }

  #nextPath(): string {
    return `${this.options.dir}/journal-next.tmp`;
  }

  #fail(cause: unknown): void {
    this.#failure = new StoreError(
      'unavailable',
      `write ${journalPath(this.options.dir, this.number)}`,
      cause,
    );
    this.#writing?.reject(this.#failure);
    this.#gathering?.reject(this.#failure);
    this.#writing = null;
    this.#gathering = null;
  }
}

const DONE = Promise.resolve();

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
