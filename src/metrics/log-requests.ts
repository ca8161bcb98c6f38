/**
 * Metrics of the place where the log is: every request to it, since S3 asks money for each and its failures are what
 * archiving waits for. Counted around the port, so that both adapters are counted alike.
 */
import { BlobError, type BlobFailure, type BlobProbe, type BlobStore } from '../blob/blob.js';
import { Durations, type Family, Tally } from './family.js';

type Operation = 'put' | 'get' | 'list' | 'delete';
/** `exists`: a put found its key taken. */
type Result = 'ok' | 'exists' | BlobFailure;

const OPERATIONS: readonly Operation[] = ['put', 'get', 'list', 'delete'];
const DURATION = 'clockwork_log_request_duration_seconds';

export class LogRequestMetrics {
  readonly #results = byOperation(() => new Tally<Result>(['ok', 'exists', 'unavailable', 'refused']));
  readonly #durations = byOperation(() => new Durations());

  readonly families: readonly Family[] = [
    {
      name: 'clockwork_log_requests_total',
      help: 'Requests to where the log is: `exists`: a put found its key taken; `unavailable` may pass by itself, `refused` does not.',
      type: 'counter',
      labels: ['operation', 'result'],
      samples: () =>
        OPERATIONS.flatMap((operation) => this.#results[operation].samples('result', { operation })),
    },
    {
      name: DURATION,
      help: 'How long requests to where the log is took, failed ones included.',
      type: 'histogram',
      labels: ['operation'],
      samples: () =>
        OPERATIONS.flatMap((operation) => this.#durations[operation].samples(DURATION, { operation })),
    },
  ];

  /** `blobs`, every request counted. A probe is counted as one put. */
  around(blobs: BlobStore): BlobStore {
    return {
      description: blobs.description,
      putIfAbsent: (key, body) =>
        this.#counted(
          'put',
          () => blobs.putIfAbsent(key, body),
          (result) => (result === 'exists' ? 'exists' : 'ok'),
        ),
      get: (key) => this.#counted('get', () => blobs.get(key)),
      getRange: (key, start, end) => this.#counted('get', () => blobs.getRange(key, start, end)),
      list: (prefix, options) => this.#counted('list', () => blobs.list(prefix, options)),
      delete: (keys) => this.#counted('delete', () => blobs.delete(keys)),
      probe: (): Promise<BlobProbe> => this.#counted('put', () => blobs.probe()),
      close: () => blobs.close(),
    };
  }

  async #counted<Value>(
    operation: Operation,
    request: () => Promise<Value>,
    resultOf: (value: Value) => Result = () => 'ok',
  ): Promise<Value> {
    const startedMs = performance.now();
    try {
      const value = await request();
      this.#results[operation].add(resultOf(value));
      return value;
    } catch (error) {
      if (error instanceof BlobError) this.#results[operation].add(error.failure);
      throw error;
    } finally {
      this.#durations[operation].observe((performance.now() - startedMs) / 1_000);
    }
  }
}

function byOperation<Value>(make: () => Value): Record<Operation, Value> {
  return { put: make(), get: make(), list: make(), delete: make() };
}
