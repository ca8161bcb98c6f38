/**
 * A duty: the same round in the background, again and again, until it is stopped. While the store or the log is away every
 * round fails the same way; that is said once, until one succeeds.
 */
import type { Logger } from 'pino';
import { processClock } from '../log/clock.js';

export interface DutySettings {
  /** What it is, for the service's log: `pruning`. */
  readonly name: string;
  /** Between two rounds. */
  readonly intervalMs: number;
}

export abstract class Duty {
  #running: Promise<void> | null = null;
  readonly #stopping = new AbortController();
  #failing = false;

  constructor(
    private readonly settings: DutySettings,
    protected readonly logger: Logger,
  ) {}

  /** Resolves to how much was done. */
  abstract round(): Promise<number>;

  /** What is done in the background: a round, unless there is a reason to wait for the next. */
  protected async turn(): Promise<void> {
    await this.round();
  }

  /** Whether waiting heals what a round has thrown; anything else is a fault. */
  protected abstract passes(error: unknown): boolean;

  /** Aborted when a round should end soon. */
  protected get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Begins in the background; a second call does nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when no step is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await processClock.wait(this.settings.intervalMs, this.stopping);
      if (this.stopping.aborted) return;
      try {
        await this.turn();
        this.#failing = false;
      } catch (error) {
        if (this.stopping.aborted) return;
        this.#tell(error);
      }
    }
  }

  #tell(error: unknown): void {
    const { name } = this.settings;
    if (!this.passes(error)) this.logger.error({ err: error }, `${name} met a fault`);
    else if (!this.#failing)
      this.logger.warn({ err: error }, `${name} did not succeed, and will be tried again`);
    this.#failing = true;
  }
}
