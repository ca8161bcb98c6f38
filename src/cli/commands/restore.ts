/** `clockwork restore`: an empty store is filled from the log. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import type { BlobStore } from '../../blob/blob.js';
import type { CheckpointDamagedError } from '../../log/checkpoint.js';
import type { LogIdentity } from '../../log/reader.js';
import type { Fence, Replayed } from '../../log/recovery.js';
import { occupiedBy, type PartitionPlan, planRestore, restore as restoreFrom } from '../../log/restore.js';
import type { Recoverable, Store } from '../../store/store.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { withLog } from '../log-place.js';
import { logOptions } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { ProgressLine } from '../progress.js';
import { describePlace, storeSettings, withStore } from '../store-place.js';
import { restoreUntil, type UntilOptions } from './restore-until.js';

export function restore(context: CliContext): Command {
  const command = new Command('restore')
    .summary('fill an empty store from the log')
    .description(
      `Fills the store that the settings name (REDIS_URL, or else DATA_DIR) from the log: from the newest checkpoint and what came after
it. The store must be empty and no service may use it. Without --yes it says what it would do, and does nothing. The log is only
read; a service that is started on the store afterwards takes in what has come since.

With --until no store is touched: the log is copied up to that moment to another place, as a log of its own. A service that is
started with that place and an empty store comes up as of then.`,
    )
    .option('--yes', 'do it')
    .option('--until <moment>', 'copy the log up to a time (RFC 3339) or a position (view-n)')
    .option('--to-dir <path>', 'with --until: into this folder')
    .option('--to-prefix <prefix>', 'with --until: under this prefix of the same bucket');
  return logOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork restore
  clockwork restore --yes
  REDIS_URL=redis://localhost:6379 S3_BUCKET=my-bucket clockwork restore --yes
  clockwork restore --until 2026-11-23T10:00:00Z --to-dir ./as-of-ten --yes`,
    )
    .action((options: UntilOptions) =>
      withLog(context, options.log, (blobs, identity) => {
        const { until, toDir, toPrefix } = options;
        const isCopy = until !== undefined || toDir !== undefined || toPrefix !== undefined;
        return (isCopy ? restoreUntil : run)(context, options, blobs, identity);
      }),
    );
}

interface Planned {
  readonly plan: PartitionPlan;
  readonly end: Fence | null;
}

async function run(
  context: CliContext,
  options: UntilOptions,
  blobs: BlobStore,
  identity: LogIdentity,
): Promise<void> {
  const settings = storeSettings(context.env, identity.partitions);
  const into = describePlace(settings.place);
  const warn = ({ message }: CheckpointDamagedError) =>
    context.err(`clockwork: ${message}; going back to what is before it\n`);
  const planned: Planned[] = [];
  for (const partition of partitionsOf(identity, undefined))
    planned.push(await planRestore({ blobs, identity, partition, warn }));
  const plans = planned.map(({ plan }) => plan);
  const about = { log: blobs.description, logId: identity.logId, store: into };
  const planOnly = () => tell(context, options, { ...about, restored: false, partitions: plans });
  const { place } = settings;
  // To open it would make it.
  if (!options.yes && place.kind === 'embedded' && !existsSync(place.folder)) return planOnly();
  await withStore(context, settings, async (store) => {
    await refuseUnlessEmpty(store, into);
    if (!options.yes) return planOnly();
    const done = await restoreAll(context, { blobs, identity, warn }, store, planned);
    await tell(context, options, { ...about, restored: true, partitions: plans, ...done });
  });
}

async function refuseUnlessEmpty(store: Store & Recoverable, into: string): Promise<void> {
  for (let partition = 0; partition < store.partitions; partition += 1) {
    const occupied = await occupiedBy(store, partition);
    if (occupied === null) continue;
    throw new CliError(
      EXIT.usage,
      `the store, ${into}, is not empty: ${occupied}`,
      'Name an empty one: another DATA_DIR, or another REDIS_URL or REDIS_PREFIX. A service brings the store that it has up to the log by itself.',
    );
  }
}

interface Done {
  readonly records: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
}

async function restoreAll(
  context: CliContext,
  from: { blobs: BlobStore; identity: LogIdentity; warn: (error: CheckpointDamagedError) => void },
  store: Store & Recoverable,
  planned: readonly Planned[],
): Promise<Done> {
  const progress = new ProgressLine(context);
  const startedMs = performance.now();
  let records = 0;
  try {
    for (const { plan, end } of planned) {
      if (end === null) continue;
      const { partition } = plan;
      const count = (done: Replayed) => {
        records += done.records;
        const ms = performance.now() - startedMs;
        const rate = Math.round((1_000 * records) / Math.max(1, ms));
        progress.show(
          `partition ${partition}, ${records} records, ${rate} a second, slot`,
          done.slot,
          end.slot - 1,
        );
      };
      if (await restoreFrom({ ...from, partition }, store, end, count)) continue;
      throw new CliError(
        EXIT.usage,
        'the store was taken by a service meanwhile',
        'It is that service which fills it now.',
      );
    }
  } finally {
    progress.end();
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  return { records, seconds: Number(seconds.toFixed(3)), recordsPerSecond: Math.round(records / seconds) };
}

interface Summary extends Partial<Done> {
  readonly log: string;
  readonly logId: string;
  readonly store: string;
  readonly restored: boolean;
  readonly partitions: readonly PartitionPlan[];
}

async function tell(context: CliContext, { json }: UntilOptions, summary: Summary): Promise<void> {
  await context.out(json ? `${JSON.stringify(summary)}\n` : textOf(summary));
}

function textOf({
  log,
  logId,
  store,
  restored,
  partitions,
  records,
  seconds,
  recordsPerSecond,
}: Summary): string {
  const lines = [`from log ${log}, logId ${logId}`, `into ${store}`, ...partitions.flatMap(linesOf)];
  if (!restored) lines.push('nothing was done: say --yes to do it');
  else lines.push(`restored ${records} records in ${seconds} s, ${recordsPerSecond} a second`);
  return `${lines.join('\n')}\n`;
}

function linesOf({ partition, checkpoint, slots, segments, bytes, to }: PartitionPlan): string[] {
  if (to === null) return [`partition ${partition}: nothing`];
  const begin =
    checkpoint === null
      ? '  checkpoint  none: from the first segment'
      : `  checkpoint  slot ${checkpoint.slot}, ${checkpoint.records} records, ${checkpoint.bytes} bytes, made ${new Date(checkpoint.madeAt).toISOString()}`;
  const rest =
    slots === null
      ? '  segments    none after it'
      : `  segments    ${segments}, slots ${slots.from} to ${slots.to}, ${bytes} bytes`;
  return [`partition ${partition}, up to ${to}:`, begin, rest];
}
