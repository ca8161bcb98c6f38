/** `clockwork response` and `clockwork request`: what a listener answered, what was submitted, to the byte. */
import { Command } from 'commander';
import type { CliContext } from '../context.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

export function response(context: CliContext): Command {
  const command = new Command('response')
    .summary('print what the listener answered')
    .description("Prints the body of the listener's response as it came, with nothing added.");
  return printing(context, command, 'response').addHelpText(
    'after',
    `
Examples:
  clockwork response "$id"
  clockwork response "$id" > answer.json`,
  );
}

export function request(context: CliContext): Command {
  const command = new Command('request')
    .summary('print what was submitted')
    .description('Prints the body that was submitted as it came, with nothing added.');
  return printing(context, command, 'request').addHelpText(
    'after',
    `
Examples:
  clockwork request "$id"
  clockwork request "$id" | sha256sum`,
  );
}

function printing(context: CliContext, command: Command, which: 'response' | 'request'): Command {
  return serviceOptions(command.argument('<event>', 'its id')).action((id: string, options: ServiceOptions) =>
    withService(context, options, async ({ client }) => context.out((await client[which](id)).bytes)),
  );
}
