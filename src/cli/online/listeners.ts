/** `clockwork listeners`: who gets the events of a type. */
import { Command, InvalidArgumentError } from 'commander';
import { jsonOf } from '../../sdk/transport.js';
import type { CliContext } from '../context.js';
import { typePath } from './paths.js';
import { asItCame, type Line, lines, plain } from './print.js';
import { type ServiceOptions, serviceOptions, withService } from './service.js';

/** What is shown of one; there may be more. */
interface Listener {
  readonly name: string;
  readonly responder: boolean;
  readonly filter: unknown;
  readonly beginning: { readonly status: string; readonly sent: number } | null;
}

interface SetOptions extends ServiceOptions {
  readonly responder?: true;
  readonly filter?: string;
  readonly fromBeginning?: boolean;
}

export function listeners(context: CliContext): Command {
  return new Command('listeners')
    .description('Shows who gets the events of a type, and changes it.')
    .addCommand(listListeners(context))
    .addCommand(setListener(context))
    .addCommand(deleteListener(context));
}

function listListeners(context: CliContext): Command {
  return serviceOptions(new Command('list').argument('<type>', 'of this type'))
    .summary('list the listeners of a type')
    .description(
      'Lists the listeners that were declared of a type: name, which may answer, what they get. With --json, as it came.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork listeners list greeting\n  clockwork listeners list greeting --json | jq',
    )
    .action((type: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) => {
        const reply = await transport.call('GET', typePath(type, '/listeners'));
        if (options.json) return asItCame(context, reply);
        const { listeners } = jsonOf<{ listeners: readonly Listener[] }>(reply);
        for (const each of listeners) await context.out(`${rowOf(each)}\n`);
      }),
    );
}

function setListener(context: CliContext): Command {
  const command = new Command('set')
    .summary('have a listener get the events of a type')
    .description(
      'Declares a listener of a type, or declares it anew: it gets the events that come from now on and match its filter.',
    )
    .argument('<type>', 'of this type')
    .argument('<name>', 'of the listener')
    .option('--responder', 'its answer is the answer to the event')
    .option('--filter <filter>', 'which events it gets, as JSON (default: all)', jsonIn)
    .option('--from-beginning', 'if it is new, it gets past events too');
  return serviceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  clockwork listeners set greeting greeter --responder
  clockwork listeners set greeting audit --filter '{"path":"/users/*","version":["2"]}'
  clockwork listeners set greeting search --from-beginning`,
    )
    .action((type: string, name: string, options: SetOptions) =>
      withService(context, options, async ({ transport }) => {
        const responder = options.responder ?? false;
        const filter = options.filter === undefined ? '' : `,"filter":${options.filter}`;
        const start = options.fromBeginning ? ',"start":"beginning"' : '';
        const reply = await transport.call('PUT', listenerPath(type, name), {
          headers: { 'content-type': 'application/json' },
          body: `{"responder":${responder}${filter}${start}}`,
        });
        await (options.json
          ? asItCame(context, reply)
          : context.out(lines(listenerLines(jsonOf<Listener>(reply)))));
      }),
    );
}

function deleteListener(context: CliContext): Command {
  return serviceOptions(
    new Command('delete').argument('<type>', 'of this type').argument('<name>', 'of the listener'),
  )
    .summary('take a listener away from a type')
    .description('Takes a listener away from a type. What waits for it is ended. Prints nothing.')
    .addHelpText('after', '\nExamples:\n  clockwork listeners delete greeting audit')
    .action((type: string, name: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) => {
        await transport.call('DELETE', listenerPath(type, name));
      }),
    );
}

function listenerPath(type: string, name: string): string {
  return typePath(type, `/listeners/${encodeURIComponent(name)}`);
}

/** Checked, and kept as the text that it is. */
function jsonIn(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function listenerLines({ name, responder, filter, beginning }: Listener): Line[] {
  return [
    ['listener', name],
    ['responder', responder ? 'yes' : 'no'],
    ['filter', filter === null || filter === undefined ? null : JSON.stringify(filter)],
    ['beginning', beginning && `${beginning.status}, ${beginning.sent} past events so far`],
  ];
}

function rowOf({ name, responder, filter }: Listener): string {
  const shown = filter === null || filter === undefined ? '' : `  ${plain(JSON.stringify(filter))}`;
  return `${responder ? 'responder' : '-        '}  ${plain(name)}${shown}`;
}
