/**
 * The connection to Redis: single, behind sentinels, or a cluster. It runs scripts, tries again what may pass, and says
 * in bounded time that it cannot. The only place that knows the client library.
 *
 * The library's own resending and queueing while disconnected are off: they have no bound in time or in memory. What
 * was in flight when a connection broke fails at once and is tried again here, which scripts are made for.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { StoreError } from '../store.js';
import type { RedisAddress } from './address.js';
import { failureOf } from './failure.js';
import type { Script } from './scripts.js';

export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Thrown by `run` for an operation that a full Redis refused. */
export class OutOfMemory extends Error {}

/** How long a call goes on trying, and how long a single try may take. */
const TRY_MS = 3_000;
const COMMAND_MS = 2_000;
const FIRST_PAUSE_MS = 10;
const PAUSE_MS_MAX = 250;
const RECONNECT_MS_MAX = 1_000;
const RECONNECT_AGAIN_MS = 2_000;
const CLOSE_MS_MAX = 1_000;

export type Argument = string | number | Buffer;
/** Sends a plain command to one server. */
export type Ask = (name: string, ...args: readonly string[]) => Promise<unknown>;

export class Connection {
  readonly #client: Redis | Cluster;
  readonly #subscriber: Redis | Cluster;
  #closed = false;
  /** Said once an outage, not once a try. */
  #down = false;

  constructor(
    address: RedisAddress,
    private readonly logger: Logger | null,
  ) {
    this.#client = connect(address, { enableOfflineQueue: false });
    // The subscriptions wait for the connection; nothing else goes this way.
    this.#subscriber = connect(address, { enableOfflineQueue: true });
    // One client tells for both: their troubles are the same.
    this.#client.on('error', (error: Error) => this.#noteDown(error));
    this.#client.on('ready', () => this.#noteUp());
    this.#subscriber.on('error', () => {});
  }

  get ready(): boolean {
    return this.#client.status === 'ready';
  }

  /** Calls `listener` each time that commands can be sent again. */
  onReady(listener: () => void): void {
    this.#client.on('ready', listener);
  }

  /** Resolves when commands can be sent, or after `ms`. */
  async untilReady(ms: number): Promise<void> {
    if (this.ready) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#client.off('ready', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#client.on('ready', done);
    });
  }

  /** Runs `script`, sending its text where it is not known. Rejects with StoreError, or OutOfMemory. */
  async run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.trying(script.name, () => this.#evaluate(script, keys, args));
  }

  /** Runs a script that was loaded, once; rejects with what Redis says, for `trying` to judge. */
  async runLoaded(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#client.callBuffer('evalsha', script.sha, keys.length, ...keys, ...args);
  }

  /**
   * Loads `script` where the server is still in that run, and nowhere else: run and text go over one socket, and a
   * server that restarts in between has closed it.
   */
  async load(script: Script, run: string): Promise<void> {
    await Promise.all(
      this.#masters().map(async (client) => {
        const { stream } = client;
        const info = String(await client.call('INFO', 'server'));
        if (!info.includes(`run_id:${run}`) || client.stream !== stream || client.status !== 'ready') return;
        await client.call('SCRIPT', 'LOAD', script.source);
      }),
    );
  }

  /** A plain command of every master, for the facts about the servers. */
  ask(name: string, ...args: readonly string[]): Promise<unknown[]> {
    return this.each((ask) => ask(name, ...args));
  }

  /** What is to be done with every master. */
  async each<Result>(work: (ask: Ask) => Promise<Result>): Promise<Result[]> {
    const clients = this.#masters();
    if (clients.length === 0)
      throw new StoreError('unavailable', 'connect', 'no node of the cluster is known yet');
    return Promise.all(clients.map((client) => work((name, ...args) => client.call(name, ...args))));
  }

  #masters(): Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
  }

  async subscribe(channels: readonly string[], heard: (channel: string, message: string) => void) {
    this.#subscriber.on('message', heard);
    await this.#subscriber.subscribe(...channels);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([end(this.#client), end(this.#subscriber)]);
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    try {
      return await this.#client.callBuffer('evalsha', script.sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (failureOf(error) !== 'no_script') throw error;
      return this.#client.callBuffer('eval', script.source, keys.length, ...keys, ...args);
    }
  }

  /** Tries `attempt` again for a while where that may help. Rejects with StoreError, or OutOfMemory. */
  async trying<T>(operation: string, attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + TRY_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      try {
        return await attempt();
      } catch (error) {
        // Of a call within this one, which has had its tries.
        if (error instanceof StoreError || error instanceof OutOfMemory) throw error;
        const failure = failureOf(error);
        if (failure === 'recovering') throw new StoreError('recovering', operation, error);
        if (failure === 'out_of_memory') throw new OutOfMemory(String(error));
        const again = failure === 'passing' && !this.#closed && performance.now() + pauseMs < deadline;
        if (!again) throw new StoreError('unavailable', operation, error);
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  #noteDown(error: Error): void {
    if (this.#down) return;
    this.#down = true;
    this.logger?.warn({ error: error.message }, 'Redis is out of reach, trying again');
  }

  #noteUp(): void {
    if (this.#down) this.logger?.info({}, 'Redis is back');
    this.#down = false;
  }
}

/** Resolves when the client's sockets are closed. */
async function end(client: Redis | Cluster): Promise<void> {
  // Between two tries there is no socket, and the library tells of no end.
  const isOpen = ['connecting', 'connect', 'ready'].includes(client.status);
  const ended = new Promise<void>((resolve) => {
    if (!isOpen) return resolve();
    const timer = setTimeout(resolve, CLOSE_MS_MAX);
    client.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  client.disconnect();
  await ended;
}

function connect(address: RedisAddress, { enableOfflineQueue }: { enableOfflineQueue: boolean }) {
  const { kind, hosts, db, tls } = address;
  const options = {
    ...credentials(address),
    ...(tls ? { tls: {} } : {}),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: enableOfflineQueue ? null : 0,
    // A server that fell silent: its socket is given up a little after its calls have been.
    ...(enableOfflineQueue ? {} : { commandTimeout: COMMAND_MS, socketTimeout: 2 * COMMAND_MS }),
    connectTimeout: COMMAND_MS,
    connectionName: 'clockwork',
    reconnectOnError: reconnectToMaster(),
  } satisfies RedisOptions;
  const reconnect = (times: number) => Math.min(50 * times, RECONNECT_MS_MAX);
  if (kind === 'cluster') {
    return new Cluster([...hosts], {
      enableOfflineQueue,
      clusterRetryStrategy: reconnect,
      retryDelayOnFailover: 200,
      redisOptions: options,
    });
  }
  if (kind === 'sentinel') {
    return new Redis({
      ...options,
      db,
      enableOfflineQueue,
      sentinels: [...hosts],
      name: address.master ?? '',
      sentinelRetryStrategy: reconnect,
      retryStrategy: reconnect,
    });
  }
  return new Redis({ ...options, ...hosts[0], db, enableOfflineQueue, retryStrategy: reconnect });
}

/**
 * A master that became a replica: the connection is made anew, since the address may lead to another by now. Not each
 * time that it says so, else reads, which a replica can answer, would never get through.
 */
function reconnectToMaster(): (error: Error) => boolean {
  let lastAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (!error.message.startsWith('READONLY') || performance.now() - lastAt < RECONNECT_AGAIN_MS)
      return false;
    lastAt = performance.now();
    return true;
  };
}

function credentials({ username, password }: RedisAddress): { username?: string; password?: string } {
  return { ...(username === null ? {} : { username }), ...(password === null ? {} : { password }) };
}
