/**
 * Trees: how the events of a cascade stand, counted by the root of each, so that nobody has to walk it. A partition counts the
 * events that it has; the root itself is not among them.
 */
import type { TreeCounts } from './command.js';
import type { Position, StoreRecord } from './record.js';
import type { Counted, EventState, PartitionState, Tree, TreeState } from './state.js';
import { isBeyond } from './unarchived.js';

/** How an event counts in its tree. */
export interface InTree {
  readonly root: string;
  readonly as: Counted;
  /** Not settled. */
  readonly live: boolean;
  readonly promised: boolean;
}

/** Null: it is in none, or is the root of one. */
export function standingOf(event: EventState | undefined): InTree | null {
  const root = event?.tree?.root;
  if (!event || !root) return null;
  return { root, as: countedAs(event), live: event.settledAt === null, promised: event.unarchived !== null };
}

function countedAs({ status, outcome }: EventState): Counted {
  if (status === 'pending') return 'pending';
  return status === 'in_process' ? 'inProcess' : (outcome ?? 'fail');
}

/** An event counts as it did no more, and as it does now, by the record at `pos`. */
export function recount(
  state: PartitionState,
  before: InTree | null,
  after: InTree | null,
  pos: Position,
): void {
  const root = (after ?? before)?.root;
  if (root === undefined || (before?.as === after?.as && before?.live === after?.live)) return;
  const tree = treeOf(state, root, pos);
  if (before) tree[before.as] -= 1;
  if (before?.live) tree.live -= 1;
  if (after) tree[after.as] += 1;
  if (after?.live) tree.live += 1;
  noteChange(state, root, tree, { pos, promised: after?.promised ?? false });
}

export function countRelaying(
  state: PartitionState,
  root: string,
  more: 1 | -1,
  at: { readonly pos: Position; readonly promised: boolean },
): void {
  const tree = treeOf(state, root, at.pos);
  tree.relaying += more;
  noteChange(state, root, tree, at);
}

function treeOf(state: PartitionState, root: string, changed: Position): TreeState {
  const known = state.trees.get(root);
  if (known) return known;
  const none = { pending: 0, inProcess: 0, success: 0, fail: 0, relaying: 0, live: 0 };
  const tree = { ...none, changed, promised: null };
  state.trees.set(root, tree);
  return tree;
}

function noteChange(
  state: PartitionState,
  root: string,
  tree: TreeState,
  { pos, promised }: { readonly pos: Position; readonly promised: boolean },
): void {
  tree.changed = pos;
  if (promised) tree.promised = pos;
  const { pending, inProcess, success, fail, relaying } = tree;
  if (pending + inProcess + success + fail + relaying === 0) state.trees.delete(root);
}

/** The root of the tree of which nothing goes on in this partition since `record`; null: there is none. */
export function stilledBy(state: PartitionState, record: StoreRecord): string | null {
  if (!('id' in record)) return null;
  const event = state.events.get(record.id);
  if (!event?.tree) return null;
  const root = event.tree.root ?? event.id;
  const tree = state.trees.get(root);
  return tree === undefined || tree.live + tree.relaying === 0 ? root : null;
}

/** Null: this partition has nothing of it. */
export function viewTree({ trees, archived }: PartitionState, root: string): TreeCounts | null {
  const tree = trees.get(root);
  if (!tree) return null;
  const { promised, ...counts } = tree;
  const archive = promised !== null && isBeyond(promised, archived?.pos ?? null) ? promised : null;
  return { ...counts, archive };
}

export const NO_TREE: Tree = Object.freeze({ parent: null, root: null, relaying: 0 });
