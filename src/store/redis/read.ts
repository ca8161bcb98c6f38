/** Reads by id: how events stand, what was asked, what attempts there were; of what is not archived only what may be shown. */
import type { AttemptView, EventSummary, EventView } from '../../event/command.js';
import { maskAttempts, maskView } from '../../event/mask.js';
import type { Position } from '../../event/record.js';
import { NOT_ARCHIVED, type NotArchived } from '../../event/unarchived.js';
import type { Partition } from './partition.js';
import {
  type EventFacts,
  envelopeIn,
  positionOf,
  readAttempts as readAttemptsOf,
  readMask,
  readState,
} from './state-codec.js';

export function readBatch(
  partition: Partition,
  ids: readonly string[],
): Promise<(EventView | NotArchived | null)[]> {
  return partition.whileOpen('read', () => readNamed(partition, ids));
}

async function readNamed(
  partition: Partition,
  ids: readonly string[],
): Promise<(EventView | NotArchived | null)[]> {
  const answers = (await partition.run('read', ids)) as (Buffer | null)[];
  const archived = positionOf(answers.slice(2 * ids.length));
  const facts = ids.map((id, index) => {
    const packed = answers[2 * index];
    return packed ? readState(id, packed, archived) : null;
  });
  await partition.learnNames(facts.flatMap((each) => (each ? [each.typeOrdinal] : [])));
  return facts.map((each, index) => {
    if (!each) return null;
    const view = { ...viewOf(partition, each), result: answers[2 * index + 1] ?? null };
    return shown(view, answers[2 * index]!, archived);
  });
}

/** `packed` is the state that the view was made of. */
export function shown<View extends Omit<EventView, 'result'>>(
  view: View,
  packed: Buffer,
  archived: Position | null,
): View | NotArchived {
  const mask = readMask(packed, archived);
  return mask === null ? view : maskView(view, mask);
}

/** After the names of its types have been learnt; as it is. */
export function viewOf(partition: Partition, facts: EventFacts): Omit<EventView, 'result'> {
  const { typeOrdinal, sequence: _, ...rest } = facts;
  return { ...rest, type: partition.nameOf(typeOrdinal) };
}

export function summaryOf(view: Omit<EventView, 'result'>): EventSummary {
  const { behind: _, ...summary } = view;
  return summary;
}

export async function readRequest(
  partition: Partition,
  id: string,
): Promise<Uint8Array | NotArchived | null> {
  const answer = (await partition.run('read-request', [id])) as (Buffer | null)[] | null;
  if (!answer) return null;
  const [packed, entry, ...archived] = answer;
  return readMask(packed!, positionOf(archived))?.accepted ? NOT_ARCHIVED : envelopeIn(entry!);
}

export async function readAttempts(
  partition: Partition,
  id: string,
): Promise<AttemptView[] | NotArchived | null> {
  const answer = (await partition.run('read-attempts', [id])) as (Buffer | null)[] | null;
  if (!answer) return null;
  const [packed, view, n, version, ...bodies] = answer;
  await partition.reachListeners(Number(version));
  const attempts = readAttemptsOf(partition, id, packed!, bodies);
  const mask = readMask(packed!, positionOf([view, n]));
  return mask === null ? attempts : maskAttempts(attempts, mask);
}
