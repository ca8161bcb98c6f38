/** The command `clockwork`: its commands, and how it ends. */
import { Command, CommanderError } from 'commander';
import { type CliContext, CliError, EXIT, type ExitCode } from './context.js';
import { cancel } from './online/cancel.js';
import { complete } from './online/complete.js';
import { request, response } from './online/content.js';
import { extend } from './online/extend.js';
import { handBack } from './online/hand-back.js';
import { lease } from './online/lease.js';
import { list } from './online/list.js';
import { listeners } from './online/listeners.js';
import { types } from './online/policies.js';
import { redrive } from './online/redrives.js';
import { status } from './online/status.js';
import { submit } from './online/submit.js';
import { submitMany } from './online/submit-many.js';
import { tree } from './online/tree.js';
import { wait } from './online/wait.js';

/** Commands that ask a running service. */
const ONLINE = [
  submit,
  submitMany,
  status,
  wait,
  response,
  request,
  list,
  tree,
  cancel,
  lease,
  extend,
  complete,
  handBack,
  types,
  listeners,
  redrive,
];

/** All commands. */
export async function wholeProgram(context: CliContext): Promise<Command> {
  const program = onlineProgram(context);
  const { addOffline } = await import('./offline.js');
  addOffline(program, context);
  return withManners(program, context);
}

/**
 * The program for a call: what reads logs takes longer to load than most calls of a service take, so it is there only for those who
 * do not ask one.
 */
async function programFor(args: readonly string[], context: CliContext): Promise<Command> {
  const program = onlineProgram(context);
  const isOnline = program.commands.some((command) => command.name() === args[0]);
  return isOnline ? withManners(program, context) : wholeProgram(context);
}

function onlineProgram(context: CliContext): Command {
  const program = new Command('clockwork')
    .description('Submits events, works on them, and looks after the log.')
    .version(context.version);
  program.commandsGroup('Ask a running service:');
  for (const command of ONLINE) program.addCommand(command(context));
  return program;
}

function withManners(program: Command, context: CliContext): Command {
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
    const program = await programFor(args, context);
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // What commander has to say it has said: usage to `err`, help and version to `out`.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const known = error instanceof CliError ? error : (await import('./offline.js')).asCliError(error);
    if (known === null) throw error;
    const { message, hint, exitCode, problem } = known;
    const all = { message, hint, exitCode, ...(problem === null ? {} : { problem }) };
    if (args.includes('--json')) context.err(`${JSON.stringify({ error: all })}\n`);
    else context.err(`clockwork: ${message}.${hint === null ? '' : ` ${hint}`}\n`);
    return exitCode;
  }
}
