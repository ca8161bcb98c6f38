/** The partitions of a log that a command is about. */
import type { LogIdentity } from '../log/reader.js';
import { CliError, EXIT } from './context.js';

/** All, or the one that was asked for. */
export function partitionsOf({ partitions }: LogIdentity, only: number | undefined): number[] {
  if (only === undefined) return Array.from({ length: partitions }, (_, partition) => partition);
  if (only < partitions) return [only];
  const highest = partitions - 1;
  throw new CliError(EXIT.usage, `the log has no partition ${only}: the highest is ${highest}`);
}
