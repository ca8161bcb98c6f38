/**
 * Recovery: a store is brought up to the log, to exactly the fence that was won for it, while its gate is closed.
 *
 * A store whose records the log goes on from gets what it lacks, and keeps what it has beyond the log in its outbox.
 * When the log has data of a view that the store never had, the store is an old copy that went its own way: it is
 * emptied and rebuilt from the first segment on.
 */
import type { LogRecord } from '../event/record.js';
import type { Recoverable } from '../store/store.js';
import { LogMismatchError } from './archiver-status.js';
import type { LogReader } from './reader.js';
import type { Segment } from './segment.js';
import type { SegmentHeader } from './segment-header.js';

/** What one call of `replay` is given at most; one record at least. */
const CHUNK = { records: 1_000, bytes: 1 << 20 };

type Fence = Pick<SegmentHeader, 'slot' | 'epoch' | 'view'>;

/** False when another recovery has begun, or the store is no longer the one in which this one began. */
export async function recover(
  store: Recoverable,
  reader: LogReader,
  logId: string,
  partition: number,
  fence: Fence,
): Promise<boolean> {
  const { epoch, view } = fence;
  if (!(await store.beginRecovery(partition, epoch))) return false;
  // Only behind the closed gate does it stand still.
  const standing = await store.standing(partition);
  // Behind the store's address another server may stand by now, in which this recovery has not begun.
  if (standing.recovering !== epoch) return false;
  if (standing.logId !== null && standing.logId !== logId)
    throw new LogMismatchError(`the store belongs to log ${standing.logId}, and this is log ${logId}`);
  let from = (standing.archived?.slot ?? 0) + 1;
  if (standing.logId === null || (await holdsNewerView(reader, partition, from, fence, standing.view))) {
    if (!(await store.empty(partition, epoch))) return false;
    from = 1;
  }
  if (!(await replayFrom(store, reader, partition, from, fence))) return false;
  return store.finishRecovery(partition, epoch, logId, view);
}

/** Views go up along the slots, and what the store has noted as archived is of its own: so the rest is enough to see. */
async function holdsNewerView(
  reader: LogReader,
  partition: number,
  from: number,
  fence: Fence,
  view: number,
): Promise<boolean> {
  for await (const { header } of segmentsBelow(reader, partition, from, fence)) {
    if (header.kind === 'data' && header.view > view) return true;
  }
  return false;
}

async function replayFrom(
  store: Recoverable,
  reader: LogReader,
  partition: number,
  from: number,
  fence: Fence,
): Promise<boolean> {
  for await (const { header, records } of segmentsBelow(reader, partition, from, fence)) {
    let taken = 0;
    for (const chunk of chunksOf(records)) {
      taken += chunk.length;
      // With a part of a segment the one before it is the last that is wholly there.
      const slot = taken === records.length ? header.slot : header.slot - 1;
      const archived = { pos: chunk.at(-1)!.pos, slot };
      if (!(await store.replay(partition, fence.epoch, chunk, archived))) return false;
    }
  }
  return true;
}

/** Up to the fence and no further: what comes above it is not this recovery's. */
async function* segmentsBelow(
  reader: LogReader,
  partition: number,
  from: number,
  fence: Fence,
): AsyncGenerator<Segment> {
  if (from >= fence.slot) return;
  for await (const segment of reader.segments(partition, from)) {
    if (segment.header.slot < fence.slot) yield segment;
    if (segment.header.slot >= fence.slot - 1) return;
  }
  throw new LogMismatchError(`the log ends below the fence in slot ${fence.slot}`);
}

function* chunksOf(records: readonly LogRecord[]): IterableIterator<LogRecord[]> {
  let chunk: LogRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    bytes += 'payload' in record ? (record.payload?.byteLength ?? 0) : 0;
    if (chunk.length > 0 && (bytes > CHUNK.bytes || chunk.length >= CHUNK.records)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(record);
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * Opens a store beside a place that cannot hold a log: nothing is archived, and what the store has is all there is.
 * False when the store has archived before, so that the log may have what it lacks.
 */
export async function openWithoutLog(store: Recoverable, partition: number, logId: string): Promise<boolean> {
  const { archived, view, recovering } = await store.standing(partition);
  if (archived !== null) return false;
  const epoch = recovering + 1;
  if (!(await store.beginRecovery(partition, epoch))) return false;
  return store.finishRecovery(partition, epoch, logId, view + 1);
}
