/** Random work on the core of which a good part is forgotten again, and the log that it leaves. */
import fc from 'fast-check';
import type { LogRecord } from '../../src/event/record.js';
import { LIMITS, POLICY } from '../contract/store/scene.js';
import { CoreModel } from './core-model.js';

const STARTS_AT = Date.UTC(2026, 0, 1, 12);
const DAY = 86_400_000;
const ENVELOPE = Buffer.from('{}\nbody');

/** Work of which a good part is forgotten again. */
export type Work = 'accept' | 'accept with key' | 'complete' | 'cancel' | 'prune' | 'day';
export const work = fc.array(
  fc.constantFrom<Work[]>(
    'accept',
    'accept',
    'accept with key',
    'accept with key',
    'complete',
    'cancel',
    'prune',
    'day',
  ),
  { minLength: 5, maxLength: 60, size: 'max' },
);

export function logOf(steps: readonly Work[]): { readonly log: LogRecord[]; readonly now: number } {
  const core = new CoreModel(POLICY, LIMITS, STARTS_AT);
  let made = 0;
  for (const step of steps) {
    made += 1;
    core.now += 1;
    const id = `00000000-0000-7000-8000-${String(made).padStart(12, '0')}`;
    const idempotency = step === 'accept with key' ? { scope: `scope ${made % 7}`, fingerprint: 'f' } : null;
    const type = `type ${made % 2}`;
    if (step.startsWith('accept')) core.accept([{ id, type, envelope: ENVELOPE, delayMs: 0, idempotency }]);
    if (step === 'complete') completeOne(core, made);
    if (step === 'cancel') core.cancel([...core.state.events.keys()][0] ?? id);
    if (step === 'day') core.now += DAY;
    if (step !== 'prune') continue;
    // All there is was archived before.
    if (core.state.last) core.markArchived(core.state.last, made);
    const events = core.settled(0, 3).map(({ event }) => ({ id: event.id, version: event.version }));
    core.prune({ events, index: 1 + (made % 20) });
  }
  const log = core.journal.filter(
    (record): record is LogRecord => 'pos' in record && record.op !== 'archived',
  );
  return { log, now: core.now };
}

function completeOne(core: CoreModel, made: number): void {
  const call = `call ${made}`;
  const what = { types: ['type 0', 'type 1'], listener: 'default', max: 1, bytesMax: 1_000, leaseMs: null };
  const result = core.lease({ ...what, worker: null, call, tokens: [`token ${made}`] });
  const [lease] = result.kind === 'leased' ? result.leases : [];
  if (!lease) return;
  const wish = { outcome: 'success', retry: { kind: 'never' }, result: ENVELOPE, fingerprint: 'f' } as const;
  core.complete([{ attemptId: lease.attemptId, token: lease.token, ...wish }]);
}
