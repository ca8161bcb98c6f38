/** Settled events in the order in which they were settled: those that may leave the store first are found first. */
import { comparePositions, type Position } from './record.js';

/** Places that were passed are given up when they are this many and half of all. */
const SLACK_MAX = 1_024;

export class Settled<Event extends { readonly settledBy: Position | null }> {
  #events: (Event | null)[] = [];
  #first = 0;

  push(event: Event): void {
    this.#events.push(event);
  }

  clear(): void {
    this.#events = [];
    this.#first = 0;
  }

  /** Oldest first, at most `count` of those that `isKept` still knows. */
  peek(count: number, isKept: (event: Event) => boolean): Event[] {
    this.#pass(isKept);
    const found: Event[] = [];
    for (let index = this.#first; index < this.#events.length && found.length < count; index += 1) {
      const event = this.#events[index]!;
      if (isKept(event)) found.push(event);
    }
    return found;
  }

  /** After a fold that came by the events in another order. */
  sort(isKept: (event: Event) => boolean): void {
    const kept = this.#events.slice(this.#first).filter((event): event is Event => isKept(event!));
    this.#events = kept.sort((a, b) => comparePositions(a.settledBy!, b.settledBy!));
    this.#first = 0;
  }

  #pass(isKept: (event: Event) => boolean): void {
    while (this.#first < this.#events.length && !isKept(this.#events[this.#first]!)) {
      this.#events[this.#first] = null;
      this.#first += 1;
    }
    if (this.#first > SLACK_MAX && this.#first * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
  }
}
