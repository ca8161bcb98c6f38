/** What holds of cascades in a state, beside a plain account of what is on its way to other partitions. */
import assert from 'node:assert/strict';
import { findRelays } from '../../src/event/decide/relay.js';
import type { PartitionState } from '../../src/event/state.js';
import { viewTree } from '../../src/event/tree.js';
import { checkKey } from './core-keys.js';

export interface Place {
  readonly parent: string;
  readonly root: string;
}

export interface Child {
  readonly id: string;
  readonly type: string;
  readonly durability: 'store' | 'archive';
  readonly elsewhere: boolean;
  readonly key?: string;
}

/** What has just been emitted is there as it was emitted, and knows where it comes from, or is on its way. */
export function checkEmitted(state: PartitionState, parentId: string, emit: readonly Child[]) {
  const parent = state.events.get(parentId)!;
  const root = parent.tree?.root ?? parentId;
  const here: string[] = [];
  const onTheWay: [string, Place][] = [];
  for (const { id, type, durability, elsewhere, key = null } of emit) {
    const child = state.events.get(id);
    if (elsewhere) {
      assert.equal(child, undefined, 'it is accepted elsewhere');
      assert.equal(state.relays.get(id)?.key, key, 'its ordering key goes with it');
      onTheWay.push([id, { parent: parentId, root }]);
      continue;
    }
    here.push(id);
    checkKey(child, key);
    assert.equal(child?.type.name, type, 'S5: it is there');
    assert.deepEqual(child.tree, { parent: parentId, root, relaying: 0 }, 'S5: its place');
    const archives = durability === 'archive' || parent.unarchived !== null;
    assert.equal(child.unarchived !== null, archives, 'S9: promised like its parent');
  }
  return { here, onTheWay };
}

/** S5: what was emitted for other partitions is known until it is there; trees count what a walk would. */
export function checkTrees(state: PartitionState, onTheWay: ReadonlyMap<string, Place>): void {
  const relays = findRelays(state, 0, Number.MAX_SAFE_INTEGER);
  assert.deepEqual(new Map(relays.map(({ id, parent, root }) => [id, { parent, root }])), onTheWay);
  const trees = new Map<string, Record<string, number>>();
  const count = (root: string, as: string) => {
    const tree = trees.get(root) ?? { pending: 0, inProcess: 0, success: 0, fail: 0, relaying: 0, live: 0 };
    tree[as]! += 1;
    trees.set(root, tree);
  };
  for (const { tree, status, outcome, settledAt } of state.events.values()) {
    const as = status === 'in_process' ? 'inProcess' : status === 'pending' ? 'pending' : outcome!;
    if (!tree?.root) continue;
    count(tree.root, as);
    if (settledAt === null) trees.get(tree.root)!['live']! += 1;
  }
  for (const { root } of onTheWay.values()) count(root, 'relaying');
  for (const root of new Set([...state.events.keys(), ...trees.keys()])) {
    const { changed: _, archive: __, ...counts } = viewTree(state, root) ?? { changed: 0, archive: 0 };
    assert.deepEqual(counts, trees.get(root) ?? {}, 'the tree counts what there is');
  }
}
