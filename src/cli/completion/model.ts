/** What there is to complete, read from the program itself: so no script can know other commands than the program does. */
import type { Argument, Command, Option } from 'commander';

export interface Completed {
  /** As it is typed: `clockwork log cat`. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly CompletedOption[];
  /** Words that its arguments may be. */
  readonly choices: readonly string[];
}

export interface CompletedOption {
  /** `--json`, `-h`. */
  readonly names: readonly string[];
  readonly about: string;
  readonly value: 'none' | 'file' | 'other';
  readonly choices: readonly string[];
}

export function modelOf(command: Command, before = ''): Completed[] {
  const path = `${before}${command.name()}`;
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command);
  const own: Completed = {
    path,
    subcommands: subcommands.map((each) => ({ name: each.name(), about: help.subcommandDescription(each) })),
    options: help.visibleOptions(command).map(optionOf),
    choices: command.registeredArguments.flatMap(({ argChoices }: Argument) => argChoices ?? []),
  };
  return [own, ...subcommands.flatMap((each) => modelOf(each, `${path} `))];
}

function optionOf(option: Option): CompletedOption {
  const takesValue = option.required || option.optional;
  const isFile = /<(?:path|file|folder)>/.test(option.flags);
  return {
    names: [option.long, option.short].filter((name) => name !== undefined && name !== null),
    about: option.description,
    value: !takesValue ? 'none' : isFile ? 'file' : 'other',
    choices: option.argChoices ?? [],
  };
}

/** `command option` of every option that has a value: the word behind it is no command. */
export function optionsWithValue(model: readonly Completed[]): string[] {
  return pathsOf(model, ({ value }) => value !== 'none');
}

export function optionsWithFile(model: readonly Completed[]): string[] {
  return pathsOf(model, ({ value }) => value === 'file');
}

/** Each option that takes one of some words: its names, each behind its command, and the words. */
export function optionsWithChoices(
  model: readonly Completed[],
): { readonly paths: readonly string[]; readonly choices: readonly string[] }[] {
  return model.flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ names, choices }) => ({ paths: names.map((name) => `${path} ${name}`), choices })),
  );
}

function pathsOf(model: readonly Completed[], isWanted: (option: CompletedOption) => boolean): string[] {
  return model.flatMap(({ path, options }) =>
    options.filter(isWanted).flatMap(({ names }) => names.map((name) => `${path} ${name}`)),
  );
}

/** As one word of a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Patterns of one branch of a shell's `case`. */
export function anyOf(words: readonly string[]): string {
  return words.map(quoted).join(' | ');
}
