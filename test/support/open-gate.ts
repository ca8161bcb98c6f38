/** Opens a store as recovery does when the log has nothing that the store lacks: for tests without a log. */
import type { Recoverable, Store } from '../../src/store/store.js';

export async function openGate<S extends Store & Recoverable>(store: S): Promise<S> {
  for (let partition = 0; partition < store.partitions; partition += 1) {
    const { recovering, view } = await store.standing(partition);
    await store.beginRecovery(partition, recovering + 1);
    await store.finishRecovery(partition, recovering + 1, store.logId, view + 1);
  }
  return store;
}
