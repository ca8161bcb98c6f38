/**
 * The gate of a partition, as the adapter passes it. What was opened has a word, and a script that goes through the gate
 * carries it in its text. Such a text is loaded only into a server that is still in the run in which the gate was opened,
 * and is called by its hash only: a server that has restarted, or has taken another's place, does not know it, and
 * nothing is done there before the partition has been looked at again.
 */
import type { Argument, Connection } from './connection.js';
import { failureOf } from './failure.js';
import { loadedUnder, type Script } from './scripts.js';

/** What is done about a server that has restarted: take what it has as it is, or wait until a recovery opens the gate. */
export type Restarted = 'adopt' | 'recover';

export interface GateOptions {
  /** See lua/look.lua. */
  readonly look: () => Promise<unknown>;
  /** See lua/adopt.lua. */
  readonly adopt: () => Promise<unknown>;
  readonly restarted: Restarted;
  /** What was opened is not any more. */
  readonly closed: () => void;
}

interface Opened {
  readonly run: string;
  readonly word: string;
}

/** A server that restarts, or whose gate moves, time and again, is left to the next try. */
const LOOKS_MAX = 4;

export class Gate {
  #opened: Opened | null = null;
  #looking: Promise<Opened> | null = null;
  /** As loaded under the word that is known. */
  #scripts = new Map<Script, Script>();
  readonly #loading = new Map<Script, Promise<void>>();

  constructor(
    private readonly connection: Connection,
    private readonly options: GateOptions,
  ) {}

  /** Rejects with StoreError, or OutOfMemory. */
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const asked = this.#opened;
    return this.connection.trying(script.name, () => this.#pass(asked, script, keys, args));
  }

  /** `asked` is what was open when the arguments were made. */
  async #pass(
    asked: Opened | null,
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    let opened = this.#opened ?? (await this.#look());
    for (let looks = 1; ; looks += 1) {
      this.#assertSame(asked, opened);
      const loaded = this.#under(opened, script);
      try {
        return await this.connection.runLoaded(loaded, keys, args);
      } catch (error) {
        const failure = failureOf(error);
        if (looks === LOOKS_MAX || (failure !== 'no_script' && failure !== 'recovering')) throw error;
        const before = opened;
        opened = await this.#look();
        // Closed for this script, and yet open under the same word: it speaks of another view.
        if (failure === 'recovering' && opened.word === before.word) throw error;
        if (failure === 'no_script') await this.#load(this.#under(opened, script), opened.run);
      }
    }
  }

  /** What a call says of types need not hold after a recovery: it is for the caller to ask anew. */
  #assertSame(asked: Opened | null, opened: Opened): void {
    if (this.options.restarted === 'adopt' || asked === null || asked.word === opened.word) return;
    throw new Error('RECOVERING the partition was recovered meanwhile');
  }

  #under(opened: Opened, script: Script): Script {
    if (opened !== this.#opened) return loadedUnder(script, opened.word);
    let loaded = this.#scripts.get(script);
    if (!loaded) {
      loaded = loadedUnder(script, opened.word);
      this.#scripts.set(script, loaded);
    }
    return loaded;
  }

  /** Many calls that find a script forgotten load it once. */
  #load(loaded: Script, run: string): Promise<void> {
    let loading = this.#loading.get(loaded);
    if (!loading) {
      loading = this.connection.load(loaded, run).finally(() => this.#loading.delete(loaded));
      this.#loading.set(loaded, loading);
    }
    return loading;
  }

  #look(): Promise<Opened> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<Opened> {
    let found = await this.#read();
    if (found.word !== null && found.openedRun !== found.run && this.options.restarted === 'adopt') {
      await this.options.adopt();
      found = await this.#read();
    }
    const { run, openedRun, word } = found;
    if (word === null || openedRun !== run) {
      this.forget();
      throw new Error('RECOVERING the partition is not open');
    }
    const known = this.#opened;
    if (known?.word === word) return known;
    const opened = { run, word };
    this.#scripts = new Map();
    this.#opened = opened;
    if (known && this.options.restarted === 'recover') this.options.closed();
    return opened;
  }

  /** The gate is closed, and what was known of the partition need not hold when it opens again. */
  forget(): void {
    this.#opened = null;
    this.options.closed();
  }

  async #read(): Promise<{ run: string; openedRun: string | null; word: string | null }> {
    const [run = null, openedRun = null, word = null] = (await this.options.look()) as (Buffer | null)[];
    return { run: String(run), openedRun: openedRun && String(openedRun), word: word && String(word) };
  }
}
