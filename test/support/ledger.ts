/**
 * What the clients and listeners of a load were told, kept on their side of the wire, so that what the service says
 * later can be held against it. Every broken promise becomes a line in `broken`.
 */

export class Ledger {
  /** The id that each idempotency key was answered with. */
  readonly idOfKey = new Map<string, string>();
  /** The key of each id: every id here was given by a 2xx. */
  readonly keyOfId = new Map<string, string>();
  /** The answer of the completion that got a 200, by event. */
  readonly acknowledged = new Map<string, string>();
  /** The answer that a client has seen on the complete event. */
  readonly seen = new Map<string, string>();
  readonly broken: string[] = [];
  /** Calls that had to be made again. */
  repeats = 0;
  /** Completions that were refused because their lease was lost. */
  leasesLost = 0;
  #watchers: { readonly isDue: () => boolean; readonly resolve: () => void }[] = [];

  posted(key: string, id: string): void {
    const before = this.idOfKey.get(key) ?? id;
    if (before !== id) this.broken.push(`key ${key} was answered with ${before} and with ${id}`);
    const owner = this.keyOfId.get(id) ?? key;
    if (owner !== key) this.broken.push(`id ${id} was given for ${owner} and for ${key}`);
    this.idOfKey.set(key, id);
    this.keyOfId.set(id, key);
    this.#look();
  }

  completed(id: string, answer: string): void {
    const before = this.acknowledged.get(id) ?? answer;
    if (before !== answer) this.broken.push(`${id}: completions "${before}" and "${answer}" both had a 200`);
    this.acknowledged.set(id, answer);
    this.#look();
  }

  saw(id: string, answer: string): void {
    const before = this.seen.get(id) ?? answer;
    if (before !== answer) this.broken.push(`${id} was complete with "${before}" and then with "${answer}"`);
    this.seen.set(id, answer);
  }

  unknown(id: string): void {
    this.broken.push(`${id} had a 2xx and is not known`);
  }

  /** Resolves as soon as `isDue`, which is asked whenever something is entered. */
  until(isDue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#watchers.push({ isDue, resolve });
      this.#look();
    });
  }

  #look(): void {
    const due = this.#watchers.filter(({ isDue }) => isDue());
    if (due.length === 0) return;
    this.#watchers = this.#watchers.filter((watcher) => !due.includes(watcher));
    for (const { resolve } of due) resolve();
  }
}
