/**
 * Reading a data folder without taking it: what a store holds, whether or not a service has it open. What is in the files
 * is what has been made durable, up to some moment; it is folded in memory, and nothing is written.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type {
  AttemptView,
  EventView,
  ListenerView,
  ListQuery,
  ListResult,
  ListTypesQuery,
  ListTypesResult,
  RedriveState,
} from '../../event/command.js';
import { listenersOf } from '../../event/listeners.js';
import type { Policy } from '../../event/policy.js';
import type { LogRecord, Position } from '../../event/record.js';
import { findRedrives } from '../../event/redrive.js';
import type { Limits, PartitionState } from '../../event/state.js';
import type { NotArchived } from '../../event/unarchived.js';
import { shownAttempts, shownRequest, shownView } from '../../event/view.js';
import type { Recoverable, Standing, Store } from '../store.js';
import { FolderError, readContents, readIdentity } from './folder.js';
import { listEvents, listTypes } from './list.js';
import { keepInMemory } from './payload.js';
import { fold } from './recover.js';

/** Files come and go while a service compacts, and its last group may be half written. */
const TRIES_MAX = 10;
const AGAIN_MS = 200;

type Reading = Pick<
  Store & Recoverable,
  | 'list'
  | 'listTypes'
  | 'listListeners'
  | 'readRedrives'
  | 'read'
  | 'readRequest'
  | 'readAttempts'
  | 'readOutbox'
  | 'standing'
>;

/** Null: no store has been founded there. Throws FolderError. */
export async function readFolder(
  dir: string,
  settings: { readonly policy: Policy; readonly limits: Limits },
): Promise<Reading | null> {
  for (let tries = 1; ; tries += 1) {
    try {
      const logId = readIdentity(dir);
      return logId === null ? null : new FolderReading(foldFolder(dir, logId, settings));
    } catch (error) {
      const passes = error instanceof FolderError || (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!passes || tries === TRIES_MAX) throw error;
    }
    await delay(AGAIN_MS);
  }
}

function foldFolder(
  dir: string,
  logId: string,
  settings: { readonly policy: Policy; readonly limits: Limits },
): PartitionState {
  const { journals, snapshots } = readContents(dir);
  const snapshot = snapshots.at(-1) ?? null;
  const upTo = journals.at(-1);
  if (upTo === undefined) throw new FolderError(dir, 'holds no journal');
  const memory = keepInMemory();
  return fold({ dir, logId, ...settings, snapshot, upTo, toTheEnd: true, keep: () => memory }).state;
}

class FolderReading implements Reading {
  constructor(private readonly state: PartitionState) {}

  async list(query: ListQuery): Promise<ListResult> {
    return listEvents(this.state, query);
  }

  async listTypes(query: ListTypesQuery): Promise<ListTypesResult> {
    return listTypes(this.state, query);
  }

  async listListeners(type: string): Promise<ListenerView[] | null> {
    const known = this.state.types.get(type);
    return known ? listenersOf(known.listeners) : null;
  }

  async readRedrives(_partition: number, which: 'all' | 'running'): Promise<RedriveState[]> {
    return findRedrives(this.state, which);
  }

  async read(id: string): Promise<EventView | NotArchived | null> {
    const event = this.state.events.get(id);
    return event ? shownView(this.state, event) : null;
  }

  async readRequest(id: string): Promise<Uint8Array | NotArchived | null> {
    const event = this.state.events.get(id);
    return event ? shownRequest(this.state, event) : null;
  }

  async readAttempts(id: string): Promise<AttemptView[] | NotArchived | null> {
    const event = this.state.events.get(id);
    return event ? shownAttempts(this.state, event) : null;
  }

  async readOutbox(
    _partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
  ): Promise<LogRecord[]> {
    return this.state.outbox.read(after, limit);
  }

  async standing(): Promise<Standing> {
    const { logId, view, last, archived } = this.state;
    return { open: false, logId, view, last, archived, recovering: 0 };
  }
}
