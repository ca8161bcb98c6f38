/**
 * Whether a store is what the log says, event by event, also while both go on.
 *
 * Every record of an event raises the event's version by one. So an event that is read at version v, whenever that was, must be
 * what its first v records make; it is compared when the fold has come to that version. What the log does not have yet is
 * taken from the store's outbox, which goes on where the log ends.
 */
import type { BlobStore } from '../blob/blob.js';
import { apply } from '../event/apply.js';
import type { AttemptView, EventView } from '../event/command.js';
import { partitionOfId } from '../event/id.js';
import {
  comparePositions,
  formatPosition,
  type KeptRecord,
  type OfType,
  type Position,
} from '../event/record.js';
import { tidy } from '../event/schedule.js';
import { type EventState, emptyState } from '../event/state.js';
import { NOT_ARCHIVED } from '../event/unarchived.js';
import { attemptsOf, viewOf } from '../event/view.js';
import type { Recoverable, Store } from '../store/store.js';
import { type CheckpointDamagedError, newestCheckpoint, readParts } from './checkpoint.js';
import { Digest, type TypeFacts, typesOf } from './digest.js';
import { floorOf } from './floor.js';
import { FOLD_LIMITS, FOLD_POLICY, TIDY_RECORDS_MIN, typeFacts, withHashes } from './fold.js';
import { followsOn, type LogIdentity, LogReader } from './reader.js';
import { isLogRecord } from './record-line.js';
import { RedriveHistory } from './verify-redrives.js';

/** What is asked of a store: nothing that changes it. */
export type StoreReading = Pick<
  Store & Recoverable,
  | 'list'
  | 'listTypes'
  | 'listListeners'
  | 'readRedrives'
  | 'read'
  | 'readRequest'
  | 'readAttempts'
  | 'readOutbox'
  | 'standing'
>;

export interface Difference {
  /** Of an event, or the name of a type. */
  readonly id: string;
  readonly what: string;
}

export interface StoreReport {
  /** Events that the store holds. */
  readonly events: number;
  /** Records that the store has and the log does not have yet. */
  readonly ahead: number;
  /** Of all events of the store: as they were read, and as log and outbox make them. */
  readonly storeDigest: string;
  readonly logDigest: string;
  /** How many events and types differ, and the first of them. */
  readonly differing: number;
  readonly differences: readonly Difference[];
}

export interface StoreCheck {
  readonly blobs: BlobStore;
  readonly identity: LogIdentity;
  readonly store: StoreReading;
  readonly warn: (error: CheckpointDamagedError) => void;
  /** Told what is being done, and how much of it is. */
  readonly progress: (what: string, done: number, total: number) => void;
}

const PAGE = { limit: 200, scanMax: 10_000 };
const READ_AGAIN_MAX = 10;
const TOLD_MAX = 10;
const OUTBOX_PAGE = { records: 1_000, bytes: 4 << 20 };

/** An event as it was read. */
interface Read {
  readonly version: number;
  readonly digest: string;
  compared: boolean;
}

/** Throws BlobError, StoreError, CorruptSegmentError. */
export async function verifyStore(check: StoreCheck): Promise<StoreReport> {
  const { identity, store } = check;
  const partitions = Array.from({ length: identity.partitions }, (_, partition) => partition);
  // Before the scan: what was archived then is shown now, or has been pruned.
  const before = await Promise.all(
    partitions.map(async (each) => (await store.standing(each)).archived?.pos ?? null),
  );
  const totals = { store: new Digest(), log: new Digest((hash) => hash) };
  const read = await readAll(check, totals.store);
  const types = await readTypes(store);
  const redrives = await Promise.all(partitions.map((each) => store.readRedrives(each, 'all')));
  const differences: Difference[] = [];
  const declared: TypeHistory = new Map();
  const jobs = new RedriveHistory();
  let ahead = 0;
  for (const partition of partitions) {
    const known = { before: before[partition] ?? null, declared, jobs };
    const comparison = new Comparison(read, totals.log, partition, known);
    ahead += await foldInto(check, comparison, partition);
    differences.push(...comparison.finish());
  }
  differences.push(...differingTypes(types, declared));
  for (const id of jobs.differing(redrives.flat()))
    differences.push({ id, what: 'the redrive is not what the log says' });
  return {
    events: read.size,
    ahead,
    storeDigest: totals.store.toString(),
    logDigest: totals.log.toString(),
    differing: differences.length,
    differences: differences.slice(0, TOLD_MAX),
  };
}

/** What is declared of a type, its listeners apart: they are read one after the other, and either may change in between. */
type Declared = Record<'policy' | 'listeners', string>;

async function readTypes(store: StoreReading): Promise<ReadonlyMap<string, Declared>> {
  const types = new Map<string, Declared>();
  for await (const type of typesOf(store)) types.set(type.type, declaredOf(type));
  return types;
}

function declaredOf({ version, declared, paused, listeners }: TypeFacts): Declared {
  const each = listeners.map(({ ordinal, name, responder, filter }) => [ordinal, name, responder, filter]);
  return { policy: JSON.stringify([version, declared, paused]), listeners: JSON.stringify(each) };
}

/** As what, by its name, a type may have been read. */
type TypeHistory = Map<string, Declared[]>;

function differingTypes(read: ReadonlyMap<string, Declared>, declared: TypeHistory): Difference[] {
  const differs = ([type, found]: [string, Declared]) =>
    (['policy', 'listeners'] as const).some(
      (part) => !declared.get(type)?.some((each) => each[part] === found[part]),
    );
  return [...read]
    .filter(differs)
    .map(([type]) => ({ id: type, what: 'what is declared of the type is not what the log says' }));
}

async function readAll({ store, progress }: StoreCheck, total: Digest): Promise<Map<string, Read>> {
  const read = new Map<string, Read>();
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query = { type: null, status: null, outcome: null, cursor: cursor ?? null, ...PAGE };
    const page = await store.list(query);
    if (page.kind !== 'page') throw new Error(`the store does not know its own cursor ${cursor}`);
    const found = await Promise.all(page.events.map(({ id }) => readOne(store, id)));
    for (const each of found) {
      if (each === null) continue;
      const { event, request, attempts } = each;
      const digest = new Digest();
      digest.addEvent(event, request, attempts);
      total.addEvent(event, request, attempts);
      read.set(event.id, { version: event.version, digest: digest.toString(), compared: false });
    }
    cursor = page.cursor;
    progress('events of the store', read.size, read.size);
  }
  return read;
}

/** At one version; null when it has left the store. */
async function readOne(
  store: StoreReading,
  id: string,
): Promise<{ event: EventView; request: Uint8Array; attempts: AttemptView[] } | null> {
  for (let tries = 0; tries < READ_AGAIN_MAX; tries += 1) {
    const event = await store.read(id);
    const [request, attempts] = await Promise.all([store.readRequest(id), store.readAttempts(id)]);
    const again = await store.read(id);
    if (event === null || request === null || attempts === null || again === null) return null;
    // It is shown once it is archived, which was not so when the look began.
    if (event === NOT_ARCHIVED || request === NOT_ARCHIVED) return null;
    if (attempts === NOT_ARCHIVED || again === NOT_ARCHIVED) return null;
    if (event.version === again.version) return { event: again, request, attempts };
  }
  throw new Error(`event ${id} changes faster than it can be read`);
}

/** Log, then outbox; resolves to how many records were in the outbox alone. */
async function foldInto(check: StoreCheck, comparison: Comparison, partition: number): Promise<number> {
  const { blobs, identity, store, warn, progress } = check;
  const reader = new LogReader(blobs, identity);
  const floor = await floorOf(blobs, partition);
  const all = { from: floor - 1, to: Number.MAX_SAFE_INTEGER };
  // With the log whole, nothing is taken on trust.
  const checkpoint = floor === 1 ? null : await newestCheckpoint(blobs, identity, partition, all, warn);
  let end: Position | null = checkpoint?.to ?? null;
  let next = (checkpoint?.slot ?? 0) + 1;
  if (checkpoint !== null) {
    for await (const records of readParts(blobs, checkpoint))
      for (const each of records) comparison.add(each);
  }
  for (;;) {
    for await (const { header, records } of reader.segments(partition, next)) {
      for (const record of records) comparison.add(record);
      end = header.to;
      next = header.slot + 1;
      progress(`partition ${partition}, segments`, header.slot, header.slot);
    }
    const ahead = await foldOutbox(store, comparison, partition, end);
    if (ahead !== null) return ahead;
    // Some of it was archived in between: the log has it now.
  }
}

/** Null when the outbox does not go on from there any more. */
async function foldOutbox(
  store: StoreReading,
  comparison: Comparison,
  partition: number,
  end: Position | null,
): Promise<number | null> {
  let after = end;
  let ahead = 0;
  for (;;) {
    const records = await store.readOutbox(partition, after, OUTBOX_PAGE);
    const [first] = records;
    if (first === undefined) return ahead;
    if (!followsOn(after, first.pos) || (after === null && first.pos.n !== 1))
      return ahead === 0 ? null : ahead;
    for (const record of records) comparison.add(record);
    ahead += records.length;
    after = records.at(-1)!.pos;
  }
}

/** What the log may say of types and redrives. */
interface Known {
  /** What was accepted up to there must have been in the store, unless it was pruned. */
  readonly before: Position | null;
  readonly declared: TypeHistory;
  readonly jobs: RedriveHistory;
}

/** The fold of one partition's records, beside what was read of the store. */
class Comparison {
  readonly #state = emptyState(FOLD_POLICY, FOLD_LIMITS);
  readonly #differences: Difference[] = [];
  #untidy = 0;

  constructor(
    private readonly read: ReadonlyMap<string, Read>,
    private readonly total: Digest,
    private readonly partition: number,
    private readonly known: Known,
  ) {}

  add(record: KeptRecord): void {
    if (!isLogRecord(record)) return;
    if (record.op === 'emitted' || record.op === 'relayed') return;
    const slim = withHashes(record);
    if (!('id' in slim)) {
      apply(this.#state, slim);
      if (slim.op === 'redriveSet') return this.known.jobs.note(slim, this.#isNew(slim.pos));
      return this.#noteType(slim);
    }
    const read = this.read.get(slim.id);
    // What came after it was read is of no account, nor what came after the store forgot it.
    if (read?.compared || (slim.op === 'late' && !this.#state.events.has(slim.id))) return;
    if (slim.op === 'pruned') return void this.#state.events.delete(slim.id);
    apply(this.#state, slim);
    this.#tidy(slim.pos);
    const event = this.#state.events.get(slim.id)!;
    if (read?.version === event.version) this.#compare(event, read);
  }

  finish(): Difference[] {
    for (const [id, { compared, version }] of this.read) {
      if (compared || partitionOfId(id) !== this.partition) continue;
      const known = this.#state.events.get(id);
      const what = known
        ? `the store has ${version} records of it, log and outbox have ${known.version}`
        : 'log and outbox do not have it';
      this.#differences.push({ id, what });
    }
    for (const { id, position } of this.#state.events.values()) {
      if (this.read.has(id) || this.#isNew(position)) continue;
      this.#differences.push({
        id,
        what: `it was accepted at ${formatPosition(position)}, and the store lacks it`,
      });
    }
    return this.#differences;
  }

  /** It may have come after the store was read. */
  #isNew(position: Position): boolean {
    const { before } = this.known;
    return before === null || comparePositions(position, before) > 0;
  }

  #noteType({ type, pos }: OfType): void {
    const now = declaredOf(typeFacts(this.#state.types.get(type)!));
    const { declared } = this.known;
    const known = declared.get(type);
    if (known && this.#isNew(pos)) known.push(now);
    else declared.set(type, [now]);
  }

  #compare(event: EventState, read: Read): void {
    read.compared = true;
    const facts = [viewOf(event), event.envelope, attemptsOf(event)] as const;
    const digest = new Digest((hash) => hash);
    digest.addEvent(...facts);
    this.total.addEvent(...facts);
    if (digest.toString() !== read.digest)
      this.#differences.push({
        id: event.id,
        what: `at version ${read.version} it is not what the log says`,
      });
    this.#state.events.delete(event.id);
  }

  #tidy(pos: Position): void {
    const state = this.#state;
    state.outbox.trim(pos);
    state.history.clear();
    state.settled.clear();
    state.calls.clear();
    state.trees.clear();
    this.#untidy += 1;
    if (this.#untidy < Math.max(TIDY_RECORDS_MIN, state.events.size)) return;
    this.#untidy = 0;
    state.callsDue.retain(() => false);
    tidy(state);
  }
}
