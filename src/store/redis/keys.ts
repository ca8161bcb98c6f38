/**
 * The keys of a partition, in one place. All carry its hash tag, so they share a slot of a cluster; names of types and
 * callers' keys never become part of one.
 */
import { createHash } from 'node:crypto';

/** The constant keys, by the names that scripts declare, see scripts.ts. */
export const KEY_NAMES = [
  /** Hash: log id, partitions, gate, view, n, sequence, what is archived, days of the scopes. */
  'meta',
  /** Hash: id → state, see state-codec.ts; nothing of one that is plainly pending, see lua/include/beginning.lua. */
  'events',
  /** Hash: id → packed envelope, with the state of one that is plainly pending before it. */
  'envelopes',
  /** Hash: `id.listener.grant` → packed result, with `.late` behind it for a late one. */
  'results',
  /** Hash: name → ordinal. */
  'types',
  /** List: names by ordinal. */
  'typeNames',
  /** Hash: ordinal → what was declared of a type, see lua/include/type-set.lua. */
  'policies',
  /** Hash: ordinal → how many events of the type are not complete; and counts by listener, see lua/include/tally.lua. */
  'open',
  /** Hash: ordinal of a type → its listeners, see lua/include/listeners.lua. */
  'subscribers',
  /** List: ids, as lua/include/short-id.lua has them, in the order of acceptance; the last one is that of the partition's sequence. */
  'ids',
  /** Sorted set: ids that are older than those of the list, by sequence: what has outlived its time. */
  'oldIds',
  /** List: ids of settled events in the order in which they came to be so. */
  'settled',
  /** Sorted set, all of one score: those of types with a retention of their own, see lua/include/settled.lua. */
  'settledOwn',
  /** Sorted set: `id.ordinal.listener` → when the lease ends. */
  'leasedUntil',
  /** Sorted set: `id.ordinal.listener` → when it may be leased. */
  'delayed',
  /** Sorted set: id → when the event ends if it is not complete by then. */
  'deadlines',
  /** Sorted set: `id.ordinal.listener` → sequence, of those whose events wait to be archived. */
  'held',
  /** Sorted set: deliveries of events with an ordering key that have not ended, see lua/include/keyed.lua. */
  'keyed',
  /** Stream: records not yet archived, under their positions. */
  'outbox',
  /** List: attempts beyond those that are kept, whose bodies go once the outbox is archived. */
  'forgotten',
  /** Hash: id of an event that is to be relayed → what there is to know of it; its envelope stands among the results. */
  'relays',
  /** Sorted set: the same ids → when they were emitted. */
  'relaying',
  /** Hash: id of a root → counts of its tree, see lua/include/tree.lua. */
  'trees',
  /** Hash: id of a job that sends past events again → what include/redrive.lua keeps of it. */
  'redrives',
  /** String: who archives the partition for now. */
  'archiving',
  /** Hashes that take turns by day: scope of an idempotency key → its first event. */
  'scopes0',
  'scopes1',
  'scopes2',
] as const;

export type KeyName = (typeof KEY_NAMES)[number];

export class Keys {
  readonly #tag: string;
  /** Where scripts tell all processes what changed. */
  readonly wakeChannel: string;

  constructor(prefix: string, partition: number) {
    this.#tag = `{${prefix}:${partition}}`;
    this.wakeChannel = `${this.#tag}:wake`;
  }

  constant(name: KeyName): string {
    return `${this.#tag}:${name}`;
  }

  /** List: deliveries of a type's listener that have not been leased yet, as ids in the order of acceptance. */
  fresh(typeOrdinal: number, listener: number): string {
    return `${this.#tag}:fresh:${typeOrdinal}.${listener}`;
  }

  /** Sorted set by sequence: those that came back, or whose delay is over. */
  again(typeOrdinal: number, listener: number): string {
    return `${this.#tag}:again:${typeOrdinal}.${listener}`;
  }

  /** String: what a lease call was given. */
  call(call: string): string {
    return `${this.#tag}:call:${createHash('sha1').update(call).digest('base64url')}`;
  }
}
