/** Cascades as callers ask for them: how one stands, waiting until it is settled, and cancelling all of it. */
import type { AttemptView, EventView } from '../event/command.js';
import { partitionOfId } from '../event/id.js';
import { NOT_ARCHIVED, type NotArchived } from '../event/unarchived.js';
import type { Store } from '../store/store.js';
import type { CancelAnswer } from './answer.js';
import type { Awaited } from './archive-waiting.js';
import { archivedTopic, eventTopic } from './topic.js';
import { readTree, type Tree } from './tree.js';
import type { Waiting } from './waiting.js';

export interface TreeAnswer extends Tree {
  /** How many events the completions of the one asked for emitted, and the first of those that are still known. */
  readonly emitted: number;
  readonly children: readonly EventView[];
}

export type CancelTreeAnswer =
  | {
      readonly kind: 'cancelled';
      /** Ended by this call or one before it. */
      readonly cancelled: number;
      /** A listener holds it and will hear of it. */
      readonly requested: number;
      readonly complete: number;
      /** The tree is larger than one call goes through: to be called again. */
      readonly more: boolean;
    }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not_archived'; readonly id: string };

/** What trees need of the queue that they belong to. */
export interface TreesDeps {
  readonly store: Store;
  readonly waiting: Waiting;
  read(id: string): Promise<EventView | NotArchived | null>;
  readAttempts(id: string): Promise<AttemptView[] | NotArchived | null>;
  cancel(id: string): Promise<CancelAnswer>;
  hasArchived(record: Awaited): Promise<boolean>;
}

export interface TreeWait {
  readonly waitMs: number;
  readonly signal: AbortSignal | null;
}

/** Of one tree that is cancelled. */
const CANCELS_AT_ONCE = 50;
const CANCEL_EVENTS_MAX = 100_000;

function emittedBy({ emitted = [] }: AttemptView): readonly string[] {
  return emitted;
}

export class Trees {
  constructor(private readonly deps: TreesDeps) {}

  /** The cascade that the event belongs to, with the events that its own completions emitted; null: not known. */
  async read(id: string, limit: number): Promise<TreeAnswer | NotArchived | null> {
    const event = await this.deps.read(id);
    if (event === null || event === NOT_ARCHIVED) return event;
    const root = event.root ?? id;
    // The root first: what it emits comes with its end.
    const rootView = event.root === null ? event : await this.deps.read(root);
    const { unshown, ...tree } = await readTree(this.deps.store, root, rootView);
    for (const { partition, position } of unshown)
      if (!(await this.deps.hasArchived({ partition, position, accepts: null }))) return NOT_ARCHIVED;
    const attempts = await this.deps.readAttempts(id);
    const ids = attempts === null || attempts === NOT_ARCHIVED ? [] : attempts.flatMap(emittedBy);
    const children = await Promise.all(ids.slice(0, limit).map((child) => this.deps.read(child)));
    const known = children.filter((child) => child !== null && child !== NOT_ARCHIVED);
    return { ...tree, emitted: ids.length, children: known };
  }

  /** As `read`, once the cascade is settled or when the time is up. */
  async waitFor(id: string, limit: number, wait: TreeWait): Promise<TreeAnswer | NotArchived | null> {
    const endsAt = performance.now() + wait.waitMs;
    let topics = [eventTopic(id)];
    for (;;) {
      const place = this.deps.waiting.register(topics);
      const tree = await this.read(id, limit).catch((error: unknown) => {
        place.leave();
        throw error;
      });
      if (tree === null || (tree !== NOT_ARCHIVED && tree.settled)) {
        place.leave();
        for (const topic of topics) this.deps.waiting.wake(topic);
        return tree;
      }
      const root = tree === NOT_ARCHIVED ? id : tree.root;
      const wanted = [eventTopic(root), archivedTopic(partitionOfId(root) ?? 0)];
      if (topics.length === 1) {
        place.leave();
        topics = wanted;
        continue;
      }
      const left = Math.max(0, endsAt - performance.now());
      if ((await place.sleep(left, wait.signal)) !== 'woken') return tree;
    }
  }

  /**
   * Cancels the event and what came of it, parents first; a bounded number of events. What a listener holds is asked of it, and
   * what it emits until it hears of that is not cancelled.
   */
  async cancel(id: string): Promise<CancelTreeAnswer> {
    const counts = { cancelled: 0, requested: 0, complete: 0 };
    const seen = new Set([id]);
    let level = [id];
    while (level.length > 0) {
      const next: string[] = [];
      for (let at = 0; at < level.length; at += CANCELS_AT_ONCE) {
        const some = level.slice(at, at + CANCELS_AT_ONCE);
        const answers = await Promise.all(some.map((each) => this.deps.cancel(each)));
        if (level[0] === id && answers[0]!.kind === 'unknown') return { kind: 'unknown' };
        for (const answer of answers) {
          if (answer.kind === 'not_archived') return answer;
          if (answer.kind !== 'unknown') counts[answer.kind] += 1;
        }
        const children = await Promise.all(some.map((each) => this.deps.readAttempts(each)));
        for (const attempts of children) {
          if (attempts === null || attempts === NOT_ARCHIVED) continue;
          for (const child of attempts.flatMap(emittedBy)) if (!seen.has(child)) next.push(child);
          for (const child of next) seen.add(child);
        }
        if (seen.size > CANCEL_EVENTS_MAX) return { kind: 'cancelled', ...counts, more: true };
      }
      level = next;
    }
    return { kind: 'cancelled', ...counts, more: false };
  }
}
