/** `clockwork wait`: until an event is complete. */
import { Command } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { Event } from '../../sdk/wire.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { eventPath } from './paths.js';
import { asItCame, eventLines, lines, plain } from './print.js';
import { type Service, type ServiceOptions, serviceOptions, withService } from './service.js';

export interface AnswerOptions {
  readonly timeoutMs?: number;
  readonly response?: true;
  readonly json?: true;
}

/** Of commands that wait for an answer. */
export function answerOptions(command: Command): Command {
  return command
    .option(
      '--timeout-ms <ms>',
      'wait no longer, but through a restart of the service (default: as long as it answers)',
      wholeNumber(0),
    )
    .option('--response', "print the body of the listener's response, and nothing else");
}

export function wait(context: CliContext): Command {
  const command = new Command('wait')
    .summary('wait until an event is complete')
    .description(
      'Waits until an event is complete and prints how it went. Ends with 5 when it failed, and with 6 when the time was over before.',
    )
    .argument('<event>', 'its id');
  return serviceOptions(answerOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork wait "$id" --timeout-ms 20000
  clockwork wait "$id" --response
  clockwork wait "$id" --json | jq .outcome`,
    )
    .action((id: string, options: ServiceOptions & AnswerOptions) =>
      withService(context, options, (service) => showAnswer(context, service, id, options)),
    );
}

/** Waits, shows what there is to see, and throws when the event has failed: the exit code is its outcome. */
export async function showAnswer(
  context: CliContext,
  { client, transport }: Service,
  id: string,
  { timeoutMs, response, json }: AnswerOptions,
): Promise<void> {
  await client.wait(id, timeoutMs === undefined ? {} : { timeoutMs });
  const reply = await transport.call('GET', eventPath(id));
  const event = jsonOf<Event>(reply);
  if (!response) await (json ? asItCame(context, reply) : context.out(lines(eventLines(event))));
  else if (event.response !== null) await context.out((await client.response(id)).bytes);
  if (event.outcome === 'fail') throw failed(event);
}

function failed({ id, reason, errors }: Event): CliError {
  const first = errors.length === 0 ? '' : `: ${plain(JSON.stringify(errors[0]))}`;
  return new CliError(EXIT.failed, `the event ${id} failed, ${reason}${first}`, null, { id, reason, errors });
}
