/** Opens a data folder: makes it when it is new, recovers it when it is not, and gets its journal ready to go on. */
import type { Policy } from '../../event/policy.js';
import { EVENT_OVERHEAD_BYTES, type Limits, type PartitionState } from '../../event/state.js';
import { removeCovered } from './compact.js';
import { Compactor } from './compactor.js';
import type { Files } from './files.js';
import {
  type Contents,
  FolderError,
  journalPath,
  newLogId,
  readContents,
  readIdentity,
  writeIdentity,
} from './folder.js';
import { Journal } from './journal.js';
import {
  clear,
  createJournalFile,
  FILE_HEADER_BYTES,
  type JournalEnd,
  type JournalHeader,
  newJournalHeader,
} from './journal-file.js';
import { keepInMemory } from './payload.js';
import { type Folded, fold } from './recover.js';

export interface FolderOptions {
  readonly dir: string;
  readonly files: Files;
  readonly policy: Policy;
  readonly limits: Limits;
  readonly now: () => number;
  /** Size of a journal file. */
  readonly journalFileBytes: number;
  /** Closed journals that weigh less than this are not folded into a snapshot. */
  readonly compactBytesMin: number;
}

export interface OpenedFolder {
  /** The folder's own; see `readIdentity`. */
  readonly logId: string;
  readonly state: PartitionState;
  readonly journal: Journal;
  readonly compactor: Compactor;
}

/** The folder is locked already. Throws FolderError when it cannot be trusted. */
export async function openFolder(options: FolderOptions): Promise<OpenedFolder> {
  const { dir, files, policy, limits } = options;
  const found = readContents(dir);
  for (const path of found.unfinished) await files.remove(path);
  const logId = readIdentity(dir) ?? (await foundStore(options, found));
  const snapshot = readContents(dir).snapshots.at(-1) ?? null;
  if (snapshot !== null) await removeCovered(files, dir, snapshot);
  await replaceLostJournals(options, logId, snapshot ?? 1);
  const upTo = checkRun(dir, readContents(dir).journals, snapshot);

  const memory = keepInMemory();
  const folded = fold({ dir, logId, policy, limits, snapshot, upTo, toTheEnd: true, keep: () => memory });
  const { state, end } = folded;
  const compactor = makeCompactor(options, logId, { ...folded, snapshot });
  const journal = await continueJournal(options, end, compactor);
  compactor.runIfDue();
  return { logId, state, journal, compactor };
}

/** Founds a store in a folder that holds none; returns its new log id. */
async function foundStore({ dir, files, journalFileBytes }: FolderOptions, found: Contents): Promise<string> {
  const { journals, snapshots } = found;
  // A crash in the middle of this leaves the first journal and nothing else.
  if (snapshots.length > 0 || journals.some((number) => number !== 1)) {
    throw new FolderError(dir, 'holds journals or snapshots but no store.json, which tells whose they are');
  }
  const logId = newLogId();
  const header = newJournalHeader(1, journalFileBytes, logId);
  await createJournal(files, dir, header);
  await writeIdentity(files, dir, logId);
  return logId;
}

/**
 * Without any journal that goes on from the snapshot, the state is what it was at some time, as after a failover; what
 * came since is taken from the log when the store is recovered. A folder of which only some journals are gone is
 * refused: nobody has taken them away on purpose.
 */
async function replaceLostJournals(
  { dir, files, journalFileBytes }: FolderOptions,
  logId: string,
  number: number,
): Promise<void> {
  if (readContents(dir).journals.length > 0) return;
  await createJournal(files, dir, newJournalHeader(number, journalFileBytes, logId));
}

async function createJournal(files: Files, dir: string, header: JournalHeader): Promise<void> {
  const path = journalPath(dir, header.number);
  await files.close(await createJournalFile(files, `${path}.tmp`, header));
  await files.rename(`${path}.tmp`, path);
  await files.syncFolder(dir);
}

/** The journals that are needed are all there; returns the number of the last. */
function checkRun(dir: string, journals: readonly number[], snapshot: number | null): number {
  const first = snapshot ?? 1;
  const needed = journals.filter((number) => number >= first);
  for (let k = 0; k < Math.max(1, needed.length); k += 1) {
    if (needed[k] !== first + k) throw new FolderError(journalPath(dir, first + k), 'is missing');
  }
  return needed.at(-1)!;
}

/** What an event takes in a file beside its bodies, about. */
const EVENT_FILE_BYTES = 350;

function makeCompactor(
  options: FolderOptions,
  logId: string,
  folded: Folded & { snapshot: number | null },
): Compactor {
  const { dir, policy, limits, now, compactBytesMin } = options;
  const { snapshot: number, snapshotBytes: bytes, snapshotWeight, state } = folded;
  const guess = () => state.bytes - state.events.size * (EVENT_OVERHEAD_BYTES - EVENT_FILE_BYTES);
  return new Compactor(
    { job: { dir, logId, policy, limits }, now, weight: () => state.bytes, guess, bytesMin: compactBytesMin },
    { number, bytes, weight: snapshotWeight },
    { upTo: folded.end.header.number - 1, bytes: folded.journalBytes },
  );
}

async function continueJournal(
  { dir, files, journalFileBytes }: FolderOptions,
  end: JournalEnd,
  compactor: Compactor,
): Promise<Journal> {
  const fd = await files.open(journalPath(dir, end.header.number), 'r+');
  if (end.torn) {
    await clear(files, fd, end.offset, end.header.bytes);
    await files.sync(fd);
  }
  const onRolled = (closed: JournalEnd['header']) => compactor.add(closed.number, closed.bytes);
  const fileBytes = Math.max(journalFileBytes, 2 * FILE_HEADER_BYTES);
  return new Journal({ dir, files, fileBytes, onRolled }, end, fd);
}
