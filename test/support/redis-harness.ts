/** Redis stores on a clock that tests set: the scripts' own clock is replaced by one that reads a key. */
import { Redis } from 'ioredis';
import { RedisStore } from '../../src/store/redis/redis-store.js';
import { type Edit, loadScripts, type Scripts } from '../../src/store/redis/scripts.js';
import type { Store } from '../../src/store/store.js';
import type { RecoverableStore } from '../contract/recovery.js';
import type { StoreHarness, StoreOptions } from '../contract/store.js';

const TEST_CLOCK = `
local function clock()
  return tonumber(redis.call('GET', string.match(META, '^{(.*):%d+}') .. ':clock'))
end
`;

export interface RedisHarnessOptions {
  readonly partitions: number;
  /** Changes the text of a script, to see the tests notice it. */
  readonly edit?: Edit;
}

export class RedisHarness implements StoreHarness {
  readonly name = 'redis';
  readonly redis: Redis;
  readonly #scripts: Scripts;
  #opened = 0;

  constructor(
    readonly url: string,
    private readonly options: RedisHarnessOptions,
  ) {
    this.redis = new Redis(url);
    const edit = options.edit ?? ((_file, text) => text);
    this.#scripts = loadScripts((file, text) => (file === 'include/clock' ? TEST_CLOCK : edit(file, text)));
  }

  /** Each store has a prefix of its own, and its keys go when it is closed. */
  async open({
    policy,
    limits,
    startsAt,
  }: StoreOptions): Promise<RecoverableStore & { readonly prefix: string; openAnother(): Promise<Store> }> {
    this.#opened += 1;
    const { redis, url, options } = this;
    const prefix = `test ${process.pid}-${this.#opened}`;
    const scripts = this.#scripts;
    const clock = { set: async (ms: number) => void (await redis.set(`${prefix}:clock`, ms)) };
    await clock.set(startsAt);
    const openStore = () =>
      RedisStore.open({ url, prefix, partitions: options.partitions, policy, limits, scripts });
    let store = await openStore();
    return {
      prefix,
      store,
      clock,
      async reopen() {
        await store.close();
        store = await openStore();
        return store;
      },
      /** Of another process, beside the first; the caller closes it. */
      openAnother: openStore,
      copy: () => copyAll(redis, `{${prefix}:`),
      forget: () => unlinkAll(redis, `{${prefix}`),
      async close() {
        await store.close();
        await unlinkAll(redis, prefix);
      },
    };
  }

  async close(): Promise<void> {
    this.redis.disconnect();
  }
}

async function unlinkAll(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `*${prefix}:*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
}

/** What every key that begins so holds; resolves to what brings it back, with nothing that came since. */
async function copyAll(redis: Redis, beginning: string): Promise<() => Promise<void>> {
  const copies: { key: string; ttlMs: number; bytes: Buffer }[] = [];
  for (const key of await redis.keys(`${beginning}*`)) {
    const bytes = await redis.dumpBuffer(key);
    if (bytes) copies.push({ key, ttlMs: Math.max(0, await redis.pttl(key)), bytes });
  }
  return async () => {
    const now = await redis.keys(`${beginning}*`);
    if (now.length > 0) await redis.unlink(...now);
    for (const { key, ttlMs, bytes } of copies) await redis.restore(key, ttlMs, bytes);
  };
}
