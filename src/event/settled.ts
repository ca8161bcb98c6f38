/**
 * Settled events in the order in which they were settled: those that may leave the store first are found first. Events of
 * one retention stand together, so there is such an order: all but those of types that have one of their own.
 */
import { comparePositions, type Position } from './record.js';

/** Places that were passed are given up when they are this many and half of all. */
const SLACK_MAX = 1_024;

interface SettledEvent {
  readonly settledAt: number | null;
  readonly settledBy: Position | null;
}

export class Settled<Event extends SettledEvent> {
  #events: (Event | null)[] = [];
  #first = 0;

  push(event: Event): void {
    this.#events.push(event);
  }

  /** Where its time says, even if the clock has stepped back. */
  insert(event: Event): void {
    let place = this.#events.length;
    while (place > this.#first && byTime(this.#events[place - 1]!, event) > 0) place -= 1;
    if (place === this.#events.length) this.#events.push(event);
    else this.#events.splice(place, 0, event);
  }

  clear(): void {
    this.#events = [];
    this.#first = 0;
  }

  /**
   * Of those that `isKept` still knows, the oldest that `mayLeave`, at most `count`; up to the first that `isYoung`. One that
   * may not leave yet keeps no other from leaving.
   */
  find(
    count: number,
    {
      isKept,
      isYoung,
      mayLeave,
    }: Readonly<Record<'isKept' | 'isYoung' | 'mayLeave', (event: Event) => boolean>>,
  ): Event[] {
    this.#pass(isKept);
    const found: Event[] = [];
    for (let index = this.#first; index < this.#events.length && found.length < count; index += 1) {
      const event = this.#events[index]!;
      if (!isKept(event)) continue;
      if (isYoung(event)) break;
      if (mayLeave(event)) found.push(event);
    }
    return found;
  }

  /** After a fold that came by the events in another order; `byTime` for those that were inserted. */
  sort(isKept: (event: Event) => boolean, order: (a: Event, b: Event) => number = byRecord): void {
    const kept = this.#events.slice(this.#first).filter((event): event is Event => isKept(event!));
    this.#events = kept.sort(order);
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

function byRecord(a: SettledEvent, b: SettledEvent): number {
  return comparePositions(a.settledBy!, b.settledBy!);
}

export function byTime(a: SettledEvent, b: SettledEvent): number {
  return a.settledAt! - b.settledAt! || byRecord(a, b);
}
