/** An outbox in memory: what the store's port promises of it, and nothing more. */
import { comparePositions, type LogRecord, type Position } from '../../src/event/record.js';
import { type Outbox, StoreError } from '../../src/store/store.js';

export class MemoryOutbox implements Outbox {
  records: LogRecord[] = [];
  archived: { pos: Position; slot: number } | null = null;
  /** The next calls fail. */
  failures = 0;
  #reads = 0;

  /** How often it was read. */
  get reads(): number {
    return this.#reads;
  }

  add(...records: LogRecord[]): void {
    this.records.push(...records);
  }

  async readOutbox(
    _partition: number,
    after: Position | null,
    limit: { records: number; bytes: number },
  ): Promise<LogRecord[]> {
    this.#reads++;
    this.#failMaybe('readOutbox');
    const found: LogRecord[] = [];
    let bytes = 0;
    for (const record of this.records) {
      if (after !== null && comparePositions(record.pos, after) <= 0) continue;
      bytes += 100 + ('payload' in record ? (record.payload?.byteLength ?? 0) : 0);
      if (found.length > 0 && (bytes > limit.bytes || found.length >= limit.records)) break;
      found.push(record);
    }
    return found;
  }

  async markArchived(_partition: number, pos: Position, slot: number): Promise<void> {
    this.#failMaybe('markArchived');
    if (this.archived !== null && comparePositions(pos, this.archived.pos) <= 0) return;
    this.archived = { pos, slot };
    this.records = this.records.filter((record) => comparePositions(record.pos, pos) > 0);
  }

  async archivedTo(): Promise<{ pos: Position; slot: number } | null> {
    this.#failMaybe('archivedTo');
    return this.archived;
  }

  /** Says yes to everybody, unless a test gives it somebody: it protects nothing, so that nothing may rest on it. */
  holder: string | null = null;
  readonly holds: { holder: string; ms: number }[] = [];

  async holdArchiving(_partition: number, holder: string, ms: number): Promise<boolean> {
    this.#failMaybe('holdArchiving');
    this.holds.push({ holder, ms });
    return this.holder === null || this.holder === holder;
  }

  #failMaybe(operation: string): void {
    if (this.failures === 0) return;
    this.failures--;
    throw new StoreError('unavailable', operation, new Error('gone for a moment'));
  }
}
