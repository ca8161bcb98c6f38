/** `clockwork complete`: the end of an attempt. */
import { Command, InvalidArgumentError } from 'commander';
import { toBase64 } from '../../sdk/content.js';
import { jsonOf } from '../../sdk/transport.js';
import type { Completed, Emitted } from '../../sdk/wire.js';
import type { CliContext } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { type AttemptOptions, attemptOptions, heldLease } from './attempt.js';
import { type Body, type BodyOptions, bodyOptions, readBody } from './body.js';
import { attemptPath } from './paths.js';
import { asItCame, type Line, lines } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

type Retry = 'never' | 'policy' | { readonly afterMs: number };

interface Options extends ServiceOptions, AttemptOptions, BodyOptions {
  readonly fail?: true;
  readonly status?: number;
  readonly error?: readonly unknown[];
  readonly retry?: Retry;
  /** JSON, each. */
  readonly emit?: readonly string[];
}

export function complete(context: CliContext): Command {
  const command = new Command('complete')
    .summary('end an attempt, with an answer')
    .description(
      "Ends an attempt: the body is the listener's response. The same call twice is one completion.",
    )
    .argument('[body]', 'of the response');
  const withBody = bodyOptions(command)
    .option('--fail', 'the event has failed')
    .option('--status <number>', 'of the response, for a client at the gateway', wholeNumber(1))
    .option('--error <error>', 'what went wrong, JSON or text; may come several times', errorIn)
    .option(
      '--emit <event>',
      'bring an event about: JSON such as {"type":"mail","body":1}; may come several times',
      emitIn,
    )
    .option('--retry <how>', 'with --fail: never, policy, or after so many ms', retryIn);
  return serviceOptions(attemptOptions(withBody))
    .addHelpText(
      'after',
      `
Examples:
  clockwork complete '{"text":"Hello, Ada!"}'
  clockwork complete --file answer.json
  clockwork complete --emit '{"type":"send_email","body":{"to":"ada@example.org"}}'
  clockwork complete 'No such greeting' --fail --status 404
  clockwork complete --fail --error 'The printer is on fire' --retry policy
  clockwork complete --fail --retry 60000 --attempt "$attempt" --token "$token"`,
    )
    .action((body: string | undefined, options: Options) => run(context, body, options));
}

async function run(context: CliContext, argument: string | undefined, options: Options): Promise<void> {
  const { attemptId, headers } = heldLease(context, options);
  const text = completionText(await readBody(context, argument, options), options);
  await withService(context, options, async ({ transport }) => {
    const reply = await transport.call('PUT', attemptPath(attemptId, '/completion'), { headers, body: text });
    if (options.json) return asItCame(context, reply);
    const { event, emitted } = jsonOf<{ event: Completed; emitted: readonly Emitted[] }>(reply);
    await context.out(
      lines([
        ['event', event.id],
        ['status', event.status],
        ['outcome', event.outcome],
        ['reason', event.reason],
        ['retry', event.retryAt],
        ...emitted.map(({ id, type }): Line => ['emitted', `${id} ${type}`]),
      ]),
    );
  });
}

function completionText(body: Body | null, { fail, status, error, retry, emit = [] }: Options): string {
  const members = { outcome: fail ? 'fail' : 'success', errors: error, retry };
  const emitted = emit.length === 0 ? '' : `,"emit":[${emit.join(',')}]`;
  const rest = JSON.stringify(members).slice(1, -1) + emitted;
  if (body === null && status === undefined) return `{${rest}}`;
  const response = JSON.stringify({ status, ...headersOf(body) }).slice(1, -1);
  return `{${rest},"response":{${[response, bodyMembers(body)].filter((part) => part !== '').join(',')}}}`;
}

function headersOf(body: Body | null): object {
  return body === null ? {} : { headers: { 'content-type': body.contentType } };
}

/** JSON goes as the text that it came as. */
function bodyMembers(body: Body | null): string {
  if (body === null) return '';
  if (body.text === null) return `"bodyEncoding":"base64","body":"${toBase64(body.bytes)}"`;
  return body.isJson
    ? `"bodyEncoding":"json","body":${body.text}`
    : `"bodyEncoding":"text","body":${JSON.stringify(body.text)}`;
}

function errorIn(text: string, before: readonly unknown[] = []): readonly unknown[] {
  try {
    return [...before, JSON.parse(text) as unknown];
  } catch {
    return [...before, { message: text }];
  }
}

/** Goes as the text that it came as. */
function emitIn(text: string, before: readonly string[] = []): readonly string[] {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return [...before, text];
}

function retryIn(text: string): Retry {
  if (text === 'never' || text === 'policy') return text;
  if (/^\d{1,15}$/.test(text)) return { afterMs: Number(text) };
  throw new InvalidArgumentError('It must be never, policy, or a number of milliseconds.');
}
