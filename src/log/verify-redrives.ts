/** Whether the redrives that a store has are those that the log says, also while both go on. */
import { formatPosition, type RedriveSet } from '../event/record.js';
import { progressText, wishText } from '../event/redrive-job.js';
import type { RedriveState } from '../event/state.js';

/** What a redrive may have been read as: how it stood before the look, and whatever it was after that. */
export class RedriveHistory {
  readonly #jobs = new Map<string, { texts: string[]; isNew: boolean }>();

  /** `isNew`: it may have come after the store was looked at. */
  note(record: RedriveSet, isNew: boolean): void {
    const { redrive: id, forgets, idempotency = null } = record;
    // Whoever was read before may have been forgotten since.
    const forgotten = forgets === undefined ? undefined : this.#jobs.get(forgets);
    if (forgotten && isNew) forgotten.isNew = true;
    else if (forgets !== undefined) this.#jobs.delete(forgets);
    const text = textOf({ ...record, id, idempotency });
    const known = this.#jobs.get(id);
    if (known && isNew) known.texts.push(text);
    else this.#jobs.set(id, { texts: [text], isNew });
  }

  /** Ids of those that differ. */
  differing(read: readonly RedriveState[]): string[] {
    const found = new Map(read.map((job) => [job.id, textOf(job)]));
    const others = [...found].filter(([id, text]) => !this.#jobs.get(id)?.texts.includes(text));
    const lacking = [...this.#jobs].filter(([id, { isNew }]) => !isNew && !found.has(id));
    return [...others, ...lacking].map(([id]) => id);
  }
}

function textOf(job: RedriveState): string {
  const { type, step, status, startedAt, endedAt, until, wish, progress } = job;
  const place = [type, step, status, startedAt, endedAt, formatPosition(until)];
  return JSON.stringify([...place, wishText(wish), progressText(progress)]);
}
