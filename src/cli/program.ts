/** The command `clockwork`: its commands, and how it ends. */
import { Command, CommanderError } from 'commander';
import { ForeignLogError } from '../log/reader.js';
import { CorruptSegmentError } from '../log/segment.js';
import { checkpoint } from './commands/checkpoint.js';
import { completion } from './commands/completion.js';
import { logCat } from './commands/log-cat.js';
import { logTail } from './commands/log-tail.js';
import { restore } from './commands/restore.js';
import { verify } from './commands/verify.js';
import { type CliContext, CliError, EXIT, type ExitCode } from './context.js';
import { cancel } from './online/cancel.js';
import { complete } from './online/complete.js';
import { request, response } from './online/content.js';
import { extend } from './online/extend.js';
import { handBack } from './online/hand-back.js';
import { lease } from './online/lease.js';
import { list } from './online/list.js';
import { types } from './online/policies.js';
import { status } from './online/status.js';
import { submit } from './online/submit.js';
import { wait } from './online/wait.js';

/** Commands that ask a running service. */
const ONLINE = [
  submit,
  status,
  wait,
  response,
  request,
  list,
  cancel,
  lease,
  extend,
  complete,
  handBack,
  types,
];

export function buildProgram(context: CliContext): Command {
  const program = new Command('clockwork')
    .description('Submits events, works on them, and looks after the log.')
    .version(context.version);
  const log = new Command('log')
    .description('Reads the log.')
    .addCommand(logCat(context))
    .addCommand(logTail(context));
  program.commandsGroup('Ask a running service:');
  for (const command of ONLINE) program.addCommand(command(context));
  program
    .commandsGroup('Work on the log, with or without a service:')
    .addCommand(log)
    .addCommand(verify(context))
    .addCommand(checkpoint(context))
    .addCommand(restore(context));
  program.commandsGroup('Others:').addCommand(completion(context, program));
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
    const { message, hint, exitCode, problem } = known;
    const all = { message, hint, exitCode, ...(problem === null ? {} : { problem }) };
    if (args.includes('--json')) context.err(`${JSON.stringify({ error: all })}\n`);
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
