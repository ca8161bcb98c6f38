/** The service that a command asks: where it is, and what becomes of its refusals. By its public HTTP, over the SDK. */
import { type Command, InvalidArgumentError } from 'commander';
import { Client } from '../../sdk/client.js';
import { ClockworkError } from '../../sdk/error.js';
import { Transport, type TransportOptions } from '../../sdk/transport.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { wholeNumber } from '../whole-number.js';

const DEFAULT_URL = 'http://127.0.0.1:7420';
/** A person waits for the answer: some two seconds, unless the service asks for more. */
const TRIES = 4;

/** A header as HTTP has it: its name and its value. */
export type HeaderLine = readonly [name: string, value: string];

export interface ServiceOptions {
  readonly url?: string;
  readonly header?: readonly HeaderLine[];
  readonly tries: number;
  readonly json?: true;
}

export interface Service {
  readonly client: Client;
  /** For answers that are shown as they came. */
  readonly transport: Transport;
}

export function serviceOptions(command: Command): Command {
  return command
    .option('--url <url>', `where the service is (default: CLOCKWORK_URL, else ${DEFAULT_URL})`)
    .option(
      '-H, --header <line>',
      "sent with each call, such as 'Name: value'; may come several times",
      headerLine,
    )
    .option('--tries <number>', 'how often a call without an answer is made', wholeNumber(1), TRIES)
    .option('--json', 'JSON for programs, also of problems');
}

/** Resolves to what `use` does. What the service says against it, or that it says nothing, is thrown as a CliError. */
export async function withService<Result>(
  context: CliContext,
  options: ServiceOptions,
  use: (service: Service) => Promise<Result>,
): Promise<Result> {
  const url = urlOf(options.url ?? context.env['CLOCKWORK_URL'] ?? DEFAULT_URL);
  const settings: TransportOptions = { url, headers: headersOf(options.header), triesMax: options.tries };
  try {
    return await use({ client: new Client(settings), transport: new Transport(settings) });
  } catch (error) {
    throw error instanceof ClockworkError ? asCliError(error, url) : error;
  }
}

function urlOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  const said = `${JSON.stringify(text)} is no URL of a service`;
  throw new CliError(EXIT.usage, said, `--url and CLOCKWORK_URL are like ${DEFAULT_URL}.`);
}

/** Of one name, the last counts. */
export function headersOf(lines: readonly HeaderLine[] = []): Record<string, string> {
  return Object.fromEntries(lines.map(([name, value]) => [name.toLowerCase(), value]));
}

export function headerLine(line: string, before: readonly HeaderLine[] = []): readonly HeaderLine[] {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("It must be 'Name: value'.");
  checkHeader(name, value);
  return [...before, [name, value]];
}

/** For options that travel in a header. */
export function headerValue(value: string): string {
  checkHeader('x', value);
  return value;
}

function checkHeader(name: string, value: string): void {
  try {
    new Headers([[name, value]]);
  } catch {
    throw new InvalidArgumentError('HTTP has no header like that: characters of Latin 1, in one line.');
  }
}

function asCliError(error: ClockworkError, url: string): CliError {
  const { code, id, problem } = error;
  const detail = error.detail.replace(/\.$/, '');
  if (code === 'unreachable') {
    const hint = `Is Clockwork running at ${url}? --url or CLOCKWORK_URL says where it is.`;
    return new CliError(EXIT.unreachable, `${detail} (${reasonOf(error)})`, hint, { code });
  }
  const message = `${detail} (${id === null ? code : `${code}, event ${id}`})`;
  return new CliError(exitCodeOf(error), message, error.hint, problem ?? { code, id });
}

function exitCodeOf({ code, status }: ClockworkError) {
  if (code === 'timed-out') return EXIT.timedOut;
  const mayPass = status === null || status >= 500 || status === 429 || status === 408;
  return mayPass || code === 'unexpected-reply' ? EXIT.unreachable : EXIT.refused;
}

/** What the system says, such as `connect ECONNREFUSED 127.0.0.1:7420`: it is the cause of fetch's own error. */
function reasonOf({ cause }: ClockworkError): string {
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return reason instanceof Error ? reason.message || reason.name : 'unreachable';
}
