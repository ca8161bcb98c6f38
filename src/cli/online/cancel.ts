/** `clockwork cancel`: nobody wants an event any more. */
import { Command } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { CancelledTree } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';
import { eventPath } from './paths.js';
import { asItCame, lines } from './print.js';
import { type Service, type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly tree?: true;
}

export function cancel(context: CliContext): Command {
  const command = new Command('cancel')
    .summary('cancel an event')
    .description(
      'Cancels an event. Prints `cancelled` when it is complete thereby, or `requested` when a listener holds it: that one is asked to stop. With --tree, cancels all that came of it too, and counts.',
    )
    .argument('<event>', 'its id')
    .option('--tree', 'and all that came of it');
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork cancel "$id"
  clockwork cancel "$id" --tree`,
    )
    .action((id: string, options: Options) =>
      withService(context, options, async (service) => {
        if (options.tree) return cancelTree(context, service, id, options);
        const { kind, event } = await service.client.cancel(id);
        await context.out(`${options.json ? JSON.stringify({ kind, event }) : kind}\n`);
      }),
    );
}

/** `more`: there are more than one call goes through; those are cancelled with their own parents. */
async function cancelTree(
  context: CliContext,
  { transport }: Service,
  id: string,
  { json }: Options,
): Promise<void> {
  const reply = await transport.call('DELETE', eventPath(id, '?tree=true'));
  if (json) return asItCame(context, reply);
  const { cancelled, requested, complete, more } = jsonOf<CancelledTree>(reply);
  await context.out(
    lines([
      ['cancelled', cancelled],
      ['requested', requested],
      ['complete', complete],
      ['more', more ? 'yes' : null],
    ]),
  );
}
