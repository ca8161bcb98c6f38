/** The command `clockwork`: its commands, and how it ends. */
import { Command, CommanderError } from 'commander';
import { ForeignLogError } from '../log/reader.js';
import { CorruptSegmentError } from '../log/segment.js';
import { checkpoint } from './commands/checkpoint.js';
import { logCat } from './commands/log-cat.js';
import { logTail } from './commands/log-tail.js';
import { restore } from './commands/restore.js';
import { verify } from './commands/verify.js';
import { type CliContext, CliError, EXIT, type ExitCode } from './context.js';

export function buildProgram(context: CliContext): Command {
  const program = new Command('clockwork')
    .description(
      'Tools for the log of a Clockwork service. They read the log itself and need no running service.',
    )
    .version(context.version);
  const log = new Command('log')
    .description('Reads the log.')
    .addCommand(logCat(context))
    .addCommand(logTail(context));
  program
    .addCommand(log)
    .addCommand(verify(context))
    .addCommand(checkpoint(context))
    .addCommand(restore(context));
  for (const command of commandsOf(program)) {
    command
      .exitOverride()
      .helpCommand(false)
      .configureHelp({ helpWidth: 100 })
      .configureOutput({ writeOut: (text) => void context.out(text), writeErr: (text) => context.err(text) });
  }
  return program;
}

export function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

/** Runs the command that `args` name; resolves to the exit code, everything having been said. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  try {
    await buildProgram(context).parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // What commander has to say it has said: usage to `err`, help and version to `out`.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const known = asCliError(error);
    if (known === null) throw error;
    const { message, hint, exitCode } = known;
    if (args.includes('--json')) context.err(`${JSON.stringify({ error: { message, hint, exitCode } })}\n`);
    else context.err(`clockwork: ${message}.${hint === null ? '' : ` ${hint}`}\n`);
    return exitCode;
  }
}

/** Null: a fault of our own, which should be loud. */
function asCliError(error: unknown): CliError | null {
  if (error instanceof CliError) return error;
  if (error instanceof CorruptSegmentError || error instanceof ForeignLogError) {
    const hint = 'Run `clockwork verify` to see all that is wrong. Never delete or skip a segment.';
    return new CliError(EXIT.unsound, error.message, hint);
  }
  return null;
}
