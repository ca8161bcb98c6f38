/** The outbox: records not yet archived, with their bodies, and what is archived. */
import type { LogRecord, Position } from '../../event/record.js';
import type { Argument } from './connection.js';
import { releaseArchived } from './expire.js';
import { type Entry, parseEntries, readRecord } from './outbox-codec.js';
import type { Partition } from './partition.js';
import { envelopeIn } from './state-codec.js';

/** What one script reads at most, so that it does not keep the others waiting for long. */
const CHUNK_RECORDS = 500;
const CHUNK_BYTES = 1 << 20;

interface Found {
  readonly pos: Position;
  readonly entry: Entry;
  readonly body: Buffer | null;
}

interface Chunk {
  readonly found: readonly Found[];
  readonly bytes: number;
}

export async function readOutbox(
  partition: Partition,
  after: Position | null,
  limit: { readonly records: number; readonly bytes: number },
  view: number | null,
): Promise<LogRecord[]> {
  const found: Found[] = [];
  let bytes = 0;
  let last = after;
  for (;;) {
    const wanted = Math.min(limit.records - found.length, CHUNK_RECORDS);
    const bytesLeft = limit.bytes - bytes;
    if (wanted <= 0 || (found.length > 0 && bytesLeft <= 0)) break;
    const whole = bytesLeft <= CHUNK_BYTES;
    const atLeastOne = found.length === 0 || !whole ? 1 : 0;
    const room = whole ? bytesLeft : CHUNK_BYTES;
    const from = [last?.view ?? '', last?.n ?? ''];
    const chunk = await readChunk(partition, [...from, wanted, room, atLeastOne, view ?? '']);
    found.push(...chunk.found);
    bytes += chunk.bytes;
    last = chunk.found.at(-1)?.pos ?? null;
    // Short: it is the end, or there is no room for more.
    if (last === null || (chunk.found.length < wanted && whole)) break;
  }
  await partition.learnNames(found.flatMap(({ entry }) => (entry[0] === 'T' ? [] : [entry[3]])));
  return found.map(({ pos, entry, body }) =>
    readRecord(pos, entry, body, (ordinal) => partition.nameOf(ordinal)),
  );
}

/** `args` as lua/read-outbox.lua wants them. */
async function readChunk(partition: Partition, args: readonly Argument[]): Promise<Chunk> {
  const reply = (await partition.run('read-outbox', args)) as [Buffer, Buffer, ...(Buffer | null)[]];
  const [runs, records, ...bodies] = reply;
  const entries = parseEntries(records);
  const found = positionsOf(runs.toString()).map((pos, at): Found => {
    const entry = entries[at]!;
    const kept = bodies[at] ?? null;
    return { pos, entry, body: kept && entry[0] === 'A' ? envelopeIn(kept) : kept };
  });
  const bytes = bodies.reduce((sum, body) => sum + (body?.byteLength ?? 0), records.byteLength);
  return { found, bytes };
}

/** View, n of the first, and how many: one after the other for each run of positions without a gap. */
function positionsOf(runs: string): Position[] {
  const numbers = runs === '' ? [] : runs.split(' ').map(Number);
  const positions: Position[] = [];
  for (let at = 0; at < numbers.length; at += 3) {
    const [view, first, count] = [numbers[at]!, numbers[at + 1]!, numbers[at + 2]!];
    for (let n = first; n < first + count; n += 1) positions.push({ view, n });
  }
  return positions;
}

export async function markArchived(
  partition: Partition,
  pos: Position,
  slot: number,
  view: number | null,
): Promise<void> {
  const [held] = await partition.change('mark-archived', [pos.view, pos.n, slot, view ?? '']);
  if (held === 1) await releaseArchived(partition);
}

export async function archivedTo(partition: Partition): Promise<{ pos: Position; slot: number } | null> {
  const [view, n, slot] = (await partition.run('archived-to', [])) as (Buffer | null)[];
  if (!view || !n || !slot) return null;
  return { pos: { view: Number(view), n: Number(n) }, slot: Number(slot) };
}

export async function hurryArchiving(partition: Partition): Promise<void> {
  await partition.change('hurry-archiving', []);
}

export async function holdArchiving(partition: Partition, holder: string, ms: number): Promise<boolean> {
  return (await partition.run('hold-archiving', [holder, ms])) === 1;
}
