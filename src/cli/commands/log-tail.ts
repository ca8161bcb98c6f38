/** `clockwork log tail`: the newest records of the log, and those that come. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { LogRecord } from '../../event/record.js';
import { LogReader } from '../../log/reader.js';
import { encodeRecord } from '../../log/record-line.js';
import { findHeadSlot } from '../../log/slot.js';
import type { CliContext } from '../context.js';
import { withLog } from '../log-place.js';
import { filterOptions, type LogOptions, logOptions, type RecordFilter, recordFilter } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { wholeNumber } from '../whole-number.js';

interface Options extends LogOptions, RecordFilter {
  readonly partition?: number;
  readonly records: number;
  readonly intervalMs: number;
}

const RECORDS = 10;
const INTERVAL_MS = 1_000;

export function logTail(context: CliContext): Command {
  const command = new Command('tail')
    .summary('print the newest records and go on as they come')
    .description(
      'Prints the newest records of the log, one JSON object a line, and then those that are archived from now on. Ends on Ctrl-C.',
    )
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--records <count>', 'begin with so many of the newest segment', wholeNumber(0), RECORDS)
    .option('--interval-ms <ms>', 'look for more so often', wholeNumber(10), INTERVAL_MS);
  return logOptions(filterOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork log tail
  clockwork log tail --op dead,late --records 0
  clockwork log tail --log s3://my-bucket/clockwork | jq -c '[.pos, .op, .id]'`,
    )
    .action((options: Options) => withLog(context, options.log, (...log) => tail(context, options, ...log)));
}

async function tail(
  context: CliContext,
  options: Options,
  ...[blobs, identity]: Parameters<Parameters<typeof withLog<void>>[2]>
): Promise<void> {
  const reader = new LogReader(blobs, identity);
  const isWanted = recordFilter(options);
  const follow = async (partition: number): Promise<void> => {
    const print = async (records: readonly LogRecord[]) => {
      const lines = records.map((record) => `${encodeRecord(record)}\n`);
      if (lines.length > 0) await context.out(lines.join(''));
    };
    const head = await findHeadSlot(blobs, partition, 0);
    const newest = head === 0 ? null : await reader.read(partition, head);
    const wanted = newest?.records.filter(isWanted) ?? [];
    await print(options.records === 0 ? [] : wanted.slice(-options.records));
    for (let slot = head + 1; !context.signal.aborted; ) {
      const segment = await reader.read(partition, slot);
      if (segment === null) await pause(options.intervalMs, context.signal);
      else {
        await print(segment.records.filter(isWanted));
        slot += 1;
      }
    }
  };
  await Promise.all(partitionsOf(identity, options.partition).map(follow));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
