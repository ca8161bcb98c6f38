/** The completion for fish, 3 or newer. */
import { type Completed, type CompletedOption, optionsWithValue } from './model.js';

export function fishCompletion(model: readonly Completed[]): string {
  const commands = model.slice(1).map(({ path }) => path);
  return `# Completion of clockwork for fish: clockwork completion fish | source
function __clockwork_command -d 'Which command it is so far'
    set -l command clockwork
    set -l option
    for word in (commandline -opc)[2..-1]
        if set -q option[1]
            set -e option
            continue
        end
        switch "$command $word"
            case ${commands.map(quoted).join(' ')}
                set command "$command $word"
            case ${optionsWithValue(model).map(quoted).join(' ')}
                set option $word
        end
    end
    echo $command
end
complete -c clockwork -e
complete -c clockwork -f
${model.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, subcommands, options, choices }: Completed): string[] {
  const when = `complete -c clockwork -n ${quoted(`test (__clockwork_command) = "${path}"`)}`;
  return [
    ...subcommands.map(({ name, about }) => `${when} -a ${name} -d ${quoted(about)}`),
    ...(choices.length === 0 ? [] : [`${when} -a ${quoted(choices.join(' '))}`]),
    ...options.map((option) => `${when} ${optionWords(option)} -d ${quoted(option.about)}`),
  ];
}

function optionWords({ names, value, choices }: CompletedOption): string {
  const said = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (value === 'file') return [...said, '-r -F'].join(' ');
  if (choices.length > 0) return [...said, `-x -a ${quoted(choices.join(' '))}`].join(' ');
  return (value === 'none' ? said : [...said, '-x']).join(' ');
}

/** fish has escapes within quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
