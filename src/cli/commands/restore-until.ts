/** `clockwork restore --until`: the log up to some moment, copied to another place as a log of its own. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { BlobStore } from '../../blob/blob.js';
import { parsePosition } from '../../event/record.js';
import { CheckpointDamagedError } from '../../log/checkpoint.js';
import { type Copied, copyLog, TooEarlyError, type Until } from '../../log/copy.js';
import type { LogIdentity } from '../../log/reader.js';
import { type CliContext, CliError, EXIT, type LogPlace } from '../context.js';
import { logPlace } from '../log-place.js';
import type { LogOptions } from '../options.js';
import { partitionsOf } from '../partitions.js';
import { ProgressLine } from '../progress.js';

export interface UntilOptions extends LogOptions {
  readonly until?: string;
  readonly toDir?: string;
  readonly toPrefix?: string;
  readonly yes?: true;
}

export async function restoreUntil(
  context: CliContext,
  options: UntilOptions,
  blobs: BlobStore,
  identity: LogIdentity,
): Promise<void> {
  const until = readUntil(options.until, identity);
  const target = await context.openLog(targetOf(context, options));
  const progress = new ProgressLine(context);
  try {
    await refuseUnlessEmpty(target);
    const about = { from: blobs.description, to: target.description, until: options.until ?? null };
    if (!options.yes)
      return await tell(context, options, { ...about, copied: false, logId: null, partitions: [] });
    const logId = randomUUID();
    const partitions: Copied[] = [];
    for (const partition of partitionsOf(identity, undefined)) {
      const writer = `${hostname()}-${process.pid}-restore`;
      const show = (slot: number, records: number) =>
        progress.show(`partition ${partition}, ${records} records, slot`, slot, slot);
      partitions.push(
        await copyLog({ from: blobs, to: target, identity, logId, partition, until, writer, progress: show }),
      );
    }
    await tell(context, options, { ...about, copied: true, logId, partitions });
  } catch (error) {
    if (error instanceof TooEarlyError) throw new CliError(EXIT.usage, error.message);
    if (error instanceof CheckpointDamagedError) throw new CliError(EXIT.unsound, error.message);
    throw error;
  } finally {
    progress.end();
    await target.close();
  }
}

function readUntil(text: string | undefined, { partitions }: LogIdentity): Until {
  if (text === undefined)
    throw new CliError(EXIT.usage, 'a copy needs --until', 'Say a time, or a position.');
  const pos = parsePosition(text);
  if (pos !== null && partitions === 1) return { kind: 'position', pos };
  if (pos !== null)
    throw new CliError(
      EXIT.usage,
      `the log has ${partitions} partitions, each with positions of its own`,
      'Say a time.',
    );
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return { kind: 'time', at };
  throw new CliError(
    EXIT.usage,
    `--until ${JSON.stringify(text)} is neither a time nor a position`,
    'Say 2026-11-23T10:00:00Z, or a position such as 3-1042.',
  );
}

function targetOf(context: CliContext, { toDir, toPrefix, log }: UntilOptions): LogPlace {
  if (toDir !== undefined && toPrefix === undefined) return logPlace(`file:${toDir}`, context.env);
  if (toPrefix === undefined || toDir !== undefined)
    throw new CliError(EXIT.usage, 'where to copy the log to is not clear', 'Say --to-dir or --to-prefix.');
  const source = logPlace(log, context.env);
  if (source.kind === 's3') return { ...source, prefix: toPrefix };
  throw new CliError(EXIT.usage, 'the log is in files, which have no prefix', 'Say --to-dir.');
}

async function refuseUnlessEmpty(target: BlobStore): Promise<void> {
  for (const folder of ['log/', 'checkpoint/', 'index/', 'floor/']) {
    const [first] = await target.list(folder, { limit: 1 });
    if (first === undefined) continue;
    throw new CliError(
      EXIT.usage,
      `${target.description} is not empty: it has ${first.key}`,
      'Name an empty place.',
    );
  }
}

interface Summary {
  readonly from: string;
  readonly to: string;
  readonly until: string | null;
  readonly copied: boolean;
  readonly logId: string | null;
  readonly partitions: readonly Copied[];
}

async function tell(context: CliContext, { json }: UntilOptions, summary: Summary): Promise<void> {
  await context.out(json ? `${JSON.stringify(summary)}\n` : textOf(summary));
}

function textOf({ from, to, until, copied, logId, partitions }: Summary): string {
  const lines = [`from log ${from}`, `into ${to}, up to ${until}`];
  for (const { partition, records, segments, to: end, checkpoint } of partitions) {
    const begin = checkpoint === null ? '' : `, after the checkpoint of slot ${checkpoint}`;
    lines.push(
      `partition ${partition}: ${records} records in ${segments} segments${begin}, up to ${end ?? 'nothing'}`,
    );
  }
  lines.push(copied ? `copied as log ${logId}` : 'nothing was done: say --yes to do it');
  return `${lines.join('\n')}\n`;
}
