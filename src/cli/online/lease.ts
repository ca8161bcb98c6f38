/** `clockwork lease`: events to work on. */
import { Command, Option } from 'commander';
import { jsonOf, randomKey } from '../../sdk/transport.js';
import type { Lease } from '../../sdk/wire.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { VARIABLES } from './attempt.js';
import { asItCame, type Line, lines } from './print.js';
import { headerValue, type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly listener?: string;
  readonly max: number;
  readonly leaseMs?: number;
  readonly waitMs: number;
  readonly worker?: string;
  readonly idempotencyKey?: string;
  readonly shell?: true;
}

export function lease(context: CliContext): Command {
  const command = new Command('lease')
    .summary('lease events to work on')
    .description(
      'Leases the oldest events of some types and prints what is needed to complete them. Ends with 6 when there is none.',
    )
    .argument('<types...>', 'types of events')
    .option('--listener <name>', 'as which listener (default: default)')
    .option('--max <number>', 'at most so many', wholeNumber(1), 1)
    .option('--lease-ms <ms>', "how long they are this listener's", wholeNumber(1))
    .option('--wait-ms <ms>', 'wait for one if there is none, at most 25000', wholeNumber(0), 0)
    .option('--worker <name>', 'names this process, for people')
    .option('--idempotency-key <key>', 'the same key gives the same leases while they live', headerValue)
    .addOption(
      new Option(
        '--shell',
        'print variables for a shell, which extend, complete and hand-back know',
      ).conflicts(['json', 'max']),
    );
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork lease greeting
  clockwork lease greeting mail --max 10 --wait-ms 20000 --json
  eval "$(clockwork lease greeting --shell)"`,
    )
    .action((types: readonly string[], options: Options) => run(context, types, options));
}

async function run(context: CliContext, types: readonly string[], options: Options): Promise<void> {
  const { listener, max, leaseMs, waitMs, worker, idempotencyKey: key = randomKey() } = options;
  await withService(context, options, async ({ transport }) => {
    const reply = await transport.call('POST', '/v1/leases', {
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ types, listener, max, leaseMs, waitMs, worker }),
      waitMs,
    });
    const { leases } = jsonOf<{ leases: readonly Lease[] }>(reply);
    if (options.json) await asItCame(context, reply);
    else if (options.shell) await context.out(leases.map(variablesOf).join(''));
    else await context.out(leases.map((each) => lines(leaseLines(each))).join('\n'));
    if (leases.length > 0) return;
    throw new CliError(EXIT.timedOut, 'there is no event to lease', '--wait-ms waits for one.', {
      code: 'nothing-to-lease',
    });
  });
}

function leaseLines({ attemptId, attempt, token, expiresAt, deadline, event }: Lease): Line[] {
  const came = [`${event.method} ${event.path}`, event.contentType, `${event.bytes} bytes`];
  return [
    ['attempt', attemptId],
    ['count', attempt],
    ['token', token],
    ['expires', expiresAt],
    ['deadline', deadline],
    ['event', event.id],
    ['type', event.type],
    ['request', came.filter((part) => part !== null).join(', ')],
  ];
}

function variablesOf({ attemptId, token, event }: Lease): string {
  const values = { [VARIABLES.attempt]: attemptId, [VARIABLES.token]: token, CLOCKWORK_EVENT: event.id };
  return Object.entries(values)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join('');
}
