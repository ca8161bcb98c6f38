/**
 * The archiver of one partition: takes records from the outbox and writes them as segments, one put in flight.
 *
 *     opening ── head found ──► running ── no answer ──► retrying ── created, or mine ──► running
 *        ▲                         │                        │
 *        └───── the slot is another's ──────────────────────┘
 *     any ── refused, damaged, of another log ──► refused ── tried again slowly ──► where it was
 *     between two segments ── another process archives ──► standby ── it no longer does ──► opening
 *     running ── the store's gate has closed ──► opening
 *     opening ── another store has gone on with the log ──► fenced ── looked at again slowly ──► opening
 *
 * While a segment is put and noted in the store the next one is made, when it is known that more waits; should the
 * first not come to stand in its slot, both are dropped.
 *
 * A put that failed may have been done, so it is sent again as it was (same bytes, same slot, same `putId`) until
 * it is created or the slot is taken; by the `putId` in the slot the archiver knows its own. When another has the
 * slot, whatever was to be put is dropped and the log is opened again: the cursor is where the log ends, so that
 * two archivers of one outbox neither double a record nor leave one out.
 */
import { randomUUID } from 'node:crypto';
import type { BlobStore } from '../blob/blob.js';
import { formatPosition, type LogRecord, type Position } from '../event/record.js';
import { type Outbox, type Recoverable, StoreError } from '../store/store.js';
import {
  type ArchiverEvent,
  type ArchiverState,
  type ArchiverStatus,
  LogMismatchError,
  passesByItself,
} from './archiver-status.js';
import type { CheckpointDamagedError } from './checkpoint.js';
import { type Clock, processClock } from './clock.js';
import type { Archived, Head } from './head.js';
import { confirm, Opening, readTaken } from './opening.js';
import { openLog } from './plain-opening.js';
import { LogReader } from './reader.js';
import { type EncodedSegment, encodeSegment, SEGMENT_RAW_BYTES_MAX, SEGMENT_RECORDS_MAX } from './segment.js';
import type { SegmentPlace } from './segment-header.js';
import { type Gap, type Made, makeSegment } from './segment-making.js';
import { slotKey } from './slot.js';

export interface ArchiverOptions {
  readonly blobs: BlobStore;
  readonly outbox: Outbox;
  /** The same store, to be recovered from the log; null: one that cannot be, and has no gate. */
  readonly recoverable?: Recoverable | null;
  readonly logId: string;
  readonly partition: number;
  readonly partitions: number;
  /** Names this process: in the segments, and as the one that holds the archiving. No two may have the same. */
  readonly writer: string;
  readonly archiveIntervalMs: number;
  /** Told what happens, for logs and metrics; must not throw. */
  readonly report: (event: ArchiverEvent) => void;
  readonly clock?: Clock;
  readonly newPutId?: () => string;
  /** Left out: in this thread. */
  readonly encode?: typeof encodeSegment;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** A store that was away may be another when it is back, and closed until it is recovered. */
const STORE_RETRY_MS_MAX = 1_000;
/** How often a fenced archiver looks whether the other store still goes on. */
const FENCED_LOOK_MS = 5_000;
const REFUSED_RETRY_MS = 15_000;
/** While somebody waits, puts begin no closer to each other than this: a few a second, however many wait. */
const HURRY_MS = 150;

/** For so long no other process begins after this one has last said that it archives; said again well before. */
const HOLD_MS = 15_000;
const HOLD_AGAIN_MS = HOLD_MS / 3;

/** Twice what a segment holds: so a large record behind a few small ones is seen, and not left for the interval. */
const TAKE_BYTES = 2 * SEGMENT_RAW_BYTES_MAX;

export class Archiver {
  readonly #options: ArchiverOptions;
  readonly #clock: Clock;
  readonly #reader: LogReader;
  readonly #newPutId: () => string;
  readonly #opening: Opening | null;

  #state: ArchiverState = 'stopped';
  #error: string | null = null;
  #failures = 0;
  #retryMsMax = RETRY_MS_MAX;
  #waitingSinceMs: number | null = null;

  #head: Head | null = null;
  /** By the clock: at that time the head was the log's end for sure. */
  #confirmedMs = 0;
  /** A slot that is known to be taken: the search for the head begins here. */
  #knownSlot = 0;
  /** What is being put; kept as it is until its slot is taken. */
  #pending: EncodedSegment | null = null;
  /** More than that was waiting when it was taken. */
  #more = false;
  /** What comes behind what is being put, made meanwhile. */
  #next: Made | null = null;
  /** Read, and too much for the segment that was made. */
  #left: readonly LogRecord[] = [];
  /** Archived, and not yet noted in the store. */
  #unmarked: Archived | null = null;

  /** Until then nobody need be asked whether this process still archives. */
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  /** The log's end from which the outbox did not go on. */
  #gapAfter: string | null = null;

  #running: Promise<void> | null = null;
  #stopping: Promise<boolean> | null = null;
  /** Aborted once stop has waited long enough: from then on nothing is touched. */
  readonly #abandon = new AbortController();
  /** Cuts the wait between two looks short. */
  #wake = new AbortController();
  /** The next look is not to wait. */
  #nudged = false;
  /** Somebody waits for what has been recorded since the last look. */
  #hurried = false;
  /** By the clock: when the last put was sent. */
  #sentMs = Number.NEGATIVE_INFINITY;

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#clock = options.clock ?? processClock;
    this.#newPutId = options.newPutId ?? randomUUID;
    this.#reader = new LogReader(options.blobs, { logId: options.logId, partitions: options.partitions });
    const { recoverable: store } = options;
    const warn = ({ key, reason }: CheckpointDamagedError) =>
      options.report({ kind: 'checkpointDamaged', key, reason });
    const tools = { reader: this.#reader, clock: this.#clock, newPutId: this.#newPutId, warn };
    this.#opening = store ? new Opening({ ...options, ...tools, store }) : null;
  }

  /** Begins in the background; a second call does nothing. */
  start(): void {
    if (this.#running !== null) return;
    this.#state = 'opening';
    this.#running = this.#run();
  }

  /** Records are waiting: look now and not at the next interval. */
  nudge(): void {
    this.#nudged = true;
    this.#wake.abort();
  }

  /** Somebody waits for records that are in the outbox by now: they are archived sooner than at the next interval. */
  hurry(): void {
    if (this.#head === null || this.#hurried) return;
    this.#hurried = true;
    this.#wake.abort();
  }

  /**
   * Archives what is waiting and ends; gives up after `flushMs`, and then touches neither store nor log any more
   * (a put under way may still arrive; the next opening finds it). True when nothing was left waiting.
   */
  stop(flushMs: number): Promise<boolean> {
    this.#stopping ??= this.#flush(flushMs);
    return this.#stopping;
  }

  status(): ArchiverStatus {
    const to = this.#head?.to ?? null;
    return {
      partition: this.#options.partition,
      state: this.#state,
      slot: this.#head?.slot ?? null,
      position: to && formatPosition(to),
      lagMs: this.#waitingSinceMs === null ? 0 : Math.max(0, this.#clock.nowMs() - this.#waitingSinceMs),
      error: this.#error,
    };
  }

  async #flush(flushMs: number): Promise<boolean> {
    const running = this.#running;
    if (running === null) return true;
    this.nudge();
    const ended = new AbortController();
    const flushed = await Promise.race([
      running.then(() => true),
      this.#clock.wait(flushMs, ended.signal).then(() => false),
    ]);
    ended.abort();
    this.#abandon.abort();
    this.#state = 'stopped';
    return flushed;
  }

  /** Goes on until it is stopped and nothing is waiting, or until stop has given up. */
  async #run(): Promise<void> {
    while (!this.#abandon.signal.aborted) {
      const next = await this.#tryStep();
      if (next === 'failed') await this.#backOff();
      else if ((next === 'idle' || next === 'fenced') && this.#stopping !== null) return this.#letGo();
      else if (next !== 'go on' && this.#stopping === null) await this.#rest(next === 'fenced');
    }
  }

  /** Lets another process begin at once and not only when the hold has run out. */
  async #letGo(): Promise<void> {
    const { outbox, partition, writer } = this.#options;
    if (this.#heldUntilMs > 0)
      await outbox.holdArchiving(partition, writer, 1).catch((error) => this.#fail(error));
  }

  /** What is to come: another step, a pause with more to do after it, a pause with nothing to do, or a back-off. */
  async #tryStep(): Promise<'go on' | 'rest' | 'idle' | 'fenced' | 'failed'> {
    try {
      return await this.#step();
    } catch (error) {
      if (this.#gateHasClosed(error)) {
        this.#forgetHead();
        return 'go on';
      }
      this.#fail(error);
      return 'failed';
    }
  }

  /** The store wants to be recovered, or is another one now. While it is being opened that is a failure like any. */
  #gateHasClosed(error: unknown): boolean {
    const closed = error instanceof StoreError && error.failure === 'recovering';
    return closed && this.#opening !== null && this.#head !== null;
  }

  /** What was to be put is dropped: if it has arrived all the same, the next opening finds it. */
  #forgetHead(): void {
    this.#head = null;
    this.#pending = null;
    this.#unmarked = null;
    this.#next = null;
    this.#left = [];
  }

  /** What is next: a call to the store or to the log, or a segment put and the one behind it made meanwhile. */
  async #step(): Promise<'go on' | 'rest' | 'idle' | 'fenced'> {
    if (this.#unmarked !== null) {
      await this.#mark(this.#unmarked);
      return this.#hasMore() ? 'go on' : 'rest';
    }
    // Who was overtaken leaves the other in peace for an interval: two that race only make each other work.
    if (this.#head !== null && this.#pending !== null) {
      await this.#archive(this.#head, this.#pending);
      return this.#hasMore() ? 'go on' : 'rest';
    }
    if (this.#clock.nowMs() >= this.#heldUntilMs) return (await this.#hold()) ? 'go on' : 'idle';
    if (this.#head !== null) return (await this.#take(this.#head)) ? 'go on' : 'idle';
    return this.#opening === null ? this.#openPlainly() : this.#open(this.#opening);
  }

  /** Whether this process is the one to archive. Another's slots are found by opening again. */
  async #hold(): Promise<boolean> {
    const { outbox, partition, writer } = this.#options;
    const askedMs = this.#clock.nowMs();
    if (await outbox.holdArchiving(partition, writer, HOLD_MS)) {
      this.#heldUntilMs = askedMs + HOLD_AGAIN_MS;
      return true;
    }
    // Also what was read: when this process archives again, the store may be another by then.
    this.#forgetHead();
    this.#succeed('standby');
    this.#waitingSinceMs = null;
    return false;
  }

  /** Takes the log's end for this store, which is recovered when it must be. */
  async #open(opening: Opening): Promise<'go on' | 'rest' | 'fenced'> {
    const opened = await opening.open(this.#knownSlot);
    switch (opened.kind) {
      case 'opened':
        this.#confirmedMs = opened.confirmedMs;
        this.#begin(opened.head, opened.recovered, true);
        return 'go on';
      case 'again':
        this.#knownSlot = Math.max(this.#knownSlot, opened.slot);
        return 'rest';
      case 'fenced':
        this.#beFenced(opened.view, opened.logView);
        return 'fenced';
    }
  }

  async #openPlainly(): Promise<'go on'> {
    const { blobs, outbox, partition } = this.#options;
    const archived = await outbox.archivedTo(partition);
    const head = await openLog(blobs, this.#reader, partition, archived, this.#knownSlot);
    this.#confirmedMs = this.#clock.nowMs();
    this.#begin(head, false, head.slot > (archived?.slot ?? 0));
    return 'go on';
  }

  /** The store is told what of its outbox the log has without its knowing. */
  #begin(head: Head, recovered: boolean, unmarked: boolean): void {
    const { slot, to, epoch, view } = head;
    this.#head = head;
    this.#knownSlot = slot;
    if (to !== null && unmarked) this.#unmarked = { pos: to, slot };
    this.#more = true;
    this.#options.report({ kind: 'opened', slot, epoch, recovered, view });
  }

  #beFenced(view: number, logView: number): void {
    if (this.#abandon.signal.aborted) return;
    if (this.#state !== 'fenced') this.#options.report({ kind: 'fenced', view, logView });
    this.#state = 'fenced';
    this.#error = `another store has gone on with the log, in view ${logView}; this one has view ${view}`;
  }

  /** A segment is put and noted in the store; beside that the next is made, when more is known to wait. */
  async #archive(head: Head, segment: EncodedSegment): Promise<void> {
    const { slot, to } = segment.header;
    const after = { ...head, slot, to, sha256: segment.sha256 };
    const [done, made] = await Promise.allSettled([this.#putAndMark(head, segment), this.#makeNext(after)]);
    const isPut = this.#head?.slot === slot;
    if (made.status === 'fulfilled' && (isPut || this.#pending === segment)) this.#next = made.value;
    if (isPut && this.#next !== null) this.#putNext(this.#next);
    for (const outcome of [done, made]) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #putAndMark(head: Head, segment: EncodedSegment): Promise<void> {
    await this.#put(head, segment);
    if (this.#unmarked !== null && !this.#abandon.signal.aborted) await this.#mark(this.#unmarked);
  }

  /** Null: nothing waits, or it is for others to say what is wrong, or to ask whether this process still archives. */
  async #makeNext(after: Head): Promise<Made | null> {
    if (this.#next !== null || !this.#more || this.#clock.nowMs() >= this.#heldUntilMs) return this.#next;
    const made = await this.#make(after);
    return typeof made === 'string' || 'first' in made ? null : made;
  }

  async #mark(upTo: Archived): Promise<void> {
    const { outbox, partition } = this.#options;
    await outbox.markArchived(partition, upTo.pos, upTo.slot, ...this.#viewOfHead());
    this.#unmarked = null;
  }

  #hasMore(): boolean {
    return this.#head !== null && (this.#pending !== null || this.#more);
  }

  #viewOfHead(): [view: number] | [] {
    const view = this.#head?.view ?? null;
    return view === null ? [] : [view];
  }

  /** Makes a segment of what waits behind the head; false when nothing does. */
  async #take(head: Head): Promise<boolean> {
    const made = await this.#make(head);
    if (made === 'nothing') {
      this.#succeed('running');
      this.#waitingSinceMs = null;
      return false;
    }
    // What there was, another archiver has archived.
    if (made === 'trimmed') this.#forgetHead();
    else if ('first' in made) this.#reopenAfterGap(head, made.first);
    else this.#putNext(made);
    return true;
  }

  #putNext({ segment, left, more }: Made): void {
    this.#waitingSinceMs ??= this.#clock.nowMs();
    this.#pending = segment;
    this.#left = left;
    this.#more = more;
    this.#next = null;
  }

  /** A segment of what waits behind `head`, which is the log's end by the time that it is put. */
  #make(head: Head): Promise<Made | Gap | 'nothing' | 'trimmed'> {
    const { encode = encodeSegment } = this.#options;
    const read = (after: Position | null) => this.#read(after);
    const make = (records: readonly LogRecord[]) =>
      encode(this.#placeAfter(head, records.at(-1)!.pos), records);
    return makeSegment({ after: head.to, left: this.#left, read, make });
  }

  #read(after: Position | null): Promise<LogRecord[]> {
    const { outbox, partition } = this.#options;
    const limit = { records: SEGMENT_RECORDS_MAX, bytes: TAKE_BYTES };
    return outbox.readOutbox(partition, after, limit, ...this.#viewOfHead());
  }

  #placeAfter(head: Head, last: Position): SegmentPlace {
    const { logId, partition, partitions, writer } = this.#options;
    return {
      kind: 'data',
      logId,
      partition,
      partitions,
      slot: head.slot + 1,
      epoch: head.epoch,
      view: head.view ?? last.view,
      writer,
      putId: this.#newPutId(),
      previous: head.sha256,
    };
  }

  /** Another archiver may have written and trimmed; when the log has not grown, records are gone. */
  #reopenAfterGap(head: Head, first: Position): void {
    const end = head.to === null ? 'nothing' : formatPosition(head.to);
    const known = this.#gapAfter === end;
    this.#gapAfter = end;
    this.#forgetHead();
    if (!known) return;
    throw new LogMismatchError(`the log has ${end}, the outbox goes on from ${formatPosition(first)}`);
  }

  /** True once the segment is in its slot; false when another's is. */
  async #put(head: Head, segment: EncodedSegment): Promise<boolean> {
    const { blobs, partition, report } = this.#options;
    const { slot, to, putId } = segment.header;
    const sentMs = this.#clock.nowMs();
    this.#sentMs = sentMs;
    const result = await blobs.putIfAbsent(slotKey(partition, slot), segment.bytes);
    if (result === 'exists') {
      const there = await readTaken(this.#place, slot);
      if (there.header.putId !== putId) return this.#beOvertaken(slot, there.header.writer);
    }
    const confirmedMs = await confirm(this.#place, slot, this.#confirmedMs, sentMs);
    if (confirmedMs === null) return this.#beOvertaken(slot, 'somebody since then');
    this.#confirmedMs = confirmedMs;
    this.#pending = null;
    this.#head = { ...head, slot, to, sha256: segment.sha256 };
    this.#knownSlot = slot;
    if (to !== null) this.#unmarked = { pos: to, slot };
    if (!this.#more) this.#waitingSinceMs = null;
    this.#succeed('running');
    report({ kind: 'archived', slot, records: segment.header.count, bytes: segment.bytes.byteLength });
    return true;
  }

  #beOvertaken(slot: number, writer: string): false {
    this.#forgetHead();
    this.#knownSlot = slot;
    this.#options.report({ kind: 'overtaken', slot, writer });
    return false;
  }

  get #place() {
    const { blobs, partition } = this.#options;
    return { blobs, partition, reader: this.#reader, clock: this.#clock };
  }

  #succeed(state: 'running' | 'standby'): void {
    this.#failures = 0;
    this.#error = null;
    if (!this.#abandon.signal.aborted) this.#state = state;
  }

  #fail(error: unknown): void {
    if (this.#abandon.signal.aborted) return;
    this.#failures++;
    this.#waitingSinceMs ??= this.#clock.nowMs();
    this.#error = error instanceof Error ? error.message : String(error);
    this.#state = passesByItself(error) ? 'retrying' : 'refused';
    this.#retryMsMax = error instanceof StoreError ? STORE_RETRY_MS_MAX : RETRY_MS_MAX;
    this.#options.report({ kind: 'failed', state: this.#state, error, againInMs: this.#backOffMs() });
  }

  #backOffMs(): number {
    if (this.#state === 'refused') return REFUSED_RETRY_MS;
    return Math.min(this.#retryMsMax, RETRY_MS_MIN * 2 ** Math.min(this.#failures - 1, 10));
  }

  #backOff(): Promise<void> {
    return this.#clock.wait(this.#backOffMs(), this.#abandon.signal);
  }

  async #rest(fenced: boolean): Promise<void> {
    const restedMs = fenced ? FENCED_LOOK_MS : this.#options.archiveIntervalMs;
    const sinceMs = this.#clock.nowMs();
    // Who has no head was overtaken, and is in no hurry to race.
    const dueMs = () =>
      this.#hurried && this.#head !== null ? Math.min(restedMs, this.#sentMs + HURRY_MS - sinceMs) : restedMs;
    for (let goneMs = 0; !this.#nudged && goneMs < dueMs(); goneMs = this.#clock.nowMs() - sinceMs) {
      this.#wake = new AbortController();
      await this.#clock.wait(dueMs() - goneMs, this.#wake.signal);
    }
    this.#hurried = false;
    this.#nudged = false;
  }
}
