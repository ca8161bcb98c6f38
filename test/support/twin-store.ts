/** A core in the place of a store that random work is done on: it leaves the core's log, and needs no server. */
import type { LogRecord, Position } from '../../src/event/record.js';
import type { Store } from '../../src/store/store.js';
import type { CoreModel } from './core-model.js';

/** Methods of a store that are told the partition first. */
const OF_PARTITION = new Set<PropertyKey>([
  'sweep',
  'expire',
  'promote',
  'settled',
  'prune',
  'relays',
  'noteRelayed',
  'markArchived',
]);

export function twinStore(twin: CoreModel): Store {
  const readOutbox = async (_partition: number, after: Position | null, { records }: { records: number }) =>
    twin
      .outbox()
      .filter(({ pos }) => after === null || pos.view > after.view || pos.n > after.n)
      .slice(0, records);
  const own: Record<PropertyKey, unknown> = {
    readOutbox,
    archivedTo: async () => twin.state.archived,
    indexedTo: async () => twin.state.indexed,
  };
  return new Proxy({} as Store, {
    get: (_, name) =>
      own[name] ??
      (async (...args: unknown[]) => {
        const method: unknown = Reflect.get(twin, name);
        if (typeof method !== 'function') throw new Error(`the core has no ${String(name)}`);
        return Reflect.apply(method, twin, OF_PARTITION.has(name) ? args.slice(1) : args) as unknown;
      }),
  });
}

/** What an archiver would have written of all that the core has done. */
export function logOf({ journal }: CoreModel): LogRecord[] {
  return journal.filter((record): record is LogRecord => 'pos' in record && record.op !== 'archived');
}
