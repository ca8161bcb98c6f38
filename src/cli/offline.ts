/** The commands that ask no service, and what may go wrong with them. Loaded only when one of them is wanted. */
import { Command } from 'commander';
import { ForeignLogError } from '../log/reader.js';
import { CorruptSegmentError } from '../log/segment.js';
import { checkpoint } from './commands/checkpoint.js';
import { completion } from './commands/completion.js';
import { logCat } from './commands/log-cat.js';
import { logTail } from './commands/log-tail.js';
import { restore } from './commands/restore.js';
import { verify } from './commands/verify.js';
import { type CliContext, CliError, EXIT } from './context.js';

export function addOffline(program: Command, context: CliContext): void {
  const log = new Command('log')
    .description('Reads the log.')
    .addCommand(logCat(context))
    .addCommand(logTail(context));
  program
    .commandsGroup('Work on the log, with or without a service:')
    .addCommand(log)
    .addCommand(verify(context))
    .addCommand(checkpoint(context))
    .addCommand(restore(context));
  program.commandsGroup('Others:').addCommand(completion(context, program));
}

/** Null: a fault of our own, which should be loud. */
export function asCliError(error: unknown): CliError | null {
  if (error instanceof CorruptSegmentError || error instanceof ForeignLogError) {
    const hint = 'Run `clockwork verify` to see all that is wrong. Never delete or skip a segment.';
    return new CliError(EXIT.unsound, error.message, hint);
  }
  return null;
}
