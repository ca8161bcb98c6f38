/**
 * One redrive under way in this process: it reads the log from where the job is, sends what matches as fast as the job's
 * rate allows, and notes how far it is every second or every hundred events. Whoever takes the job up after a crash does
 * again what was not noted, and sends nothing twice by that.
 */
import type { Logger } from 'pino';
import type { BlobStore } from '../blob/blob.js';
import type { AcceptCommand, AcceptResult } from '../event/command.js';
import { deriveEventId, partitionOfId } from '../event/id.js';
import { comparePositions } from '../event/record.js';
import { progressText, type RedriveProgress } from '../event/redrive-job.js';
import type { PastEnd, RedriveState } from '../event/state.js';
import type { Clock } from '../log/clock.js';
import { floorOf } from '../log/floor.js';
import { ForeignLogError, type LogReader } from '../log/reader.js';
import { CorruptSegmentError } from '../log/segment.js';
import { slotKey } from '../log/slot.js';
import type { Store } from '../store/store.js';
import { type Candidate, matches, type Scan, scan } from './redrive-scan.js';
import type { PastRequest, RedriveSource } from './redrive-source.js';
import { TokenBucket } from './token-bucket.js';

export interface RunDeps {
  readonly store: Pick<Store, 'accept' | 'setRedrive' | 'archivedTo' | 'hurryArchiving'>;
  readonly blobs: BlobStore;
  readonly reader: LogReader;
  readonly source: RedriveSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looked up in the store at one time, and sent at one time. */
const LOOK_MIN = 25;
const LOOK_MAX = 250;
const SEND_MAX = 100;
const SEND_BYTES_MAX = 4 << 20;
const READ_AT_ONCE = 16;
/** How far a job is, is noted so often. */
const NOTE_MS = 1_000;
const NOTE_SENT = 100;
/** Sent beyond what was noted, at most, and one lot more. */
const UNSURE = NOTE_SENT + 2 * SEND_MAX;
/** One step of one job; then it is the next one's turn. */
const STEP_MS = 200;
const FLOOR_SEEN_MS = 60_000;

type Status = 'running' | 'done' | 'failed';

/** Why nothing is sent, in the words of the errors that others get. */
export const WAITING: Partial<Record<AcceptResult['kind'], string>> = {
  full: 'store-full',
  behind: 'log-behind',
  too_many_pending: 'too-many-pending',
  too_many_types: 'too-many-types',
};

export class RedriveRun {
  readonly #partition: number;
  readonly #bucket: TokenBucket;
  #job: RedriveState;
  #progress: RedriveProgress;
  #status: Status = 'running';
  #scan: Scan | null = null;
  #notedMs: number;
  #sentSince = 0;
  /** So many of those that come next may have been sent before, by whoever worked on it until then. */
  #unsure = UNSURE;
  /** The old end of the log has been deleted beyond where it was. */
  #hasLeapt = false;
  #floor: { readonly slot: number; readonly seenMs: number } | null = null;

  constructor(
    job: RedriveState,
    private readonly deps: RunDeps,
  ) {
    this.#job = job;
    this.#progress = job.progress;
    this.#partition = partitionOfId(job.id) ?? 0;
    this.#bucket = new TokenBucket(job.wish.ratePerSecond, () => deps.clock.nowMs());
    this.#notedMs = deps.clock.nowMs();
  }

  goesOnFrom({ step }: RedriveState): boolean {
    return this.#job.step === step && this.#status === 'running';
  }

  /** What can be done now, for a while at most; resolves to how many events were sent. */
  async step(): Promise<number> {
    const endsMs = this.deps.clock.nowMs() + STEP_MS;
    const before = this.#progress.sent;
    try {
      while (this.#status === 'running' && (await this.#advance())) {
        if (this.#sentSince >= NOTE_SENT) await this.note();
        if (this.deps.clock.nowMs() >= endsMs) break;
      }
    } catch (error) {
      if (!(error instanceof CorruptSegmentError || error instanceof ForeignLogError)) {
        // What it was doing may have been done.
        this.#unsure = UNSURE;
        throw error;
      }
      this.#end('failed', error.message);
    }
    const isDue = this.deps.clock.nowMs() - this.#notedMs >= NOTE_MS;
    if (isDue || this.#status !== 'running') await this.note();
    return this.#progress.sent - before;
  }

  /** Notes how far it is, unless nothing has changed. */
  async note(): Promise<void> {
    const isSame = progressText(this.#progress) === progressText(this.#job.progress);
    if (isSame && this.#status === 'running') return;
    const progress = this.#progress;
    const command = {
      kind: 'advance',
      id: this.#job.id,
      after: this.#job.step,
      status: this.#status,
      progress,
    } as const;
    const result = await this.deps.store.setRedrive(command);
    this.#notedMs = this.deps.clock.nowMs();
    this.#sentSince = 0;
    if (result.kind !== 'set') return;
    this.#job = result.redrive;
    const { id, type, status } = result.redrive;
    if (status !== 'running')
      this.deps.logger.info({ redrive: id, type, status, sent: progress.sent }, 'a redrive has ended');
  }

  /** False: nothing more can be done now. */
  async #advance(): Promise<boolean> {
    const scanned = await this.#reach();
    if (scanned === null) return false;
    const { dryRun } = this.#job.wish;
    const allowed = dryRun ? LOOK_MAX : Math.min(SEND_MAX, this.#bucket.tokens);
    if (allowed === 0) return false;
    const { index } = this.#progress;
    const rest = scanned.candidates.filter((candidate) => candidate.index >= index);
    const looked = rest.slice(0, Math.min(LOOK_MAX, Math.max(LOOK_MIN, 2 * allowed)));
    const found = await this.#find(looked);
    const to = rest.length > looked.length ? rest[looked.length]!.index : scanned.count;
    if (dryRun || found.length === 0) {
      this.#move(to, { matched: found.length });
      return this.#leave(scanned);
    }
    const sent = await this.#send(found.slice(0, allowed));
    const next = found[sent];
    this.#move(next ? next.candidate.index : to, {});
    if (this.#status !== 'running' || this.#progress.waiting !== null) return false;
    return this.#leave(scanned);
  }

  /** The segment that it is in; null: there is nothing to be looked at now. */
  async #reach(): Promise<Scan | null> {
    const { slot } = this.#progress;
    if (this.#scan?.slot === slot) return this.#scan;
    const archived = await this.deps.store.archivedTo(this.#partition);
    if (archived === null || slot > archived.slot) {
      if (archived !== null && comparePositions(archived.pos, this.#job.until) >= 0) this.#end('done', null);
      else await this.deps.store.hurryArchiving(this.#partition);
      return null;
    }
    const floor = await this.#floorSlot();
    if (slot < floor) {
      this.#progress = { ...this.#progress, slot: floor, index: 0 };
      this.#hasLeapt = true;
    }
    const segment = await this.deps.reader.read(this.#partition, this.#progress.slot);
    if (segment === null) {
      this.#floor = null;
      if (this.#progress.slot < (await this.#floorSlot())) return this.#reach();
      throw new CorruptSegmentError(
        slotKey(this.#partition, slot),
        'it is missing, and others are there behind it',
      );
    }
    this.#scan = scan(segment, this.#job);
    const { beginsAt } = this.#scan;
    if (this.#hasLeapt && beginsAt !== null) {
      this.#progress = { ...this.#progress, logBeginsAt: beginsAt };
      this.#hasLeapt = false;
    }
    return this.#scan;
  }

  async #floorSlot(): Promise<number> {
    const nowMs = this.deps.clock.nowMs();
    if (this.#floor === null || nowMs - this.#floor.seenMs >= FLOOR_SEEN_MS)
      this.#floor = { slot: await floorOf(this.deps.blobs, this.#partition), seenMs: nowMs };
    return this.#floor.slot;
  }

  async #find(candidates: readonly Candidate[]): Promise<Found[]> {
    if (candidates.length === 0) return [];
    const ends = await this.deps.source.ends(
      this.#partition,
      candidates.map(({ id }) => id),
    );
    return candidates.flatMap((candidate, index): Found[] => {
      const end = ends[index] ?? null;
      // Known nowhere any more: what the record itself says is all there is.
      if (end === null) return candidate.isLikely ? [{ candidate, end }] : [];
      return matches(candidate, end, this.#job.wish) ? [{ candidate, end }] : [];
    });
  }

  /** Resolves to how many of them are done with: sent, or not to be sent. */
  async #send(found: readonly Found[]): Promise<number> {
    const requests = await this.#requestsOf(found);
    const commands = requests.map((request, index) => request && this.#commandOf(found[index]!, request));
    const there = await Promise.all(
      commands.map((command) => command !== null && this.#unsure > 0 && this.deps.source.has(command.id)),
    );
    const wanted = commands.filter(
      (command, index): command is AcceptCommand => command !== null && !there[index],
    );
    const results = wanted.length === 0 ? [] : await this.deps.store.accept(wanted);
    return this.#count(commands, there, results);
  }

  /** Of the first of them: as many as weigh little enough to be sent together, one at the least. */
  async #requestsOf(found: readonly Found[]): Promise<(PastRequest | null)[]> {
    const requests: (PastRequest | null)[] = [];
    let bytes = 0;
    while (requests.length < found.length) {
      const some = found.slice(requests.length, requests.length + READ_AT_ONCE);
      const read = await Promise.all(
        some.map(({ candidate, end }) => end && this.deps.source.request(this.#partition, candidate.id, end)),
      );
      for (const request of read) {
        bytes += request?.envelope.byteLength ?? 0;
        if (requests.length > 0 && bytes > SEND_BYTES_MAX) return requests;
        requests.push(request);
      }
    }
    return requests;
  }

  /** In their order, up to the first that was refused. */
  #count(
    commands: readonly (AcceptCommand | null)[],
    there: readonly boolean[],
    results: readonly AcceptResult[],
  ): number {
    let done = 0;
    let at = 0;
    let waiting: string | null = null;
    const counts = { matched: 0, sent: 0, requestGone: 0 };
    for (const [index, command] of commands.entries()) {
      const result = command === null || there[index] ? null : results[at++]!;
      if (result !== null && result.kind !== 'accepted') {
        if (result.kind === 'no_listener')
          this.#end('failed', `The listener ${JSON.stringify(this.#job.wish.listener?.name)} was deleted.`);
        else waiting = WAITING[result.kind] ?? result.kind;
        break;
      }
      done += 1;
      counts.matched += 1;
      if (command === null) counts.requestGone += 1;
      else counts.sent += 1;
    }
    this.#bucket.take(counts.sent);
    this.#sentSince += counts.sent;
    this.#unsure -= counts.sent;
    const { matched, sent, requestGone } = this.#progress;
    this.#progress = {
      ...this.#progress,
      matched: matched + counts.matched,
      sent: sent + counts.sent,
      requestGone: requestGone + counts.requestGone,
      waiting,
    };
    return done;
  }

  #commandOf({ candidate }: Found, { envelope, durability, key }: PastRequest): AcceptCommand {
    const { id: job, type, startedAt, wish } = this.#job;
    return {
      id: deriveEventId(startedAt, this.#partition, `${job} ${candidate.id}`),
      type,
      envelope,
      delayMs: 0,
      idempotency: null,
      durability,
      ...(key === null ? {} : { key }),
      redrive: { of: candidate.id, only: wish.listener?.name ?? null },
    };
  }

  /** To the record at `index` of the segment. */
  #move(index: number, { matched = 0 }: { readonly matched?: number }): void {
    const { scanned, index: from } = this.#progress;
    this.#progress = {
      ...this.#progress,
      index,
      scanned: scanned + index - from,
      matched: this.#progress.matched + matched,
    };
  }

  /** To the next segment, if it is through with this one. */
  #leave({ slot, count, isLast }: Scan): boolean {
    if (this.#progress.index < count) return true;
    if (isLast) {
      this.#end('done', null);
      return false;
    }
    this.#scan = null;
    this.#progress = { ...this.#progress, slot: slot + 1, index: 0 };
    return true;
  }

  #end(status: 'done' | 'failed', problem: string | null): void {
    this.#status = status;
    this.#progress = { ...this.#progress, waiting: null, problem };
  }
}

interface Found {
  readonly candidate: Candidate;
  /** Null: neither the store nor the log has it any more. */
  readonly end: PastEnd | null;
}
