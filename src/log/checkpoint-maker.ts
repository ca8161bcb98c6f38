/**
 * Making a checkpoint: the one before and the segments since, filtered. It goes twice through the new segments, first to
 * learn which events were pruned, then to write what was not; so memory grows with the events that were pruned since the
 * one before, and neither with the log nor with what is alive.
 *
 * What a checkpoint of a slot holds follows from the log alone, so makers that work at once write the same, and whichever
 * puts a part or the manifest first has done it for both.
 */
import { setImmediate } from 'node:timers/promises';
import { BlobError, type BlobStore } from '../blob/blob.js';
import {
  comparePositions,
  type Granted,
  type KeptRecord,
  type ListenerSet,
  type Position,
  type RedriveSet,
} from '../event/record.js';
import {
  CHECKPOINT_VERSION,
  CheckpointDamagedError,
  decodePart,
  encodeManifest,
  encodePart,
  listCheckpoints,
  type Manifest,
  manifestKey,
  newestCheckpoint,
  type PartFacts,
  partKey,
  readManifest,
  readParts,
} from './checkpoint.js';
import { floorOf } from './floor.js';
import { LineRuns } from './lines.js';
import { type LogIdentity, LogReader } from './reader.js';
import { encodeRecord } from './record-line.js';
import { CorruptSegmentError, SEGMENT_RAW_BYTES_MAX, SEGMENT_RECORDS_MAX, type Segment } from './segment.js';
import { slotKey } from './slot.js';

/** So many are kept: the newest, and one to fall back on. */
export const CHECKPOINTS_KEPT = 2;

export interface MakerOptions {
  readonly blobs: BlobStore;
  readonly identity: LogIdentity;
  readonly partition: number;
  /** The last slot to be in it; it must have been written. */
  readonly slot: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told of checkpoints that cannot be built upon. */
  readonly warn: (error: CheckpointDamagedError) => void;
  /** Between two segments and two parts: to leave time for others, or to show how far it is. */
  readonly pause?: (done: number, total: number) => Promise<void>;
}

export type Made =
  | { readonly kind: 'made'; readonly manifest: Manifest }
  /** There was one for this slot, or nothing has happened since the newest. */
  | { readonly kind: 'nothing new'; readonly manifest: Manifest | null };

/** Another checkpoint has the slot, or the log was cut while it was read: to be tried again, with a later slot. */
export class CheckpointRefusedError extends Error {
  constructor(
    readonly key: string,
    reason: string,
  ) {
    super(`checkpoint ${key} was not made: ${reason}`);
    this.name = 'CheckpointRefusedError';
  }
}

/** What the new segments say, as far as it must be known before anything is written. */
interface Seen {
  readonly pruned: Set<string>;
  /** By redrive: its last record, which has all of it. */
  readonly redrives: Map<string, Position>;
  readonly forgotten: Set<string>;
  /** The first record that raised `indexed` to where it is now; null: none of the new ones did. */
  indexedBy: Position | null;
  indexed: number;
  at: number;
  records: number;
  to: Position | null;
  segment: string;
  epoch: number;
  view: number;
}

/** Throws BlobError, CorruptSegmentError, CheckpointRefusedError. */
export async function makeCheckpoint(options: MakerOptions): Promise<Made> {
  const { blobs, identity, partition, slot, warn } = options;
  const without = new Set<number>();
  for (;;) {
    const range = { from: 0, to: slot, without };
    const base = await newestCheckpoint(blobs, identity, partition, range, warn);
    if (base?.slot === slot) return { kind: 'nothing new', manifest: base };
    try {
      return await makeFrom(options, base);
    } catch (error) {
      // What was put is right all the same: it follows from the log.
      if (!(error instanceof CheckpointDamagedError) || base === null) throw error;
      warn(error);
      without.add(base.slot);
    }
  }
}

async function makeFrom(options: MakerOptions, base: Manifest | null): Promise<Made> {
  try {
    const seen = await look(options, base);
    if (seen.records === 0 || seen.to === null) return { kind: 'nothing new', manifest: base };
    const writer = new PartWriter(options);
    for await (const record of keptOf(options, base, seen)) await writer.add(record);
    const parts = await writer.finish();
    await assertNotCut(options, base);
    return { kind: 'made', manifest: await putManifest(options, seen, seen.to, parts) };
  } catch (error) {
    if (error instanceof CorruptSegmentError) await assertNotCut(options, base);
    throw error;
  }
}

/** Where segments were deleted meanwhile, somebody who was asleep may have put others into their slots. */
async function assertNotCut({ blobs, partition, slot }: MakerOptions, base: Manifest | null): Promise<void> {
  if ((await floorOf(blobs, partition)) <= (base?.slot ?? 0) + 1) return;
  throw new CheckpointRefusedError(manifestKey(partition, slot), 'the log was cut while it was read');
}

/** The segments since `base`, up to the slot. */
async function* segmentsSince(options: MakerOptions, base: Manifest | null): AsyncGenerator<Segment> {
  const { blobs, identity, partition, slot, pause } = options;
  const from = (base?.slot ?? 0) + 1;
  const before = base && { sha256: base.segment, to: base.to };
  for await (const segment of new LogReader(blobs, identity).segments(partition, from, before)) {
    if (segment.header.slot > slot) return;
    yield segment;
    await pause?.(segment.header.slot, slot);
    if (segment.header.slot === slot) return;
  }
  throw new BlobError('unavailable', 'get', slotKey(partition, slot), new Error('it is not there yet'));
}

async function look(options: MakerOptions, base: Manifest | null): Promise<Seen> {
  const seen: Seen = {
    pruned: new Set(),
    redrives: new Map(),
    forgotten: new Set(),
    indexedBy: null,
    indexed: base?.indexed ?? 0,
    at: base?.at ?? 0,
    records: 0,
    to: base?.to ?? null,
    segment: '',
    epoch: 0,
    view: base?.view ?? 0,
  };
  for await (const { header, records, sha256 } of segmentsSince(options, base)) {
    for (const record of records) {
      seen.at = Math.max(seen.at, record.at);
      if (record.op === 'redriveSet') noteRedrive(seen, record);
      if (record.op !== 'pruned') continue;
      seen.pruned.add(record.id);
      if (record.index <= seen.indexed) continue;
      seen.indexed = record.index;
      seen.indexedBy = record.pos;
    }
    seen.records += records.length;
    seen.to = header.to;
    seen.segment = sha256;
    seen.epoch = header.epoch;
    if (header.kind === 'data') seen.view = header.view;
  }
  return seen;
}

async function* keptOf(options: MakerOptions, base: Manifest | null, seen: Seen): AsyncGenerator<KeptRecord> {
  const defaults = new Defaults();
  if (base !== null) {
    for await (const records of readParts(options.blobs, base)) {
      for (const record of records) {
        const kept = keep(record, seen, defaults);
        if (kept !== null) yield kept;
      }
      await options.pause?.(0, 1);
    }
  }
  for await (const { records } of segmentsSince(options, base)) {
    for (const record of records) {
      const kept = keep(record, seen, defaults);
      if (kept !== null) yield kept;
    }
  }
}

/** That somebody has leased as `default` before there was any listener must outlive the event that shows it. */
class Defaults {
  /** By type: how many listeners were declared, and whether somebody has leased from the vacant ordinal. */
  readonly #types = new Map<string, { count: number; leased: boolean }>();

  declared({ type, ordinal }: ListenerSet): void {
    if (ordinal === this.#of(type).count) this.#types.set(type, { count: ordinal + 1, leased: false });
  }

  leased(type: string): void {
    this.#of(type).leased = true;
  }

  isFirstLease({ type, listener }: Granted): boolean {
    const known = this.#of(type);
    if (known.leased || listener !== known.count) return false;
    known.leased = true;
    return true;
  }

  #of(type: string) {
    let known = this.#types.get(type);
    if (!known) {
      known = { count: 0, leased: false };
      this.#types.set(type, known);
    }
    return known;
  }
}

function noteRedrive(seen: Seen, { redrive, pos, forgets }: RedriveSet): void {
  seen.redrives.set(redrive, pos);
  if (forgets !== undefined) seen.forgotten.add(forgets);
}

/** What of the record is still of account; null: nothing. */
function keep(record: KeptRecord, seen: Seen, defaults: Defaults): KeptRecord | null {
  switch (record.op) {
    case 'typeSet':
    case 'listenerGone':
    case 'listenerSwept':
      return record;
    case 'listenerSet':
      defaults.declared(record);
      return record;
    case 'redriveSet': {
      const { redrive, pos } = record;
      const last = seen.redrives.get(redrive);
      if (seen.forgotten.has(redrive) || (last && comparePositions(pos, last) !== 0)) return null;
      // Whom it made way for is not in here either.
      const { forgets: _, ...rest } = record;
      return rest;
    }
    case 'defaultLeased':
      defaults.leased(record.type);
      return record;
    case 'granted': {
      const isFirst = defaults.isFirstLease(record);
      if (!seen.pruned.has(record.id)) return record;
      const { pos, at, type } = record;
      return isFirst ? { op: 'defaultLeased', pos, at, type } : null;
    }
    case 'indexed':
      return seen.indexedBy === null ? record : null;
    case 'keyKept':
      return record.idempotency.expiresAt > seen.at ? record : null;
    case 'pruned': {
      const { pos, at, type, index } = record;
      const isNewest = seen.indexedBy !== null && comparePositions(pos, seen.indexedBy) === 0;
      return isNewest ? { op: 'indexed', pos, at, type, index } : null;
    }
    case 'accepted': {
      if (!seen.pruned.has(record.id)) return record;
      const { pos, at, id, type, idempotency } = record;
      if (idempotency === null || idempotency.expiresAt <= seen.at) return null;
      return { op: 'keyKept', pos, at, id, type, idempotency };
    }
    default:
      return seen.pruned.has(record.id) ? null : record;
  }
}

/** Puts records into parts as they come. */
class PartWriter {
  readonly #parts: PartFacts[] = [];
  #lines = newLines();

  constructor(private readonly options: MakerOptions) {}

  async add(record: KeptRecord): Promise<void> {
    const line = encodeRecord(record);
    if (!this.#lines.add(line)) {
      await this.#put();
      this.#lines.add(line);
    }
    if (this.#lines.betweenRuns) await setImmediate();
  }

  async finish(): Promise<readonly PartFacts[]> {
    if (this.#lines.count > 0) await this.#put();
    return this.#parts;
  }

  async #put(): Promise<void> {
    const { blobs, identity, partition, slot, pause } = this.options;
    const part = this.#parts.length + 1;
    const lines = this.#lines;
    this.#lines = newLines();
    const { logId, partitions } = identity;
    const place = { logId, partitions, partition, slot, part };
    const { bytes, sha256 } = await encodePart(place, lines);
    const key = partKey(partition, slot, part);
    if ((await blobs.putIfAbsent(key, bytes)) === 'exists') {
      const there = await blobs.get(key);
      // Another compression is as good; another content is not.
      if (there !== null && (await decodePart(key, place, there)).sha256 !== sha256)
        throw new CheckpointRefusedError(key, 'there is one of another content');
    }
    this.#parts.push({ sha256, count: lines.count, bytes: bytes.byteLength });
    await pause?.(part, part);
  }
}

function newLines(): LineRuns {
  return new LineRuns({ lines: SEGMENT_RECORDS_MAX, rawBytes: SEGMENT_RAW_BYTES_MAX });
}

async function putManifest(
  options: MakerOptions,
  { segment, epoch, view, at, indexed }: Seen,
  to: Position,
  parts: readonly PartFacts[],
): Promise<Manifest> {
  const { blobs, identity, partition, slot, now } = options;
  const { logId, partitions } = identity;
  const records = parts.reduce((sum, { count }) => sum + count, 0);
  const place = { v: CHECKPOINT_VERSION, logId, partition, partitions, slot, segment, epoch, view, to };
  const manifest: Manifest = { ...place, at, records, indexed, parts, madeAt: now() };
  const key = manifestKey(partition, slot);
  if ((await blobs.putIfAbsent(key, encodeManifest(manifest))) === 'created') return manifest;
  const there = await readManifest(blobs, identity, partition, slot);
  if (there === null) throw new CheckpointRefusedError(key, 'it was taken away again');
  const contentOf = (of: Manifest) => of.parts.map(({ sha256 }) => sha256).join();
  if (contentOf(there) !== contentOf(manifest))
    throw new CheckpointRefusedError(key, 'there is one of another content');
  return there;
}

/**
 * Deletes all but the newest ones, once the newest has been read again, and what makers have left unfinished below those.
 * Resolves to a sentence for each object that could not be deleted. Throws CheckpointDamagedError.
 */
export async function dropOldCheckpoints(
  blobs: BlobStore,
  identity: LogIdentity,
  partition: number,
): Promise<string[]> {
  const names = await listCheckpoints(blobs, partition);
  const kept = names.filter(({ finished }) => finished).slice(-CHECKPOINTS_KEPT);
  const [oldest, newest] = [kept[0], kept.at(-1)];
  // Of two that were made at once the lower may be finished later, and is not to lack parts that were taken for left over.
  if (!oldest || !newest || kept.length < CHECKPOINTS_KEPT) return [];
  const old = names.filter(({ slot }) => slot < oldest.slot);
  const manifest = old.length === 0 ? null : await readManifest(blobs, identity, partition, newest.slot);
  if (manifest === null) return [];
  for await (const _records of readParts(blobs, manifest));
  // The manifests first: what has none is no checkpoint.
  const manifests = old.filter(({ finished }) => finished).map(({ slot }) => manifestKey(partition, slot));
  return [
    ...(await deleteAll(blobs, manifests)),
    ...(await deleteAll(
      blobs,
      old.flatMap(({ keys }) => keys),
    )),
  ];
}

const DELETES_A_CALL = 1_000;

/** Resolves to a sentence for each that could not be deleted. */
export async function deleteAll(blobs: BlobStore, keys: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  for (let at = 0; at < keys.length; at += DELETES_A_CALL) {
    for (const { key, deleted, message } of await blobs.delete(keys.slice(at, at + DELETES_A_CALL))) {
      if (!deleted) problems.push(`${key}: ${message}`);
    }
  }
  return problems;
}
