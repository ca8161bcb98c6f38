/**
 * The use cases: what a client and a listener can ask of the queue, over any store. Routes call these and nothing
 * else; here ids and tokens are made, calls wait and wake, and work for several partitions is split and joined.
 */
import type {
  AbandonCommand,
  AttemptView,
  CompleteCommand,
  CompleteResult,
  DeleteListenerResult,
  EventView,
  ExtendCommand,
  ExtendResult,
  HandBackCommand,
  HandBackResult,
  ListenerView,
  ListQuery,
  ListResult,
  ListTypesQuery,
  ListTypesResult,
  RedriveState,
  SetListenerCommand,
  SetListenerResult,
  SetTypeCommand,
  SetTypeResult,
  TypeStats,
  TypeView,
} from '../event/command.js';
import { makeEventId, partitionOfId } from '../event/id.js';
import type { DeclaredPolicy } from '../event/policy.js';
import type { Position } from '../event/record.js';
import { NOT_ARCHIVED, type NotArchived } from '../event/unarchived.js';
import { type Durable, partitionOfType, type Store, type StoreHealth, type Wake } from '../store/store.js';
import type { CancelAnswer, CompleteAnswer } from './answer.js';
import { ArchiveWaiting, type Awaited } from './archive-waiting.js';
import { type Completion, completeCommand, isPlain } from './emission.js';
import { type LeaseAnswer, type LeaseRequest, Leasing, type NextRequest } from './leasing.js';
import { type Count, countNothing, endOf } from './meter.js';
import { Policies } from './policies.js';
import { Rates, type TypeRates } from './rates.js';
import { Redrives } from './redrives.js';
import { relayAtOnce } from './relaying.js';
import { type Archive, type Submission, type SubmitResult, submit } from './submit.js';
import { archivedTopic, eventTopic, queueTopic } from './topic.js';
import { Trees } from './trees.js';
import { Waiting } from './waiting.js';

/** Where events are found that have left the store. */
export interface Past {
  read(id: string): Promise<EventView | null>;
  readRequest(id: string): Promise<Uint8Array | null>;
  readAttempts(id: string): Promise<AttemptView[] | null>;
}

export interface ArchiveOptions {
  /** How long answers about events with `archive` durability wait. */
  readonly timeoutMs: number;
  /** Whether what is taken now can be archived, as far as is known. */
  readonly available: (partition: number) => boolean;
}

export interface QueueOptions {
  /** Null: nothing is archived. */
  readonly archive?: ArchiveOptions | null;
  /** Null: none ever leaves. */
  readonly past?: Past | null;
  /** Envelope bytes in one lease reply. */
  readonly leaseReplyBytesMax: number;
  /** Calls that may wait at one time. */
  readonly waitersMax: number;
  /** How often waiting calls look without having been woken. */
  readonly slowLookMs: number;
  /** Told how operations ended; left out, nobody counts. */
  readonly count?: Count;
}

export interface EventWait {
  /** A version other than this one ends the wait too. */
  readonly version: number | null;
  readonly waitMs: number;
  readonly signal: AbortSignal | null;
}

export class Queue {
  readonly #waiting: Waiting;
  readonly #leasing: Leasing;
  readonly #unsubscribe: () => void;
  readonly #past: Past | null;
  readonly #count: Count;
  readonly #policies: Policies;
  readonly #rates = new Rates();
  readonly redrives: Redrives;
  readonly trees: Trees;
  readonly #archiving: ArchiveWaiting;
  readonly #archive: Archive;
  readonly #archiveTimeoutMs: number;
  #durable: Durable = 'memory';

  constructor(
    private readonly store: Store,
    options: QueueOptions,
  ) {
    this.#waiting = new Waiting({ sleepersMax: options.waitersMax, slowLookMs: options.slowLookMs });
    this.#leasing = new Leasing(store, this.#waiting, options.leaseReplyBytesMax);
    this.#policies = new Policies((type) => store.readType(type));
    this.redrives = new Redrives(store);
    this.#past = options.past ?? null;
    this.#count = options.count ?? countNothing;
    const { archive = null } = options;
    this.#archiving = new ArchiveWaiting(store, Math.min(options.slowLookMs, ARCHIVE_LOOK_MS));
    this.#archiveTimeoutMs = archive?.timeoutMs ?? 0;
    this.#archive = {
      available: (partition) => archive?.available(partition) ?? false,
      hasArchived: (id, position) => this.#hasArchived({ ...awaited(id, position), accepts: id }),
    };
    this.trees = new Trees({
      store,
      waiting: this.#waiting,
      read: (id) => this.read(id),
      readAttempts: (id) => this.readAttempts(id),
      cancel: (id) => this.cancel(id),
      hasArchived: (record) => this.#hasArchived(record),
    });
    this.#unsubscribe = store.onWake((wake) => this.#wake(wake));
  }

  /** Results in the order of the submissions; a refused one does not sink the others. */
  async submit(submissions: readonly Submission[], caller: string): Promise<SubmitResult[]> {
    const results = await submit(this.store, this.#archive, submissions, caller);
    for (const result of results) {
      this.#count('submit', result.kind, 1);
      if (result.kind === 'accepted') this.#rates.note(result.type, 'accepted');
    }
    return results;
  }

  /** Also when it has left the store; null: not known. */
  async read(id: string): Promise<EventView | NotArchived | null> {
    return (await this.store.read(id)) ?? (await this.#past?.read(id)) ?? null;
  }

  /** The event once it is complete (or of another version), or as it is when the time is up; null: not known. */
  async waitForEvent(id: string, wait: EventWait): Promise<EventView | NotArchived | null> {
    const topic = eventTopic(id);
    const endsAt = performance.now() + wait.waitMs;
    const isDue = (event: EventView | NotArchived | null) =>
      event !== NOT_ARCHIVED &&
      (!event || event.status === 'complete' || (wait.version !== null && event.version !== wait.version));
    // What has happened and is not archived yet shows itself when it is, which most events have no need to hear of.
    let topics = [topic];
    for (;;) {
      const place = this.#waiting.register(topics);
      const event = await this.read(id).catch((error: unknown) => {
        place.leave();
        throw error;
      });
      const left = endsAt - performance.now();
      if (isDue(event)) {
        place.leave();
        // Others may wait for the same event, and the hint for it may have been lost.
        this.#waiting.wake(topic);
        return event;
      }
      if (topics.length === 1 && (event === NOT_ARCHIVED || event?.behind)) {
        place.leave();
        topics = [topic, archivedTopic(partitionOfId(id) ?? 0)];
        continue;
      }
      if ((await place.sleep(Math.max(0, left), wait.signal)) !== 'woken') return event;
    }
  }

  async readRequest(id: string): Promise<Uint8Array | NotArchived | null> {
    return (await this.store.readRequest(id)) ?? (await this.#past?.readRequest(id)) ?? null;
  }

  async readAttempts(id: string): Promise<AttemptView[] | NotArchived | null> {
    return (await this.store.readAttempts(id)) ?? (await this.#past?.readAttempts(id)) ?? null;
  }

  list(query: ListQuery): Promise<ListResult> {
    return this.store.list(query);
  }

  async setType(command: SetTypeCommand): Promise<SetTypeResult> {
    try {
      return await this.store.setType(command);
    } finally {
      this.#policies.forget(command.type);
    }
  }

  /** What is declared of a type, as of a second ago at most; null: nothing. No promise where it is known. */
  policyOf(type: string): DeclaredPolicy | null | Promise<DeclaredPolicy | null> {
    return this.#policies.of(type);
  }

  /** Null: there is no such type. */
  readType(type: string): Promise<TypeView | null> {
    return this.store.readType(type);
  }

  /** How its events stand, and what of it has gone through this process in the last minute. Null: there is no such type. */
  async typeStats(type: string): Promise<(TypeStats & { readonly rates: TypeRates }) | null> {
    const stats = await this.store.typeStats(type);
    return stats && { ...stats, rates: this.#rates.of(type) };
  }

  listTypes(query: ListTypesQuery): Promise<ListTypesResult> {
    return this.store.listTypes(query);
  }

  /** With `beginning` a listener that is new gets the type's past events too. */
  setListener(
    command: Omit<SetListenerCommand, 'beginning'>,
    start: 'now' | 'beginning' = 'now',
  ): Promise<SetListenerResult> {
    if (start === 'now') return this.store.setListener(command);
    const id = makeEventId(Date.now(), partitionOfType(command.type, this.store.partitions));
    return this.store.setListener({ ...command, beginning: { id } });
  }

  /** How far those listeners are that began with the past, by ordinal, as far as that is remembered. */
  async readBeginnings(type: string): Promise<ReadonlyMap<number, RedriveState>> {
    const partition = partitionOfType(type, this.store.partitions);
    const jobs = await this.store.readRedrives(partition, 'all');
    const own = jobs.filter((job) => job.type === type && job.wish.filter === 'taken');
    return new Map(own.flatMap((job) => (job.wish.listener ? [[job.wish.listener.ordinal, job]] : [])));
  }

  /** Null: there is no such type. */
  listListeners(type: string): Promise<ListenerView[] | null> {
    return this.store.listListeners(type);
  }

  /** Its deliveries end here, as far as there is time; the rest of them in the background. */
  async deleteListener(type: string, name: string): Promise<DeleteListenerResult> {
    const result = await this.store.deleteListener(type, name);
    const endsAt = performance.now() + SWEEP_MS;
    const partition = partitionOfType(type, this.store.partitions);
    for (let more = result.kind === 'deleted'; more && performance.now() < endsAt; )
      ({ more } = await this.store.sweep(partition, SWEEP_BATCH));
    return result;
  }

  async cancel(id: string): Promise<CancelAnswer> {
    const result = await this.#cancel(id);
    this.#count('cancel', result.kind, 1);
    return result;
  }

  async #cancel(id: string): Promise<CancelAnswer> {
    const result = await this.store.cancel(id);
    if (result.kind !== 'unknown')
      return (await this.#isArchived(id, result.archive)) ? result : { kind: 'not_archived', id };
    const event = (await this.#past?.read(id)) ?? null;
    return event === null ? result : { kind: event.reason === 'cancelled' ? 'cancelled' : 'complete' };
  }

  async lease(request: LeaseRequest): Promise<LeaseAnswer> {
    return this.#leased(await this.#leasing.lease(request));
  }

  /** Leases for the `next` of a completion: of the same type and listener, without waiting. */
  async leaseNext(request: NextRequest): Promise<LeaseAnswer> {
    return this.#leased(await this.#leasing.leaseNext(request));
  }

  /** The answer with these leases could not be written: they go back, unless a repeat has taken them over. */
  async abandon(undo: readonly AbandonCommand[]): Promise<void> {
    const results = await Promise.all(undo.map((command) => this.store.abandon(command)));
    for (const { handedBack } of results) this.#count('handBack', 'abandoned', handedBack);
  }

  async extend(command: ExtendCommand): Promise<ExtendResult> {
    const result = await this.store.extend(command);
    this.#count('extend', result.kind, 1);
    return result;
  }

  /** Results in the order of the commands. */
  async complete(completions: readonly Completion[]): Promise<CompleteAnswer[]> {
    const answers = completions.every(isPlain)
      ? await this.#complete(completions)
      : await Promise.all(completions.map((each) => this.#completeOne(each)));
    for (const answer of answers) {
      this.#count('complete', endOf(answer), 1);
      if (answer.kind === 'completed')
        this.#rates.note(answer.type, endOf(answer) === 'success' ? 'completed' : 'failed');
    }
    return answers;
  }

  async #completeOne(completion: Completion): Promise<CompleteAnswer> {
    const { emit = [] } = completion;
    const cannot = emit.some(
      ({ type, durability }) =>
        durability === 'archive' && !this.#archive.available(partitionOfType(type, this.store.partitions)),
    );
    if (cannot) return { kind: 'archive_unavailable' };
    const command = await completeCommand(this.store, completion);
    const [answer] = await this.#complete([command]);
    // A repeat has emitted nothing.
    if (answer!.kind === 'completed' && command.emit?.[0]?.id === answer!.emitted[0]) {
      for (const { type } of emit) this.#rates.note(type, 'accepted');
      await relayAtOnce(this.store, answer!, command.emit ?? []);
    }
    return answer!;
  }

  async #complete(commands: readonly CompleteCommand[]): Promise<CompleteAnswer[]> {
    const results = await this.store.complete(commands);
    const waits = results.some((result) => result.kind === 'completed' && result.archive !== null);
    return waits ? Promise.all(results.map((result) => this.#completed(result))) : results;
  }

  async #completed(result: CompleteResult): Promise<CompleteAnswer> {
    if (result.kind !== 'completed') return result;
    const { id, archive } = result;
    return (await this.#isArchived(id, archive)) ? result : { kind: 'not_archived', id };
  }

  async #isArchived(id: string, position: Position | null): Promise<boolean> {
    return position === null || this.#hasArchived({ ...awaited(id, position), accepts: null });
  }

  #hasArchived(record: Awaited): Promise<boolean> {
    return this.#archiving.until(record, performance.now() + this.#archiveTimeoutMs);
  }

  async handBack(command: HandBackCommand): Promise<HandBackResult> {
    const result = await this.store.handBack(command);
    this.#count('handBack', result.kind, 1);
    return result;
  }

  /** What a receipt given now may promise, as last seen by `health`. */
  get durable(): Durable {
    return this.#durable;
  }

  async health(): Promise<StoreHealth> {
    const health = await this.store.health();
    this.#durable = health.durable;
    return health;
  }

  /** Whether one more call may wait. */
  get hasRoomToWait(): boolean {
    return this.#waiting.hasRoom;
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting.size + this.#archiving.size;
  }

  /** Answers every waiting call with what there is; later calls do not wait. */
  stop(): void {
    this.#unsubscribe();
    this.#waiting.stop();
    this.#archiving.stop();
  }

  #leased(answer: LeaseAnswer): LeaseAnswer {
    if (answer.kind === 'leased') this.#count('lease', 'leased', answer.leases.length);
    return answer;
  }

  #wake(wake: Wake): void {
    for (const { type, listener, count } of wake.ready) this.#waiting.wake(queueTopic(type, listener), count);
    for (const id of wake.changed) this.#waiting.wake(eventTopic(id));
    for (const partition of wake.archived) {
      this.#waiting.wake(archivedTopic(partition));
      this.#archiving.wake(partition);
    }
  }
}

/** How long a call that deletes a listener ends its deliveries, and how many events one step looks at. */
const SWEEP_MS = 2_000;
const SWEEP_BATCH = 1_000;

/** How often who waits for the archive looks without a hint, at least. */
const ARCHIVE_LOOK_MS = 1_000;

function awaited(id: string, position: Position): Omit<Awaited, 'accepts'> {
  return { partition: partitionOfId(id) ?? 0, position };
}
