/** `clockwork verify`: whether the log is whole. */
import { Command } from 'commander';
import type { BlobStore } from '../../blob/blob.js';
import type { LogIdentity } from '../../log/reader.js';
import { type PartitionReport, verifyPartition } from '../../log/verify.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { withLog } from '../log-place.js';
import { type LogOptions, logOptions } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { ProgressLine } from '../progress.js';
import { wholeNumber } from '../whole-number.js';
import { verifyAgainstLog } from './verify-store.js';

interface Options extends LogOptions {
  readonly partition?: number;
  readonly store?: true;
}

export function verify(context: CliContext): Command {
  const command = new Command('verify')
    .summary('check that the log is whole')
    .description(
      `Reads the whole log and checks it: every segment has its footer and its place, the chain of hashes has no break, slots and
positions have no gap and no double, epochs and views never go back, and the records fold to a state. Changes nothing, and may
run while the service writes. Prints a summary, with the digest of the state; exits with 1 when something is wrong.`,
    )
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--store', 'check instead that the store which the settings name is what the log says');
  return logOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork verify
  clockwork verify --log s3://my-bucket/clockwork
  clockwork verify --store
  clockwork verify --json | jq '.partitions[].digest'`,
    )
    .action((options: Options) =>
      withLog(context, options.log, (blobs, identity) =>
        options.store
          ? verifyAgainstLog(context, options, blobs, identity)
          : run(context, options, blobs, identity),
      ),
    );
}

async function run(
  context: CliContext,
  options: Options,
  blobs: BlobStore,
  identity: LogIdentity,
): Promise<void> {
  const progress = new ProgressLine(context);
  const reports: PartitionReport[] = [];
  try {
    for (const partition of partitionsOf(identity, options.partition)) {
      const label = `partition ${partition}, segments`;
      const report = await verifyPartition(blobs, identity, partition, (done, total) =>
        progress.show(label, done, total),
      );
      reports.push(report);
    }
  } finally {
    progress.end();
  }
  const faults = reports.flatMap(({ fault }) => (fault === null ? [] : [fault]));
  const { logId } = identity;
  const summary = { log: blobs.description, logId, sound: faults.length === 0, partitions: reports };
  await context.out(options.json ? `${JSON.stringify(summary)}\n` : textOf(summary));
  if (faults.length === 0) return;
  throw new CliError(
    EXIT.unsound,
    `the log at ${blobs.description} is not sound: ${faults.map(({ key, reason }) => `${key}: ${reason}`).join('; ')}`,
    'Nothing behind a damaged segment was looked at. Put the object back as it was, from a version or a copy of the bucket; never delete or skip it.',
  );
}

interface Summary {
  readonly log: string;
  readonly logId: string;
  readonly sound: boolean;
  readonly partitions: readonly PartitionReport[];
}

function textOf({ log, logId, partitions, sound }: Summary): string {
  const lines = [`log ${log}, logId ${logId}`, ...partitions.flatMap(linesOf), sound ? 'sound' : 'NOT SOUND'];
  return `${lines.join('\n')}\n`;
}

function linesOf(report: PartitionReport): string[] {
  const { partition, firstSlot, lastSlot, segments, fences, records, events, digest, fault, strangers } =
    report;
  if (firstSlot === null) return [`partition ${partition}: empty`];
  const ops = Object.entries(report.recordsByOp).map(([op, count]) => `${op} ${count}`);
  return [
    `partition ${partition}:`,
    `  segments  ${segments}, slots ${firstSlot} to ${lastSlot ?? '–'}, ${fences} fences, ${report.bytes} bytes`,
    `  records   ${records}, positions ${report.from} to ${report.to}${ops.length > 0 ? ` (${ops.join(', ')})` : ''}`,
    `  time      ${timeOf(report.firstAt)} to ${timeOf(report.lastAt)}`,
    `  writers   epoch ${report.epoch}, view ${report.view}`,
    ...(report.floor === 1 ? [] : [`  begins    at slot ${report.floor}: what was before it was deleted`]),
    ...(report.checkpoints.length === 0
      ? []
      : [`  checked   checkpoints of slots ${report.checkpoints.join(', ')}`]),
    ...(events === null
      ? []
      : [
          `  events    ${events.accepted}: ${events.pending} pending, ${events.inProcess} in process, ${events.success} success, ${events.fail} fail`,
        ]),
    digest === null
      ? `  digest    none: ${fault ? 'see below' : `the log begins at slot ${firstSlot}`}`
      : `  digest    ${digest}`,
    ...strangers.map((key) => `  stranger  ${key} is no segment`),
    ...(fault === null ? [] : [`  FAULT     ${fault.key}: ${fault.reason}`]),
  ];
}

function timeOf(ms: number | null): string {
  return ms === null ? '–' : new Date(ms).toISOString();
}
