/** `clockwork types`: which types there are, what is declared of them, and pausing them. */
import { Command, InvalidArgumentError } from 'commander';
import { jsonOf, type Reply } from '../../sdk/transport.js';
import type { Type } from '../../sdk/wire.js';
import { type CliContext, CliError, EXIT } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import { readBody } from './body.js';
import { eachOfPages } from './pages.js';
import { typePath } from './paths.js';
import { asItCame, type Line, lines, plain } from './print.js';
import { type Service, type ServiceOptions, serviceOptions, withService } from './service.js';
import { typeStats } from './type-stats.js';

interface ConditionOptions extends ServiceOptions {
  readonly ifVersion?: number;
}

interface SetOptions extends ConditionOptions {
  readonly file?: string;
}

/** One field of a policy, such as `backoff.firstMs`, and what it shall be: undefined takes it back. */
interface Change {
  readonly path: readonly string[];
  readonly value: unknown;
}

export function types(context: CliContext): Command {
  return new Command('types')
    .description('Shows types and their policies, and changes them.')
    .addCommand(listTypes(context))
    .addCommand(showType(context))
    .addCommand(typeStats(context))
    .addCommand(setType(context))
    .addCommand(deleteType(context))
    .addCommand(
      switchType(
        context,
        'pause',
        'lease nothing of a type',
        'From then on nothing of the type is leased; events are taken and wait.',
      ),
    )
    .addCommand(
      switchType(context, 'resume', 'let go of what waits', 'What has waited is leased again, oldest first.'),
    );
}

function listTypes(context: CliContext): Command {
  return serviceOptions(new Command('list'))
    .summary('list all types')
    .description(
      'Lists all types: version, whether it is paused, name, what is declared. With --json, one object a line.',
    )
    .addHelpText('after', '\nExamples:\n  clockwork types list\n  clockwork types list --json | jq -r .type')
    .action((options: ServiceOptions) =>
      withService(context, options, async ({ transport }) => {
        for await (const each of eachOfPages<Type>(transport, '/v1/types', 'types'))
          await context.out(`${options.json ? JSON.stringify(each) : rowOf(each)}\n`);
      }),
    );
}

function showType(context: CliContext): Command {
  return serviceOptions(new Command('show').argument('<type>', 'its name'))
    .summary('show what holds for a type')
    .description('Shows what holds for a type, and which of that is declared of it.')
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork types show greeting\n  clockwork types show greeting --json | jq .policy',
    )
    .action((type: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) =>
        show(context, options, await transport.call('GET', typePath(type))),
      ),
    );
}

function setType(context: CliContext): Command {
  const command = new Command('set')
    .summary('declare the policy of a type')
    .description(
      'Changes single fields of what is declared of a type; refused when somebody else changes it meanwhile. With --file, declares the whole policy instead, whatever was declared before.',
    )
    .argument('<type>', 'its name')
    .argument(
      '[changes...]',
      'such as leaseMs=60000 or backoff.firstMs=1000; leaseMs= takes it back',
      changeIn,
    )
    .option('--file <path>', 'the whole policy is in this file, as JSON; - is standard input');
  return serviceOptions(conditionOption(command))
    .addHelpText(
      'after',
      `
Examples:
  clockwork types set greeting attemptsMax=8 backoff.firstMs=1000
  clockwork types set greeting backoff.firstMs=
  clockwork types set greeting --file policy.json
  echo '{"leaseMs":60000}' | clockwork types set greeting --file - --if-version 3`,
    )
    .action((type: string, changes: readonly Change[] | undefined, options: SetOptions) =>
      withService(context, options, async (service) =>
        show(context, options, await declare(context, service, type, changes ?? [], options)),
      ),
    );
}

async function declare(
  context: CliContext,
  { transport }: Service,
  type: string,
  changes: readonly Change[],
  options: SetOptions,
): Promise<Reply> {
  if ((changes.length === 0) === (options.file === undefined)) {
    const hint = 'Say which fields to change, such as leaseMs=60000, or the whole policy with --file.';
    throw new CliError(EXIT.usage, 'there is nothing to declare, or there are two things', hint);
  }
  const headers = { 'content-type': 'application/json' };
  if (options.file !== undefined) {
    const body = await readBody(context, undefined, options);
    return transport.call('PUT', typePath(type), {
      headers: { ...headers, ...condition(options) },
      body: body?.bytes ?? null,
    });
  }
  const { declared, version } = await declaredOf(transport, type);
  return transport.call('PUT', typePath(type), {
    headers: { ...headers, ...condition({ ifVersion: options.ifVersion ?? version }) },
    body: JSON.stringify(changes.reduce(changed, declared)),
  });
}

/** What is declared of a type now, and under which version. */
async function declaredOf(
  transport: Service['transport'],
  type: string,
): Promise<{ readonly declared: object; readonly version: number }> {
  try {
    const { declared, version } = jsonOf<Type>(await transport.call('GET', typePath(type)));
    return { declared: declared ?? {}, version };
  } catch (error) {
    if ((error as { code?: string }).code === 'type-not-found') return { declared: {}, version: 0 };
    throw error;
  }
}

/** The policy with one field changed; objects that become empty go. */
function changed(policy: object, { path: [name = '', ...rest], value }: Change): object {
  const { [name]: before, ...others } = policy as Record<string, unknown>;
  if (rest.length === 0) return value === undefined ? others : { ...others, [name]: value };
  const inner = changed(typeof before === 'object' && before !== null ? before : {}, { path: rest, value });
  return Object.keys(inner).length === 0 ? others : { ...others, [name]: inner };
}

function changeIn(text: string, before: readonly Change[] = []): readonly Change[] {
  const [, name, value = ''] = /^([A-Za-z][\w.]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must be field=value.');
  return [...before, { path: name.split('.'), value: value === '' ? undefined : valueIn(value) }];
}

function valueIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function deleteType(context: CliContext): Command {
  return serviceOptions(conditionOption(new Command('delete').argument('<type>', 'its name')))
    .summary('take back what is declared of a type')
    .description(
      'Takes back what is declared of a type: what is service-wide holds for it again. Its events stay.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  clockwork types delete greeting\n  clockwork types delete greeting --if-version 4',
    )
    .action((type: string, options: ConditionOptions) =>
      withService(context, options, async ({ transport }) =>
        show(
          context,
          options,
          await transport.call('DELETE', typePath(type), { headers: condition(options) }),
        ),
      ),
    );
}

function switchType(
  context: CliContext,
  name: 'pause' | 'resume',
  summary: string,
  description: string,
): Command {
  return serviceOptions(new Command(name).argument('<type>', 'its name'))
    .summary(summary)
    .description(description)
    .addHelpText('after', `\nExamples:\n  clockwork types ${name} greeting`)
    .action((type: string, options: ServiceOptions) =>
      withService(context, options, async ({ transport }) =>
        show(context, options, await transport.call('POST', typePath(type, `/${name}`))),
      ),
    );
}

function conditionOption(command: Command): Command {
  return command.option('--if-version <number>', 'only if the type has this version', wholeNumber(0));
}

function condition({ ifVersion }: Pick<ConditionOptions, 'ifVersion'>): Record<string, string> {
  return { 'if-match': ifVersion === undefined ? '*' : `"${ifVersion}"` };
}

async function show(context: CliContext, { json }: ServiceOptions, reply: Reply): Promise<void> {
  await (json ? asItCame(context, reply) : context.out(lines(typeLines(jsonOf<Type>(reply)))));
}

function typeLines({ type, version, paused, open, declared, policy }: Type): Line[] {
  const isDeclared = new Map(fieldsOf(declared ?? {}));
  return [
    ['type', type],
    ['version', version],
    ['paused', paused ? 'yes' : 'no'],
    ['open', open],
    ...fieldsOf(policy).map(
      ([name, value]): Line => [name, isDeclared.has(name) ? `${value} (declared)` : value],
    ),
  ];
}

/** Objects within are taken apart: `backoff.firstMs`. A list is one value. */
function fieldsOf(value: object, before = ''): [name: string, value: string][] {
  return Object.entries(value).flatMap(([name, each]: [string, unknown]) =>
    typeof each === 'object' && each !== null && !Array.isArray(each) && name === 'backoff'
      ? fieldsOf(each, `${before}${name}.`)
      : [[`${before}${name}`, JSON.stringify(each)]],
  );
}

function rowOf({ type, version, paused, declared }: Type): string {
  const shown = declared === null ? '' : `  ${plain(JSON.stringify(declared))}`;
  return `${String(version).padStart(4)}  ${paused ? 'paused' : '-     '}  ${plain(type)}${shown}`;
}
