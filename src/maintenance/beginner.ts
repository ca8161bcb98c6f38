/**
 * Brings past events to listeners that begin with them: the log is read from its beginning up to where the listener was
 * declared, and each event of its type that its filter matches is accepted again, for it alone. Whoever archives a partition
 * does it; another goes on where it stopped, as the job says, and ids that follow from the old ones make each event one.
 */
import type { Logger } from 'pino';
import { BlobError, type BlobStore } from '../blob/blob.js';
import type { AcceptCommand, ListenerView, RedriveState } from '../event/command.js';
import { Matcher } from '../event/filter.js';
import { deriveEventId } from '../event/id.js';
import { type Accepted, comparePositions, type LogRecord } from '../event/record.js';
import type { RedriveProgress, RedriveStatus } from '../event/redrive-job.js';
import { floorOf } from '../log/floor.js';
import { LogReader } from '../log/reader.js';
import { type Store, StoreError } from '../store/store.js';
import { Duty } from './duty.js';
import { WAITING } from './redrive-run.js';

export interface BeginnerOptions {
  readonly intervalMs: number;
  /** Whether this process archives the partition. */
  readonly archives: (partition: number) => boolean;
  /** Whether the log has an event that the store has forgotten. */
  readonly isPast: (id: string) => Promise<boolean>;
}

/** Segments that one round reads for one job at most, so that the others have their turn. */
const SEGMENTS_A_ROUND = 20;

interface Portion {
  readonly listener: ListenerView;
  readonly records: readonly LogRecord[];
  readonly before: RedriveProgress;
  /** How many may be sent. */
  readonly room: number;
}

/** What a round comes to for one job. */
interface Reached {
  readonly progress: RedriveProgress;
  readonly status: Exclude<RedriveStatus, 'cancelled'>;
}

export class Beginner extends Duty {
  /** Jobs that this process has brought further: what it accepted last, the store still has. */
  readonly #known = new Set<string>();

  constructor(
    private readonly store: Store,
    private readonly blobs: BlobStore,
    private readonly options: BeginnerOptions,
    logger: Logger,
  ) {
    super({ name: 'bringing past events to new listeners', intervalMs: options.intervalMs }, logger);
  }

  /** One round over the partitions that this process archives; resolves to how many events were accepted. */
  async round(): Promise<number> {
    let sent = 0;
    for (let partition = 0; partition < this.store.partitions; partition += 1) {
      if (!this.options.archives(partition)) continue;
      const jobs = await this.store.readRedrives(partition, 'running');
      for (const job of jobs) {
        if (job.wish.filter !== 'taken' || this.stopping.aborted) continue;
        sent += await this.#goOn(partition, job);
      }
    }
    return sent;
  }

  async #goOn(partition: number, job: RedriveState): Promise<number> {
    const listener = await this.#listenerOf(job);
    const reached: Reached = listener
      ? await this.#readOn(partition, job, listener)
      : { status: 'failed', progress: { ...job.progress, problem: 'The listener has been deleted.' } };
    if (reached.status === 'running' && isSame(reached.progress, job.progress)) return 0;
    const result = await this.store.setRedrive({ kind: 'advance', id: job.id, after: job.step, ...reached });
    if (result.kind === 'set' && reached.status === 'running') this.#known.add(job.id);
    else this.#known.delete(job.id);
    if (reached.status !== 'running')
      this.logger.info(
        { type: job.type, listener: job.wish.listener?.name, ...reached },
        'the past is there',
      );
    return reached.progress.sent - job.progress.sent;
  }

  /** Null: it is there no more, or another has its name now. */
  async #listenerOf({ type, wish }: RedriveState): Promise<ListenerView | null> {
    const listeners = (await this.store.listListeners(type)) ?? [];
    return listeners.find(({ ordinal }) => ordinal === wish.listener?.ordinal) ?? null;
  }

  async #readOn(partition: number, job: RedriveState, listener: ListenerView): Promise<Reached> {
    const reader = new LogReader(this.blobs, this.store);
    const floor = await floorOf(this.blobs, partition);
    let progress = job.progress.slot < floor ? { ...job.progress, slot: floor, index: 0 } : job.progress;
    let room = Math.ceil((job.wish.ratePerSecond * this.options.intervalMs) / 1_000);
    for (let count = 0; count < SEGMENTS_A_ROUND && !this.stopping.aborted; count += 1) {
      const segment = await reader.read(partition, progress.slot);
      // What is before the job is not all archived yet.
      if (segment === null) return { status: 'running', progress };
      if (progress.logBeginsAt === null && progress.slot === floor && floor > 1)
        progress = { ...progress, logBeginsAt: segment.records[0]?.at ?? null };
      const all = segment.records.slice(progress.index);
      const past = all.filter(({ pos }) => comparePositions(pos, job.until) < 0);
      const next = await this.#send(partition, job, { listener, records: past, before: progress, room });
      const stopped = next.index < progress.index + past.length;
      room -= next.sent - progress.sent;
      progress = next;
      if (stopped) return { status: 'running', progress };
      if (past.length < all.length) return { status: 'done', progress };
      progress = { ...progress, slot: progress.slot + 1, index: 0 };
    }
    return { status: 'running', progress };
  }

  /** Up to what is refused for the moment, or is more than there is room for; `index` of the result tells how far that is. */
  async #send(
    partition: number,
    job: RedriveState,
    { listener, records, before, room }: Portion,
  ): Promise<RedriveProgress> {
    const commands: { readonly command: AcceptCommand; readonly index: number }[] = [];
    let looked = 0;
    for (const [index, record] of records.entries()) {
      if (commands.length === room) break;
      looked = index + 1;
      if (record.op !== 'accepted' || !isWanted(record, job, listener)) continue;
      const command = commandOf(record, job, listener.name, partition);
      if (this.#known.has(job.id) || !(await this.#isPast(command.id))) commands.push({ command, index });
    }
    const results = await this.store.accept(commands.map(({ command }) => command));
    const refused = results.findIndex(({ kind }) => kind !== 'accepted');
    const sent = refused < 0 ? results.length : refused;
    const done = refused < 0 ? looked : commands[refused]!.index;
    return {
      ...before,
      index: before.index + done,
      scanned: before.scanned + done,
      matched: before.matched + sent,
      sent: before.sent + sent,
      waiting: refused < 0 ? null : (WAITING[results[refused]!.kind] ?? results[refused]!.kind),
    };
  }

  async #isPast(id: string): Promise<boolean> {
    return (await this.store.read(id)) === null && (await this.options.isPast(id));
  }

  protected passes(error: unknown): boolean {
    return error instanceof StoreError || error instanceof BlobError;
  }
}

/** It is of the type, no copy of another, was not the listener's before, and is what it wants. */
function isWanted(record: Accepted, { type }: RedriveState, { ordinal, filter }: ListenerView): boolean {
  if (record.type !== type || record.redriveOf !== undefined) return false;
  if ((record.listeners ?? [0]).includes(ordinal)) return false;
  return new Matcher(record.payload).matches(filter);
}

function commandOf(record: Accepted, job: RedriveState, only: string, partition: number): AcceptCommand {
  const { id, type, payload, durability, key } = record;
  return {
    id: deriveEventId(job.startedAt, partition, `${job.id} ${id}`),
    type,
    envelope: payload,
    delayMs: 0,
    idempotency: null,
    ...(durability && { durability }),
    ...(key !== undefined && { key }),
    redrive: { of: id, only },
  };
}

function isSame(a: RedriveProgress, b: RedriveProgress): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
