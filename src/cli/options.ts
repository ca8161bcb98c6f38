/** Options that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LogOp, LogRecord } from '../event/record.js';
import { LOG_OPS } from '../log/record-line.js';

export interface LogOptions {
  readonly log?: string;
  readonly json?: true;
}

export function logOptions(command: Command): Command {
  return command
    .option(
      '--log <place>',
      'file:PATH or s3://BUCKET/PREFIX (default: from DATA_DIR or S3_BUCKET, S3_PREFIX)',
    )
    .option('--json', 'JSON for programs, also of problems');
}

export interface RecordFilter {
  readonly op?: readonly LogOp[];
  readonly type?: string;
}

export function filterOptions(command: Command): Command {
  return command
    .addOption(new Option('--op <ops>', 'only these operations, with commas between').argParser(ops))
    .option('--type <type>', 'only what happened to this type and its events');
}

function ops(text: string): readonly LogOp[] {
  return text.split(',').map((word) => {
    const op = LOG_OPS.find((each) => each === word.trim());
    if (op !== undefined) return op;
    throw new InvalidArgumentError(`${word} is none of ${LOG_OPS.join(', ')}.`);
  });
}

/** Whether a record is one of those that the options ask for. */
export function recordFilter({ op, type }: RecordFilter): (record: LogRecord) => boolean {
  const ops = op && new Set(op);
  return (record) =>
    (type === undefined || record.type === type) && (ops === undefined || ops.has(record.op));
}
