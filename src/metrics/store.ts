/** Metrics of the store: how much each partition holds, read when somebody asks. */
import { type Depths, type Store, StoreError } from '../store/store.js';
import type { Family, Sample } from './family.js';

type DepthSource = Pick<Store, 'depths' | 'partitions'>;

export class StoreMetrics {
  #source: DepthSource | null = null;
  /** By partition; null while the store cannot tell. */
  #depths: readonly Depths[] | null = null;

  readonly families: readonly Family[] = [
    {
      name: 'clockwork_store_up',
      help: 'Whether the store answers: 1 or 0. While it does not, what it holds is left out.',
      type: 'gauge',
      labels: [],
      samples: () => [{ labels: {}, value: this.#depths === null ? 0 : 1 }],
    },
    this.#gauge('events', 'clockwork_events_stored', 'Events that the store keeps, complete ones included.'),
    this.#gauge(
      'ready',
      'clockwork_deliveries_ready',
      'Deliveries that may be leased now; cancelled ones count until a lease meets them. Left out with more than 1,000 types.',
    ),
    this.#gauge(
      'delayed',
      'clockwork_deliveries_delayed',
      'Deliveries that wait for a delay or a backoff to be over.',
    ),
    this.#gauge('leased', 'clockwork_leases_out', 'Leases that are out.'),
    this.#gauge(
      'outbox',
      'clockwork_archive_lag_records',
      'Records that are in the store and not yet in the log.',
    ),
  ];

  watch(source: DepthSource): void {
    this.#source = source;
  }

  /** Looks; what is shown then holds until the next look. */
  async look(): Promise<void> {
    this.#depths = this.#source && (await depthsOf(this.#source));
  }

  #gauge(field: keyof Depths, name: string, help: string): Family {
    const samples = (): Sample[] =>
      (this.#depths ?? []).flatMap((depths, partition) => {
        const value = depths[field];
        return value === null ? [] : [{ labels: { partition }, value }];
      });
    return { name, help, type: 'gauge', labels: ['partition'], samples };
  }
}

async function depthsOf(source: DepthSource): Promise<readonly Depths[] | null> {
  try {
    return await Promise.all(
      Array.from({ length: source.partitions }, (_, partition) => source.depths(partition)),
    );
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}
