/**
 * One lease in a listener's hand, from its grant to its end: extended at a third of its time, completed or handed back, and known to be
 * lost when it is. Its signal tells the handler that its work is no longer wanted.
 */
import { sleep } from './clock.js';
import { ClockworkError } from './error.js';
import { jsonOf, type Transport } from './transport.js';
import type { Completed, Lease } from './wire.js';

export interface AttemptOptions {
  readonly transport: Transport;
  readonly leaseMs: number;
  /** The grant may be older than the reply that told of it. */
  readonly isOld: boolean;
  readonly onError: (error: unknown, during: 'extend' | 'complete') => void;
}

export interface CompletionReply {
  readonly event: Completed;
  readonly next: readonly Lease[];
}

const forever = { triesMax: Number.POSITIVE_INFINITY };

export class Attempt {
  readonly #options: AttemptOptions;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  /** For the handler. */
  readonly #unwanted = new AbortController();
  /** Nothing more is to be done about it. */
  readonly #ended = new AbortController();
  #cancelWatch: () => void = () => {};

  constructor(
    readonly lease: Lease,
    options: AttemptOptions,
  ) {
    this.#options = options;
    this.#path = `/v1/attempts/${encodeURIComponent(lease.attemptId)}`;
    this.#headers = { 'lease-token': lease.token, 'content-type': 'application/json' };
    this.#watch(options.transport.clock.nowMs() + options.leaseMs);
    void this.#keep();
  }

  /** Aborts when the lease is lost, and when somebody asked to cancel the event. */
  get signal(): AbortSignal {
    return this.#unwanted.signal;
  }

  /** Resolves to null when nothing more is to be done about it. */
  readonly ended = new Promise<null>((resolve) => {
    this.#ended.signal.addEventListener('abort', () => resolve(null));
  });

  get isEnded(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Tries until there is an answer. `text` is the completion; its reply may have been asked for before. */
  async complete(text: string): Promise<{ reply: CompletionReply; tries: number }> {
    const reply = await this.#options.transport.call('PUT', `${this.#path}/completion`, {
      ...forever,
      headers: this.#headers,
      body: text,
      signal: this.#ended.signal,
      onRetry: (error) => this.#options.onError(error, 'complete'),
    });
    return { reply: jsonOf<CompletionReply>(reply), tries: reply.tries };
  }

  /** Gives the lease up, if it is there to be given up. */
  async handBack(): Promise<void> {
    this.end();
    try {
      // A repeat whose first try was heard finds it gone, and whoever has lost it has nothing to give.
      await this.#options.transport.call('DELETE', this.#path, {
        headers: { 'lease-token': this.lease.token },
      });
    } catch (error) {
      if (!isLost(error)) throw error;
    }
  }

  /** The handler's work is not wanted any more. */
  abort(reason: ClockworkError): void {
    if (!this.#unwanted.signal.aborted) this.#unwanted.abort(reason);
  }

  end(): void {
    this.#cancelWatch();
    if (!this.isEnded) this.#ended.abort(new ClockworkError('stopped', 'The attempt has ended.'));
  }

  /** The lease lives until then, as far as can be known here. */
  #watch(endsAtMs: number): void {
    const { clock } = this.#options.transport;
    this.#cancelWatch();
    this.#cancelWatch = clock.after(endsAtMs - clock.nowMs(), () => {
      this.abort(lost(this.lease, 'The lease could not be extended before it ran out.'));
    });
  }

  async #keep(): Promise<void> {
    const { transport, leaseMs, isOld, onError } = this.#options;
    const signal = this.#ended.signal;
    await sleep(transport.clock, isOld ? 0 : leaseMs / 3, signal);
    while (!signal.aborted) {
      try {
        await this.#extend();
      } catch (error) {
        if (signal.aborted) return;
        if (isLost(error))
          return this.abort(lost(this.lease, 'Somebody else may have the event now.', error));
        onError(error, 'extend');
      }
      await sleep(transport.clock, leaseMs / 3, signal);
    }
  }

  async #extend(): Promise<void> {
    const { transport, leaseMs } = this.#options;
    const askedAtMs = transport.clock.nowMs();
    const reply = await transport.call('PATCH', this.#path, {
      headers: this.#headers,
      body: JSON.stringify({ leaseMs }),
      signal: this.#ended.signal,
      timeoutMs: leaseMs / 3,
      endsAtMs: askedAtMs + leaseMs / 3,
      ...forever,
    });
    this.#watch(askedAtMs + leaseMs);
    if (jsonOf<{ cancelRequested: boolean }>(reply).cancelRequested) {
      const { id } = this.lease.event;
      this.abort(new ClockworkError('cancel-requested', 'Somebody asked to cancel the event.', { id }));
    }
  }
}

/** The service says that there is no such lease. */
export function isLost(error: unknown): boolean {
  return (
    error instanceof ClockworkError && (error.code === 'lease-lost' || error.code === 'attempt-not-found')
  );
}

function lost({ event }: Lease, detail: string, cause?: unknown): ClockworkError {
  return new ClockworkError('lease-lost', detail, { id: event.id, cause });
}
