/**
 * From a folder to a state: the newest snapshot, then the journals after it. The running store starts with this,
 * and so does the worker that makes the next snapshot.
 */
import { apply } from '../../event/apply.js';
import type { Policy } from '../../event/policy.js';
import { tidy } from '../../event/schedule.js';
import { emptyState, type Limits, type PartitionState } from '../../event/state.js';
import { FolderError, journalPath, snapshotPath } from './folder.js';
import type { Frame } from './frame.js';
import { type JournalEnd, readJournalFile } from './journal-file.js';
import type { Keep } from './payload.js';
import { decodeRecords } from './record-frame.js';
import { readSnapshot } from './snapshot-file.js';

/** Of what does not fit; a frame may hold the records of a whole segment. */
const META_SHOWN_MAX = 500;

export interface FoldOptions {
  readonly dir: string;
  readonly logId: string;
  readonly policy: Policy;
  readonly limits: Limits;
  /** Number of the snapshot to start from; null: from nothing. */
  readonly snapshot: number | null;
  /** Number of the last journal to take in. */
  readonly upTo: number;
  /** No journal comes after it, so that its tail may be torn. */
  readonly toTheEnd: boolean;
  /** How to keep what is read from the file at `path`. */
  readonly keep: (path: string) => Keep;
}

export interface Folded {
  readonly state: PartitionState;
  readonly end: JournalEnd;
  readonly snapshotBytes: number;
  /** What the state weighed that is in the snapshot. */
  readonly snapshotWeight: number;
  /** Of the journals that were taken in, the last one left out. */
  readonly journalBytes: number;
}

export function fold(options: FoldOptions): Folded {
  const { dir, logId, policy, limits, snapshot, upTo, toTheEnd, keep } = options;
  const state = emptyState(policy, limits);
  let number = 1;
  let sequence = 1;
  let snapshotBytes = 0;
  let snapshotWeight = 0;
  if (snapshot !== null) {
    const path = snapshotPath(dir, snapshot);
    const { head, bytes } = readSnapshot(path, logId, state, keep(path));
    if (head.journal !== snapshot) throw new FolderError(path, `is snapshot ${head.journal}, misnamed`);
    number = head.journal;
    sequence = head.group;
    snapshotBytes = bytes;
    snapshotWeight = head.bytes;
  }
  let end: JournalEnd | null = null;
  let journalBytes = 0;
  for (; number <= upTo; number += 1) {
    const path = journalPath(dir, number);
    const kept = keep(path);
    const last = toTheEnd && number === upTo;
    end = readJournalFile(path, { number, logId, sequence, last }, (frame) => {
      applyFrame(path, state, frame, kept(frame));
    });
    sequence = end.sequence;
    if (number < upTo) journalBytes += end.header.bytes;
  }
  if (!end) throw new FolderError(journalPath(dir, number), 'is missing');
  tidy(state);
  return { state, end, snapshotBytes, snapshotWeight, journalBytes };
}

export function applyFrame(
  path: string,
  state: PartitionState,
  frame: Frame,
  payload: Uint8Array | null,
): void {
  try {
    for (const record of decodeRecords(frame, payload)) apply(state, record);
  } catch (error) {
    throw new FolderError(
      path,
      `holds a record that does not follow from those before: ${frame.meta.slice(0, META_SHOWN_MAX)}`,
      error,
    );
  }
}
