/** `clockwork extend`: more time for a lease. */
import { Command } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { CliContext } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { type AttemptOptions, attemptOptions, heldLease } from './attempt.js';
import { attemptPath } from './paths.js';
import { asItCame, lines } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions, AttemptOptions {
  readonly leaseMs: number;
}

export function extend(context: CliContext): Command {
  const command = new Command('extend')
    .summary('have more time for a lease')
    .description(
      'Moves the end of a lease to so long from now, and says whether somebody asked to cancel the event.',
    )
    .requiredOption('--lease-ms <ms>', 'from now', wholeNumber(1));
  return serviceOptions(attemptOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork extend --lease-ms 60000
  clockwork extend --lease-ms 60000 --attempt "$attempt" --token "$token"`,
    )
    .action((options: Options) => {
      const { attemptId, headers } = heldLease(context, options);
      return withService(context, options, async ({ transport }) => {
        const body = JSON.stringify({ leaseMs: options.leaseMs });
        const reply = await transport.call('PATCH', attemptPath(attemptId), { headers, body });
        if (options.json) return asItCame(context, reply);
        const { expiresAt, cancelRequested } = jsonOf<{ expiresAt: string; cancelRequested: boolean }>(reply);
        await context.out(
          lines([
            ['expires', expiresAt],
            ['cancel', cancelRequested ? 'requested' : null],
          ]),
        );
      });
    });
}
