/**
 * Copying a log up to some moment to another place, as a log of its own: a service that is started on an empty store with
 * it comes up as of then. Slots, epochs, views and positions stay; the log's name, and with it the chain of hashes, is new.
 * Where the log was cut, the copy begins with a checkpoint. The index goes along, for events that had left the store.
 */
import type { BlobStore } from '../blob/blob.js';
import { comparePositions, formatPosition, type LogRecord, type Position } from '../event/record.js';
import {
  CheckpointDamagedError,
  encodeManifest,
  encodePart,
  listCheckpoints,
  type Manifest,
  manifestKey,
  type PartFacts,
  partKey,
  readManifest,
  readParts,
} from './checkpoint.js';
import { objectsUnder } from './discovery.js';
import { floorOf, raiseFloor } from './floor.js';
import { IndexObject, indexFolder, indexNameOf } from './index-object.js';
import { LineRuns } from './lines.js';
import { type LogIdentity, LogReader } from './reader.js';
import { encodeRecord } from './record-line.js';
import { type EncodedSegment, encodeFence, encodeSegment, type Segment } from './segment.js';
import type { SegmentPlace } from './segment-header.js';
import { slotKey } from './slot.js';

/** What is copied: records that happened up to a time, or up to a position. */
export type Until =
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'position'; readonly pos: Position };

export interface CopyOptions {
  readonly from: BlobStore;
  readonly to: BlobStore;
  readonly identity: LogIdentity;
  /** Of the copy. */
  readonly logId: string;
  readonly partition: number;
  readonly until: Until;
  /** Names this process in the segments. */
  readonly writer: string;
  readonly progress: (slot: number, records: number) => void;
}

export interface Copied {
  readonly partition: number;
  readonly segments: number;
  readonly records: number;
  /** Slot of the checkpoint that it begins with; null: it begins as the log does. */
  readonly checkpoint: number | null;
  /** Position of its last record. */
  readonly to: string | null;
}

/** The log does not go back so far. */
export class TooEarlyError extends Error {
  constructor(partition: number) {
    super(`partition ${partition} of the log begins later: what came before was deleted`);
    this.name = 'TooEarlyError';
  }
}

/** Throws BlobError, CorruptSegmentError, CheckpointDamagedError, TooEarlyError. */
export async function copyLog(options: CopyOptions): Promise<Copied> {
  const { from, identity, partition } = options;
  const floor = await floorOf(from, partition);
  const checkpoint = floor === 1 ? null : await checkpointBefore(options, floor);
  if (floor > 1 && checkpoint === null) throw new TooEarlyError(partition);
  if (checkpoint !== null) await copyCheckpoint(options, checkpoint);
  const writer = new CopyWriter(options, checkpoint);
  const link = checkpoint && { sha256: checkpoint.segment, to: checkpoint.to };
  const first = (checkpoint?.slot ?? 0) + 1;
  for await (const segment of new LogReader(from, identity).segments(partition, first, link)) {
    if (!(await writer.add(segment))) break;
  }
  await writer.finish();
  await copyIndex(options, writer.slot);
  const { segments, records, last } = writer;
  return {
    partition,
    segments,
    records,
    checkpoint: checkpoint?.slot ?? null,
    to: last && formatPosition(last),
  };
}

function isWithin(until: Until, { pos, at }: Pick<LogRecord, 'pos' | 'at'>): boolean {
  return until.kind === 'time' ? at <= until.at : comparePositions(pos, until.pos) <= 0;
}

/** The newest that holds nothing from after the moment, and from which on the log is there. */
async function checkpointBefore({ from, identity, partition, until }: CopyOptions, floor: number) {
  for (const { slot, finished } of (await listCheckpoints(from, partition)).reverse()) {
    if (!finished || slot < floor - 1) continue;
    const manifest = await readManifest(from, identity, partition, slot);
    if (manifest !== null && isWithin(until, { pos: manifest.to, at: manifest.at })) return manifest;
  }
  return null;
}

async function copyCheckpoint(
  { from, to, logId, partition }: CopyOptions,
  manifest: Manifest,
): Promise<void> {
  const { slot } = manifest;
  const parts: PartFacts[] = [];
  for await (const records of readParts(from, manifest)) {
    const lines = new LineRuns({ lines: Number.POSITIVE_INFINITY, rawBytes: Number.POSITIVE_INFINITY });
    for (const record of records) lines.add(encodeRecord(record));
    const part = parts.length + 1;
    const { bytes, sha256 } = await encodePart({ ...manifest, logId, part }, lines);
    await create(to, partKey(partition, slot, part), bytes);
    parts.push({ sha256, count: lines.count, bytes: bytes.byteLength });
  }
  await create(to, manifestKey(partition, slot), encodeManifest({ ...manifest, logId, parts }));
  await raiseFloor(to, { logId, partition }, slot + 1);
}

/** Writes segments into the same slots, until one holds something from after the moment. */
class CopyWriter {
  segments = 0;
  records = 0;
  slot: number;
  last: Position | null;
  #previous: string | null;
  #place: Pick<SegmentPlace, 'epoch' | 'view'>;

  constructor(
    private readonly options: CopyOptions,
    checkpoint: Manifest | null,
  ) {
    this.slot = checkpoint?.slot ?? 0;
    this.last = checkpoint?.to ?? null;
    this.#previous = checkpoint?.segment ?? null;
    this.#place = { epoch: checkpoint?.epoch ?? 0, view: checkpoint?.view ?? 0 };
  }

  /** False once the moment has been reached. */
  async add({ header, records }: Segment): Promise<boolean> {
    const { until, progress } = this.options;
    const end = records.findIndex((record) => !isWithin(until, record));
    const kept = end < 0 ? records : records.slice(0, end);
    this.#place = { epoch: header.epoch, view: header.view };
    if (header.kind === 'fence') await this.#put(encodeFence(this.#placeOf('fence'), this.last));
    else if (kept.length > 0) {
      this.last = kept.at(-1)!.pos;
      await this.#put(encodeSegment(this.#placeOf('data'), kept));
      this.records += kept.length;
    }
    progress(header.slot, this.records);
    return end < 0;
  }

  /** A log that would have no segment at all gets a fence, by which it is known. */
  async finish(): Promise<void> {
    if (this.segments > 0 || this.slot === 0) return;
    this.#place = { ...this.#place, epoch: this.#place.epoch + 1 };
    await this.#put(encodeFence(this.#placeOf('fence'), this.last));
  }

  #placeOf(kind: SegmentPlace['kind']): SegmentPlace {
    const { identity, logId, partition, writer } = this.options;
    const { partitions } = identity;
    const slot = this.slot + 1;
    const place = { kind, logId, partition, partitions, slot, ...this.#place };
    return { ...place, writer, putId: `${logId}/${slot}`, previous: this.#previous };
  }

  async #put(encoding: Promise<EncodedSegment>): Promise<void> {
    const { bytes, sha256 } = await encoding;
    this.slot += 1;
    await create(this.options.to, slotKey(this.options.partition, this.slot), bytes);
    this.#previous = sha256;
    this.segments += 1;
  }
}

/** The parts that were written by then; they name slots, which stay. */
async function copyIndex({ from, to, identity, logId, partition }: CopyOptions, upTo: number): Promise<void> {
  for await (const { key } of objectsUnder(from, indexFolder(partition))) {
    const name = indexNameOf(key);
    const bytes = name === null || name.slot > upTo ? null : await from.get(key);
    if (bytes === null) continue;
    await create(to, key, await IndexObject.renamed(key, bytes, identity.logId, logId));
  }
}

async function create(to: BlobStore, key: string, bytes: Buffer): Promise<void> {
  if ((await to.putIfAbsent(key, bytes)) === 'created') return;
  throw new CheckpointDamagedError(key, 'something is there already, in a place that was empty');
}
