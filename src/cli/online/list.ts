/** `clockwork list`: the events that the store holds. */
import { Command, Option } from 'commander';
import type { EventSummary } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { plain } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly type?: string;
  readonly status?: 'pending' | 'in_process' | 'complete';
  readonly outcome?: 'success' | 'fail';
  readonly max: number;
}

/** What the service gives in one page. */
const PAGE_MAX = 1_000;

export function list(context: CliContext): Command {
  const command = new Command('list')
    .summary('list events, newest first')
    .description(
      'Lists the events that the store holds, newest first: id, status, outcome, time, type. With --json, one object a line.',
    )
    .option('--type <type>', 'only of this type')
    .addOption(
      new Option('--status <status>', 'only of this status').choices(['pending', 'in_process', 'complete']),
    )
    .addOption(new Option('--outcome <outcome>', 'only of this outcome').choices(['success', 'fail']))
    .option('--max <number>', 'at most so many', wholeNumber(1), 20);
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork list
  clockwork list --type greeting --outcome fail --max 100
  clockwork list --status pending --json | jq -r .id`,
    )
    .action((options: Options) =>
      withService(context, options, async ({ client }) => {
        const { max, type, status, outcome } = options;
        let left = max;
        const filter = { pageSize: Math.min(max, PAGE_MAX), type, status, outcome };
        const asked = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
        for await (const event of client.list(asked)) {
          await context.out(`${options.json ? JSON.stringify(event) : rowOf(event)}\n`);
          left -= 1;
          if (left === 0) return;
        }
      }),
    );
}

function rowOf({ id, status, outcome, createdAt, type }: EventSummary): string {
  return [id, status.padEnd(10), (outcome ?? '-').padEnd(7), createdAt, plain(type)].join('  ');
}
