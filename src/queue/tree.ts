/** Trees: how all the events of a cascade stand. Each partition counts those that it has; here the counts are put together. */
import type { EventView, TreeCounts } from '../event/command.js';
import type { Position } from '../event/record.js';
import { NOT_ARCHIVED, type NotArchived } from '../event/unarchived.js';
import type { Store } from '../store/store.js';

export interface Tree {
  /** The first event of the cascade, which is counted too. */
  readonly root: string;
  readonly counts: Omit<TreeCounts, 'live' | 'changed' | 'archive'>;
  /** Nothing of it goes on, and nothing more can come. */
  readonly settled: boolean;
}

/** What of it must be archived before it may be shown. */
export interface Unshown {
  readonly partition: number;
  readonly position: Position;
}

/** A tree that changes faster than it can be read is not settled; its counts may be of several moments. */
const READS_MAX = 5;

export async function readTree(
  store: Store,
  root: string,
  rootView: EventView | NotArchived | null,
): Promise<Tree & { readonly unshown: readonly Unshown[] }> {
  let before = await readParts(store, root);
  let stable = false;
  // Counts that did not change between two reads of all partitions stood so together, at a moment between the two.
  for (let reads = 1; !stable && reads < READS_MAX; reads += 1) {
    const after = await readParts(store, root);
    stable = after.every((part, index) => isSame(part, before[index]!));
    before = after;
  }
  const counts = { pending: 0, inProcess: 0, success: 0, fail: 0, relaying: 0 };
  const unshown: Unshown[] = [];
  let live = 0;
  for (const [partition, part] of before.entries()) {
    if (part === null) continue;
    for (const key of KEYS) counts[key] += part[key];
    live += part.live;
    if (part.archive !== null) unshown.push({ partition, position: part.archive });
  }
  const view = rootView === NOT_ARCHIVED ? null : rootView;
  if (view) counts[keyOf(view)] += 1;
  const isOver = live + counts.relaying === 0 && view?.settled === true;
  return { root, counts, settled: stable && isOver, unshown };
}

const KEYS = ['pending', 'inProcess', 'success', 'fail', 'relaying'] as const;

function keyOf({ status, outcome }: EventView): (typeof KEYS)[number] {
  if (status === 'pending') return 'pending';
  return status === 'in_process' ? 'inProcess' : (outcome ?? 'fail');
}

function readParts(store: Store, root: string): Promise<(TreeCounts | null)[]> {
  return Promise.all(
    Array.from({ length: store.partitions }, (_, partition) => store.readTree(partition, root)),
  );
}

function isSame(a: TreeCounts | null, b: TreeCounts | null): boolean {
  if (a === null || b === null) return a === b;
  return a.changed.view === b.changed.view && a.changed.n === b.changed.n;
}
