/** One partition as the adapter sees it: its keys, its scripts, and the ordinals of its types. */
import type { Filter } from '../../event/filter.js';
import { type Listener, type Listeners, listenerName } from '../../event/listeners.js';
import { type Claim, StoreError } from '../store.js';
import type { Argument, Connection } from './connection.js';
import { Gate, type Restarted } from './gate.js';
import type { Keys } from './keys.js';
import type { Scripts } from './scripts.js';

export interface Changing {
  readonly head: readonly Argument[];
  readonly restarted: Restarted;
  readonly isCurrent: (partition: number, claim: Claim) => Promise<boolean>;
  readonly woken: (partition: Partition, message: string) => void;
}

export class Partition {
  /** Whose log it was opened for last; null: not yet. */
  logId: string | null = null;
  /** Names by ordinal. Ordinals are never reused while the gate is open, so what was learnt stays true until then. */
  #names: string[] = [];
  #ordinals = new Map<string, number>();
  #learning: Promise<void> | null = null;
  #listeners = NO_LISTENERS;
  #leased = new Set<number>();
  /** When it was last noted that a listener of a type has asked for leases. */
  #asked = new Map<string, number>();
  readonly #gate: Gate;

  constructor(
    readonly number: number,
    readonly keys: Keys,
    private readonly connection: Connection,
    private readonly scripts: Scripts,
    private readonly changing: Changing,
  ) {
    this.#gate = new Gate(connection, {
      look: () => this.run('look', []),
      adopt: () => this.run('adopt', ['', '']),
      restarted: changing.restarted,
      isCurrent: (claim) => changing.isCurrent(number, claim),
      opened: ({ logId }) => {
        this.logId = logId;
      },
      closed: () => this.#forgetTypes(),
    });
  }

  /** Runs the script of that name; `more` keys come after the constant ones that it declares. */
  run(name: string, args: readonly Argument[], more: readonly string[] = []): Promise<unknown> {
    const script = this.scripts.get(name);
    if (!script) throw new Error(`no script ${name}`);
    const keys = script.keys.map((key) => this.keys.constant(key)).concat(more);
    if (!script.gated) return this.connection.run(script, keys, args);
    return this.whileOpen(name, () => this.#gate.run(script, keys, args));
  }

  /**
   * Runs a script that changes something: it is told the head first, see lua/include/head.lua, and its reply begins with
   * whom it wakes. Resolves to the rest of the reply.
   */
  async change(name: string, args: readonly Argument[], more: readonly string[] = []): Promise<unknown[]> {
    const reply = (await this.run(name, [...this.changing.head, ...args], more)) as unknown[];
    const [message, ...rest] = reply;
    this.heard(message as Buffer);
    return rest;
  }

  /** Wakes who waits for what a script says that it changed. */
  heard(message: Buffer): void {
    if (message.length > 0) this.changing.woken(this, message.toString());
  }

  /** What scripts that change something are told first. */
  get head(): readonly Argument[] {
    return this.changing.head;
  }

  /** How many types are known here; the ordinal that the next new one will probably get. */
  get typesKnown(): number {
    return this.#names.length;
  }

  ordinalOf(type: string): number | null {
    return this.#ordinals.get(type) ?? null;
  }

  /** Learns the types that have come since. */
  learnTypes(): Promise<void> {
    this.#learning ??= this.#learn().finally(() => {
      this.#learning = null;
    });
    return this.#learning;
  }

  /** What was known to be open is looked at again. */
  closeGate(): void {
    this.#gate.forget();
  }

  async #learn(): Promise<void> {
    // What was asked for before a recovery does not go on in what is known after it.
    const known = this.#names;
    const names = (await this.run('types', [known.length])) as Buffer[];
    if (known !== this.#names) return;
    for (const name of names) {
      this.#ordinals.set(name.toString(), known.length);
      known.push(name.toString());
    }
  }

  /** A recovery may have lost types that were known here, and given their ordinals to others. */
  #forgetTypes(): void {
    this.#names = [];
    this.#ordinals = new Map();
    this.#listeners = NO_LISTENERS;
    this.#leased = new Set();
    this.#asked = new Map();
  }

  /** As last learnt; scripts are told, and say so when there is another. */
  get listenersVersion(): number {
    return this.#listeners.version;
  }

  listenersOf(typeOrdinal: number): Listeners {
    return this.#listeners.byType.get(typeOrdinal) ?? NONE;
  }

  /** Whether it is known that somebody has leased from the vacant ordinal of the type. */
  isLeased(typeOrdinal: number): boolean {
    return this.#leased.has(typeOrdinal);
  }

  noteLeased(typeOrdinal: number): void {
    this.#leased.add(typeOrdinal);
  }

  /** Whether it is time to note that the listener has asked for leases of the type; then it is taken to be noted. */
  isAskDue(typeOrdinal: number, listener: number): boolean {
    const now = performance.now();
    const asked = `${typeOrdinal}.${listener}`;
    if (now - (this.#asked.get(asked) ?? Number.NEGATIVE_INFINITY) < ASKED_NOTED_MS) return false;
    this.#asked.set(asked, now);
    return true;
  }

  listenerName(typeOrdinal: number, listener: number): string {
    return listenerName(this.listenersOf(typeOrdinal), listener);
  }

  /** Learns the listeners unless they are those of `version`, as a script has said. */
  async reachListeners(version: number): Promise<void> {
    if (version !== this.#listeners.version) await this.learnListeners();
  }

  /** Learns the listeners as they are; with `all` also who has leased from vacant ordinals, which makes no version. */
  async learnListeners(all?: 'all'): Promise<void> {
    const known = this.#names;
    const have = all ? '' : this.#listeners.version;
    const [version, ...fields] = (await this.run('listeners', [have])) as [number, ...Buffer[]];
    // Others may have learnt more meanwhile, or a recovery has begun.
    if (known !== this.#names || version < this.#listeners.version || version === have) return;
    const byType = new Map<number, Listeners>();
    const leased = new Set<number>();
    for (let at = 0; at < fields.length; at += 2) {
      const [ordinal, isLeased] = fields[at]!.toString().split('.');
      if (isLeased) leased.add(Number(ordinal));
      else byType.set(Number(ordinal), readListeners(fields[at + 1]!));
    }
    this.#listeners = { version, byType };
    this.#leased = leased;
  }

  /** Makes sure that all of `ordinals`, which the store has named, have a name here too. */
  learnNames(ordinals: Iterable<number>): Promise<void> {
    return this.whileOpen('types', async () => {
      for (const ordinal of ordinals) {
        // What was under way may have been asked for before the type came.
        for (let k = 0; k < 2 && ordinal >= this.#names.length; k += 1) await this.learnTypes();
      }
    });
  }

  /** Ordinals mean what they did when `work` began: it is not answered if the partition was closed meanwhile. */
  async whileOpen<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    const known = this.#names;
    const result = await work();
    if (known === this.#names) return result;
    throw new StoreError('recovering', operation, new Error('the partition was closed meanwhile'));
  }

  /** After `learnNames`. Rejects as `recovering`: only a partition that was closed since then does not know it. */
  nameOf(ordinal: number): string {
    const name = this.#names[ordinal];
    if (name !== undefined) return name;
    throw new StoreError('recovering', 'types', new Error(`partition ${this.number} has no type ${ordinal}`));
  }
}

/** How often it is noted at most, by each process, that a listener has asked for leases. */
const ASKED_NOTED_MS = 5_000;

interface KnownListeners {
  readonly version: number;
  readonly byType: ReadonlyMap<number, Listeners>;
}

const NO_LISTENERS: KnownListeners = { version: 0, byType: new Map() };
const NONE: Listeners = [];
const STATES = ['living', 'leaving', 'gone'] as const;

/** As lua/include/listeners.lua keeps them. */
function readListeners(packed: Buffer): Listeners {
  const listeners = JSON.parse(packed.toString()) as [string, 0 | 1, string | false, 0 | 1 | 2][];
  return listeners.map(([name, responder, filter, state]): Listener => {
    const parsed = filter === false ? null : (JSON.parse(filter) as Filter);
    return { name, responder: responder === 1, filter: parsed, state: STATES[state] };
  });
}

/** Names each queue once and gives its place, counted from 1, as scripts are told it. */
export class QueueKeys {
  readonly #places = new Map<string, number>();

  placeOf(key: string): number {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.#places.size + 1);
    return this.#places.size;
  }

  get list(): string[] {
    return [...this.#places.keys()];
  }
}
