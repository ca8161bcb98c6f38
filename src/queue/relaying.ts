/**
 * Relaying: events that were emitted for other partitions are accepted there. What is accepted twice is one event, so anybody
 * may do it, at any time; what is noted as relayed is in the log of the other partition, and nobody need do it again.
 */
import type { AcceptCommand, CompleteResult, EmitCommand, Relay } from '../event/command.js';
import { partitionOfId } from '../event/id.js';
import { comparePositions, type Position } from '../event/record.js';
import { isBeyond, NOT_ARCHIVED } from '../event/unarchived.js';
import { type Store, StoreError } from '../store/store.js';

export type RelayStore = Pick<
  Store,
  | 'partitions'
  | 'accept'
  | 'read'
  | 'readAttempts'
  | 'archivedTo'
  | 'hurryArchiving'
  | 'relays'
  | 'noteRelayed'
>;

export interface Relaying {
  /** Looked at, of one partition. */
  readonly seen: number;
  readonly relayed: number;
}

/** Whether an event that the store does not know has been there, and has left it. */
export type HasLeft = (id: string) => Promise<boolean>;

/** One look at what waits in a partition, from the place `skip` on. Rejects only when that partition is away. */
export async function relaySome(
  store: RelayStore,
  partition: number,
  window: { readonly skip: number; readonly limit: number },
  hasLeft: HasLeft,
): Promise<Relaying> {
  const relays = await store.relays(partition, window.skip, window.limit);
  if (relays.length === 0) return { seen: 0, relayed: 0 };
  const archived = (await store.archivedTo(partition))?.pos ?? null;
  // Nothing of a promise of `archive` shows before what it rests on is archived.
  const ready = relays.filter(
    ({ durability, position }) => durability === 'store' || !isBeyond(position, archived),
  );
  const done: string[] = [];
  for (const [target, group] of byPartition(ready)) {
    try {
      done.push(...(await relayTo(store, target, group, hasLeft)));
    } catch (error) {
      // That partition is away: those for others go on, these stay.
      if (!(error instanceof StoreError)) throw error;
    }
  }
  const relayed = done.length === 0 ? 0 : await store.noteRelayed(partition, done);
  return { seen: relays.length, relayed };
}

/** The ids of those that are there for good. */
async function relayTo(
  store: RelayStore,
  target: number,
  relays: readonly Relay[],
  hasLeft: HasLeft,
): Promise<string[]> {
  const left = await Promise.all(relays.map(({ id }) => hasLeft(id)));
  const gone = relays.filter((_relay, index) => left[index]).map(({ id }) => id);
  const here = relays.filter((_relay, index) => !left[index]);
  await store.accept(here.map(acceptCommand));
  const archived = (await store.archivedTo(target))?.pos ?? null;
  const events = await Promise.all(here.map(({ id }) => store.read(id)));
  const safe = here.filter((_relay, index) => {
    const event = events[index];
    if (!event || event === NOT_ARCHIVED) return false;
    return archived !== null && comparePositions(event.position, archived) <= 0;
  });
  if (safe.length < here.length) await store.hurryArchiving(target);
  return [...gone, ...safe.map(({ id }) => id)];
}

function acceptCommand(relay: Relay): AcceptCommand {
  const { id, type, envelope, durability, parent, root, dueAt, key } = relay;
  const keyed = key === null ? {} : { key };
  const base = { id, type, envelope, delayMs: 0, idempotency: null, durability, ...keyed };
  return { ...base, emitted: { parent, root, dueAt } };
}

function byPartition(relays: readonly Relay[]): Map<number, Relay[]> {
  const groups = new Map<number, Relay[]>();
  for (const relay of relays) {
    const target = partitionOfId(relay.id) ?? 0;
    const group = groups.get(target);
    if (group) group.push(relay);
    else groups.set(target, [relay]);
  }
  return groups;
}

/**
 * What a completion has just emitted for other partitions is accepted there before it is answered, where that can be: then
 * the ids in the answer are known at once. The relay does it otherwise. It is accepted as it was recorded: due by the
 * store's clock, and promised to the archive like its parent.
 */
export async function relayAtOnce(
  store: RelayStore,
  { id: parent, archive, emitted }: Emitter,
  emit: readonly EmitCommand[],
): Promise<void> {
  const elsewhere = emit.filter(({ id }) => partitionOfId(id) !== partitionOfId(parent));
  if (elsewhere.length === 0) return;
  try {
    const event = await store.read(parent);
    if (!event || event === NOT_ARCHIVED) return;
    const endedAt = elsewhere.some(({ delayMs }) => delayMs > 0) ? await endOf(store, parent, emitted) : 0;
    if (endedAt === null) return;
    const root = event.root ?? parent;
    await store.accept(
      asPromised(elsewhere, emit, archive).map(({ id, type, envelope, delayMs, durability, key }) => {
        const dueAt = delayMs === 0 ? 0 : endedAt + delayMs;
        const keyed = key === undefined ? {} : { key };
        const base = { id, type, envelope, delayMs, idempotency: null, durability, ...keyed };
        return { ...base, emitted: { parent, root, dueAt } };
      }),
    );
  } catch (error) {
    // The completion stands, and what it emitted is fixed: the relay will find it.
    if (!(error instanceof StoreError)) throw error;
  }
}

/** As the store has answered the completion. */
export type Emitter = Pick<Extract<CompleteResult, { kind: 'completed' }>, 'id' | 'archive' | 'emitted'>;

/** When the attempt ended that emitted them, by the store's clock; null: it is not shown. */
async function endOf(store: RelayStore, parent: string, emitted: readonly string[]): Promise<number | null> {
  const attempts = await store.readAttempts(parent);
  if (attempts === null || attempts === NOT_ARCHIVED) return null;
  return attempts.find((attempt) => attempt.emitted?.[0] === emitted[0])?.endedAt ?? null;
}

/**
 * What has a promise of `archive` for a parent has it too, and the answer then rests on the archive although no item says
 * so. Where some say so, and others do not, there is no telling: those others are left to the relay.
 */
function asPromised(
  elsewhere: readonly EmitCommand[],
  emit: readonly EmitCommand[],
  archive: Position | null,
): EmitCommand[] {
  if (archive === null) return [...elsewhere];
  const some = emit.some(({ durability }) => durability === 'archive');
  return elsewhere
    .filter(({ durability }) => !some || durability === 'archive')
    .map((each) => ({ ...each, durability: 'archive' as const }));
}
