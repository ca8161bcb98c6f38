/** All metrics of the process, in the text form that Prometheus reads. `docs/metrics.md` lists them. */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import { ArchiveMetrics } from './archive.js';
import type { Family } from './family.js';
import { HttpMetrics } from './http.js';
import { LogRequestMetrics } from './log-requests.js';
import { QueueMetrics } from './queue.js';
import { StoreMetrics } from './store.js';

export class Metrics {
  readonly http = new HttpMetrics();
  readonly queue = new QueueMetrics();
  readonly store = new StoreMetrics();
  readonly archive = new ArchiveMetrics();
  readonly logRequests = new LogRequestMetrics();
  readonly #registry = new Registry();

  constructor() {
    for (const family of this.families) this.#registry.registerMetric(asMetric(family));
  }

  /** Ours; those of the process beside. */
  get families(): readonly Family[] {
    return [this.http, this.queue, this.store, this.archive, this.logRequests].flatMap(
      ({ families }) => families,
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Adds the metrics of the process and of Node; watching the event loop takes a timer, hence not for everybody. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  async text(): Promise<string> {
    await this.store.look();
    return this.#registry.metrics();
  }
}

/** The registry asks its metrics for their values and needs no more of them than this. */
function asMetric({ name, help, type, samples }: Family): Metric {
  const get = async () => ({ name, help, type, values: samples(), aggregator: 'sum' });
  return { name, help, type, get } as unknown as Metric;
}
