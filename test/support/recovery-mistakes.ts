/** Mistakes that the recovery simulation must find, each planted in the real code or in what is around it. */
import type { Edit } from './edited-log.js';
import type { WorldOptions } from './recovery-world.js';

export interface Mistake {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly around: WorldOptions['mistakes'];
}

function inCode(name: string, ...edits: [module: string, from: string, to: string][]): Mistake {
  return { name, edits: edits.map(([module, from, to]) => ({ module, from, to })), around: {} };
}

function around(name: string, mistakes: WorldOptions['mistakes']): Mistake {
  return { name, edits: [], around: mistakes };
}

export const MISTAKES: readonly Mistake[] = [
  inCode(
    'noViewCheck',
    ['opening', 'const need = !standing.open || standing.view !== logView;', 'const need = !standing.open;'],
    ['opening', ' || there.header.view !== bid.viewBelow', ''],
    ['opening', 'if (!standing.open || standing.view >= logView', 'if (true'],
  ),
  around('noGate', { noGate: true }),
  inCode(
    'foldBeforeFence',
    [
      'opening',
      'identity: { logId, partitions } }, fence.header);',
      'identity: { logId, partitions } }, { ...fence.header, slot: this.looked });',
    ],
    [
      'opening',
      'const need = !standing.open',
      'this.looked = (end?.header.slot ?? 0) + 1; const need = !standing.open',
    ],
  ),
  inCode('gcNoVerify', ['opening', 'if (clock.nowMs() - confirmedMs <= CONFIRMED_MS)', 'if (true)']),
  around('no412Check', { overwrites: true }),
  inCode('ackOn412Any', ['archiver', 'if (there.header.putId !== putId)', 'if (false)']),
  inCode('noRebuild', ['recovery', 'newest > standing.view', 'false']),
  inCode('forgetsKeys', ['checkpoint-maker', 'idempotency.expiresAt <= seen.at', 'true']),
  inCode('cutsWhatNothingCovers', ['retention', 'slot > covered', 'false']),
  inCode('forgetsListeners', [
    'checkpoint-maker',
    'defaults.declared(record);',
    'defaults.declared(record); return null;',
  ]),
  inCode('forgetsFirstLease', ['checkpoint-maker', 'return isFirst ? { op: ', 'return false ? { op: ']),
  around('noRunBinding', { noRunBinding: true }),
  around('noViewOfCaller', { noViewOfCaller: true }),
];
