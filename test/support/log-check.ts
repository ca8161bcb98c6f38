/** Holds the log against what clients and listeners were told: each thing happened once, in order, and is written down. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LogRecord } from '../../src/event/record.js';
import { unpackResult } from '../../src/event/result.js';
import { readFileLog } from './file-log.js';
import type { Ledger } from './ledger.js';

const ARCHIVED_WITHIN_MS = 60_000;

/**
 * What is wrong with the log, in sentences, once every completion is in it or a minute has passed. Of events that
 * nobody was told of there may be `strangersMax`.
 */
export async function checkLog(dataDir: string, ledger: Ledger, strangersMax = 0): Promise<string[]> {
  const endsAt = performance.now() + ARCHIVED_WITHIN_MS;
  for (;;) {
    const records = await readFileLog(dataDir);
    const completed = records.filter(({ op }) => op === 'completed').length;
    if (completed >= ledger.acknowledged.size || performance.now() > endsAt)
      return problemsOf(records, ledger, strangersMax);
    await delay(500);
  }
}

function problemsOf(records: readonly LogRecord[], ledger: Ledger, strangersMax: number): string[] {
  const problems: string[] = [];
  const accepted = new Set<string>();
  const grants = new Map<string, number>();
  const answers = new Map<string, string>();
  for (const record of records) {
    if (!('id' in record)) continue;
    const { id, op } = record;
    if (op === 'accepted') {
      if (accepted.has(id)) problems.push(`${id} is accepted twice`);
      accepted.add(id);
      continue;
    }
    if (!accepted.has(id)) problems.push(`${id} is ${op} before it is accepted`);
    if (answers.has(id) && op !== 'late') problems.push(`${id} is ${op} after its completion`);
    if (op === 'granted') {
      if (record.grant !== (grants.get(id) ?? 0) + 1)
        problems.push(`${id} has grant ${record.grant} out of turn`);
      grants.set(id, record.grant);
    }
    if (op === 'completed') answers.set(id, String(JSON.parse(String(unpackResult(record.payload).body))));
  }
  for (const id of ledger.keyOfId.keys())
    if (!accepted.has(id)) problems.push(`${id} had a 2xx and is not in the log`);
  const strangers = [...accepted].filter((id) => !ledger.keyOfId.has(id));
  if (strangers.length > strangersMax)
    problems.push(`${strangers} are in the log, and nobody was told of them`);
  for (const [id, answer] of ledger.acknowledged) {
    const logged = answers.get(id);
    if (logged !== answer)
      problems.push(`${id} was completed with "${answer}", the log has "${logged ?? 'nothing'}"`);
  }
  return problems;
}
