/** `clockwork checkpoint`: all that is alive is written down, so that a restore begins there. */
import { Command } from 'commander';
import type { BlobStore } from '../../blob/blob.js';
import {
  CheckpointRefusedError,
  dropOldCheckpoints,
  type Made,
  makeCheckpoint,
} from '../../log/checkpoint-maker.js';
import type { LogIdentity } from '../../log/reader.js';
import { findHeadSlot } from '../../log/slot.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { withLog } from '../log-place.js';
import { type LogOptions, logOptions } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { ProgressLine } from '../progress.js';
import { wholeNumber } from '../whole-number.js';

interface Options extends LogOptions {
  readonly partition?: number;
}

export function checkpoint(context: CliContext): Command {
  const command = new Command('checkpoint')
    .summary('write down all that is alive, so that a restore is quick')
    .description(
      `Makes a checkpoint of the log as far as it is written: what is alive, in objects beside the log. A store is then rebuilt from it and
from what came after. The service makes one by itself every CHECKPOINT_RECORDS records; both may be done at once. The two
newest are kept.`,
    )
    .option('--partition <number>', 'only this partition', wholeNumber(0));
  return logOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork checkpoint
  clockwork checkpoint --log s3://my-bucket/clockwork --json`,
    )
    .action((options: Options) =>
      withLog(context, options.log, (blobs, identity) => run(context, options, blobs, identity)),
    );
}

async function run(
  context: CliContext,
  options: Options,
  blobs: BlobStore,
  identity: LogIdentity,
): Promise<void> {
  for (const partition of partitionsOf(identity, options.partition)) {
    const slot = await findHeadSlot(blobs, partition, 0);
    const made = slot === 0 ? null : await make(context, blobs, identity, partition, slot);
    const manifest = made?.manifest ?? null;
    const about = {
      partition,
      made: made?.kind === 'made',
      checkpoint: manifest && {
        slot: manifest.slot,
        records: manifest.records,
        parts: manifest.parts.length,
        bytes: manifest.parts.reduce((sum, part) => sum + part.bytes, 0),
        madeAt: manifest.madeAt,
      },
    };
    await context.out(options.json ? `${JSON.stringify(about)}\n` : `${textOf(about)}\n`);
    if (made?.kind !== 'made') continue;
    for (const problem of await dropOldCheckpoints(blobs, identity, partition))
      context.err(`clockwork: an old checkpoint could not be deleted: ${problem}\n`);
  }
}

async function make(
  context: CliContext,
  blobs: BlobStore,
  identity: LogIdentity,
  partition: number,
  slot: number,
): Promise<Made> {
  const progress = new ProgressLine(context);
  try {
    return await makeCheckpoint({
      blobs,
      identity,
      partition,
      slot,
      now: Date.now,
      warn: ({ message }) => context.err(`clockwork: ${message}\n`),
      pause: async (done, total) => progress.show(`partition ${partition}, slots`, done, total),
    });
  } catch (error) {
    if (!(error instanceof CheckpointRefusedError)) throw error;
    throw new CliError(EXIT.unsound, error.message, 'Try again when the log has gone on.');
  } finally {
    progress.end();
  }
}

interface About {
  readonly partition: number;
  readonly made: boolean;
  readonly checkpoint: { slot: number; records: number; parts: number; bytes: number } | null;
}

function textOf({ partition, made, checkpoint }: About): string {
  if (checkpoint === null) return `partition ${partition}: nothing to make one of`;
  const { slot, records, parts, bytes } = checkpoint;
  const what = `slot ${slot}, ${records} records, ${parts} parts, ${bytes} bytes`;
  return `partition ${partition}: ${made ? 'made' : 'nothing new since'} ${what}`;
}
