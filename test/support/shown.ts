/** What a store shows of an event, for tests that know that it is there and archived, or was not promised to be. */
import { NOT_ARCHIVED, type NotArchived } from '../../src/event/unarchived.js';

export function shown<Value>(value: Value | NotArchived | null): Value {
  if (value === null || value === NOT_ARCHIVED) throw new Error(`nothing to show: ${value}`);
  return value;
}
