/** `clockwork hand-back`: a lease is given up. */
import { Command } from 'commander';
import type { CliContext } from '../context.js';
import { type AttemptOptions, attemptOptions, heldLease } from './attempt.js';
import { attemptPath } from './paths.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

export function handBack(context: CliContext): Command {
  const command = new Command('hand-back')
    .summary('give a lease up')
    .description(
      'Gives a lease up: the event is there for others at once, and the attempt is not counted. Prints nothing.',
    );
  return serviceOptions(attemptOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork hand-back
  clockwork hand-back --attempt "$attempt" --token "$token"`,
    )
    .action((options: ServiceOptions & AttemptOptions) => {
      const { attemptId, headers } = heldLease(context, options);
      return withService(context, options, async ({ transport }) => {
        const token = { 'lease-token': headers['lease-token'] ?? '' };
        await transport.call('DELETE', attemptPath(attemptId), { headers: token });
      });
    });
}
