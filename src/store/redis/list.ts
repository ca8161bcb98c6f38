/**
 * List: newest first by id. Each partition keeps its ids in the order of acceptance; a page merges the partitions from
 * their ends, filters here and not in the server, and looks at a bounded number of events.
 */
import type { EventSummary, ListQuery, ListResult } from '../../event/command.js';
import type { Position } from '../../event/record.js';
import { NOT_ARCHIVED, type NotArchived } from '../../event/unarchived.js';
import type { Partition } from './partition.js';
import { shown, summaryOf, viewOf } from './read.js';
import { type EventFacts, positionOf, readState } from './state-codec.js';

const CHUNK_MIN = 16;
const CHUNK_MAX = 200;
/** Runs of ids whose events are gone that one page passes over; then it ends short. */
const TRIES_MAX = 50;

export async function list(partitions: readonly Partition[], query: ListQuery): Promise<ListResult> {
  const starts =
    query.cursor === null ? partitions.map(() => null) : readCursor(query.cursor, partitions.length);
  if (!starts) return { kind: 'bad_cursor' };
  const chunk = Math.min(CHUNK_MAX, Math.max(CHUNK_MIN, Math.ceil((2 * query.limit) / partitions.length)));
  const runs = partitions.map(
    (partition, index) => new Run(partition, starts[index]!, Math.min(chunk, query.scanMax)),
  );

  const events: EventSummary[] = [];
  for (let scanned = 0; scanned < query.scanMax && events.length < query.limit; scanned += 1) {
    await Promise.all(runs.map((run) => run.fill()));
    if (runs.some((run) => run.blocked)) break;
    const newest = newestOf(runs);
    if (!newest) break;
    const event = newest.take();
    if (event !== NOT_ARCHIVED && matches(event, query)) events.push(event);
  }
  await Promise.all(runs.map((run) => run.fill()));
  return {
    kind: 'page',
    events,
    cursor: newestOf(runs) || runs.some((run) => run.blocked) ? writeCursor(runs) : null,
  };
}

/** An event as it is, and what its state was with which it is found out what may be shown. */
interface Found {
  readonly facts: EventFacts;
  readonly packed: Buffer;
  readonly archived: Position | null;
}

/** One partition's events, newest first. */
class Run {
  #waiting: Found[] = [];
  #ended: boolean;
  /** What has been fetched ends before this sequence; null: nothing has been. */
  #fetchedTo: number | null;

  constructor(
    private readonly partition: Partition,
    /** The sequence that the rest of the run lies before; null: it begins at the newest. */
    private before: number | null,
    private readonly chunk: number,
  ) {
    this.#fetchedTo = before;
    this.#ended = before !== null && before <= 1;
  }

  get position(): number {
    // What is gone is passed over for good. What has not begun begins behind the newest there is now.
    const [next] = this.#waiting;
    if (!next) return this.#fetchedTo ?? 1;
    return this.before ?? next.facts.sequence + 1;
  }

  /** More may come, and it is not known what: what was looked at was all gone. */
  get blocked(): boolean {
    return this.#waiting.length === 0 && !this.#ended;
  }

  async fill(): Promise<void> {
    for (let tries = 0; this.blocked && tries < TRIES_MAX; tries += 1) {
      const reply = (await this.partition.run('list', [this.#fetchedTo ?? '', this.chunk])) as [
        number,
        Buffer | null,
        Buffer | null,
        ...Buffer[],
      ];
      const [reached, view, n, ...found] = reply;
      const archived = positionOf([view, n]);
      for (let at = 0; at < found.length; at += 2) {
        const packed = found[at + 1]!;
        this.#waiting.push({ facts: readState(found[at]!.toString(), packed, archived), packed, archived });
      }
      await this.partition.learnNames(this.#waiting.map(({ facts }) => facts.typeOrdinal));
      this.#fetchedTo = reached;
      this.#ended = reached <= 1;
    }
  }

  peek(): EventFacts | undefined {
    return this.#waiting[0]?.facts;
  }

  take(): EventSummary | NotArchived {
    const found = this.#waiting.shift();
    if (!found) throw new Error('nothing to take');
    const { facts, packed, archived } = found;
    this.before = facts.sequence;
    const view = shown(viewOf(this.partition, facts), packed, archived);
    return view === NOT_ARCHIVED ? view : summaryOf(view);
  }
}

function newestOf(runs: readonly Run[]): Run | null {
  let newest: Run | null = null;
  for (const run of runs) {
    const facts = run.peek();
    if (facts && (!newest || facts.id > newest.peek()!.id)) newest = run;
  }
  return newest;
}

function matches(event: EventSummary, { type, status, outcome }: ListQuery): boolean {
  return (
    (type === null || event.type === type) &&
    (status === null || event.status === status) &&
    (outcome === null || event.outcome === outcome)
  );
}

/** A cursor holds for each partition where its run goes on. */
function writeCursor(runs: readonly Run[]): string {
  return Buffer.from(runs.map((run) => run.position).join('.')).toString('base64url');
}

function readCursor(cursor: string, partitions: number): number[] | null {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^\d{1,15}(\.\d{1,15})*$/.test(text)) return null;
  // Decoding is lenient; only what was written is read.
  if (Buffer.from(text).toString('base64url') !== cursor) return null;
  const starts = text.split('.').map(Number);
  return starts.length === partitions ? starts : null;
}
