/**
 * Checkpoints: the log up to a slot, filtered to what is alive, so that restoring one is to replay records as they
 * stand in the log. This file knows how they are named and written; `checkpoint-maker.ts` makes them. `FORMAT.md` describes them.
 */
import { createHash } from 'node:crypto';
import type { BlobStore } from '../blob/blob.js';
import { formatPosition, type KeptRecord, type Position, parsePosition } from '../event/record.js';
import type { QuickRead } from './decoder.js';
import { objectsUnder } from './discovery.js';
import { CorruptSegmentError, decodeLines, type LineRuns, packLines, unpackLines } from './lines.js';
import type { LogIdentity } from './reader.js';
import { decodeKeptRecord } from './record-line.js';
import { checkOrder } from './segment.js';
import { parseObject } from './segment-header.js';

export const CHECKPOINT_VERSION = 1;

const SLOT_DIGITS = 20;
const PART_DIGITS = 6;
const CHECKPOINT_KEY = /^checkpoint\/(\d+)\/(\d{20})\/(?:manifest\.json|(\d{6})\.ndjson\.gz)$/;

/** The checkpoint cannot be used: it is damaged, or parts of it are not there. */
export class CheckpointDamagedError extends Error {
  constructor(
    readonly key: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`checkpoint ${key} cannot be used: ${reason}`, cause === undefined ? undefined : { cause });
    this.name = 'CheckpointDamagedError';
  }
}

export interface PartFacts {
  /** Of everything before the footer, hex. */
  readonly sha256: string;
  readonly count: number;
  /** Of the object. */
  readonly bytes: number;
}

/** What a checkpoint is, written last: a checkpoint without it is none. */
export interface Manifest {
  readonly v: number;
  readonly logId: string;
  readonly partition: number;
  readonly partitions: number;
  /** The last slot that is in it. */
  readonly slot: number;
  /** `sha256` of the segment in that slot: the next one names it. */
  readonly segment: string;
  readonly epoch: number;
  /** Of the last segment with records up to that slot. */
  readonly view: number;
  /** Position of the last record up to that slot, whether or not it is kept. */
  readonly to: Position;
  /** The latest time of a record up to that slot, ms since the epoch; keys that had ended by then are left out. */
  readonly at: number;
  readonly records: number;
  /** How far the index goes; 0: there is none. */
  readonly indexed: number;
  readonly parts: readonly PartFacts[];
  readonly madeAt: number;
}

export interface PartPlace extends LogIdentity {
  readonly partition: number;
  readonly slot: number;
  /** From 1 on. */
  readonly part: number;
}

export function checkpointFolder(partition: number): string {
  return `checkpoint/${partition}/`;
}

function folderOf(partition: number, slot: number): string {
  return `${checkpointFolder(partition)}${String(slot).padStart(SLOT_DIGITS, '0')}/`;
}

export function manifestKey(partition: number, slot: number): string {
  return `${folderOf(partition, slot)}manifest.json`;
}

export function partKey(partition: number, slot: number, part: number): string {
  return `${folderOf(partition, slot)}${String(part).padStart(PART_DIGITS, '0')}.ndjson.gz`;
}

/** A checkpoint as its objects' names tell it. */
export interface CheckpointName {
  readonly slot: number;
  /** False: it is being made, or was never finished. */
  readonly finished: boolean;
  /** Of its parts. */
  readonly keys: readonly string[];
}

/** All that there are of a partition, the lowest slot first. */
export async function listCheckpoints(blobs: BlobStore, partition: number): Promise<CheckpointName[]> {
  const found = new Map<number, { finished: boolean; keys: string[] }>();
  for await (const { key } of objectsUnder(blobs, checkpointFolder(partition))) {
    const match = CHECKPOINT_KEY.exec(key);
    if (match === null) continue;
    const slot = Number(match[2]);
    const entry = found.get(slot) ?? { finished: false, keys: [] };
    if (match[3] === undefined) entry.finished = true;
    else entry.keys.push(key);
    found.set(slot, entry);
  }
  return [...found].map(([slot, entry]) => ({ slot, ...entry })).sort((a, b) => a.slot - b.slot);
}

export function encodePart(place: PartPlace, lines: LineRuns): Promise<{ bytes: Buffer; sha256: string }> {
  const { logId, partition, partitions, slot, part } = place;
  const kind = 'checkpoint';
  const header = {
    v: CHECKPOINT_VERSION,
    kind,
    logId,
    partition,
    partitions,
    slot,
    part,
    count: lines.count,
  };
  return packLines(JSON.stringify(header), lines.finish(), lines.count);
}

/** Throws CheckpointDamagedError, naming `key`. */
export async function decodePart(key: string, place: PartPlace, bytes: Uint8Array, read?: QuickRead) {
  try {
    const lines = (await read?.(bytes)) ?? (await unpackLines(key, bytes));
    const header = parseObject(lines.header);
    const { logId, partition, partitions, slot, part } = place;
    const expected = { v: CHECKPOINT_VERSION, kind: 'checkpoint', logId, partition, partitions, slot, part };
    for (const [name, value] of Object.entries(expected)) {
      if (header?.[name] !== value)
        throw new CheckpointDamagedError(key, `its header has ${JSON.stringify(header?.[name])} as ${name}`);
    }
    const records = 'records' in lines ? lines.records : await decodeLines(key, lines, decodeKeptRecord);
    checkOrder(key, records);
    return { records, sha256: lines.sha256 };
  } catch (error) {
    if (error instanceof CorruptSegmentError) throw new CheckpointDamagedError(key, error.reason, error);
    throw error;
  }
}

export function encodeManifest(manifest: Manifest): Buffer {
  const text = JSON.stringify({ ...manifest, to: formatPosition(manifest.to) });
  return Buffer.from(`${text.slice(0, -1)},"sha256":"${sha256Of(text)}"}\n`);
}

/** Throws CheckpointDamagedError, naming `key`, unless it is whole and of this log. */
function decodeManifest(key: string, identity: LogIdentity, bytes: Buffer): Manifest {
  const fields = parseObject(bytes.toString('utf8'));
  if (fields === null) throw new CheckpointDamagedError(key, 'it is not JSON');
  const { sha256, ...rest } = fields;
  if (rest['v'] !== CHECKPOINT_VERSION)
    throw new CheckpointDamagedError(
      key,
      `it is of version ${rest['v']}; this reader knows ${CHECKPOINT_VERSION}`,
    );
  if (sha256 !== sha256Of(JSON.stringify(rest)))
    throw new CheckpointDamagedError(key, 'its content does not have the SHA-256 that it says');
  const to = parsePosition(String(rest['to']));
  if (to === null) throw new CheckpointDamagedError(key, 'it lacks a position');
  const manifest = { ...rest, to } as unknown as Manifest;
  if (manifest.logId !== identity.logId || manifest.partitions !== identity.partitions)
    throw new CheckpointDamagedError(
      key,
      `it is of log ${manifest.logId} with ${manifest.partitions} partitions`,
    );
  return manifest;
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Throws CheckpointDamagedError when it is not whole; null when it is not there. */
export async function readManifest(
  blobs: BlobStore,
  identity: LogIdentity,
  partition: number,
  slot: number,
): Promise<Manifest | null> {
  const key = manifestKey(partition, slot);
  const bytes = await blobs.get(key);
  if (bytes === null) return null;
  const manifest = decodeManifest(key, identity, bytes);
  if (manifest.slot === slot && manifest.partition === partition) return manifest;
  throw new CheckpointDamagedError(key, `it is of slot ${manifest.slot}, partition ${manifest.partition}`);
}

/** The records, part by part, each checked before it is given out. Throws CheckpointDamagedError. */
export async function* readParts(
  blobs: BlobStore,
  manifest: Manifest,
  read?: QuickRead,
): AsyncGenerator<readonly KeptRecord[]> {
  const { partition, slot, parts } = manifest;
  let last: Position | null = null;
  const fetch = (index: number) => {
    const got = blobs.get(partKey(partition, slot, index + 1));
    // It may never be asked for.
    got.catch(() => undefined);
    return got;
  };
  let next = parts.length > 0 ? fetch(0) : null;
  for (const [index, facts] of parts.entries()) {
    const key = partKey(partition, slot, index + 1);
    const bytes = await next!;
    next = index + 1 < parts.length ? fetch(index + 1) : null;
    if (bytes === null) throw new CheckpointDamagedError(key, 'it is not there');
    const { records, sha256 } = await decodePart(key, { ...manifest, part: index + 1 }, bytes, read);
    if (sha256 !== facts.sha256)
      throw new CheckpointDamagedError(key, `it has SHA-256 ${sha256}, the manifest says ${facts.sha256}`);
    checkPlace(key, last, records, manifest.to);
    last = records.at(-1)?.pos ?? last;
    yield records;
  }
}

function checkPlace(key: string, last: Position | null, records: readonly KeptRecord[], to: Position): void {
  const first = records[0]?.pos ?? null;
  const end = records.at(-1)?.pos ?? null;
  if ((last && first && !isBefore(last, first)) || (end && isBefore(to, end)))
    throw new CheckpointDamagedError(key, 'its records are not of this place in the checkpoint');
}

function isBefore(a: Position, b: Position): boolean {
  return a.view < b.view || (a.view === b.view && a.n < b.n);
}

/** The newest that can be used, of those in slots from `from` up to `to`; what cannot be used is told to `warn`. */
export async function newestCheckpoint(
  blobs: BlobStore,
  identity: LogIdentity,
  partition: number,
  range: { readonly from: number; readonly to: number; readonly without?: ReadonlySet<number> },
  warn: (error: CheckpointDamagedError) => void,
): Promise<Manifest | null> {
  const names = await listCheckpoints(blobs, partition);
  for (const { slot, finished } of names.reverse()) {
    if (!finished || slot < range.from || slot > range.to || range.without?.has(slot)) continue;
    try {
      const manifest = await readManifest(blobs, identity, partition, slot);
      if (manifest !== null) return manifest;
    } catch (error) {
      if (!(error instanceof CheckpointDamagedError)) throw error;
      warn(error);
    }
  }
  return null;
}
