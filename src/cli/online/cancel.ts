/** `clockwork cancel`: nobody wants an event any more. */
import { Command } from 'commander';
import type { CliContext } from '../context.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

export function cancel(context: CliContext): Command {
  const command = new Command('cancel')
    .summary('cancel an event')
    .description(
      'Cancels an event. Prints `cancelled` when it is complete thereby, or `requested` when a listener holds it: that one is asked to stop.',
    )
    .argument('<event>', 'its id');
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork cancel "$id"`,
    )
    .action((id: string, options: ServiceOptions) =>
      withService(context, options, async ({ client }) => {
        const { kind, event } = await client.cancel(id);
        await context.out(`${options.json ? JSON.stringify({ kind, event }) : kind}\n`);
      }),
    );
}
