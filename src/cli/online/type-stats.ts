/** `clockwork types stats`: how the events of a type stand. */
import { Command } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { ListenerStats, TypeStats } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';
import { typePath } from './paths.js';
import { asItCame, type Line, lines } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

export function typeStats(context: CliContext): Command {
  return serviceOptions(new Command('stats').argument('<type>', 'its name'))
    .summary('show how the events of a type stand')
    .description(
      'Shows how much of a type waits and since when, how much is in process, and which listeners ask for it.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork types stats greeting\n  clockwork types stats greeting --json | jq .oldestWaitingMs',
    )
    .action((type: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) => {
        const reply = await transport.call('GET', typePath(type, '/stats'));
        await (options.json
          ? asItCame(context, reply)
          : context.out(lines(statsLines(jsonOf<TypeStats>(reply)))));
      }),
    );
}

function statsLines({ type, paused, open, rates, listeners, ...counts }: TypeStats): Line[] {
  return [
    ['type', type],
    ['paused', paused ? 'yes' : 'no'],
    ['open', open],
    ['waiting', waitingText(counts)],
    ['delayed', counts.delayed],
    ['leased', counts.leased],
    ['accepted', `${rates.acceptedPerSecond} a second`],
    ['completed', `${rates.completedPerSecond} a second`],
    ['failed', `${rates.failedPerSecond} a second`],
    ...listeners.map((each): Line => [`listener ${each.name}`, listenerText(each)]),
  ];
}

function listenerText(each: ListenerStats): string {
  const asked = each.askedAt === null ? 'nobody has asked' : `last asked ${each.askedAt}`;
  return `${waitingText(each)} waiting, ${each.delayed} delayed, ${each.leased} leased, ${asked}`;
}

function waitingText({ waiting, oldestWaitingMs }: Pick<TypeStats, 'waiting' | 'oldestWaitingMs'>): string {
  return oldestWaitingMs === null ? String(waiting) : `${waiting} (oldest ${oldestWaitingMs} ms)`;
}
