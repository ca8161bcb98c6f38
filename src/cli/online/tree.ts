/** `clockwork tree`: all that came of an event. */
import { Command } from 'commander';
import { jsonOf, type Reply } from '../../sdk/transport.js';
import type { EventSummary, Tree } from '../../sdk/wire.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { eventPath } from './paths.js';
import { asItCame, type Line, lines } from './print.js';
import { type Service, type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly max: number;
  readonly wait?: true;
  readonly timeoutMs?: number;
}

/** What the service waits in one call. */
const LONG_POLL_MS = 20_000;

export function tree(context: CliContext): Command {
  const command = new Command('tree')
    .summary('show all that came of an event')
    .description(
      'Counts the events of the cascade that an event belongs to, and shows those that its own completion emitted. With --wait, waits until the cascade is settled, and ends with 6 when the time was over before.',
    )
    .argument('<event>', 'its id')
    .option('--max <number>', 'show at most so many of those', wholeNumber(1), 20)
    .option('--wait', 'wait until nothing goes on any more')
    .option('--timeout-ms <ms>', 'wait no longer (default: as long as it takes)', wholeNumber(0));
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork tree "$id"
  clockwork tree "$id" --wait --timeout-ms 60000
  clockwork tree "$id" --json | jq .counts`,
    )
    .action((id: string, options: Options) =>
      withService(context, options, async (service) => {
        const reply = await settled(service, id, options);
        const found = jsonOf<Tree>(reply);
        await (options.json ? asItCame(context, reply) : context.out(lines(treeLines(found))));
        if (!options.wait || found.settled) return;
        const problem = { code: 'timed-out', id };
        throw new CliError(EXIT.timedOut, 'the cascade was not settled in time', 'It goes on.', problem);
      }),
    );
}

/** The tree as it stands, or at the end of the wait. */
async function settled(
  { transport }: Service,
  id: string,
  { wait, timeoutMs, max }: Options,
): Promise<Reply> {
  const endsAtMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : transport.clock.nowMs() + timeoutMs;
  for (;;) {
    const waitMs = wait ? Math.max(0, Math.min(LONG_POLL_MS, endsAtMs - transport.clock.nowMs())) : 0;
    const headers: Record<string, string> = waitMs > 0 ? { prefer: `wait=${Math.ceil(waitMs / 1_000)}` } : {};
    const reply = await transport.call('GET', eventPath(id, `/tree?limit=${max}`), { headers, waitMs });
    if (!wait || jsonOf<Tree>(reply).settled || transport.clock.nowMs() >= endsAtMs) return reply;
  }
}

function treeLines({ root, settled, counts, emitted, children }: Tree): Line[] {
  return [
    ['root', root],
    ['settled', settled ? 'yes' : 'no'],
    ...Object.entries(counts).map(([name, count]): Line => [name, count]),
    ['emitted', emitted],
    ...children.map((child): Line => ['child', rowOf(child)]),
  ];
}

function rowOf({ id, status, outcome, type }: EventSummary): string {
  return `${id} ${outcome ?? status} ${type}`;
}
