/** `clockwork submit-many`: many events, a line each. */
import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { type BulkReply, submitChunk } from '../../sdk/bulk.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { readBody } from './body.js';
import { headerValue, type ServiceOptions, serviceOptions, withService } from './service.js';

interface Options extends ServiceOptions {
  readonly file: string;
  readonly idempotencyKey?: string;
}

/** What the service takes in one call, with room for what headers take: 1,000 items, 16 MiB. */
const LINES_MAX = 1_000;
const BYTES_MAX = 8 * 1024 * 1024;

export function submitMany(context: CliContext): Command {
  const command = new Command('submit-many')
    .summary('put many events into the queue')
    .description(
      'Puts events into the queue, one JSON object a line (NDJSON), and prints their ids, a line each. A line that is refused does not sink the others.',
    )
    .option('--file <path>', 'where they are; - is standard input', '-')
    .option('--idempotency-key <key>', 'the same key and the same lines are the same events', headerValue);
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork submit-many --file events.ndjson
  printf '%s\\n' '{"type":"greeting","body":{"name":"Ada"}}' '{"type":"mail","delayMs":60000}' | clockwork submit-many
  clockwork submit-many --file events.ndjson --idempotency-key import-17 --json`,
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, options: Options): Promise<void> {
  const body = await readBody(context, undefined, {
    file: options.file,
    contentType: 'application/x-ndjson',
  });
  if (body?.text == null) throw new CliError(EXIT.usage, 'the lines are not UTF-8');
  const key = options.idempotencyKey ?? randomUUID();
  await withService(context, options, async ({ transport }) => {
    let lines = 0;
    let refused = 0;
    for (const [index, chunk] of [...chunksOf(body.text ?? '')].entries()) {
      const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `${key}.${index}` };
      const { results } = await submitChunk(transport, { headers, body: chunk.join('') });
      for (const result of results) {
        lines += 1;
        if ('error' in result) refused += 1;
        await show(context, result, options);
      }
    }
    if (refused > 0) throw new CliError(EXIT.refused, `${refused} of ${lines} lines were refused`);
  });
}

/** Lines that hold something, as they came, those of one call together. */
function* chunksOf(text: string): Generator<readonly string[]> {
  let lines: string[] = [];
  let bytes = 0;
  for (const each of text.split('\n')) {
    if (each.trim() === '') continue;
    const line = `${each}\n`;
    const size = Buffer.byteLength(line);
    if (lines.length === LINES_MAX || (lines.length > 0 && bytes + size > BYTES_MAX)) {
      yield lines;
      lines = [];
      bytes = 0;
    }
    lines.push(line);
    bytes += size;
  }
  if (lines.length > 0) yield lines;
}

/** One line for each, so that the lines of input and output belong together. */
async function show(
  context: CliContext,
  result: BulkReply['results'][number],
  { json }: Options,
): Promise<void> {
  if (json) return context.out(`${JSON.stringify(result)}\n`);
  if ('event' in result) return context.out(`${result.event.id}\n`);
  await context.out('-\n');
  context.err(`${result.error.detail} (${result.error.code})\n`);
}
