/** `clockwork completion`: what a shell needs to complete commands and options. */
import { Argument, Command } from 'commander';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { type Completed, modelOf } from '../completion/model.js';
import { zshCompletion } from '../completion/zsh.js';
import type { CliContext } from '../context.js';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const satisfies Record<
  string,
  (model: readonly Completed[]) => string
>;

/** `program` is the whole, this command too. */
export function completion(context: CliContext, program: Command): Command {
  return new Command('completion')
    .summary('print what a shell needs to complete commands')
    .description('Prints a script by which a shell completes commands, options and their values.')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
Examples:
  source <(clockwork completion bash)
  clockwork completion bash > ~/.local/share/bash-completion/completions/clockwork
  clockwork completion zsh > ~/.zfunc/_clockwork
  clockwork completion fish > ~/.config/fish/completions/clockwork.fish`,
    )
    .action((shell: keyof typeof SHELLS) => context.out(SHELLS[shell](modelOf(program))));
}
