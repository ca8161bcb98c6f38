/** How far a long command is: one line that is written over on a terminal, else a line every few seconds. */
import type { CliContext } from './context.js';

const REDRAW_MS = 100;
const LINE_MS = 5_000;
const BAR_CHARS = 24;

export class ProgressLine {
  #lastMs = performance.now();
  #shown = false;

  constructor(private readonly context: Pick<CliContext, 'err' | 'terminal'>) {}

  /** `done` of `total` of what `label` names. */
  show(label: string, done: number, total: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < (this.context.terminal ? REDRAW_MS : LINE_MS)) return;
    this.#lastMs = nowMs;
    if (!this.context.terminal) return this.context.err(`${label}: ${done} of ${total}\n`);
    const full = Math.round((BAR_CHARS * done) / Math.max(1, total));
    const bar = `${'█'.repeat(full)}${'░'.repeat(BAR_CHARS - full)}`;
    this.context.err(
      `\r${bar} ${Math.floor((100 * done) / Math.max(1, total))} % ${label}: ${done} of ${total}\u001b[K`,
    );
    this.#shown = true;
  }

  /** Leaves the terminal as it was. */
  end(): void {
    if (this.#shown) this.context.err('\r\u001b[K');
  }
}
