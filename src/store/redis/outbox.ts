/** The outbox: records not yet archived, with their bodies, and what is archived. */
import type { LogRecord, Position } from '../../event/record.js';
import { formatPosition } from '../../event/record.js';
import type { Argument } from './connection.js';
import { releaseArchived } from './expire.js';
import { type Entry, parseEntry, readRecord } from './outbox-codec.js';
import type { Partition } from './partition.js';
import { envelopeIn } from './state-codec.js';

/** What one script reads at most, so that it does not keep the others waiting for long. */
const CHUNK_RECORDS = 500;
const CHUNK_BYTES = 1 << 20;

interface Found {
  readonly position: string;
  readonly entry: Entry;
  readonly body: Buffer | null;
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
  let from = after ? `(${formatPosition(after)}` : '-';
  for (;;) {
    const wanted = Math.min(limit.records - found.length, CHUNK_RECORDS);
    const bytesLeft = limit.bytes - bytes;
    if (wanted <= 0 || (found.length > 0 && bytesLeft <= 0)) break;
    const whole = bytesLeft <= CHUNK_BYTES;
    const atLeastOne = found.length === 0 || !whole ? 1 : 0;
    const room = whole ? bytesLeft : CHUNK_BYTES;
    const chunk = await readChunk(partition, [from, wanted, room, atLeastOne, view ?? '']);
    found.push(...chunk);
    bytes += chunk.reduce((sum, each) => sum + each.bytes, 0);
    const last = chunk.at(-1);
    // Short: it is the end, or there is no room for more.
    if (!last || (chunk.length < wanted && whole)) break;
    from = `(${last.position}`;
  }
  await partition.learnNames(found.flatMap(({ entry }) => (entry[0] === 'T' ? [] : [entry[3]])));
  return found.map(({ position, entry, body }) =>
    readRecord(position, entry, body, (ordinal) => partition.nameOf(ordinal)),
  );
}

/** `args` as lua/read-outbox.lua wants them. */
async function readChunk(partition: Partition, args: readonly Argument[]): Promise<Found[]> {
  const reply = (await partition.run('read-outbox', args)) as (Buffer | null)[];
  const found: Found[] = [];
  for (let at = 0; at < reply.length; at += 3) {
    const text = reply[at + 1]!;
    const kept = reply[at + 2] ?? null;
    const bytes = text.byteLength + (kept?.byteLength ?? 0);
    const entry = parseEntry(text.toString());
    const body = kept && entry[0] === 'A' ? envelopeIn(kept) : kept;
    found.push({ position: reply[at]!.toString(), entry, body, bytes });
  }
  return found;
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
