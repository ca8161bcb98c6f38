/** Prune: which events may leave, and their leaving, see lua/settled.lua and lua/prune.lua. */
import type { PruneCommand, SettledEvent } from '../../event/command.js';
import type { Argument } from './connection.js';
import type { Partition } from './partition.js';
import { summaryOf, viewOf } from './read.js';
import { readSettled } from './state-codec.js';

/** What one script looks at or forgets at most, so that it does not keep the others waiting for long. */
const BATCH_EVENTS = 250;
const BATCH_BYTES = 1 << 20;

export async function settled(
  partition: Partition,
  retentionMs: number,
  limit: number,
): Promise<SettledEvent[]> {
  const found: Found[] = [];
  await look(partition, retentionMs, limit, SERVICE_WIDE, found);
  // Type by type, those that have a retention of their own.
  for (let from = 0; from >= 0 && found.length < limit; ) {
    const type = await look(partition, retentionMs, limit, from, found);
    from = type < 0 ? type : type + 1;
  }
  await partition.learnNames(found.map(({ facts }) => facts.typeOrdinal));
  return found.map(({ facts, ended, attempts }) => ({
    event: summaryOf(viewOf(partition, facts)),
    ended,
    attempts,
  }));
}

type Found = ReturnType<typeof readSettled>;

const SERVICE_WIDE = '';

/** Adds to `found` what may leave of one retention. Resolves to the type that has it, -1 when it is none. */
async function look(
  partition: Partition,
  retentionMs: number,
  limit: number,
  from: number | typeof SERVICE_WIDE,
  found: Found[],
): Promise<number> {
  let type = -1;
  for (let passed = 0, looked = 1; found.length < limit && looked > 0; passed += looked) {
    const args = [retentionMs, Math.min(limit - found.length, BATCH_EVENTS), BATCH_BYTES, passed];
    const [ordinal, count, answers, version] = (await partition.run('settled', [
      ...args,
      type < 0 ? from : type,
    ])) as [number, number, [Buffer, Buffer, ...(Buffer | null)[]][], number];
    // While it was looked at, the last of its events may have gone.
    if (passed > 0 && ordinal !== type) break;
    type = ordinal;
    await partition.reachListeners(version);
    for (const [id, packed, ...bodies] of answers)
      found.push(readSettled(partition, id.toString(), packed, bodies));
    looked = count;
  }
  return type;
}

export async function prune(partition: Partition, { events, index }: PruneCommand): Promise<number> {
  let pruned = 0;
  for (let at = 0; at < events.length; at += BATCH_EVENTS) {
    const args: Argument[] = [index];
    for (const { id, version } of events.slice(at, at + BATCH_EVENTS)) args.push(id, version);
    const [count] = await partition.change('prune', args);
    pruned += count as number;
  }
  return pruned;
}

export async function indexedTo(partition: Partition): Promise<number> {
  return Number((await partition.run('indexed-to', [])) ?? 0);
}
