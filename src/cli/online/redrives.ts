/** `clockwork redrive`: sends past events again. */
import { Command, Option } from 'commander';
import { sleep } from '../../sdk/clock.js';
import { jsonOf, type Reply, randomKey } from '../../sdk/transport.js';
import type { Redrive } from '../../sdk/wire.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { ProgressLine } from '../progress.js';
import { wholeNumber } from '../whole-number.js';
import { asItCame, type Line, lines, plain } from './print.js';
import { headerValue, type Service, type ServiceOptions, serviceOptions, withService } from './service.js';

interface StartOptions extends ServiceOptions, WaitOptions {
  readonly filter: string;
  readonly listener?: string;
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: true;
  readonly rate?: number;
  readonly idempotencyKey?: string;
}

interface WaitOptions {
  readonly wait?: true;
  readonly timeoutMs?: number;
}

/** A redrive that is waited for is looked at so often. */
const LOOK_MS = 500;
const PATH = '/v1/redrives';

export function redrive(context: CliContext): Command {
  return new Command('redrive')
    .description('Sends past events again, as new events: dead letters, failures, or all.')
    .addCommand(startRedrive(context))
    .addCommand(listRedrives(context))
    .addCommand(showRedrive(context))
    .addCommand(cancelRedrive(context));
}

function startRedrive(context: CliContext): Command {
  const command = new Command('start')
    .summary('send past events of a type again')
    .description(
      'Has the service find past events of a type in its log and send them again, as new events. Prints the id of the job. With --wait, waits until it has ended, and ends with 5 unless it is done.',
    )
    .argument('<type>', 'of this type')
    .addOption(
      new Option('--filter <filter>', 'which of them').choices(['dead', 'failed', 'any']).default('dead'),
    )
    .option('--listener <name>', 'for this listener alone')
    .option('--from <time>', 'only what ended then or later, such as 2026-01-15T12:00:00Z')
    .option('--to <time>', 'only what ended before')
    .option('--dry-run', 'count them, and send nothing')
    .option('--rate <number>', 'so many a second at most (default: 100)', wholeNumber(1))
    .option('--idempotency-key <key>', 'the same key is the same job (default: random)', headerValue);
  return serviceOptions(waitOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork redrive start greeting --dry-run --wait
  clockwork redrive start greeting --rate 50 --wait
  clockwork redrive start greeting --filter failed --from 2026-01-15T12:00:00Z`,
    )
    .action((type: string, options: StartOptions) =>
      withService(context, options, async (service) => {
        const { filter, listener, from, to, dryRun, rate: ratePerSecond } = options;
        const reply = await service.transport.call('POST', PATH, {
          headers: {
            'content-type': 'application/json',
            'idempotency-key': options.idempotencyKey ?? randomKey(),
          },
          body: JSON.stringify({ type, filter, listener, from, to, dryRun, ratePerSecond }),
        });
        if (options.wait) return showEnd(context, service, jsonOf<Redrive>(reply).id, options);
        await (options.json ? asItCame(context, reply) : context.out(`${jsonOf<Redrive>(reply).id}\n`));
      }),
    );
}

function listRedrives(context: CliContext): Command {
  return serviceOptions(new Command('list').option('--type <type>', 'only those of this type'))
    .summary('list redrives')
    .description(
      'Lists the redrives that are remembered, the newest first: id, how it stands, found, sent, type. With --json, as it came, page by page.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork redrive list\n  clockwork redrive list --type greeting --json | jq',
    )
    .action((options: ServiceOptions & { readonly type?: string }) =>
      withService(context, options, async ({ transport }) => {
        const query = new URLSearchParams(options.type === undefined ? {} : { type: options.type });
        for (;;) {
          const reply = await transport.call('GET', `${PATH}?${query}`);
          const page = jsonOf<{ redrives: readonly Redrive[]; cursor: string | null }>(reply);
          if (options.json) await asItCame(context, reply);
          else for (const each of page.redrives) await context.out(`${rowOf(each)}\n`);
          if (page.cursor === null) return;
          query.set('cursor', page.cursor);
        }
      }),
    );
}

function showRedrive(context: CliContext): Command {
  const command = new Command('show').argument('<redrive>', 'its id');
  return serviceOptions(waitOptions(command))
    .summary('show how far a redrive is')
    .description(
      'Shows how far a redrive is. With --wait, waits until it has ended, and ends with 5 unless it is done.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork redrive show "$redrive"\n  clockwork redrive show "$redrive" --wait',
    )
    .action((id: string, options: ServiceOptions & WaitOptions) =>
      withService(context, options, async (service) => {
        if (options.wait) return showEnd(context, service, id, options);
        await show(context, await read(service, id), options);
      }),
    );
}

function cancelRedrive(context: CliContext): Command {
  return serviceOptions(new Command('cancel').argument('<redrive>', 'its id'))
    .summary('cancel a redrive')
    .description('Cancels a redrive. What it has sent stays.')
    .addHelpText('after', '\nExamples:\n  clockwork redrive cancel "$redrive"')
    .action((id: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) =>
        show(context, await transport.call('DELETE', pathOf(id)), options),
      ),
    );
}

function waitOptions(command: Command): Command {
  return command
    .option('--wait', 'wait until it has ended')
    .option('--timeout-ms <ms>', 'wait no longer (default: as long as it takes)', wholeNumber(0));
}

async function showEnd(
  context: CliContext,
  service: Service,
  id: string,
  options: ServiceOptions & WaitOptions,
): Promise<void> {
  const { clock } = service.transport;
  const endsAtMs = clock.nowMs() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  const progress = new ProgressLine(context);
  for (;;) {
    const reply = await read(service, id);
    const found = jsonOf<Redrive>(reply);
    const isOver = found.status !== 'running';
    if (isOver || clock.nowMs() >= endsAtMs) {
      progress.end();
      await show(context, reply, options);
      if (found.status === 'done') return;
      const problem = { code: isOver ? 'redrive-ended' : 'timed-out', redrive: id };
      if (!isOver)
        throw new CliError(EXIT.timedOut, 'the redrive has not ended in time', 'It goes on.', problem);
      throw new CliError(EXIT.failed, `the redrive is ${found.status}`, found.problem, problem);
    }
    const waiting = found.waiting === null ? '' : ` (waits: ${found.waiting})`;
    progress.show(`sent of those found${waiting}`, found.sent, found.matched);
    await sleep(clock, Math.min(LOOK_MS, endsAtMs - clock.nowMs()));
  }
}

function read({ transport }: Service, id: string): Promise<Reply> {
  return transport.call('GET', pathOf(id));
}

async function show(context: CliContext, reply: Reply, { json }: ServiceOptions): Promise<void> {
  await (json ? asItCame(context, reply) : context.out(lines(redriveLines(jsonOf<Redrive>(reply)))));
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}

function redriveLines(redrive: Redrive): Line[] {
  const { skipped, dryRun } = redrive;
  return [
    ['redrive', redrive.id],
    ['type', redrive.type],
    ['listener', redrive.listener],
    ['filter', redrive.filter],
    ['from', redrive.from],
    ['to', redrive.to],
    ['status', `${redrive.status}${dryRun ? ' (dry run)' : ''}`],
    ['started', redrive.startedAt],
    ['ended', redrive.endedAt],
    ['scanned', redrive.scanned],
    ['matched', redrive.matched],
    ['sent', redrive.sent],
    ['request gone', skipped.requestGone === 0 ? null : skipped.requestGone],
    ['waiting', redrive.waiting],
    ['log begins', redrive.logBeginsAt],
    ['problem', redrive.problem],
  ];
}

function rowOf({ id, status, matched, sent, type }: Redrive): string {
  return `${id}  ${status.padEnd(9)}  ${matched}  ${sent}  ${plain(type)}`;
}
