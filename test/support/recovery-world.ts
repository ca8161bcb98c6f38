/**
 * The protocol of log and recovery as a simulation: the real archiver, opening and recovery over the real core, on
 * simulated stores, a simulated place for the log, and clocks and chance that belong to the seed. Servers fail over
 * to any prefix of what they had, live on as zombies, lose everything; service instances die, or are led to another
 * server in the middle of anything; puts get lost, come late or twice; checkpoints are made by several at once, and what
 * they cover is deleted.
 *
 * After every step it is checked that the log is one chain without gap or double, that nothing archived is missing
 * from it or from a store that is open in the log's view, that a store which was recovered is the fold of all that ever
 * was in the log and of its own outbox, and that nothing waits where it can never be archived.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { BlobStore } from '../../src/blob/blob.js';
import { apply } from '../../src/event/apply.js';
import { comparePositions, formatPosition, type LogRecord, parsePosition } from '../../src/event/record.js';
import { emptyState, type PartitionState } from '../../src/event/state.js';
import type { Archiver } from '../../src/log/archiver.js';
import type { ArchiverEvent } from '../../src/log/archiver-status.js';
import type { CheckpointDamagedError } from '../../src/log/checkpoint.js';
import { decodeRecord } from '../../src/log/record-line.js';
import { type Outbox, type Recoverable, StoreError } from '../../src/store/store.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import type { EditedLog } from './edited-log.js';
import { ManualClock } from './manual-clock.js';
import { type ServerMistakes, SimServer } from './sim-server.js';
import { Clients } from './simulated-clients.js';
import { smallOf } from './small-segments.js';
import { factsOf } from './state-facts.js';
import { CalmBlobs, Places, StormyBlobs } from './stormy-place.js';
import { Turns } from './turns.js';

const LOG_ID = 'simulated';
const IDENTITY = { logId: LOG_ID, partitions: 1 };
const DAY_MS = 86_400_000;
const FAILOVERS_MAX = 4;
const INSTANCES_MAX = 3;

export interface WorldOptions {
  readonly log: EditedLog;
  readonly mistakes: ServerMistakes & { readonly overwrites?: boolean };
}

const COUNTED = [
  'records',
  'segments',
  'fences',
  'acknowledged',
  'receipts',
  'recoveries',
  'failovers',
  'tailsLost',
  'zombies',
  'flushes',
  'redirects',
  'deaths',
  'lost',
  'late',
  'doubled',
  'checkpoints',
  'deletions',
  'overtaken',
  'fenced',
] as const;

export type Counts = Record<(typeof COUNTED)[number], number>;

function noCounts(): Counts {
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
}

interface Instance {
  readonly name: string;
  readonly archiver: Archiver;
  readonly clock: ManualClock;
  server: SimServer;
  /** What it made of which records, by slot. */
  readonly made: Map<number, readonly LogRecord[]>;
}

export class World {
  readonly turns: Turns;
  readonly places = new Places();
  readonly overwrites: boolean;
  readonly counts = noCounts();
  #bad = true;
  #instances: Instance[] = [];
  /** Who makes a checkpoint just now. */
  readonly #makers = new Set<string>();
  #servers: SimServer[];
  #names = 0;
  readonly #clients: Clients;
  /** By position: the line of each record that an archiver has said is archived. */
  readonly #acknowledged = new Set<string>();
  #inLog = new Set<string>();
  #cursor: LogRecord['pos'] | null = null;
  #logView = 0;
  #fault: unknown = null; // What went wrong where nobody could throw.

  constructor(
    seed: number,
    private readonly options: WorldOptions,
  ) {
    this.turns = new Turns(seed);
    this.#clients = new Clients(this.turns);
    this.overwrites = options.mistakes.overwrites === true;
    this.#servers = [new SimServer(options.mistakes)];
  }

  strikes(probability: number): boolean {
    return this.#bad && this.turns.chance(probability);
  }

  async run(steps: number): Promise<void> {
    this.#bear();
    for (let i = 0; i < steps; i++) {
      await this.#settle();
      this.#happen();
      if (this.turns.chance(0.02)) await this.#deleteOld();
      await this.#settle();
      this.#step();
      this.#check();
    }
    await this.#heal();
  }

  /** When the faults stop, the store in use opens, and everything in it is archived. */
  async #heal(): Promise<void> {
    this.#bad = false;
    const server = this.#master;
    for (const other of this.#servers) if (other !== server) other.alive = false;
    this.#servers = [server];
    if (this.#instances.length === 0) this.#bear();
    for (const instance of this.#instances) instance.server = server;
    const steps = 3_000;
    for (let i = 0; !(server.open && server.state.outbox.length === 0 && this.turns.waiting === 0); i++) {
      const states = this.#instances.map(({ archiver }) => JSON.stringify(archiver.status())).join();
      assert.ok(i < steps, `all is well, and the store is ${server.open ? 'open' : 'closed'}: ${states}`);
      await this.#settle();
      this.#step();
      this.#check();
    }
    this.#compareWithLog(server.state);
    this.counts.records = this.#inLog.size;
    this.counts.acknowledged = this.#acknowledged.size;
    this.counts.receipts = this.#clients.receipts.given.size;
    for (const { header } of this.places.parsed)
      this.counts[header.kind === 'fence' ? 'fences' : 'segments']++;
  }

  get #master(): SimServer {
    return this.#servers.at(-1)!;
  }

  #happen(): void {
    const { turns } = this;
    if (turns.chance(0.35)) this.#clients.callSomebody(this.#servers);
    if (turns.chance(0.02) && this.counts.failovers < FAILOVERS_MAX) this.#failOver();
    if (turns.chance(0.004)) {
      this.#master.flush();
      this.counts.flushes++;
    }
    if (turns.chance(0.02)) this.#redirect();
    if (turns.chance(0.015)) this.#kill();
    if (this.#instances.length === 0) this.#bear();
    if (turns.chance(0.03) && this.#instances.length < INSTANCES_MAX) this.#bear();
    const maker = turns.chance(0.06) ? this.#instances[turns.below(this.#instances.length)] : undefined;
    if (maker !== undefined) this.#makeCheckpoint(maker);
  }

  #failOver(): void {
    const { turns, counts } = this;
    const old = this.#servers[turns.below(this.#servers.length)]!;
    const length = old.history.length;
    const kept = turns.chance(0.4)
      ? length
      : Math.max(0, length - turns.below(turns.chance(0.7) ? 12 : length + 1));
    const next = old.successor(kept);
    counts.failovers++;
    if (kept < length) counts.tailsLost++;
    old.alive = turns.chance(0.5);
    if (old.alive) counts.zombies++;
    else this.#servers = this.#servers.filter((server) => server !== old);
    this.#servers.push(next);
    for (const instance of this.#instances) {
      if (instance.server === old && (!old.alive || turns.chance(0.6))) instance.server = next;
    }
  }

  /** An instance finds another server behind the store's address. */
  #redirect(): void {
    const instance = this.#instances[this.turns.below(this.#instances.length)];
    if (instance === undefined) return;
    instance.server = this.#servers[this.turns.below(this.#servers.length)]!;
    this.counts.redirects++;
  }

  #kill(): void {
    const [dead] = this.#instances.splice(this.turns.below(this.#instances.length), 1);
    if (dead === undefined) return;
    this.turns.drop(dead.name);
    this.turns.drop(makerOf(dead.name));
    this.#makers.delete(makerOf(dead.name));
    this.counts.deaths++;
  }

  #bear(): void {
    const name = `writer-${++this.#names}`;
    const clock = new ManualClock();
    let puts = 0;
    const server = this.#servers[this.turns.below(this.#servers.length)]!;
    const store = this.#storeOf(name);
    const { encodeSegment } = this.options.log;
    const encode = this.#names % 2 === 0 ? smallOf(encodeSegment) : encodeSegment;
    const made = new Map<number, readonly LogRecord[]>();
    const archiver = new this.options.log.Archiver({
      logId: LOG_ID,
      partition: 0,
      partitions: 1,
      blobs: new StormyBlobs(name, this),
      outbox: store,
      recoverable: store,
      writer: name,
      archiveIntervalMs: 1_000,
      clock,
      newPutId: () => `${name}/${++puts}`,
      encode: async (place, records) => {
        const segment = await encode(place, records);
        made.set(place.slot, records.slice(0, segment.header.count));
        return segment;
      },
      report: (event) => this.#hear(name, event),
    });
    archiver.start();
    this.#instances.push({ name, archiver, clock, server, made });
  }

  #hear(name: string, event: ArchiverEvent): void {
    const { counts } = this;
    if (event.kind === 'overtaken') counts.overtaken++;
    if (event.kind === 'fenced') counts.fenced++;
    if (event.kind === 'opened' && event.recovered) counts.recoveries++;
    if (event.kind === 'failed' && event.state === 'refused') this.#fault ??= event.error;
    if (event.kind === 'checkpointDamaged') this.#checkDropped(event);
    if (event.kind !== 'archived') return;
    for (const { pos } of this.#instance(name).made.get(event.slot) ?? []) {
      const position = formatPosition(pos);
      this.#acknowledged.add(position);
      this.#learnLog();
      if (!this.#inLog.has(position))
        this.#fault ??= new Error(`LOST ${position}: acknowledged, and not in the log`);
    }
  }

  #makeCheckpoint({ name, archiver }: Instance): void {
    const { slot } = archiver.status();
    const owner = makerOf(name);
    if (slot === null || slot === 0 || this.#makers.has(owner)) return;
    const blobs = new StormyBlobs(owner, this);
    this.#makers.add(owner);
    this.#checkpoint(blobs, slot)
      .catch((error: Error) => this.#mayFail(error))
      .finally(() => this.#makers.delete(owner));
  }

  /** Out of reach, or the log was cut meanwhile: it is tried again another time. */
  #mayFail(error: Error): void {
    if (error.name === 'CheckpointDamagedError') this.#checkDropped(error as CheckpointDamagedError);
    else if (error.name !== 'BlobError' && error.name !== 'CheckpointRefusedError') this.#fault ??= error;
  }

  /** What is damaged was taken away under its reader's hands, newer ones having been made. */
  #checkDropped({ key, reason }: { readonly key: string; readonly reason: string }): void {
    const manifest = key.replace(/[^/]*$/, 'manifest.json');
    if (this.places.others.has(manifest)) this.#fault ??= new Error(`${key}: ${reason}`);
  }

  async #checkpoint(blobs: BlobStore, slot: number): Promise<void> {
    const { makeCheckpoint, dropOldCheckpoints } = this.options.log;
    const warn = (error: CheckpointDamagedError) => this.#checkDropped(error);
    const made = await makeCheckpoint({ blobs, identity: IDENTITY, partition: 0, slot, now: () => 0, warn });
    if (made.kind !== 'made') return;
    this.counts.checkpoints++;
    await dropOldCheckpoints(blobs, IDENTITY, 0);
  }

  #instance(name: string): Instance {
    return this.#instances.find((instance) => instance.name === name)!;
  }

  #storeOf(owner: string): Outbox & Recoverable {
    const call = async <Result>(operation: string, act: (server: SimServer) => Result): Promise<Result> => {
      await this.turns.take(owner);
      const { server } = this.#instance(owner);
      if (!server.alive || this.strikes(0.04))
        throw new StoreError('unavailable', operation, new Error('away'));
      const result = act(server);
      await this.turns.take(owner);
      if (this.strikes(0.03)) throw new StoreError('unavailable', operation, new Error('the answer is lost'));
      return result;
    };
    return {
      readOutbox: async (_partition, after, _limit, view) => {
        const count = 1 + this.turns.below(4);
        const records = await call('readOutbox', (server) => server.readOutbox(after, count, view));
        return records;
      },
      markArchived: (_partition, pos, slot, view) =>
        call('markArchived', (server) => server.markArchived(pos, slot, view)),
      archivedTo: () => call('archivedTo', (server) => server.state.archived),
      holdArchiving: () => call('holdArchiving', () => this.#mayHold(owner)),
      standing: () => call('standing', (server) => server.standing()),
      beginRecovery: (_partition, epoch) => call('beginRecovery', (server) => server.begin(epoch)),
      empty: (_partition, epoch) => call('empty', (server) => server.empty(epoch)),
      replay: inOrder((_partition, epoch, records, archived) =>
        call('replay', (server) => server.replay(epoch, records, archived)),
      ),
      finishRecovery: (_partition, epoch, logId, view) =>
        call('finishRecovery', (server) => server.finish(epoch, logId, view)),
      doubt: () => undefined,
    };
  }

  /** It protects nothing, so that in the storm anybody has it; in the end one has it alone, or they would race on. */
  #mayHold(owner: string): boolean {
    return this.#bad ? this.turns.chance(0.9) : this.#instances[0]?.name === owner;
  }

  /** All clocks go on by more than a day, and what is older and in a checkpoint goes, even fences. */
  async #deleteOld(): Promise<void> {
    const { live } = this.places;
    const keepFences = this.turns.chance(0.5);
    this.#clients.now += DAY_MS / 2;
    for (const { clock } of [...this.#instances]) {
      clock.advance(DAY_MS + 60_000);
      await this.#settle();
    }
    const { LogReader, cutLog } = this.options.log;
    const blobs = new CalmBlobs(this.places);
    const head = this.places.parsed.length;
    for (const slot of [head - 1 - (this.turns.chance(0.7) ? 0 : this.turns.below(4)), head])
      if (slot > 0) await this.#checkpoint(blobs, slot).catch((error) => this.#mayFail(error));
    const reader = new LogReader(blobs, IDENTITY);
    const cut = await cutLog({ blobs, reader, identity: IDENTITY, partition: 0, writtenBefore: 1 });
    for (const slot of keepFences ? [] : [...live.keys()]) if (slot < cut.floor) live.delete(slot);
    if (cut.segments > 0) this.counts.deletions++;
  }

  /** Until every instance waits, for its turn or for its clock: what comes next is then the seed's choice alone. */
  async #settle(): Promise<void> {
    for (let i = 0; !this.#allWait(); i++) {
      assert.ok(i < 100_000, 'an archiver neither waits nor comes back');
      await setImmediate();
    }
  }

  #allWait(): boolean {
    return (
      this.#instances.every((instance) => this.#blocked(instance)) &&
      [...this.#makers].every((owner) => this.turns.waits(owner))
    );
  }

  #blocked({ name, clock }: Instance): boolean {
    return clock.waiting > 0 || this.turns.waits(name);
  }

  /** One of those that wait for their turn goes on, or one that sleeps wakes. */
  #step(): void {
    const asleep = this.#instances.filter(({ clock }) => clock.waiting > 0);
    if (this.turns.below(this.turns.waiting + asleep.length) < this.turns.waiting) return this.turns.next();
    const sleeper = asleep[this.turns.below(asleep.length)];
    sleeper?.clock.advance(sleeper.clock.nextInMs ?? 0);
  }

  #check(): void {
    if (this.#fault) throw this.#fault;
    this.#learnLog();
    for (const server of this.#servers) {
      this.#clients.receipts.look(server, this.#inLog);
      for (const { pos } of server.trimmed.splice(0)) {
        const position = formatPosition(pos);
        assert.ok(this.#inLog.has(position), `TRIMMED ${position}, and it is not in the log`);
      }
      if (server.isFresh) this.#compareFresh(server);
      if (!server.open || server.state.view !== this.#logView) continue;
      for (const position of this.#acknowledged)
        assert.ok(knows(server, position), `VIEW misses ${position}, which is acknowledged`);
      for (const position of this.#clients.receipts.given)
        assert.ok(knows(server, position), `VIEW misses ${position}, for which there is a receipt`);
      for (const { pos } of server.state.outbox) {
        const position = formatPosition(pos);
        const stranded =
          this.#cursor && comparePositions(pos, this.#cursor) <= 0 && !this.#inLog.has(position);
        assert.ok(!stranded, `STRANDED ${position}: below the log's end, and not in it`);
      }
    }
  }

  /** Reads the log when it has changed, and checks that it is one chain. */
  #learnLog(): void {
    if (!this.places.changed) return;
    this.places.changed = false;
    const inLog = new Set<string>();
    let epoch = 0;
    let view = 0;
    let cursor: LogRecord['pos'] | null = null;
    const { parsed } = this.places;
    for (let i = 0; i < parsed.length; i++) {
      const slot = parsed[i];
      assert.ok(slot, `GAP in the log: no slot ${i + 1}`);
      assert.ok(slot.header.epoch >= epoch, `EPOCH goes back in slot ${i + 1}`);
      assert.ok(slot.header.view >= view, `VIEW goes back in slot ${i + 1}`);
      epoch = slot.header.epoch;
      view = slot.header.view;
      for (const line of slot.lines) {
        const position = line.slice(8, line.indexOf('"', 8));
        const pos = parsePosition(position)!;
        assert.ok(
          !cursor || comparePositions(cursor, pos) < 0,
          `DOUBLE or out of order: ${position} in slot ${i + 1}`,
        );
        cursor = pos;
        inLog.add(position);
      }
    }
    for (const position of this.#acknowledged)
      assert.ok(inLog.has(position), `LOST ${position}: acknowledged, and no longer in the log`);
    this.#inLog = inLog;
    this.#cursor = cursor;
    this.#logView = view;
  }

  /** Everything is archived, so the store is what the log's records make of nothing. */
  #compareWithLog(state: PartitionState): void {
    const folded = emptyState(POLICY, LIMITS);
    for (const record of this.#recordsUpTo(state.archived?.pos ?? null)) apply(folded, record);
    for (const record of state.outbox) apply(folded, record);
    assert.deepEqual(factsOf(state, this.#clients.now), factsOf(folded, this.#clients.now));
  }

  /** What has just been recovered has nothing done to it yet. */
  #compareFresh(server: SimServer): void {
    server.isFresh = false;
    this.#compareWithLog(server.state);
  }

  /** Of all that ever was in the log. */
  *#recordsUpTo(end: LogRecord['pos'] | null): IterableIterator<LogRecord> {
    for (const { lines } of end === null ? [] : this.places.parsed) {
      for (const line of lines) {
        const record = decodeRecord(line);
        if (comparePositions(record.pos, end!) > 0) return;
        yield record;
      }
    }
  }
}

function makerOf(name: string): string {
  return `${name}, maker`;
}

function knows({ has, coveredTo }: SimServer, position: string): boolean {
  return (
    has.has(position) || (coveredTo !== null && comparePositions(parsePosition(position)!, coveredTo) <= 0)
  );
}

/** Calls that are made before those before them are answered wait for those, and are not made when they failed. */
function inOrder(replay: Recoverable['replay']): Recoverable['replay'] {
  let last: Promise<boolean> | null = null;
  return (...args) => {
    const before = last;
    const running = (async () => (before === null || (await before) ? replay(...args) : false))();
    last = running;
    const done = () => {
      if (last === running) last = null;
    };
    running.then(done, done);
    return running;
  };
}
