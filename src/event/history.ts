/**
 * The events of a partition in the order of acceptance. An event that is forgotten leaves its sequence number behind, so
 * that places are found by halving; the numbers go when they are the greater part.
 */

/** Forgotten places are given up when they are this many and half of all. */
const SLACK_MAX = 1_024;

export class History<Event extends { readonly sequence: number }> {
  #places: (Event | number)[] = [];
  #gone = 0;

  push(event: Event): void {
    this.#places.push(event);
  }

  forget(event: Event): void {
    const index = this.#indexOf(event.sequence);
    if (this.#places[index] !== event) return;
    this.#places[index] = event.sequence;
    this.#gone += 1;
    if (this.#gone <= SLACK_MAX || this.#gone * 2 < this.#places.length) return;
    this.#places = this.#places.filter((place) => typeof place === 'object');
    this.#gone = 0;
  }

  clear(): void {
    this.#places = [];
    this.#gone = 0;
  }

  /** Oldest first. */
  *[Symbol.iterator](): IterableIterator<Event> {
    for (const place of this.#places) if (typeof place === 'object') yield place;
  }

  /** Newest first, from the one before `sequence` on (null: from the newest). */
  *before(sequence: number | null): IterableIterator<Event> {
    let index = sequence === null ? this.#places.length : this.#indexOf(sequence);
    while (index > 0) {
      index -= 1;
      const place = this.#places[index]!;
      if (typeof place === 'object') yield place;
    }
  }

  /** The first place whose sequence number is not below `sequence`. */
  #indexOf(sequence: number): number {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const place = this.#places[middle]!;
      if ((typeof place === 'object' ? place.sequence : place) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
