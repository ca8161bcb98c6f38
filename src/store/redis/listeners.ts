/** Listeners: declaring and deleting one, and ending the deliveries of those that were deleted. */
import type {
  DeleteListenerResult,
  ListenerView,
  SetListenerCommand,
  SetListenerResult,
  SweepResult,
} from '../../event/command.js';
import { isLiving, listenersOf, planListener } from '../../event/listeners.js';
import { REDRIVES_KEPT_MAX, REDRIVES_RUNNING_MAX } from '../../event/redrive.js';
import { beginningWish, NO_PROGRESS, progressText, wishText } from '../../event/redrive-job.js';
import { StoreError } from '../store.js';
import { type Argument, OutOfMemory } from './connection.js';
import type { Partition } from './partition.js';
import { hasDelivery } from './state-codec.js';

/** Somebody else changes listeners at the same time; so many times in a row mean that something is wrong. */
const TRIES_MAX = 100;
/** Events that one script looks at, at most. */
const SWEEP_BATCH = 200;

export async function setListener(
  partition: Partition,
  { type, listener, beginning }: SetListenerCommand,
  typesMax: number,
): Promise<SetListenerResult> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    await partition.learnTypes();
    await partition.learnListeners('all');
    const version = partition.listenersVersion;
    const ordinal = partition.ordinalOf(type) ?? partition.typesKnown;
    const leased = partition.isLeased(ordinal);
    const plan = planListener(partition.listenersOf(ordinal), leased, listener);
    if (plan.kind !== 'plan') return plan;
    if (plan.sets.length === 0) return { kind: 'set', created: false };
    const args: Argument[] = [version, typesMax, type, ordinal, leased ? 1 : 0];
    const begins = plan.created && beginning !== undefined;
    const wish = beginningWish({ name: listener.name, ordinal: plan.ordinal });
    args.push(begins ? beginning.id : '', wishText(wish), progressText(NO_PROGRESS));
    args.push(REDRIVES_KEPT_MAX, REDRIVES_RUNNING_MAX);
    for (const { ordinal: place, name, responder, filter } of plan.sets)
      args.push(place, name, responder ? 1 : 0, filter === null ? '' : JSON.stringify(filter));
    const code = await changed(partition, args);
    if (code === 2) return { kind: 'too_many_types' };
    if (code === 3) return { kind: 'too_many_redrives' };
    if (code === 0) {
      await partition.learnTypes();
      await partition.learnListeners();
      return { kind: 'set', created: plan.created };
    }
  }
  throw new StoreError(
    'unavailable',
    'set-listener',
    new Error('listeners change faster than they can be learnt'),
  );
}

async function changed(partition: Partition, args: readonly Argument[]): Promise<number> {
  try {
    const [code] = await partition.change('set-listener', args);
    return code as number;
  } catch (error) {
    if (error instanceof OutOfMemory) throw new StoreError('unavailable', 'set-listener', error);
    throw error;
  }
}

export async function deleteListener(
  partition: Partition,
  type: string,
  name: string,
): Promise<DeleteListenerResult> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    await partition.learnTypes();
    await partition.learnListeners();
    const version = partition.listenersVersion;
    const ordinal = partition.ordinalOf(type);
    const listeners = ordinal === null ? [] : partition.listenersOf(ordinal);
    const place = listeners.findIndex((each) => each.name === name && isLiving(each));
    if (ordinal === null || place < 0) return { kind: 'unknown' };
    const [code] = await partition.change('delete-listener', [version, ordinal, place, 0]);
    await partition.learnListeners();
    if (code === 0) return { kind: 'deleted' };
  }
  throw new StoreError(
    'unavailable',
    'delete-listener',
    new Error('listeners change faster than they can be learnt'),
  );
}

export async function listListeners(partition: Partition, type: string): Promise<ListenerView[] | null> {
  await partition.learnTypes();
  await partition.learnListeners();
  const ordinal = partition.ordinalOf(type);
  return ordinal === null ? null : listenersOf(partition.listenersOf(ordinal));
}

/** How far the deliveries of a deleted listener have been ended: events before this sequence are still to be looked at. */
export interface Sweeping {
  readonly type: number;
  readonly listener: number;
  readonly before: number | null;
}

export async function sweep(
  partition: Partition,
  from: Sweeping | null,
  limit: number,
): Promise<SweepResult & { readonly next: Sweeping | null }> {
  if (from === null) {
    await partition.learnTypes();
    await partition.learnListeners();
  }
  const sweeping = from ?? firstLeaving(partition);
  if (sweeping === null) return { ended: 0, more: false, next: null };
  const { type, listener } = sweeping;
  let { before } = sweeping;
  let ended = 0;
  for (let looked = 0; looked < limit; ) {
    const wanted = Math.min(limit - looked, SWEEP_BATCH);
    const run = (await partition.run('list', [before ?? '', wanted])) as [
      number,
      unknown,
      unknown,
      ...Buffer[],
    ];
    const [reached, , , ...found] = run;
    const ids: string[] = [];
    for (let at = 0; at < found.length; at += 2)
      if (hasDelivery(found[at + 1]!, type, listener)) ids.push(found[at]!.toString());
    if (ids.length > 0) {
      const [count] = await partition.change('unsubscribe', [type, listener, ...ids]);
      ended += count as number;
    }
    looked += wanted;
    before = reached;
    if (reached <= 1) {
      await partition.change('delete-listener', [partition.listenersVersion, type, listener, 1]);
      await partition.learnListeners();
      return { ended, more: firstLeaving(partition) !== null, next: null };
    }
  }
  return { ended, more: true, next: { type, listener, before } };
}

function firstLeaving(partition: Partition): Sweeping | null {
  for (let type = 0; type < partition.typesKnown; type += 1) {
    const listener = partition.listenersOf(type).findIndex(({ state }) => state === 'leaving');
    if (listener >= 0) return { type, listener, before: null };
  }
  return null;
}
