/** What every route works with. */
import type { Config } from '../config.js';
import type { Feed } from '../log/feed.js';
import type { Queue } from '../queue/queue.js';
import type { StoreHealth } from '../store/store.js';

/** Whether the service can do its work, and what its promises are worth. */
export interface Health {
  readonly store: StoreHealth;
  readonly log: {
    /** For people: `file:/var/lib/clockwork/log` or `s3://bucket/prefix`. */
    readonly description: string;
    readonly ready: boolean;
    readonly notes: readonly string[];
  };
}

/** The metrics of the process as a page for Prometheus. */
export interface MetricsPage {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface HttpContext {
  readonly queue: Queue;
  readonly feed: Feed;
  readonly config: Config;
  /** Request headers to redact, in lower case. */
  readonly secretHeaders: ReadonlySet<string>;
  readonly health: () => Promise<Health>;
  readonly metrics: MetricsPage;
}

/** Who asks, while nobody is asked to say so. */
export const ANONYMOUS = 'anonymous';
