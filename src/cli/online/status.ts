/** `clockwork status`: how an event stands, and who has worked on it. */
import { Command } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { Attempt, Event } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';
import { eventPath } from './paths.js';
import { asItCame, eventLines, type Line, lines } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly attempts?: true;
}

export function status(context: CliContext): Command {
  const command = new Command('status')
    .summary('show how an event stands')
    .description('Shows how an event stands; with --attempts, who has worked on it instead.')
    .argument('<event>', 'its id')
    .option('--attempts', 'who has worked on it, oldest first');
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork status "$id"
  clockwork status "$id" --attempts
  clockwork status "$id" --json | jq -r .status`,
    )
    .action((id: string, options: Options) =>
      withService(context, options, async ({ transport }) => {
        const reply = await transport.call('GET', eventPath(id, options.attempts ? '/attempts' : ''));
        if (options.json) return asItCame(context, reply);
        if (!options.attempts) return context.out(lines(eventLines(jsonOf<Event>(reply))));
        const { attempts } = jsonOf<{ attempts: readonly Attempt[] }>(reply);
        await context.out(attempts.map((each) => lines(attemptLines(each))).join('\n'));
      }),
    );
}

function attemptLines(attempt: Attempt): Line[] {
  const { result, late, emitted } = attempt;
  return [
    ['attempt', attempt.attemptId],
    ['count', attempt.attempt],
    ['listener', attempt.listener],
    ['worker', attempt.worker],
    ['granted', attempt.grantedAt],
    ['expires', attempt.expiresAt],
    ['ended', attempt.endedAt],
    ['end', attempt.end],
    ['outcome', result && 'outcome' in result ? result.outcome : null],
    ...emitted.map((id): Line => ['emitted', id]),
    ['late', late?.at ?? null],
  ];
}
