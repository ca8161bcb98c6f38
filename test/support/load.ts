/**
 * A load as it comes from outside: clients that post and poll, listeners that lease and complete, all of them
 * careful (a call without an answer is made again with the same key), some of them slow. What they are told goes
 * into a ledger; `verify` then asks the service about every single event.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Api, type Reply } from './api.js';
import { Ledger } from './ledger.js';

export interface LoadOptions {
  /** Clients and listeners are spread over these. */
  readonly urls: readonly string[];
  readonly type: string;
  readonly posts: number;
  readonly clients: number;
  readonly listeners: number;
  readonly pollers: number;
  /** Posts carry no idempotency key, so that nothing but the service's own care keeps a post from becoming two events. */
  readonly keyless?: boolean;
}

interface EventBody {
  readonly id: string;
  readonly status: string;
  readonly outcome: string | null;
  readonly response: unknown;
}

interface LeaseBody {
  readonly attemptId: string;
  readonly token: string;
  readonly event: { readonly id: string };
}

export interface Verdict {
  readonly posted: number;
  readonly known: number;
  readonly complete: number;
  readonly lost: number;
  /** Ids of the type in the service that nobody was told of. */
  readonly strangers: number;
}

const LEASE_MS = 3_000;
/** The shortest that there is; a slow listener works longer. */
const LEASE_MS_SLOW = 1_000;
const SLOW_MS = 1_200;
const LEASES_A_CALL = 4;
const PAGE = 500;
/** Far longer than any load takes, and short of a test's own limit, which cannot tell what was waited for. */
const DUE_WITHIN_MS = 240_000;

export class Load {
  readonly ledger = new Ledger();
  readonly #apis: Api[];
  readonly #working = new AbortController();
  readonly #tasks: Promise<unknown>[] = [];
  /** Rejects when somebody has met something that should not be. */
  #failure: Promise<unknown> = Promise.resolve();
  #next = 0;

  constructor(private readonly options: LoadOptions) {
    this.#apis = options.urls.map((url) => new Api(url, 128));
    // Every call under way listens to it.
    setMaxListeners(0, this.#working.signal);
  }

  /** Starts everybody. */
  start(): void {
    const { clients, listeners, pollers } = this.options;
    for (let n = 0; n < clients; n += 1) this.#tasks.push(this.#post(this.#api(n)));
    for (let n = 0; n < listeners; n += 1) this.#tasks.push(this.#listen(this.#api(n), n));
    for (let n = 0; n < pollers; n += 1) this.#tasks.push(this.#poll(this.#api(n)));
    this.#failure = Promise.all(this.#tasks);
    // Heard by whoever waits; nobody may be waiting yet.
    this.#failure.catch(() => undefined);
  }

  /** Resolves as soon as what the ledger says `isDue`; rejects when that takes far too long, and tells what is open. */
  async until(isDue: (ledger: Ledger) => boolean): Promise<void> {
    const inTime = new AbortController();
    const tooLate = delay(DUE_WITHIN_MS, undefined, { signal: inTime.signal }).then(async () => {
      throw new Error(`it does not come true: ${isDue}; ${await this.#open()}`);
    });
    try {
      await Promise.race([this.ledger.until(() => isDue(this.ledger)), this.#failure, tooLate]);
    } finally {
      inTime.abort();
    }
  }

  /** Resolves when every event has been posted and completed, as far as its client and its listener know. */
  finish(): Promise<void> {
    const { posts } = this.options;
    return this.until(({ keyOfId, acknowledged }) => keyOfId.size >= posts && acknowledged.size >= posts);
  }

  /** Sends everybody home. */
  async stop(): Promise<void> {
    this.#working.abort();
    const results = await Promise.allSettled(this.#tasks);
    for (const result of results) {
      if (result.status === 'rejected' && !this.#isAbort(result.reason)) throw result.reason;
    }
  }

  async close(): Promise<void> {
    this.#working.abort();
    await Promise.allSettled(this.#tasks);
    await Promise.all(this.#apis.map((api) => api.close()));
  }

  /** Asks for every event that was posted, and lists the type to see that there are no others. */
  async verify(): Promise<Verdict> {
    const ids = [...this.ledger.keyOfId.keys()];
    let known = 0;
    let complete = 0;
    let at = 0;
    const ask = async (api: Api) => {
      for (let id = ids[at++]; id !== undefined; id = ids[at++]) {
        const event = await this.#look(api, id);
        if (event) known += 1;
        if (event?.status === 'complete') complete += 1;
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, n) => ask(this.#api(n))));
    for (const [id, answer] of this.ledger.acknowledged) this.ledger.saw(id, answer);
    const stored = await this.#storedIds();
    const strangers = [...stored].filter((id) => !this.ledger.keyOfId.has(id)).length;
    return { posted: ids.length, known, complete, lost: ids.length - known, strangers };
  }

  /** What the service says of some of the events that no listener has completed. */
  async #open(): Promise<string> {
    const { keyOfId, acknowledged, broken } = this.ledger;
    const open = [...keyOfId.keys()].filter((id) => !acknowledged.has(id));
    const ask = async (id: string) => (await this.#api(0).call('GET', `/v1/events/${id}`)).text;
    const some = await Promise.all(open.slice(0, 3).map((id) => ask(id).catch(String)));
    const counts = `${keyOfId.size} posted, ${acknowledged.size} completed`;
    return `${counts}; open: ${some.join(' ')}; broken: ${broken.slice(0, 3).join(', ')}`;
  }

  #api(n: number): Api {
    return this.#apis[n % this.#apis.length]!;
  }

  readonly #repeated = () => {
    this.ledger.repeats += 1;
  };

  #isAbort(error: unknown): boolean {
    return this.#working.signal.aborted && error instanceof Error && error.name === 'AbortError';
  }

  async #post(api: Api): Promise<void> {
    const { type, posts, keyless = false } = this.options;
    const path = `/v1/types/${encodeURIComponent(type)}/events`;
    while (this.#next < posts) {
      const n = this.#next++;
      const key = `post-${n}`;
      const headers = keyless ? {} : { 'idempotency-key': key };
      const call = { body: { n, text: 'x'.repeat(200) }, headers };
      const reply = await api.persist('POST', path, this.#cancellable(call), this.#repeated);
      expectStatus(reply, 202);
      this.ledger.posted(key, reply.json<EventBody>().id);
    }
  }

  async #poll(api: Api): Promise<void> {
    const ids: string[] = [];
    while (!this.#working.signal.aborted) {
      if (ids.length < this.ledger.keyOfId.size) ids.splice(0, ids.length, ...this.ledger.keyOfId.keys());
      const id = ids[Math.floor(Math.random() * ids.length)];
      if (id !== undefined) await this.#look(api, id);
      await delay(2);
    }
  }

  /** What the service says of an event, held against what it said before. */
  async #look(api: Api, id: string): Promise<EventBody | null> {
    const reply = await api.persist('GET', `/v1/events/${id}`, {}, this.#repeated);
    if (reply.status === 404) {
      this.ledger.unknown(id);
      return null;
    }
    expectStatus(reply, 200);
    const event = reply.json<EventBody>();
    if (event.status === 'complete') this.ledger.saw(id, answerOf(event));
    return event;
  }

  async #listen(api: Api, n: number): Promise<void> {
    const work = WAYS[n % WAYS.length]!;
    while (!this.#working.signal.aborted) {
      const leases = await this.#lease(api, work === workSlowly ? LEASE_MS_SLOW : LEASE_MS);
      for (const lease of leases) await work(this, api, lease);
    }
  }

  async #lease(api: Api, leaseMs: number): Promise<readonly LeaseBody[]> {
    const body = { types: [this.options.type], max: LEASES_A_CALL, leaseMs, waitMs: 1_000 };
    const call = this.#cancellable({ body, headers: { 'idempotency-key': randomUUID() } });
    const reply = await api.persist('POST', '/v1/leases', call, this.#repeated);
    expectStatus(reply, 200);
    return reply.json<{ leases: LeaseBody[] }>().leases;
  }

  /** The answer names the attempt: no two attempts give the same. */
  async complete(api: Api, { attemptId, token, event }: LeaseBody): Promise<void> {
    const body = { outcome: 'success', response: { status: 200, body: attemptId } };
    const call = this.#cancellable({ body, headers: { 'lease-token': token } });
    const reply = await api.persist('PUT', `/v1/attempts/${attemptId}/completion`, call, this.#repeated);
    if (reply.status === 409) {
      this.ledger.leasesLost += 1;
      return;
    }
    expectStatus(reply, 200);
    this.ledger.completed(event.id, attemptId);
  }

  /** 409: the lease was lost meanwhile, which is for the completion to find out. */
  async extend(api: Api, { attemptId, token }: LeaseBody): Promise<void> {
    const call = this.#cancellable({ body: { leaseMs: LEASE_MS }, headers: { 'lease-token': token } });
    const reply = await api.persist('PATCH', `/v1/attempts/${attemptId}`, call, this.#repeated);
    if (reply.status !== 409) expectStatus(reply, 200);
  }

  async handBack(api: Api, { attemptId, token }: LeaseBody): Promise<void> {
    const call = this.#cancellable({ headers: { 'lease-token': token } });
    const reply = await api.persist('DELETE', `/v1/attempts/${attemptId}`, call, this.#repeated);
    // A repeat of a hand-back that was heard finds the lease gone.
    if (reply.status !== 409) expectStatus(reply, 204);
  }

  #cancellable<Call extends object>(call: Call): Call & { signal: AbortSignal } {
    return { ...call, signal: this.#working.signal };
  }

  async #storedIds(): Promise<Set<string>> {
    const ids = new Set<string>();
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = new URLSearchParams({
        type: this.options.type,
        limit: String(PAGE),
        ...(cursor === '' ? {} : { cursor }),
      }).toString();
      const reply = await this.#api(0).persist('GET', `/v1/events?${query}`);
      expectStatus(reply, 200);
      const page = reply.json<{ events: EventBody[]; cursor: string | null }>();
      for (const { id } of page.events) ids.add(id);
      cursor = page.cursor;
    }
    return ids;
  }
}

type Way = (load: Load, api: Api, lease: LeaseBody) => Promise<void>;

const workAtOnce: Way = (load, api, lease) => load.complete(api, lease);

/** Longer than the lease, every second time: somebody else gets the event, and this completion comes late. */
const workSlowly: Way = async (load, api, lease) => {
  if (lease.attemptId.charCodeAt(lease.attemptId.length - 1) % 2 === 0) await delay(SLOW_MS);
  await load.complete(api, lease);
};

const workAndExtend: Way = async (load, api, lease) => {
  await load.extend(api, lease);
  await load.complete(api, lease);
};

const handBackOrWork: Way = async (load, api, lease) => {
  if (lease.attemptId.endsWith('.1')) await load.handBack(api, lease);
  else await load.complete(api, lease);
};

const WAYS: readonly Way[] = [
  ...Array.from({ length: 5 }, () => workAtOnce),
  workSlowly,
  workAndExtend,
  handBackOrWork,
];

function answerOf({ outcome, response }: EventBody): string {
  if (outcome !== 'success') return `outcome ${outcome}`;
  const { body } = response as { body: unknown };
  return String(body);
}

function expectStatus(reply: Reply, status: number): void {
  if (reply.status !== status) throw new Error(`${reply.status} instead of ${status}: ${reply.text}`);
}
