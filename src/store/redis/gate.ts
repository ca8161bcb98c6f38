/**
 * The gate of a partition, as the adapter passes it. What was opened has a word, and a script that goes through the gate
 * carries it in its text. Such a text is loaded only into a server that is still in the run in which the gate was opened,
 * and is called by its hash only: a server that has restarted, or has taken another's place, does not know it, and
 * nothing is done there before the partition has been looked at again.
 *
 * A server that was open before this process knew it, or that stands behind the address again after another one has,
 * may have been left behind by the log meanwhile. It is let through once the log has said that it was not.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Claim } from '../store.js';
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
  /** Whether the log has gone on with what says this, and with no other. */
  readonly isCurrent: (claim: Claim) => Promise<boolean>;
  /** It is let through from now on. */
  readonly opened: (claim: Claim) => void;
  /** What was opened is not any more. */
  readonly closed: () => void;
}

interface Opened {
  readonly run: string;
  readonly word: string;
}

interface Found {
  readonly run: string;
  readonly openedRun: string | null;
  readonly word: string | null;
  readonly claim: Claim;
}

/** A server that restarts, or whose gate moves, time and again, is left to the next try. */
const LOOKS_MAX = 4;
/** How long calls wait for the log to answer; and how soon it is asked again after it did not say yes. */
const ASK_MS_MAX = 2_000;
const ASK_AGAIN_MS = 250;

export class Gate {
  #opened: Opened | null = null;
  #looking: Promise<Opened> | null = null;
  /** What the log says of a word, for as long as that is not asked again. */
  #asked: { readonly word: string; readonly answer: Promise<boolean> } | null = null;
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
      this.#asked = null;
      this.forget();
      throw new Error('RECOVERING the partition is not open');
    }
    if (this.#opened?.word === word) return this.#opened;
    if (!(await this.#isCurrent(word, found.claim))) {
      this.forget();
      throw new Error('RECOVERING the log has not said that it has gone on with this server');
    }
    const known = this.#opened;
    const opened = { run, word };
    this.#scripts = new Map();
    this.#opened = opened;
    if (known && this.options.restarted === 'recover') this.options.closed();
    this.options.opened(found.claim);
    return opened;
  }

  /** The gate is closed, and what was known of the partition need not hold when it opens again. */
  forget(): void {
    this.#opened = null;
    this.options.closed();
  }

  /** False also while the log cannot be asked: what is wrong with it, who archives says. */
  async #isCurrent(word: string, claim: Claim): Promise<boolean> {
    if (this.options.restarted === 'adopt') return true;
    if (this.#asked?.word !== word) {
      const answer = this.options.isCurrent(claim).catch(() => false);
      this.#asked = { word, answer };
      void answer.then((isCurrent) => this.#forgetAnswer(answer, isCurrent ? 0 : ASK_AGAIN_MS));
    }
    return Promise.race([this.#asked.answer, delay(ASK_MS_MAX, false, { ref: false })]);
  }

  async #forgetAnswer(answer: Promise<boolean>, afterMs: number): Promise<void> {
    if (afterMs > 0) await delay(afterMs, undefined, { ref: false });
    if (this.#asked?.answer === answer) this.#asked = null;
  }

  async #read(): Promise<Found> {
    const reply = (await this.options.look()) as (Buffer | null)[];
    const [run, openedRun = null, word = null, logId, view, slot] = reply.map((part) => part && String(part));
    const claim = { logId: String(logId), view: Number(view), slot: Number(slot ?? 0) };
    return { run: String(run), openedRun, word, claim };
  }
}
