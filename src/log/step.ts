/**
 * Steps: records that the store has made in one atomic step, of which a log that ends with some would tell a lie. A completion
 * and what it emits are one: they stand in one segment, so that whatever the log is rebuilt from has all of them or none.
 */
import type { LogRecord } from '../event/record.js';

/** How many of `records`, from `first` on, are of one step; null when its end is not among them. */
export function stepLength(records: readonly LogRecord[], first: number): number | null {
  const record = records[first];
  if (record?.op !== 'completed' || record.emitted === undefined) return 1;
  let left = record.emitted.length;
  for (let at = first + 1; at < records.length; at += 1) {
    if (isEmission(records[at]!, record.id)) left -= 1;
    if (left === 0) return at + 1 - first;
  }
  return null;
}

/** Whether `records` end within a step. */
export function endsWithinStep(records: readonly LogRecord[]): boolean {
  const last = records.findLastIndex((record) => record.op === 'completed' && record.emitted !== undefined);
  return last >= 0 && stepLength(records, last) === null;
}

function isEmission(record: LogRecord, parent: string): boolean {
  if (record.op === 'emitted') return record.id === parent;
  return record.op === 'accepted' && record.parent === parent;
}
