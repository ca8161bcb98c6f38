/**
 * Calls that arrive while one is under way go together as the next one. With nobody else about, a call goes at once and
 * alone; under load the calls to the store become few and large by themselves, without a timer.
 */

export interface CoalescerOptions<Item, Result> {
  /** Results in the order of the items. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly bytesOf: (item: Item) => number;
  readonly itemsMax: number;
  /** A single item may weigh more. */
  readonly bytesMax: number;
}

interface Waiter<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Coalescer<Item, Result> {
  #waiting: Waiter<Item, Result>[] = [];
  #running = false;

  constructor(private readonly options: CoalescerOptions<Item, Result>) {}

  submit(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#running) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#running = true;
    // What the present turn of the event loop still has to submit goes along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      try {
        const results = await this.options.run(batch.map(({ item }) => item));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
      } catch (error) {
        // Those behind would each wait as long in vain, and together without bound.
        for (const { reject } of batch.concat(this.#waiting)) reject(error);
        this.#waiting = [];
      }
    }
    this.#running = false;
  }

  #takeBatch(): Waiter<Item, Result>[] {
    const { bytesOf, itemsMax, bytesMax } = this.options;
    let count = 0;
    let bytes = 0;
    for (const { item } of this.#waiting) {
      bytes += bytesOf(item);
      if (count === itemsMax || (count > 0 && bytes > bytesMax)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
