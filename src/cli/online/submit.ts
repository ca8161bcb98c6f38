/** `clockwork submit`: a new event. */
import { Command, Option } from 'commander';
import type { SubmitOptions } from '../../sdk/client.js';
import type { CliContext } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { type BodyOptions, bodyOptions, readBody } from './body.js';
import { headerValue, type ServiceOptions, serviceOptions, withService } from './service.js';
import { type AnswerOptions, answerOptions, showAnswer } from './wait.js';

interface Options extends ServiceOptions, BodyOptions, AnswerOptions {
  readonly idempotencyKey?: string;
  readonly delayMs?: number;
  readonly deadlineMs?: number;
  readonly durability?: 'store' | 'archive';
  readonly eventVersion?: string;
  readonly correlationId?: string;
  readonly key?: string;
  readonly traceparent?: string;
  readonly wait?: true;
}

export function submit(context: CliContext): Command {
  const command = new Command('submit')
    .summary('put an event into the queue')
    .description(
      'Puts an event into the queue and prints its id; with --wait, waits until it is complete and prints how it went.',
    )
    .argument('<type>', 'the type of the event')
    .argument('[body]', 'its body');
  const withBody = bodyOptions(command)
    .option('--idempotency-key <key>', 'the same key and the same request are the same event', headerValue)
    .option('--key <key>', 'of its type and with this key, one at a time, in order', headerValue)
    .option('--delay-ms <ms>', 'it may be leased after this time', wholeNumber(0))
    .option('--deadline-ms <ms>', 'it fails if it is not complete by then', wholeNumber(1))
    .addOption(
      new Option('--durability <which>', 'wait until the event is in the store, or in the log').choices([
        'store',
        'archive',
      ]),
    )
    .option('--event-version <version>', 'of the payload', headerValue)
    .option('--correlation-id <id>', 'ties events together, for people', headerValue)
    .option('--traceparent <value>', 'of a trace (W3C)', headerValue)
    .option('--wait', 'wait until the event is complete');
  return serviceOptions(answerOptions(withBody))
    .addHelpText(
      'after',
      `
Examples:
  clockwork submit greeting '{"name":"Ada"}'
  clockwork submit greeting '{"name":"Ada"}' --wait --timeout-ms 20000
  clockwork submit greeting '{"name":"Ada"}' --wait --response
  echo '{"name":"Ada"}' | clockwork submit greeting --file -
  clockwork submit picture --file picture.png --content-type image/png
  clockwork submit mail 'Dear Ada' --delay-ms 60000 --idempotency-key mail-17
  clockwork submit booking '{"account":17}' --key account-17
  clockwork submit quote '{"fund":"A"}' --deadline-ms 5000
  clockwork submit number -- -5`,
    )
    .action((type: string, body: string | undefined, options: Options) => run(context, type, body, options));
}

async function run(
  context: CliContext,
  type: string,
  argument: string | undefined,
  options: Options,
): Promise<void> {
  const body = await readBody(context, argument, options);
  await withService(context, options, async (service) => {
    const receipt = await service.client.submit(type, body?.bytes, {
      ...submitOptions(options),
      ...(body === null ? {} : { contentType: body.contentType }),
    });
    if (options.wait || options.response) return showAnswer(context, service, receipt.id, options);
    await context.out(`${options.json ? JSON.stringify(receipt) : receipt.id}\n`);
  });
}

function submitOptions(options: Options): SubmitOptions {
  const {
    idempotencyKey,
    key,
    delayMs,
    deadlineMs,
    durability,
    eventVersion: version,
    correlationId,
    traceparent,
  } = options;
  const given = { idempotencyKey, key, delayMs, deadlineMs, durability, version, correlationId, traceparent };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
