/**
 * Archivers as a simulation: several on one outbox, that die and come back, over a blob store whose puts fail before
 * or after they are done, or arrive late. Whatever happens, the log holds every record once and in order.
 *
 * `SEED=123 SEEDS=1` runs one seed again.
 */
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { BlobError, type BlobInfo } from '../../src/blob/blob.js';
import { comparePositions, formatPosition, type LogRecord, type Position } from '../../src/event/record.js';
import { Archiver } from '../../src/log/archiver.js';
import { LogReader } from '../../src/log/reader.js';
import { encodeSegment } from '../../src/log/segment.js';
import { type Outbox, StoreError } from '../../src/store/store.js';
import { ManualClock } from '../support/manual-clock.js';
import { MemoryBlobs } from '../support/memory-blobs.js';
import { MemoryOutbox } from '../support/memory-outbox.js';
import { acceptedRecord, LOG_ID } from '../support/records.js';
import { smallOf } from '../support/small-segments.js';
import { Turns } from '../support/turns.js';

const SEEDS = Number(process.env['SEEDS'] ?? 100);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const STEPS = 400;
const IDENTITY = { logId: LOG_ID, partitions: 1 };

/** What has left a sender that hears nothing of it any more; it goes on when its sender has died. */
const NETWORK = 'network';

/** The faults that a seed draws; off while all heals. */
class Weather {
  bad = true;
  readonly counts = { puts: 0, lostBefore: 0, lostAfter: 0, late: 0, overtaken: 0, deaths: 0 };

  constructor(readonly turns: Turns) {}

  strikes(probability: number): boolean {
    return this.bad && this.turns.chance(probability);
  }
}

/** The blob store as one process reaches it. */
class StormyBlobs extends MemoryBlobs {
  constructor(
    readonly owner: string,
    readonly shared: MemoryBlobs,
    readonly weather: Weather,
  ) {
    super();
  }

  override async putIfAbsent(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const { counts, turns } = this.weather;
    counts.puts++;
    if (this.weather.strikes(0.15)) {
      counts.late++;
      void turns.take(NETWORK).then(() => this.shared.putIfAbsent(key, bytes));
      await turns.take(this.owner);
      throw new BlobError('unavailable', 'put', key, new Error('timed out, and still under way'));
    }
    await this.#turn('put', key);
    const result = await this.shared.putIfAbsent(key, bytes);
    // The answer takes its time too: others go on meanwhile, and its receiver may be dead.
    await turns.take(this.owner);
    if (!this.weather.strikes(0.2)) return result;
    counts.lostAfter++;
    throw new BlobError('unavailable', 'put', key, new Error('done, and the answer lost'));
  }

  override async get(key: string): Promise<Buffer | null> {
    await this.#turn('get', key);
    return this.shared.get(key);
  }

  override async list(prefix: string, options: { after?: string; limit: number }): Promise<BlobInfo[]> {
    await this.#turn('list', prefix);
    return this.shared.list(prefix, options);
  }

  async #turn(operation: string, key: string): Promise<void> {
    await this.weather.turns.take(this.owner);
    if (!this.weather.strikes(0.1)) return;
    this.weather.counts.lostBefore++;
    throw new BlobError('unavailable', operation, key, new Error('never arrived'));
  }
}

class World {
  readonly turns: Turns;
  readonly weather: Weather;
  readonly blobs = new MemoryBlobs();
  readonly outbox = new MemoryOutbox();
  readonly added: LogRecord[] = [];
  #archivers: { name: string; archiver: Archiver; clock: ManualClock }[] = [];
  #names = 0;
  refusal: unknown = null;

  constructor(seed: number) {
    this.turns = new Turns(seed);
    this.weather = new Weather(this.turns);
  }

  get alive(): number {
    return this.#archivers.length;
  }

  get quiet(): boolean {
    return this.outbox.records.length === 0 && this.turns.waiting === 0;
  }

  addRecords(count: number): void {
    for (let i = 0; i < count; i++) {
      const last = this.added.at(-1)?.pos ?? { view: 1, n: 0 };
      const pos = this.turns.chance(0.02)
        ? { view: last.view + 1, n: 1 }
        : { view: last.view, n: last.n + 1 };
      const record = acceptedRecord(pos, Buffer.from(`body of ${formatPosition(pos)}`));
      this.added.push(record);
      this.outbox.add(record);
    }
  }

  bear(): void {
    const name = `writer-${++this.#names}`;
    const clock = new ManualClock();
    let puts = 0;
    const archiver = new Archiver({
      ...IDENTITY,
      partition: 0,
      blobs: new StormyBlobs(name, this.blobs, this.weather),
      outbox: this.#outboxOf(name),
      writer: name,
      archiveIntervalMs: 1_000,
      clock,
      newPutId: () => `${name}/${++puts}`,
      ...(this.#names % 2 === 0 ? { encode: smallOf(encodeSegment) } : {}),
      report: (event) => {
        if (event.kind === 'overtaken') this.weather.counts.overtaken++;
        if (event.kind === 'failed' && event.state === 'refused') this.refusal = event.error;
      },
    });
    archiver.start();
    this.#archivers.push({ name, archiver, clock });
  }

  kill(): void {
    const [dead] = this.#archivers.splice(this.turns.below(this.#archivers.length), 1);
    if (dead === undefined) return;
    this.turns.drop(dead.name);
    this.weather.counts.deaths++;
  }

  /** Until every archiver waits, for its turn or for its clock: what comes next is then the seed's choice alone. */
  async settle(): Promise<void> {
    for (let i = 0; this.#blocked() < this.alive; i++) {
      assert.ok(i < 100_000, 'an archiver neither waits nor comes back');
      await setImmediate();
    }
  }

  /** One of those that wait for their turn goes on, or one that sleeps wakes. */
  step(): void {
    const asleep = this.#archivers.filter(({ clock }) => clock.waiting > 0);
    if (this.turns.below(this.turns.waiting + asleep.length) < this.turns.waiting) return this.turns.next();
    const sleeper = asleep[this.turns.below(asleep.length)];
    sleeper?.clock.advance(sleeper.clock.nextInMs ?? 0);
  }

  async log(): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    for await (const segment of new LogReader(this.blobs, IDENTITY).segments(0))
      records.push(...segment.records);
    return records;
  }

  #blocked(): number {
    return this.#archivers.filter(({ name, clock }) => clock.waiting > 0 || this.turns.waits(name)).length;
  }

  #outboxOf(owner: string): Outbox {
    const turn = async (operation: string) => {
      await this.turns.take(owner);
      if (this.weather.strikes(0.05)) throw new StoreError('unavailable', operation, new Error('away'));
    };
    return {
      readOutbox: async (partition, after, limit) => {
        await turn('readOutbox');
        // Few at a time, so that there are many segments to go wrong.
        return this.outbox.readOutbox(partition, after, { ...limit, records: 1 + this.turns.below(4) });
      },
      markArchived: async (partition, pos, slot) => {
        await turn('markArchived');
        await this.#assertInLog(pos);
        await this.outbox.markArchived(partition, pos, slot);
      },
      archivedTo: async () => {
        await turn('archivedTo');
        return this.outbox.archivedTo();
      },
      holdArchiving: async (partition, holder, ms) => {
        await turn('holdArchiving');
        return this.outbox.holdArchiving(partition, holder, ms);
      },
    };
  }

  /** What is about to be trimmed must be in the log at this very moment. */
  async #assertInLog(pos: Position): Promise<void> {
    const slot = this.blobs.objects.size;
    const head = await new LogReader(this.blobs, IDENTITY).read(0, slot);
    if (head?.header.to && comparePositions(head.header.to, pos) >= 0) return;
    this.refusal = new Error(`${formatPosition(pos)} is trimmed, and no segment has it`);
  }
}

async function simulate(seed: number): Promise<World> {
  const world = new World(seed);
  world.bear();
  for (let i = 0; i < STEPS; i++) {
    await world.settle();
    if (world.turns.chance(0.15)) world.addRecords(1 + world.turns.below(5));
    if (world.alive < 3 && world.turns.chance(0.02)) world.bear();
    if (world.turns.chance(0.01)) world.kill();
    if (world.alive === 0) world.bear();
    await world.settle();
    world.step();
    assert.equal(world.refusal, null);
  }
  world.weather.bad = false;
  for (let i = 0; !world.quiet; i++) {
    assert.ok(i < 10_000, `all is well, and ${world.outbox.records.length} records stay in the outbox`);
    await world.settle();
    world.step();
    assert.equal(world.refusal, null);
  }
  const positions = (records: readonly LogRecord[]) => records.map((record) => formatPosition(record.pos));
  const log = await world.log();
  assert.deepEqual(positions(log), positions(world.added));
  assert.deepEqual(
    log.map((record) => record.op === 'accepted' && record.payload),
    world.added.map((record) => record.op === 'accepted' && record.payload),
  );
  return world;
}

t.test('the log has every record once and in order, whatever befalls puts and archivers', async (t) => {
  const sum: Record<string, number> = { records: 0, slots: 0 };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const world = await simulate(seed);
      for (const [name, count] of Object.entries(world.weather.counts)) sum[name] = (sum[name] ?? 0) + count;
      sum['records'] = (sum['records'] ?? 0) + world.added.length;
      sum['slots'] = (sum['slots'] ?? 0) + world.blobs.objects.size;
    } catch (error) {
      t.fail(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
      return;
    }
  }
  t.comment(`${SEEDS} seeds:`, sum);
  for (const [name, count] of Object.entries(sum)) t.ok(count > 0, `${name}: ${count}`);
});

t.test('a seed gives the same run again', async (t) => {
  const [first, second] = [await simulate(FIRST_SEED), await simulate(FIRST_SEED)];
  t.same(first.weather.counts, second.weather.counts);
  t.same([...first.blobs.objects.keys()], [...second.blobs.objects.keys()]);
});
