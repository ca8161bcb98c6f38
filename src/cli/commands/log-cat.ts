/** `clockwork log cat`: the records of the log, as lines. */
import { Command } from 'commander';
import { floorOf } from '../../log/floor.js';
import { LogReader } from '../../log/reader.js';
import { encodeRecord } from '../../log/record-line.js';
import { firstSlotFrom } from '../../log/slot.js';
import type { CliContext } from '../context.js';
import { withLog } from '../log-place.js';
import { filterOptions, type LogOptions, logOptions, type RecordFilter, recordFilter } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { wholeNumber } from '../whole-number.js';

interface Options extends LogOptions, RecordFilter {
  readonly partition?: number;
  readonly fromSlot?: number;
  readonly toSlot?: number;
}

export function logCat(context: CliContext): Command {
  const command = new Command('cat')
    .summary('print the records of the log')
    .description(
      'Prints the records of the log, one JSON object a line, partition after partition, each in order.',
    )
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--from-slot <slot>', 'begin with this segment', wholeNumber(1))
    .option('--to-slot <slot>', 'end with this segment', wholeNumber(1));
  return logOptions(filterOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork log cat | jq -c 'select(.op == "completed") | [.id, .outcome]'
  clockwork log cat --log s3://my-bucket/clockwork --type mail --op accepted | wc -l
  clockwork log cat --log file:./data/log --from-slot 120 --to-slot 130`,
    )
    .action((options: Options) => withLog(context, options.log, (...log) => cat(context, options, ...log)));
}

async function cat(
  context: CliContext,
  options: Options,
  ...[blobs, identity]: Parameters<Parameters<typeof withLog<void>>[2]>
): Promise<void> {
  const { fromSlot = 1, toSlot = Number.POSITIVE_INFINITY } = options;
  const reader = new LogReader(blobs, identity);
  const isWanted = recordFilter(options);
  for (const partition of partitionsOf(identity, options.partition)) {
    // Of what lies below the floor, some is gone, and the rest are fences.
    const first = await firstSlotFrom(blobs, partition, Math.max(fromSlot, await floorOf(blobs, partition)));
    if (first === null || first > toSlot) continue;
    for await (const { header, records } of reader.segments(partition, first)) {
      const lines = records.filter(isWanted).map((record) => `${encodeRecord(record)}\n`);
      if (lines.length > 0) await context.out(lines.join(''));
      if (header.slot >= toSlot) break;
    }
  }
}
