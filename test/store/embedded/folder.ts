/** Data folders for tests: made, filled, copied, read. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { EmbeddedStore } from '../../../src/store/embedded/embedded.js';
import type { EmbeddedOptions } from '../../../src/store/embedded/engine.js';
import type { Files } from '../../../src/store/embedded/files.js';
import { readContents, readIdentity } from '../../../src/store/embedded/folder.js';
import { keepInMemory } from '../../../src/store/embedded/payload.js';
import { fold } from '../../../src/store/embedded/recover.js';
import {
  LIMITS,
  NOON,
  POLICY,
  resultOf,
  type Scene,
  Scene as SceneOf,
  SECOND,
} from '../../contract/store/scene.js';
import type { StoreHarness, StoreOptions } from '../../contract/store.js';
import { openGate } from '../../support/open-gate.js';
import { dumpState, type StateDump } from '../../support/state-dump.js';

export function tempFolder(t: Test): string {
  const dir = fs.mkdtempSync(join(tmpdir(), 'clockwork-embedded-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A copy of the files alone: what a crash would leave, without the lock of whoever is alive. */
export function copyFolder(from: string, to: string): void {
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(to);
  for (const name of fs.readdirSync(from)) {
    if (!name.endsWith('.sock')) fs.copyFileSync(join(from, name), join(to, name));
  }
}

export interface EmbeddedMore {
  readonly files?: Files;
  readonly journalFileBytes?: number;
  readonly compactBytesMin?: number;
}

/** Stores in folders below `root`, or in `dir` itself. */
export function embeddedHarness(dirOf: () => string, more: EmbeddedMore = {}): StoreHarness {
  return {
    name: 'embedded',
    async open({ policy, limits, startsAt }: StoreOptions) {
      const dir = dirOf();
      let now = startsAt;
      const open = () => openStore({ dir, policy, limits, now: () => now, ...more });
      let store = await open();
      return {
        store,
        clock: {
          set: (ms: number) => {
            now = ms;
          },
        },
        reopen: async () => {
          await store.close();
          store = await open();
          return store;
        },
        close: () => store.close(),
      };
    },
  };
}

/** With an open gate, or not at all: a folder that dies meanwhile is let go. */
async function openStore(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const store = await EmbeddedStore.open(options);
  return openGate(store).catch(async (error: unknown) => {
    await store.close().catch(() => undefined);
    throw error;
  });
}

export async function openScene(dir: string, more: EmbeddedMore = {}): Promise<Scene> {
  const options = { policy: POLICY, limits: LIMITS, startsAt: NOON };
  return new SceneOf(options, await embeddedHarness(() => dir, more).open(options));
}

/** What the folder holds, as a start would read it. Throws FolderError when a start would. */
export function readFolder(
  dir: string,
  { policy, limits }: Pick<EmbeddedOptions, 'policy' | 'limits'> = { policy: POLICY, limits: LIMITS },
): StateDump {
  const { journals, snapshots } = readContents(dir);
  const { state } = fold({
    dir,
    logId: readIdentity(dir)!,
    policy,
    limits,
    snapshot: snapshots.at(-1) ?? null,
    upTo: journals.at(-1)!,
    toTheEnd: true,
    keep: () => memory,
  });
  return dumpState(state);
}

const memory = keepInMemory();

/** A life of every kind of record, one call after the other. */
export async function liveThrough(s: Scene, rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const type = `type {${round}}`;
    const idempotency = { scope: `s ${round}`, fingerprint: 'f' };
    const ids = [await s.accept(type, { idempotency }), ...(await s.acceptMany(type, 3))];
    await s.accept(type, { delayMs: SECOND });
    const [one, two, three] = await s.leaseAll(type, {
      max: 3,
      call: `c ${round}`,
      worker: 'w',
      leaseMs: 5 * SECOND,
    });
    await s.leaseAll(type, { max: 3, call: `c ${round}` });
    await s.store.extend({ attemptId: three!.attemptId, token: three!.token, leaseMs: 9 * SECOND });
    await s.complete(one!, { result: resultOf('done') });
    await s.fail(two!, { retry: { kind: 'after', afterMs: 0 }, result: resultOf('again', 'fail') });
    await s.store.cancel(ids[2]!);
    await s.store.cancel(ids[3]!);
    await s.pass(10 * SECOND);
    await s.expire();
    await s.complete(three!, { result: resultOf('late') });
    for (let k = 0; k < 3; k += 1) {
      const lease = await s.lease(type, { leaseMs: SECOND });
      if (k === 0) await s.store.handBack(lease);
      await s.pass(60 * SECOND);
      await s.expire();
      await s.pass(60 * SECOND);
    }
    const records = await s.outbox(type);
    if (round > 0) await s.store.markArchived(0, records[5]!.pos, round);
  }
}
