/**
 * Wakes: what scripts say that they changed, told to who waits in this process. Changes made here come with the reply of
 * the script; those of other processes over a subscription.
 */
import type { Wake } from '../store.js';
import type { Partition } from './partition.js';

export class Wakes {
  readonly #listeners = new Set<(wake: Wake) => void>();

  /** `instance` is how this process names itself to scripts. */
  constructor(private readonly instance: string) {}

  listen(wake: (wake: Wake) => void): () => void {
    // Each call is a listener of its own, even with the same function.
    const listener = (what: Wake) => wake(what);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a script of this process changed. */
  own(partition: Partition, message: string): void {
    this.#tell(partition, message);
  }

  /** What came over the subscription; one's own words have been heard already. */
  foreign(partition: Partition, message: string): void {
    if (!message.startsWith(`${this.instance} `)) this.#tell(partition, message);
  }

  #tell(partition: Partition, message: string): void {
    if (this.#listeners.size === 0) return;
    const said = parseMessage(message);
    const { queues } = said;
    const isKnown = said.listeners === partition.listenersVersion || queues.length === 0;
    if (isKnown && queues.every(({ type }) => type < partition.typesKnown)) {
      this.#emit(partition, said);
      return;
    }
    const names = partition.learnNames(queues.map(({ type }) => type));
    // A wake is a hint: when the names cannot be had, a slow poll stands behind it.
    const listeners = names.then(() => (isKnown ? undefined : partition.learnListeners()));
    listeners
      .then(() => this.#emit(partition, said))
      .catch(() => this.#emit(partition, { ...said, queues: [] }));
  }

  #emit(partition: Partition, { queues, changed, archived, wanted }: Said): void {
    const ready = queues.map(({ type, listener, count }) => ({
      type: partition.nameOf(type),
      listener: partition.listenerName(type, listener),
      count,
    }));
    const here = [partition.number];
    const wake: Wake = { ready, changed, archived: archived ? here : [], wanted: wanted ? here : [] };
    for (const listener of this.#listeners) listener(wake);
  }
}

interface Queue {
  readonly type: number;
  readonly listener: number;
  readonly count: number;
}

interface Said {
  readonly queues: readonly Queue[];
  readonly changed: readonly string[];
  readonly archived: boolean;
  readonly wanted: boolean;
  /** Their version. */
  readonly listeners: number;
}

/** See lua/include/wake.lua. */
function parseMessage(message: string): Said {
  const [, queues = '', changed = '', archived = '', wanted = '', listeners = '0'] = message.split(' ');
  return {
    queues: wordsOf(queues).map((queue) => {
      const [type, listener, count] = queue.split('.').map(Number);
      return { type: type!, listener: listener!, count: count! };
    }),
    changed: wordsOf(changed),
    archived: archived !== '',
    wanted: wanted !== '',
    listeners: Number(listeners),
  };
}

function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split(',');
}
