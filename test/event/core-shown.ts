/**
 * S9: what is seen of an event with `archive` durability, and what an answer about it has to wait for, judged by
 * `log`, the fold of what is archived.
 */
import assert from 'node:assert/strict';
import { findRelays } from '../../src/event/decide/relay.js';
import { comparePositions, type LogRecord, type Position } from '../../src/event/record.js';
import type { PartitionState } from '../../src/event/state.js';
import { isBeyond } from '../../src/event/unarchived.js';
import { attemptsOf, shownAttempts, shownRequest, shownView, viewOf } from '../../src/event/view.js';

/** Of events with `archive` durability that is seen which the archived records say, and nothing else. */
export function checkShown(state: PartitionState, log: PartitionState): void {
  for (const event of state.events.values()) {
    const view = shownView(state, event);
    const attempts = shownAttempts(state, event);
    if (event.unarchived === null) {
      assert.deepEqual([view, attempts], [viewOf(event), attemptsOf(event)]);
      continue;
    }
    const archived = log.events.get(event.id);
    const seen = [view, shownRequest(state, event), attempts];
    if (!archived) {
      assert.deepEqual(seen, ['not_archived', 'not_archived', 'not_archived'], 'S9: not accepted for sure');
      continue;
    }
    const behind = archived.version < event.version;
    const expected = [{ ...viewOf(archived), behind }, archived.envelope, attemptsOf(archived)];
    assert.deepEqual(withoutEnds(seen), withoutEnds(expected), 'S9: what is seen is archived');
  }
}

/** What a receipt of the event rests on: the record of its acceptance, unless that is archived. */
export function promisedReceipt(state: PartitionState, log: PartitionState, id: string): Position | null {
  const { unarchived, position } = state.events.get(id)!;
  return unarchived !== null && !log.events.has(id) ? position : null;
}

/** What an answer about the event rests on: its newest record, unless that is archived. */
export function promiseOf(state: PartitionState, id: string): Position | null {
  const event = state.events.get(id)!;
  if (event.unarchived === null) return null;
  const records = state.outbox;
  const isOfEvent = (record: LogRecord) =>
    'id' in record && record.id === id && record.op !== 'emitted' && record.op !== 'relayed';
  return [...records].findLast(isOfEvent)?.pos ?? null;
}

function promiseOfChild(state: PartitionState, log: PartitionState, id: string): Position | null {
  if (state.events.has(id)) return promisedReceipt(state, log, id);
  const relay = findRelays(state, 0, Number.MAX_SAFE_INTEGER).find((each) => each.id === id);
  if (relay?.durability !== 'archive') return null;
  return isBeyond(relay.position, state.archived?.pos ?? null) ? relay.position : null;
}

/** What the answer to a completion rests on: its event and the events that it emitted. */
export function promiseOfEmitting(
  state: PartitionState,
  log: PartitionState,
  id: string,
  emitted: readonly string[],
): Position | null {
  const all = [promiseOf(state, id), ...emitted.map((each) => promiseOfChild(state, log, each))];
  return all.reduce((a, b) => (a === null || (b !== null && comparePositions(b, a) > 0) ? b : a), null);
}

/** An extension is not logged, so a fold of the log alone may think that a lease ends earlier. */
export function withoutEnds<Dump>(dump: Dump): Dump {
  return JSON.parse(
    JSON.stringify(dump, (key, value: unknown) => (key === 'expiresAt' ? null : value)),
  ) as Dump;
}
