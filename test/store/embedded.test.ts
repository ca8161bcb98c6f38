/** The embedded store: the contract, on a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { EmbeddedStore } from '../../src/store/embedded/embedded.js';
import { type StoreHarness, storeContract } from '../contract/store.js';
import { openGate } from '../support/open-gate.js';

const harness: StoreHarness = {
  name: 'embedded',
  async open({ policy, limits, startsAt }) {
    const dir = await mkdtemp(join(tmpdir(), 'clockwork-store-'));
    let now = startsAt;
    // Small files, so that the cases go over the edge from one to the next.
    const options = {
      dir,
      policy,
      limits,
      now: () => now,
      journalFileBytes: 16 << 10,
      compactBytesMin: 64 << 10,
    };
    const open = async () => openGate(await EmbeddedStore.open(options));
    let store = await open();
    return {
      store,
      clock: {
        set: (ms) => {
          now = ms;
        },
      },
      reopen: async () => {
        await store.close();
        store = await open();
        return store;
      },
      close: async () => {
        await store.close();
        await rm(dir, { recursive: true });
      },
    };
  },
};

t.test('embedded keeps the store contract', (t) => storeContract(t, harness));
