/**
 * List: newest first by id. Each partition keeps its ids in the order of acceptance; a page merges the partitions from
 * their ends, filters here and not in the server, and looks at a bounded number of events.
 */
import type { EventView, ListQuery, ListResult } from '../../event/command.js';
import type { Partition } from './partition.js';
import { viewOf } from './read.js';
import { type EventFacts, readState } from './state-codec.js';

const CHUNK_MIN = 16;
const CHUNK_MAX = 200;

export async function list(partitions: readonly Partition[], query: ListQuery): Promise<ListResult> {
  const starts =
    query.cursor === null ? partitions.map(() => null) : readCursor(query.cursor, partitions.length);
  if (!starts) return { kind: 'bad_cursor' };
  const chunk = Math.min(CHUNK_MAX, Math.max(CHUNK_MIN, Math.ceil((2 * query.limit) / partitions.length)));
  const runs = partitions.map(
    (partition, index) => new Run(partition, starts[index]!, Math.min(chunk, query.scanMax)),
  );

  const events: Omit<EventView, 'result'>[] = [];
  for (let scanned = 0; scanned < query.scanMax && events.length < query.limit; scanned += 1) {
    await Promise.all(runs.map((run) => run.fill()));
    const newest = newestOf(runs);
    if (!newest) break;
    const event = newest.take();
    if (matches(event, query)) events.push(event);
  }
  await Promise.all(runs.map((run) => run.fill()));
  return { kind: 'page', events, cursor: newestOf(runs) ? writeCursor(runs) : null };
}

/** One partition's events, newest first. */
class Run {
  #waiting: EventFacts[] = [];
  #ended: boolean;

  constructor(
    private readonly partition: Partition,
    /** The sequence that the rest of the run lies before; null: it begins at the newest. */
    private before: number | null,
    private readonly chunk: number,
  ) {
    this.#ended = before !== null && before <= 1;
  }

  get position(): number {
    // What has not begun begins behind the newest there is now.
    return this.before ?? (this.#waiting[0] ? this.#waiting[0].sequence + 1 : 1);
  }

  async fill(): Promise<void> {
    if (this.#waiting.length > 0 || this.#ended) return;
    const reply = (await this.partition.run('list', [this.before ?? '', this.chunk])) as (Buffer | null)[];
    for (let at = 0; at < reply.length; at += 2) {
      const packed = reply[at + 1];
      if (packed) this.#waiting.push(readState(reply[at]!.toString(), packed));
    }
    await this.partition.learnNames(this.#waiting.map((facts) => facts.typeOrdinal));
    this.#ended = reply.length < 2 * this.chunk;
  }

  peek(): EventFacts | undefined {
    return this.#waiting[0];
  }

  take(): Omit<EventView, 'result'> {
    const facts = this.#waiting.shift();
    if (!facts) throw new Error('nothing to take');
    this.before = facts.sequence;
    return viewOf(this.partition, facts);
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

function matches(event: Omit<EventView, 'result'>, { type, status, outcome }: ListQuery): boolean {
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
