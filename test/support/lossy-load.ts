/**
 * A load on a service whose store is wiped, or fails over and loses a tail: clients that post and poll, every second of
 * them with `archive` durability, listeners that lease and complete, and a reader that follows the log from its beginning.
 * What is not archived may be lost with the tail, so a lost event or lease is no failure here; what was shown as archived
 * is held against every later reply.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Api, isBrokenConnection, type Reply } from './api.js';
import { type FeedRecord, type Known, Told } from './told.js';

export interface LossyLoadOptions {
  readonly url: string;
  readonly type: string;
  readonly clients: number;
  readonly listeners: number;
  readonly pollers: number;
  /** Between two posts of one client. */
  readonly paceMs: number;
}

export interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string; readonly body: { readonly archive?: boolean } };
}

export interface Verdict {
  readonly posted: number;
  readonly complete: number;
  /** Events that had a 202 and are not known any more, and were never shown as archived. */
  readonly storeLosses: number;
  readonly archivedLosses: number;
}

type Request = Parameters<Api['call']>;

const LEASE_MS = 2_000;
const PAGE = 1_000;
const DUE_WITHIN_MS = 60_000;
const REPEAT_MS = 50;

export class LossyLoad {
  readonly told = new Told();
  readonly #api: Api;
  readonly #stopping = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  /** Rejects when somebody has met something that should not be; never resolves. */
  #failure: Promise<never> = new Promise(() => undefined);
  #posting = true;
  /** Posts without an answer yet. */
  #underWay = 0;
  /** Times that the log was read to its end. */
  #ends = 0;
  #completions = 0;
  #cursor: string | null = null;
  #watchers: { readonly isDue: () => boolean; readonly resolve: () => void }[] = [];

  constructor(private readonly options: LossyLoadOptions) {
    this.#api = new Api(options.url, 64);
    // Every call under way listens to it.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Completions that had a 200. */
  get completions(): number {
    return this.#completions;
  }

  /** Starts everybody. */
  start(): void {
    const { clients, listeners, pollers } = this.options;
    for (let n = 0; n < clients; n += 1) this.#tasks.push(this.#repeat(() => this.#post(n % 2 === 1)));
    for (let n = 0; n < listeners; n += 1) this.#tasks.push(this.#repeat(() => this.#listen()));
    for (let n = 0; n < pollers; n += 1) this.#tasks.push(this.#repeat(() => this.#pollAny()));
    this.#tasks.push(this.#repeat(() => this.#follow()));
    this.#failure = new Promise((_, reject) => {
      for (const task of this.#tasks) task.catch(reject);
    });
    // Heard by whoever waits; nobody may be waiting yet.
    this.#failure.catch(() => undefined);
  }

  /** Resolves as soon as `isDue`, which is asked after every reply; rejects when that takes far too long. */
  async until(isDue: () => boolean): Promise<void> {
    const due = new Promise<void>((resolve) => this.#watchers.push({ isDue, resolve }));
    this.#look();
    const inTime = new AbortController();
    const tooLate = delay(DUE_WITHIN_MS, undefined, { signal: inTime.signal }).then(() => {
      throw new Error(`it does not come true: ${isDue}; broken so far: ${this.told.broken.slice(0, 5)}`);
    });
    try {
      await Promise.race([due, this.#failure, tooLate]);
    } finally {
      inTime.abort();
    }
  }

  /** Resolves when so many more events have been posted, and so many completed. */
  more(posts: number, completions = posts): Promise<void> {
    const postsWanted = this.told.posted.length + posts;
    const completionsWanted = this.#completions + completions;
    return this.until(() => this.told.posted.length >= postsWanted && this.#completions >= completionsWanted);
  }

  /** Resolves when the log is seen to have a record that is made from now on. */
  async untilArchived(): Promise<void> {
    const id = await this.post({ n: 'now' });
    await this.until(() => this.told.archived.has(id));
  }

  /** Posts until that is answered with a 202; resolves to how many milliseconds it took. */
  async untilWritable(): Promise<number> {
    const startedAt = performance.now();
    const key = randomUUID();
    while (!(await this.#postOnce(key, false))) await delay(20);
    return performance.now() - startedAt;
  }

  /** Nobody posts any more; resolves when all that is known is complete and archived, and read from the log. */
  async drain(): Promise<Verdict> {
    this.#posting = false;
    await this.until(() => this.#underWay === 0);
    const { posted, archived } = this.told;
    const endsAt = performance.now() + DUE_WITHIN_MS;
    const lost = new Set<string>();
    let open: readonly string[] = posted;
    while (open.length > 0) {
      if (performance.now() > endsAt)
        throw new Error(`no end of ${open.length} events: ${await this.#tell(open)}`);
      const still: string[] = [];
      for (const id of open) {
        const event = await this.#poll(id);
        if (event === null) lost.add(id);
        else if (event === 'away' || event.status !== 'complete') still.push(id);
      }
      open = still;
      await this.#pause(REPEAT_MS);
    }
    const isOpen = (id: string) => !lost.has(id) && !this.told.isDone(id);
    await this.until(() => !posted.some(isOpen)).catch(async (error: Error) => {
      throw new Error(`${error.message}; not seen in the log: ${await this.#tell(posted.filter(isOpen))}`);
    });
    while (await this.#lags()) await this.#pause(REPEAT_MS);
    // The first of these pages may have been asked for before.
    const ends = this.#ends + 2;
    await this.until(() => this.#ends >= ends);
    const archivedLosses = [...lost].filter((id) => archived.has(id)).length;
    const storeLosses = lost.size - archivedLosses;
    return { posted: posted.length, complete: posted.length - lost.size, storeLosses, archivedLosses };
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#tasks);
    await this.#api.close();
  }

  /** Repeated until there is an answer. */
  async post(body: unknown, type = this.options.type): Promise<string> {
    const call = { body, headers: { 'idempotency-key': randomUUID() } };
    const reply = await this.#api.persist('POST', `/v1/types/${type}/events`, call);
    if (reply.status !== 202) throw unexpected(reply);
    const { id } = reply.json<{ id: string }>();
    this.told.receipt(id, false);
    return id;
  }

  /** Null: nothing is leasable. */
  async lease(type: string, leaseMs: number): Promise<LeaseBody | null> {
    const call = { body: { types: [type], max: 1, leaseMs }, headers: { 'idempotency-key': randomUUID() } };
    const reply = await this.#api.persist('POST', '/v1/leases', call);
    if (reply.status !== 200) throw unexpected(reply);
    return reply.json<{ leases: LeaseBody[] }>().leases[0] ?? null;
  }

  /** Resolves to the status of the answer. The event's answer names the token: no two leases give the same. */
  async complete(lease: LeaseBody): Promise<number> {
    const reply = await this.#api.persist(...completionOf(lease));
    this.told.count('complete', reply.status);
    return reply.status;
  }

  async #repeat(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    try {
      while (!signal.aborted) await work();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #post(archive: boolean): Promise<void> {
    if (!this.#posting) return this.#pause(REPEAT_MS);
    const key = randomUUID();
    this.#underWay += 1;
    while (!(await this.#postOnce(key, archive))) await this.#pause(REPEAT_MS);
    this.#underWay -= 1;
    await this.#pause(this.options.paceMs);
  }

  async #postOnce(key: string, archive: boolean): Promise<boolean> {
    const headers = { 'idempotency-key': key, 'event-durability': archive ? 'archive' : 'store' };
    const call = { body: { archive, text: 'x'.repeat(100) }, headers };
    const reply = await this.#call('post', 202, 'POST', `/v1/types/${this.options.type}/events`, call);
    if (reply === null) return false;
    const { id, durable } = reply.json<{ id: string; durable: string }>();
    if (archive && durable !== 'archived') throw unexpected(reply);
    this.told.receipt(id, archive);
    this.#look();
    return true;
  }

  async #listen(): Promise<void> {
    const body = { types: [this.options.type], max: 4, leaseMs: LEASE_MS, waitMs: 500 };
    const call = { body, headers: { 'idempotency-key': randomUUID() } };
    const reply = await this.#call('lease', 200, 'POST', '/v1/leases', call);
    if (reply === null) return this.#pause(REPEAT_MS);
    for (const lease of reply.json<{ leases: LeaseBody[] }>().leases) await this.#work(lease);
  }

  async #work(lease: LeaseBody): Promise<void> {
    for (;;) {
      // The lease, or the event itself, may have been lost with the tail.
      const reply = await this.#call('complete', [200, 404, 409], ...completionOf(lease));
      if (reply?.status === 200) {
        this.#completions += 1;
        if (lease.event.body.archive) this.told.completed(lease.event.id, lease.token);
      }
      this.#look();
      if (reply !== null) return;
      await this.#pause(REPEAT_MS);
    }
  }

  async #pollAny(): Promise<void> {
    const { posted } = this.told;
    const id = posted[Math.floor(Math.random() * posted.length)];
    if (id !== undefined) await this.#poll(id);
    await this.#pause(5);
  }

  /** Null: not known; `away`: nobody could say. */
  async #poll(id: string): Promise<Known | null | 'away'> {
    const before = this.told.before(id);
    const reply = await this.#call('poll', [200, 404], 'GET', `/v1/events/${id}`);
    if (reply === null) return 'away';
    const event = reply.status === 200 ? reply.json<Known>() : null;
    this.told.polled(id, before, event);
    return event;
  }

  /** The log from its beginning on, a page after the other. */
  async #follow(): Promise<void> {
    const after = this.#cursor === null ? '' : `&after=${this.#cursor}`;
    const reply = await this.#call('log', 200, 'GET', `/v1/log?limit=${PAGE}&waitMs=500${after}`);
    if (reply === null) return this.#pause(REPEAT_MS);
    const page = reply.json<{ records: FeedRecord[]; cursor: string; atEnd: boolean }>();
    for (const record of page.records) this.told.record(record);
    this.#cursor = page.cursor;
    if (page.atEnd) this.#ends += 1;
    this.#look();
  }

  /** Whether there is something that is not archived, as the service tells of itself. */
  async #lags(): Promise<boolean> {
    const { text } = await this.#api.call('GET', '/metrics');
    return !/^clockwork_archive_lag_records\S* 0$/m.test(text);
  }

  /** Null: 503, or the connection broke. Throws at any other status than those that are wanted. */
  async #call(
    what: string,
    wanted: number | readonly number[],
    ...[method, path, call]: Request
  ): Promise<Reply | null> {
    let reply: Reply;
    try {
      reply = await this.#api.call(method, path, { ...call, signal: this.#stopping.signal });
    } catch (error) {
      if (this.#stopping.signal.aborted || !isBrokenConnection(error)) throw error;
      return null;
    }
    this.told.count(what, reply.status);
    if (reply.status === 503) {
      this.told.count(what, reply.json<{ code: string }>().code);
      return null;
    }
    if (![wanted].flat().includes(reply.status)) throw unexpected(reply);
    return reply;
  }

  /** What the service says of the first few. */
  async #tell(ids: readonly string[]): Promise<string> {
    const told = ids.slice(0, 3).map(async (id) => (await this.#api.call('GET', `/v1/events/${id}`)).text);
    return (await Promise.all(told)).join(' ');
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#stopping.signal });
  }

  #look(): void {
    const due = this.#watchers.filter(({ isDue }) => isDue());
    if (due.length === 0) return;
    this.#watchers = this.#watchers.filter((watcher) => !due.includes(watcher));
    for (const { resolve } of due) resolve();
  }
}

function completionOf({ attemptId, token }: LeaseBody): Request {
  const body = { outcome: 'success', response: { status: 200, body: token } };
  return ['PUT', `/v1/attempts/${attemptId}/completion`, { body, headers: { 'lease-token': token } }];
}

function unexpected(reply: Reply): Error {
  return new Error(`unexpected: ${reply.status} ${reply.text}`);
}
