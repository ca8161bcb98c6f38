/**
 * What the clients of a load were told by a service whose store may lose a tail: which events are archived, and with
 * which answers; the rest was promised no more than the store gives. An archived thing that is taken back, an unknown
 * event that comes back, and a record of the log that comes twice or out of order become a line in `broken`.
 */
import { type Position, parsePosition } from '../../src/event/record.js';
import { followsOn } from '../../src/log/reader.js';

export interface FeedRecord {
  readonly position: string;
  readonly op: string;
  readonly id?: string;
  readonly result?: { readonly response: { readonly body: unknown } | null } | null;
}

export interface Known {
  readonly status: string;
  readonly response: { readonly body: unknown } | null;
}

/** What was archived of an event when a call was made. */
export interface Before {
  readonly archived: boolean;
  readonly answer: string | null;
}

export class Told {
  /** The id of every 202. */
  readonly posted: string[] = [];
  /** Ids that a receipt said to be archived, or that the log was seen to have. */
  readonly archived = new Set<string>();
  /** The answers of events that are complete, as a reply that waits for the log said, or the log itself. */
  readonly answers = new Map<string, string>();
  /** Positions of the log's records, in the order in which they were read. */
  readonly positions: string[] = [];
  readonly broken: string[] = [];
  readonly #replies = new Map<string, number>();
  readonly #unknown = new Set<string>();
  readonly #accepted = new Set<string>();
  readonly #completed = new Set<string>();
  #last: Position | null = null;

  /** `how` is a status or the code of an error. */
  count(what: string, how: number | string): void {
    this.#replies.set(`${what} ${how}`, this.replies(what, how) + 1);
  }

  /** How often there was such an answer to such a call. */
  replies(what: string, how: number | string): number {
    return this.#replies.get(`${what} ${how}`) ?? 0;
  }

  receipt(id: string, archived: boolean): void {
    this.posted.push(id);
    if (archived) this.archived.add(id);
  }

  /** A completion had a 200 that waits for the log. */
  completed(id: string, answer: string): void {
    const known = this.answers.get(id) ?? answer;
    if (known !== answer) this.broken.push(`${id} is complete with "${known}" and with "${answer}"`);
    this.answers.set(id, answer);
  }

  /** The next record of the log. */
  record({ position, op, id, result }: FeedRecord): void {
    const pos = parsePosition(position)!;
    if (!followsOn(this.#last, pos))
      this.broken.push(`the log goes on from ${this.positions.at(-1)} with ${position}`);
    this.#last = pos;
    this.positions.push(position);
    if (id === undefined) return;
    if (op === 'accepted') {
      if (this.#accepted.has(id)) this.broken.push(`the log accepts ${id} twice`);
      if (this.#unknown.has(id)) this.broken.push(`${id} was answered as unknown, and is in the log`);
      this.#accepted.add(id);
      this.archived.add(id);
    }
    if (op === 'completed') {
      if (this.#completed.has(id)) this.broken.push(`the log completes ${id} twice`);
      this.#completed.add(id);
      this.completed(id, String(result?.response?.body));
    }
  }

  /** Whether the log was seen to complete the event. */
  isDone(id: string): boolean {
    return this.#completed.has(id);
  }

  before(id: string): Before {
    return { archived: this.archived.has(id), answer: this.answers.get(id) ?? null };
  }

  /** The answer to a poll for which `before` was known; null: the id is unknown. */
  polled(id: string, before: Before, event: Known | null): void {
    if (event === null) {
      this.#unknown.add(id);
      if (before.archived) this.broken.push(`${id} is archived, and was answered as unknown`);
      return;
    }
    if (this.#unknown.has(id)) this.broken.push(`${id} was answered as unknown, and is known`);
    if (before.answer === null) return;
    const answer = event.status === 'complete' ? String(event.response?.body) : event.status;
    if (answer !== before.answer)
      this.broken.push(
        `${id} is archived with the answer "${before.answer}", and was shown with "${answer}"`,
      );
  }
}
