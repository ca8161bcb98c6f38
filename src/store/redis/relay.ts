/** Relay and tree: what was emitted for other partitions, and what a partition has of a tree. */
import type { Relay, TreeCounts } from '../../event/command.js';
import { isBeyond } from '../../event/unarchived.js';
import type { Partition } from './partition.js';
import { positionOf, readKey } from './state-codec.js';

/** What one script reads or notes at most, so that it does not keep the others waiting for long. */
const BATCH_BYTES = 1 << 20;
const BATCH_RELAYED = 250;

/** As lua/include/relay.lua keeps it. */
type PackedRelay = readonly [
  parent: string,
  root: string,
  type: string,
  dueAt: number,
  archive: 0 | 1,
  view: number,
  n: number,
  key?: string,
];

export async function relays(partition: Partition, skip: number, limit: number): Promise<Relay[]> {
  const found: Relay[] = [];
  while (found.length < limit) {
    const args = [skip + found.length, limit - found.length, BATCH_BYTES];
    const reply = (await partition.run('relays', args)) as Buffer[];
    if (reply.length === 0) break;
    for (let at = 0; at < reply.length; at += 3) {
      const [parent, root, type, dueAt, archive, view, n, key] = JSON.parse(
        reply[at + 1]!.toString(),
      ) as PackedRelay;
      const durability = archive === 1 ? 'archive' : 'store';
      const place = { parent, root, dueAt, durability, key: readKey(key), position: { view, n } } as const;
      found.push({ id: reply[at]!.toString(), type, ...place, envelope: reply[at + 2]! });
    }
  }
  return found;
}

export async function noteRelayed(partition: Partition, children: readonly string[]): Promise<number> {
  let noted = 0;
  for (let at = 0; at < children.length; at += BATCH_RELAYED) {
    const [count] = await partition.change('relayed', children.slice(at, at + BATCH_RELAYED));
    noted += count as number;
  }
  return noted;
}

export async function readTree(partition: Partition, root: string): Promise<TreeCounts | null> {
  const reply = (await partition.run('read-tree', [root])) as (Buffer | null)[] | null;
  if (!reply) return null;
  const [packed, ...archived] = reply;
  const [pending, inProcess, success, fail, relaying, live, view, n, promisedView, promisedN] = JSON.parse(
    packed!.toString(),
  ) as [number, number, number, number, number, number, number, number, number, number];
  const promised = promisedView === 0 ? null : { view: promisedView, n: promisedN };
  const archive = promised !== null && isBeyond(promised, positionOf(archived)) ? promised : null;
  return { pending, inProcess, success, fail, relaying, live, changed: { view, n }, archive };
}
