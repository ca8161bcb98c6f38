/** Reads by id: how events stand, what was asked, what attempts there were. */
import type { AttemptView, EventView } from '../../event/command.js';
import type { Partition } from './partition.js';
import { type EventFacts, readAttempts as readAttemptsOf, readState } from './state-codec.js';

export async function readBatch(partition: Partition, ids: readonly string[]): Promise<(EventView | null)[]> {
  const answers = (await partition.run('read', ids)) as (Buffer | null)[];
  const facts = ids.map((id, index) => {
    const packed = answers[2 * index];
    return packed ? readState(id, packed) : null;
  });
  await partition.learnNames(facts.flatMap((each) => (each ? [each.typeOrdinal] : [])));
  return facts.map(
    (each, index) => each && { ...viewOf(partition, each), result: answers[2 * index + 1] ?? null },
  );
}

/** After the names of its types have been learnt. */
export function viewOf(partition: Partition, facts: EventFacts): Omit<EventView, 'result'> {
  const { typeOrdinal, sequence: _, ...rest } = facts;
  return { ...rest, type: partition.nameOf(typeOrdinal) };
}

export async function readRequest(partition: Partition, id: string): Promise<Uint8Array | null> {
  return (await partition.run('read-request', [id])) as Buffer | null;
}

export async function readAttempts(partition: Partition, id: string): Promise<AttemptView[] | null> {
  const answer = (await partition.run('read-attempts', [id])) as [Buffer, ...(Buffer | null)[]] | null;
  if (!answer) return null;
  const [packed, ...bodies] = answer;
  return readAttemptsOf(id, packed, bodies);
}
