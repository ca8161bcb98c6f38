/**
 * Waiting for the archive: an answer about an event with `archive` durability is given once the record that it rests on
 * is in the log. All who wait for records of one partition share the looks at how far it is archived: one a hint, one a
 * newcomer, and one by the clock, since hints may be lost.
 *
 * A position says what was archived only in its own view. When the store has been recovered meanwhile, what was not
 * archived may be lost, and its place in the order counts for nothing: then the event itself is looked at.
 */
import { comparePositions, type Position } from '../event/record.js';
import { NOT_ARCHIVED } from '../event/unarchived.js';
import { type Store, StoreError } from '../store/store.js';

/** What an answer rests on. */
export interface Awaited {
  readonly partition: number;
  readonly position: Position;
  /** The event that was accepted by the record there; null: the record is another's, and can be asked for again. */
  readonly accepts: string | null;
}

type Outcome = 'archived' | 'recovered' | 'late';

export class ArchiveWaiting {
  readonly #partitions = new Map<number, ArchivedTo>();
  #stopped = false;

  constructor(
    private readonly store: Pick<Store, 'archivedTo' | 'read'>,
    private readonly lookMs: number,
  ) {}

  /** Calls that wait. */
  get size(): number {
    let size = 0;
    for (const { sleepers } of this.#partitions.values()) size += sleepers.size;
    return size;
  }

  /** False: it is not archived when `endsAt` (by `performance.now()`) has come, or was lost. */
  async until({ partition, position, accepts }: Awaited, endsAt: number): Promise<boolean> {
    const outcome = await this.#sleep(partition, endsAt, (archived) => judge(position, archived));
    if (outcome !== 'recovered' || accepts === null) return outcome === 'archived';
    return this.#untilShown(partition, position, accepts, endsAt);
  }

  /** Something has been archived. */
  wake(partition: number): void {
    this.#partitions.get(partition)?.look();
  }

  /** What is not archived by now is answered as late, now and from now on. */
  stop(): void {
    this.#stopped = true;
    for (const { sleepers } of this.#partitions.values()) for (const sleeper of sleepers) sleeper.end('late');
  }

  async #untilShown(partition: number, position: Position, id: string, endsAt: number): Promise<boolean> {
    for (;;) {
      const event = await this.#read(id);
      if (event === 'away' || event === null) return false;
      if (event !== NOT_ARCHIVED) return comparePositions(event.position, position) === 0;
      const seen = await this.store.archivedTo(partition);
      const news = (archived: Position) => seen === null || comparePositions(archived, seen.pos) > 0;
      const outcome = await this.#sleep(partition, endsAt, (archived) =>
        news(archived) ? 'archived' : null,
      );
      if (outcome === 'late') return false;
    }
  }

  async #read(id: string) {
    try {
      return await this.store.read(id);
    } catch (error) {
      if (error instanceof StoreError) return 'away';
      throw error;
    }
  }

  #sleep(partition: number, endsAt: number, judged: Judge): Promise<Outcome> {
    if (this.#stopped) return Promise.resolve('late');
    let archivedTo = this.#partitions.get(partition);
    if (!archivedTo) {
      archivedTo = new ArchivedTo(() => this.store.archivedTo(partition), this.lookMs);
      this.#partitions.set(partition, archivedTo);
    }
    return archivedTo.sleep(judged, Math.max(0, endsAt - performance.now()));
  }
}

/** Null: it goes on waiting. */
type Judge = (archived: Position) => Outcome | null;

/** What it means for a record that a store has noted all up to `archived`; null: it is not archived yet. */
export function judge(position: Position, archived: Position): 'archived' | 'recovered' | null {
  if (archived.view > position.view) return 'recovered';
  return comparePositions(archived, position) >= 0 ? 'archived' : null;
}

interface Sleeper {
  readonly judge: Judge;
  readonly end: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

/** How far one partition is archived, and who waits for it. */
class ArchivedTo {
  readonly sleepers = new Set<Sleeper>();
  /** Those among them that no look has judged yet. */
  readonly #newcomers = new Set<Sleeper>();
  /** As the last look found it: who was judged by that is not judged by it again. */
  #seen: Position | null = null;
  #looking = false;
  /** Somebody came, or something happened, since the look that is under way began. */
  #again = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly ask: () => ReturnType<Store['archivedTo']>,
    private readonly lookMs: number,
  ) {}

  sleep(judged: Judge, ms: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.sleepers.delete(sleeper);
        this.#newcomers.delete(sleeper);
        if (this.sleepers.size === 0) this.#stopTimer();
      };
      const sleeper: Sleeper = {
        judge: judged,
        end: (outcome) => {
          settle();
          resolve(outcome);
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const timer = setTimeout(() => sleeper.end('late'), ms);
      this.sleepers.add(sleeper);
      this.#newcomers.add(sleeper);
      this.#timer ??= setInterval(() => this.look(), this.lookMs);
      this.look();
    });
  }

  look(): void {
    this.#again = true;
    if (!this.#looking && this.sleepers.size > 0) void this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    this.#looking = true;
    while (this.#again && this.sleepers.size > 0) {
      this.#again = false;
      await this.#lookOnce();
    }
    this.#looking = false;
  }

  async #lookOnce(): Promise<void> {
    try {
      const archived = await this.ask();
      if (archived === null) return;
      const isNews = this.#seen === null || comparePositions(archived.pos, this.#seen) !== 0;
      const judged = [...(isNews ? this.sleepers : this.#newcomers)];
      this.#seen = archived.pos;
      this.#newcomers.clear();
      for (const sleeper of judged) {
        const outcome = sleeper.judge(archived.pos);
        if (outcome !== null) sleeper.end(outcome);
      }
    } catch (error) {
      // Out of reach for now: looked at again by the clock.
      if (error instanceof StoreError) return;
      for (const sleeper of [...this.sleepers]) sleeper.fail(error);
    }
  }

  #stopTimer(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }
}
