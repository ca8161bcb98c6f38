/**
 * Compaction: the last snapshot and the closed journals after it become the next snapshot, and go. At each step
 * the folder holds all that was: the new snapshot gets its name when it is whole and synced, and only then is
 * deleted what it stands for; a start deletes what a crash has left of that.
 */

import { forgetPast } from '../../event/decide/expire.js';
import type { Policy } from '../../event/policy.js';
import type { Limits } from '../../event/state.js';
import type { Files } from './files.js';
import { journalPath, readContents, snapshotPath } from './folder.js';
import { keepInFile } from './payload.js';
import { fold } from './recover.js';
import { writeSnapshot } from './snapshot-file.js';

export interface CompactJob {
  readonly dir: string;
  readonly logId: string;
  readonly policy: Policy;
  readonly limits: Limits;
  /** Number of the last snapshot; null when there is none. */
  readonly snapshot: number | null;
  /** Number of the last closed journal. */
  readonly upTo: number;
  /** The store's clock: what is past by it need not be kept. */
  readonly now: number;
}

export interface Compacted {
  /** Number of the new snapshot. */
  readonly snapshot: number;
  readonly bytes: number;
  /** Of the state that is in it. */
  readonly weight: number;
}

export async function compact(files: Files, job: CompactJob): Promise<Compacted> {
  const { dir, upTo, now } = job;
  const { state, end } = fold({ ...job, toTheEnd: false, keep: keepInFile });
  forgetPast(state, now);
  const snapshot = upTo + 1;
  const origin = { logId: job.logId, journal: snapshot, group: end.sequence };
  const bytes = await writeSnapshot(files, dir, state, origin);
  await removeCovered(files, dir, snapshot);
  return { snapshot, bytes, weight: state.bytes };
}

/** Deletes what the snapshot of this number stands for. */
export async function removeCovered(files: Files, dir: string, snapshot: number): Promise<void> {
  const { journals, snapshots } = readContents(dir);
  const covered = [
    ...snapshots.filter((number) => number < snapshot).map((number) => snapshotPath(dir, number)),
    ...journals.filter((number) => number < snapshot).map((number) => journalPath(dir, number)),
  ];
  for (const path of covered) await files.remove(path);
  if (covered.length > 0) await files.syncFolder(dir);
}
